"""Train the localization network on tags (the paper's 3.1.2, 4.2.2)."""

import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import numpy as np
import torch
from pydantic import Field
from torch import Tensor

from tagseg.artifacts.atomic import write_text
from tagseg.artifacts.bundle import save_bundle
from tagseg.artifacts.checkpoints import Checkpoints
from tagseg.artifacts.shard_sets import ShardSet, shard_paths
from tagseg.artifacts.shards import Shard, digest_of
from tagseg.config.arguments import CheckpointFolder, Classes, Output, Seed, Tags, Threads, TrainingLog
from tagseg.config.networks import BackboneSettings, LocalizationSettings, TrainingMachine
from tagseg.datasets.index import ImageRecord, read_classes, read_index
from tagseg.errors import TagsegError
from tagseg.networks.backbones import load_backbone
from tagseg.networks.backbones.base import Backbone
from tagseg.networks.localization import (
    LocalizationNetwork,
    fit_linear_head,
    summed_rows,
    tag_cross_entropy,
)
from tagseg.networks.synsets import shared_rows
from tagseg.runtime.device import Device, prepare
from tagseg.runtime.frozen_trunk import trunk_stride
from tagseg.runtime.prefetch import load_square, pinned
from tagseg.runtime.prefetched_training import train_prefetched
from tagseg.runtime.stamps import network_facts

log = logging.getLogger(__name__)
Batch = tuple[Tensor, Tensor, list[str]]  # images (N, 3, H, W) uint8, tags (N, C) float32 of 0 and 1, ids


def run(
    tags: Tags,
    classes: Classes,
    output: Output,
    training_log: TrainingLog,
    network: BackboneSettings,
    settings: LocalizationSettings,
    machine: TrainingMachine,
    *,
    features: Annotated[
        Sequence[Path], Field(description="Shard of features that tagseg extract wrote, for mode head; repeatable")
    ] = (),
    checkpoints: CheckpointFolder = None,
    seed: Seed = 0,
    threads: Threads = 1,
) -> None:
    """Train the localization network on tags.

    The trained network is written as a bundle, and its log as CSV. Only images of split train are used. A training that
    was interrupted resumes from the folder `checkpoints`. A linear head is fitted to what `features` hold of the frozen
    trunk. Raises TagsegError if there is no training image or no class, or no `features` for a head.
    """
    device = prepare(machine, threads, seed)
    names, records = read_classes(classes)[1:], read_index(tags, split="train")
    if not records or not names:
        raise TagsegError(f"{tags}: no training image with a tag; give at least one image of split train a tag")
    stride = _stride_of(features) if settings.mode == "head" else settings.stride
    backbone = load_backbone(network.backbone, network.weights, network.preprocessing, stride=stride)
    model = LocalizationNetwork(backbone, len(names), hidden=settings.hidden).to(device.torch_device)
    if settings.channels_last or settings.mode == "head":
        device.move(model)
    targets = torch.tensor([[name in record.tags for name in names] for record in records]).float()
    facts = {"tags": digest_of([tags, classes]), "seed": seed} | network_facts(network) | settings.model_dump()
    saved = Checkpoints(checkpoints, machine.checkpoint_every, facts)
    if settings.mode == "head":
        log_text = _train_head(model, records, targets, features, _shared(backbone, names), settings)
    else:
        log_text = _finetune(model, records, targets, settings, seed, device, saved)
    write_text(training_log, log_text)
    save_bundle(
        output,
        "localization",
        model,
        classes=names,
        backbone=network.backbone,
        statistics=[list(values) for values in backbone.statistics],
        hidden=settings.hidden,
        stride=stride,
        settings=settings.model_dump(),
    )
    saved.clear()


def _stride_of(features: Sequence[Path]) -> int:
    """The stride that the frozen trunk ran at. Raises TagsegError if there are no features, or of several trunks."""
    if not features:
        raise TagsegError("mode head fits a head to what was extracted: give --features FILE for each shard")
    made: dict[str, tuple[Path, int]] = {}
    for path in shard_paths(features):
        with Shard(path, "features") as shard:
            made.setdefault(shard.parameters["trunk"], (path, shard.parameters["views"]["stride"]))
    (first, stride), *others = made.values()
    if others:
        raise TagsegError(f"{others[0][0]}: made with another trunk than {first}; run tagseg extract again")
    return trunk_stride(stride)


def _train_head(
    model: LocalizationNetwork,
    records: list[ImageRecord],
    targets: Tensor,
    features: Sequence[Path],
    shared: tuple[Tensor, list[str]] | None,
    settings: LocalizationSettings,
) -> str:
    """Fit the head on the trunk's pooled features of each image and its mirror image; return the log."""
    shards = ShardSet(features, "features")
    pooled = [shards.get(record.id, "pooled") for record in records]  # (V, K) each, of V views
    weight, bias, loss = fit_linear_head(
        torch.from_numpy(np.concatenate(pooled)),
        targets.repeat_interleave(torch.tensor([len(views) for views in pooled]), dim=0),
        weight_decay=settings.weight_decay,
        iterations=settings.iterations,
    )
    with torch.no_grad():
        model.linear.weight.copy_(weight)
        model.linear.bias.copy_(bias)
    _choose_rows(model, weight, shared, settings)
    log.info("linear head on %d views of %d images: loss %.4f", sum(map(len, pooled)), len(records), loss)
    return f"step,learning_rate,loss\n{settings.iterations},,{loss:.5f}\n"


def _shared(backbone: Backbone, names: list[str]) -> tuple[Tensor, list[str]] | None:
    """Rows (C, K) of the pre-trained classifier, 0 for classes that it does not know, and the names of those it does.

    None if the backbone has no classifier on the global average of the trunk's last map.
    """
    if backbone.classifier is None or backbone.fully_connected is not None:
        return None
    weight, _, found = shared_rows(backbone.classifier, names)
    return weight, [name for name, has_row in zip(names, found, strict=True) if has_row]


def _choose_rows(
    model: LocalizationNetwork,
    trained: Tensor,
    shared: tuple[Tensor, list[str]] | None,
    settings: LocalizationSettings,
) -> None:
    """Set the weights of Eq. 1 as `settings.rows` says: the head's, the pre-trained classifier's, or their sum."""
    if settings.rows == "trained":
        return
    if shared is None:
        log.info(
            "rows %s: the backbone has no classifier that reads its last map; the head's rows alone", settings.rows
        )
        return
    weight, known = shared
    log.info("rows %s: the backbone's classifier knows %s", settings.rows, ", ".join(known) or "no class")
    if settings.rows == "summed":
        model.set_cam_weights(summed_rows(trained, weight))
    else:
        model.set_cam_weights(torch.where(weight.any(dim=1, keepdim=True), weight, trained))


def _finetune(
    model: LocalizationNetwork,
    records: list[ImageRecord],
    targets: Tensor,
    settings: LocalizationSettings,
    seed: int,
    device: Device,
    checkpoints: Checkpoints,
) -> str:
    """Train the whole network by SGD; return the log."""

    def load(chosen: list[tuple[int, bool]]) -> Batch:
        indices = [i for i, _ in chosen]
        images = [load_square(records[i], settings.size) for i in indices]
        flipped = [image.flip(2) if mirror else image for image, (_, mirror) in zip(images, chosen, strict=True)]
        return pinned(torch.stack(flipped)), pinned(targets[indices]), [records[i].id for i in indices]

    def loss_of(batch: Batch) -> Tensor:
        images, wanted, _ = batch
        logits = model(images.to(device.torch_device, non_blocking=True))
        return tag_cross_entropy(logits, wanted.to(device.torch_device, non_blocking=True), settings.reduction)

    return train_prefetched(
        model,
        load,
        loss_of,
        lambda batch: batch[2],
        settings,
        checkpoints,
        images=len(records),
        flip=True,
        seed=seed,
        loaders=device.loaders,
    )
