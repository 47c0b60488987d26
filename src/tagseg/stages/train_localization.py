"""Train the localization network on tags (the paper's 3.1.2, 4.2.2)."""

import logging
from collections.abc import Iterator

import torch
from torch import Tensor
from tqdm import tqdm

from tagseg.artifacts.atomic import write_text
from tagseg.artifacts.bundle import save_bundle
from tagseg.artifacts.checkpoints import Checkpoints
from tagseg.artifacts.shards import digest_of
from tagseg.config.arguments import CheckpointFolder, Classes, Output, Seed, Tags, Threads, TrainingLog
from tagseg.config.networks import BackboneSettings, LocalizationSettings, TrainingMachine
from tagseg.datasets.index import ImageRecord, read_classes, read_index
from tagseg.errors import TagsegError
from tagseg.networks.backbones import load_backbone
from tagseg.networks.backbones.base import Backbone
from tagseg.networks.localization import (
    LocalizationNetwork,
    fit_linear_head,
    pooled_features,
    summed_rows,
    tag_cross_entropy,
)
from tagseg.networks.synsets import shared_rows
from tagseg.networks.training import Schedule, train
from tagseg.runtime.device import Device, prepare
from tagseg.runtime.frozen_trunk import network_facts
from tagseg.runtime.prefetch import ahead, load_image, load_square, pinned, shuffled

log = logging.getLogger(__name__)
Batch = tuple[Tensor, Tensor, list[str]]


def run(
    tags: Tags,
    classes: Classes,
    output: Output,
    training_log: TrainingLog,
    network: BackboneSettings,
    settings: LocalizationSettings,
    machine: TrainingMachine,
    *,
    checkpoints: CheckpointFolder = None,
    seed: Seed = 0,
    threads: Threads = 1,
) -> None:
    """Train the localization network on tags.

    Write the trained network as a bundle, and its log as CSV. Only images of split train are used.

    A run that was killed goes on from what it left in the folder `checkpoints`.
    """
    device = prepare(machine, threads, seed)
    names = read_classes(classes)[1:]
    records = read_index(tags, split="train")
    if not records or not names:
        raise TagsegError(f"{tags}: no training image with a tag; give at least one image of split train a tag")
    backbone = load_backbone(network.backbone, network.weights, network.preprocessing, stride=settings.stride)
    model = LocalizationNetwork(backbone, len(names), hidden=settings.hidden).to(device.torch_device)
    if settings.channels_last or settings.mode == "head":
        device.put(model)
    targets = torch.tensor([[name in record.tags for name in names] for record in records]).float()
    facts = {"tags": digest_of([tags, classes]), "seed": seed} | network_facts(network) | settings.model_dump()
    keeper = Checkpoints(checkpoints, machine.checkpoint_every, facts)
    if settings.mode == "head":
        history = _train_head(model, records, targets, _shared(backbone, names), settings, device)
    else:
        history = _finetune(model, records, targets, settings, seed, device, keeper)
    write_text(training_log, history)
    save_bundle(
        output,
        "localization",
        model,
        classes=names,
        backbone=network.backbone,
        statistics=[list(values) for values in backbone.statistics],
        hidden=settings.hidden,
        stride=settings.stride,
        settings=settings.model_dump(),
    )
    keeper.clear()


def _train_head(
    model: LocalizationNetwork,
    records: list[ImageRecord],
    targets: Tensor,
    shared: tuple[Tensor, list[str]] | None,
    settings: LocalizationSettings,
    device: Device,
) -> str:
    """The trunk runs once over each image and its mirror image; the head is then fitted on what it gave."""
    straight = ahead(records, lambda record: pinned(load_image(record)[None]), device.loaders)  # in the targets' order
    images = tqdm(straight, total=len(records), unit="image", disable=None)
    both = (view.to(device.torch_device) for image in images for view in (image, image.flip(3)))
    features = pooled_features(model, both).cpu()
    weight, bias, loss = fit_linear_head(
        features,
        targets.repeat_interleave(2, dim=0),
        weight_decay=settings.weight_decay,
        iterations=settings.iterations,
    )
    with torch.no_grad():
        model.linear.weight.copy_(weight)
        model.linear.bias.copy_(bias)
    _choose_rows(model, weight, shared, settings)
    log.info("linear head on %d images and their mirror images: loss %.4f", len(records), loss)
    return f"step,learning_rate,loss\n{settings.iterations},,{loss:.5f}\n"


def _shared(backbone: Backbone, names: list[str]) -> tuple[Tensor, list[str]] | None:
    """Rows (C, K) of the pre-trained classifier, 0 for classes that it does not know, and the names of those it does.

    None where there is no classifier that reads the average of the trunk's last map.
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
    """Weights of Eq. 1 as `rows` asks for them, said in the log."""
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
    keeper: Checkpoints,
) -> str:
    def load(chosen: list[tuple[int, bool]]) -> Batch:
        images = [load_square(records[i], settings.size) for i, _ in chosen]
        turned = [image.flip(2) if mirror else image for image, (_, mirror) in zip(images, chosen, strict=True)]
        indices = [i for i, _ in chosen]
        return pinned(torch.stack(turned)), pinned(targets[indices]), [records[i].id for i in indices]

    def batches(first: int) -> Iterator[Batch]:
        return ahead(shuffled(len(records), settings.batch, seed, flip=True, first=first), load, device.loaders)

    def loss_of(batch: Batch) -> Tensor:
        images, wanted, _ = batch
        logits = model(images.to(device.torch_device, non_blocking=True))
        return tag_cross_entropy(logits, wanted.to(device.torch_device, non_blocking=True), settings.reduction)

    return train(
        model,
        model.parameter_groups(settings.learning_rate, settings.head_factor),
        batches,
        loss_of,
        Schedule(settings.iterations, settings.schedule, settings.momentum, settings.weight_decay),
        lambda batch: f"images {', '.join(batch[2])}",
        precision=settings.precision,
        keeper=keeper,
    )
