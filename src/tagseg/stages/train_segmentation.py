"""Train a score network on tags and masks (the paper's 3.2, 4.2.1)."""

import logging
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image
from pydantic import Field
from torch import Tensor

from tagseg.artifacts.atomic import write_text
from tagseg.artifacts.bundle import save_bundle
from tagseg.artifacts.checkpoints import Checkpoints
from tagseg.artifacts.shard_sets import ShardSet, shard_paths
from tagseg.artifacts.shards import digest_of
from tagseg.config import Mask
from tagseg.config.arguments import CheckpointFolder, Classes, Output, Seed, Tags, Threads, TrainingLog
from tagseg.config.networks import BackboneSettings, SegmentationSettings, TrainingMachine
from tagseg.datasets.index import ImageRecord, labels_of, read_classes, read_index
from tagseg.errors import TagsegError
from tagseg.images.palette import voc_palette
from tagseg.images.resize import resized
from tagseg.networks.backbones import load_backbone
from tagseg.networks.losses import empty_masks, fgbg_loss, multiclass_loss, tag_loss
from tagseg.networks.segmentation import ScoreNetwork, describe, upsample
from tagseg.networks.training import Schedule, train
from tagseg.runtime.device import prepare
from tagseg.runtime.frozen_trunk import network_facts
from tagseg.runtime.prefetch import ahead, load_image, pinned, shuffled

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Sample:
    """A training image: uint8 (3, H, W), the labels of its tags and background, its mask (H, W) or None."""

    id: str
    image: Tensor
    labels: list[int]
    mask: Tensor | None


def run(
    tags: Tags,
    classes: Classes,
    masks: Annotated[list[Path], Field(default_factory=list, description="Shard files; repeat the option for each")],
    output: Output,
    training_log: TrainingLog,
    network: BackboneSettings,
    settings: SegmentationSettings,
    machine: TrainingMachine,
    *,
    mask: Annotated[Mask, Field(description="What the masks are; none: tags only")],
    fov: Annotated[Literal["small", "large"], Field(description="Field of view of the head")] = "small",
    checkpoints: CheckpointFolder = None,
    seed: Seed = 0,
    threads: Threads = 1,
) -> None:
    """Train a score network on tags and masks.

    Write the trained network as a bundle, and its log as CSV. Only images of split train are used.

    `masks` are the shards that tagseg smooth made of the prior that `mask` names; none for `mask` none. A run that was
    killed goes on from what it left in the folder `checkpoints`.
    """
    device = prepare(machine, threads, seed)
    names = read_classes(classes)
    records = read_index(tags, split="train")
    if not records:
        raise TagsegError(f"{tags}: no image of split train; there is nothing to train on")
    if (mask == "none") != (not masks):
        raise TagsegError(
            f"--mask {mask}: give the mask shards (--masks FILE ...) unless --mask is none, then give none"
        )
    labels = {record.id: labels_of(record.tags, names) for record in records}
    label_maps = ShardSet(masks, "labels") if masks else None
    if label_maps is not None:
        _report_empty(records, labels, label_maps, mask)
    backbone = load_backbone(
        network.backbone, network.weights, network.preprocessing, stride=settings.stride, pool5=True
    )
    model = ScoreNetwork(backbone, names, fov).to(device.torch_device)
    if settings.channels_last:
        device.put(model)
    facts = describe(model)
    size = f"{facts.parameters / 1e6:.1f} M parameters"
    log.info("score network: stride %d, field of view %d pixels, %s", facts.stride, facts.field_of_view, size)
    log.info("last layer starts from the classifier's rows for: %s", ", ".join(model.shared) or "no class")

    def load(chosen: list[tuple[int, bool]]) -> list[Sample]:
        return [_sample(records[i], labels, label_maps, settings.size, mirror) for i, mirror in chosen]

    def batches(first: int) -> Iterator[list[Sample]]:
        order = shuffled(len(records), settings.batch, seed, flip=settings.flip, first=first)
        return ahead(order, load, device.loaders)

    settled = {
        "tags": digest_of([tags, classes]),
        "masks": digest_of(shard_paths(masks)),
        "mask": mask,
        "fov": fov,
        "seed": seed,
    }
    settled |= network_facts(network) | settings.model_dump()
    keeper = Checkpoints(checkpoints, machine.checkpoint_every, settled)
    history = train(
        model,
        model.parameter_groups(settings.learning_rate, settings.head_factor),
        batches,
        lambda samples: _batch_loss(model, samples, mask, settings.lse_r, device.torch_device),
        Schedule(settings.iterations, settings.schedule, settings.momentum, settings.weight_decay),
        lambda samples: f"images {', '.join(sample.id for sample in samples)}",
        precision=settings.precision,
        keeper=keeper,
    )
    write_text(training_log, history)
    save_bundle(
        output,
        "segmentation",
        model,
        classes=names,
        palette=voc_palette()[: len(names)].tolist(),
        backbone=network.backbone,
        statistics=[list(values) for values in backbone.statistics],
        fov=fov,
        stride=settings.stride,
        mask=mask,
        settings=settings.model_dump(),
    )
    keeper.clear()


def _sample(
    record: ImageRecord, labels: dict[str, list[int]], label_maps: ShardSet | None, size: int, mirror: bool
) -> Sample:
    pixels = load_image(record, size)
    mask = None
    if label_maps is not None:
        whole = Image.fromarray(label_maps.get(record.id, "labels"))
        mask = torch.from_numpy(np.array(resized(whole, size, Image.Resampling.NEAREST)))
    if mirror:
        pixels, mask = pixels.flip(2), None if mask is None else mask.flip(1)
    return Sample(record.id, pinned(pixels), labels[record.id], None if mask is None else pinned(mask))


def _batch_loss(network: ScoreNetwork, samples: list[Sample], mask: Mask, r: float, place: torch.device) -> Tensor:
    """Mean loss over the images; smaller ones are padded at right and bottom, and the padding is cut off again."""
    height = max(sample.image.shape[1] for sample in samples)
    width = max(sample.image.shape[2] for sample in samples)
    sent = [sample.image.to(place, non_blocking=True) for sample in samples]
    images = torch.stack([F.pad(s, (0, width - s.shape[2], 0, height - s.shape[1])) for s in sent])
    scores = upsample(network(images), (height, width))
    losses = []
    for own, sample in zip(scores, samples, strict=True):
        own = own[:, : sample.image.shape[1], : sample.image.shape[2]]
        if sample.mask is None:
            losses.append(tag_loss(own, sample.labels, r=r))
        else:
            of_mask = fgbg_loss if mask == "fgbg" else multiclass_loss
            losses.append(of_mask(own, sample.labels, sample.mask.to(place, non_blocking=True), r=r))
    return torch.stack(losses).mean()


def _report_empty(records: list[ImageRecord], labels: dict[str, list[int]], label_maps: ShardSet, mask: Mask) -> None:
    """Say how many terms of the loss fall away because a tag's mask has no pixel."""
    wanted = [(r.id, sorted({min(k, 1) for k in labels[r.id]}) if mask == "fgbg" else labels[r.id]) for r in records]
    empty = sum(empty_masks(torch.from_numpy(label_maps.get(image_id, "labels")), ks) for image_id, ks in wanted)
    total = sum(len(ks) for _, ks in wanted)
    log.info("%d of %d masks are empty (%.0f %%): their terms are left out", empty, total, 100 * empty / total)
