"""Train a score network on tags and masks (the paper's 3.2, 4.2.1)."""

import logging
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
from tagseg.runtime.device import prepare
from tagseg.runtime.prefetch import load_image, pinned
from tagseg.runtime.prefetched_training import train_prefetched
from tagseg.runtime.stamps import network_facts

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Sample:
    """A training image: (3, H, W) uint8, the labels of background and its tags, its mask (H, W) uint8 or None."""

    id: str
    image: Tensor
    labels: list[int]
    mask: Tensor | None


@dataclass(frozen=True)
class _TrainingSet:
    """Images to train on, the labels of background and tags by id, and the masks, of kind `mask`; None for no masks."""

    records: list[ImageRecord]
    labels: dict[str, list[int]]
    mask: Mask
    masks: ShardSet | None

    def sample(self, index: int, size: int, mirror: bool) -> Sample:
        """One image and its mask, the longer side resized to `size` pixels (0: not resized), mirrored or not."""
        record = self.records[index]
        pixels, mask = load_image(record, size), None
        if self.masks is not None:
            whole = Image.fromarray(self.masks.get(record.id, "labels"))
            mask = torch.from_numpy(np.array(resized(whole, size, Image.Resampling.NEAREST)))
        if mirror:
            pixels, mask = pixels.flip(2), None if mask is None else mask.flip(1)
        return Sample(record.id, pinned(pixels), self.labels[record.id], None if mask is None else pinned(mask))

    def log_empty(self) -> None:
        """Log how many terms of the loss are left out because a label's mask has no pixel."""
        if self.masks is None:
            return
        empty = total = 0
        for record in self.records:
            labels = self.labels[record.id]
            wanted = sorted({min(label, 1) for label in labels}) if self.mask == "fgbg" else labels
            empty += empty_masks(torch.from_numpy(self.masks.get(record.id, "labels")), wanted)
            total += len(wanted)
        log.info("%d of %d masks are empty (%.0f %%): their terms are left out", empty, total, 100 * empty / total)


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

    The trained network is written as a bundle, and its log as CSV. Only images of split train are used. `masks` are the
    shards that tagseg smooth made from the prior that `mask` names; there are none if `mask` is none. A training that
    was interrupted resumes from the folder `checkpoints`. Raises TagsegError if there is no training image, or if
    `mask` and `masks` contradict each other.
    """
    device = prepare(machine, threads, seed)
    names = read_classes(classes)
    images = _training_set(tags, names, masks, mask)
    images.log_empty()
    backbone = load_backbone(
        network.backbone, network.weights, network.preprocessing, stride=settings.stride, pool5=True
    )
    model = ScoreNetwork(backbone, names, fov).to(device.torch_device)
    if settings.channels_last:
        device.move(model)
    _log_network(model)
    facts = {
        "tags": digest_of([tags, classes]),
        "masks": digest_of(shard_paths(masks)),
        "mask": mask,
        "fov": fov,
        "seed": seed,
    }
    facts |= network_facts(network) | settings.model_dump()
    saved = Checkpoints(checkpoints, machine.checkpoint_every, facts)
    log_text = train_prefetched(
        model,
        lambda chosen: [images.sample(i, settings.size, mirror) for i, mirror in chosen],
        lambda samples: _batch_loss(model, samples, mask, settings.lse_r, device.torch_device),
        lambda samples: [sample.id for sample in samples],
        settings,
        saved,
        images=len(images.records),
        flip=settings.flip,
        seed=seed,
        loaders=device.loaders,
    )
    write_text(training_log, log_text)
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
    saved.clear()


def _training_set(tags: Path, names: list[str], masks: list[Path], mask: Mask) -> _TrainingSet:
    """The images of split train. Raises TagsegError if there is none, or if `masks` do not go with `mask`."""
    records = read_index(tags, split="train")
    if not records:
        raise TagsegError(f"{tags}: no image of split train; there is nothing to train on")
    if (mask == "none") != (not masks):
        raise TagsegError(
            f"--mask {mask}: give the mask shards (--masks FILE ...) unless --mask is none, then give none"
        )
    labels = {record.id: labels_of(record.tags, names) for record in records}
    return _TrainingSet(records, labels, mask, ShardSet(masks, "labels") if masks else None)


def _log_network(model: ScoreNetwork) -> None:
    facts = describe(model)
    size = f"{facts.parameters / 1e6:.1f} M parameters"
    log.info("score network: stride %d, field of view %d pixels, %s", facts.stride, facts.field_of_view, size)
    log.info("last layer starts from the classifier's rows for: %s", ", ".join(model.shared) or "no class")


def _batch_loss(network: ScoreNetwork, samples: list[Sample], mask: Mask, r: float, device: torch.device) -> Tensor:
    """Mean loss over the images: smaller ones are padded at right and bottom, and the padding is not scored."""
    height = max(sample.image.shape[1] for sample in samples)
    width = max(sample.image.shape[2] for sample in samples)
    sent = [sample.image.to(device, non_blocking=True) for sample in samples]
    images = torch.stack([F.pad(s, (0, width - s.shape[2], 0, height - s.shape[1])) for s in sent])
    scores = upsample(network(images), (height, width))
    losses = []
    for padded, sample in zip(scores, samples, strict=True):
        own = padded[:, : sample.image.shape[1], : sample.image.shape[2]]
        if sample.mask is None:
            losses.append(tag_loss(own, sample.labels, r=r))
        else:
            mask_loss = fgbg_loss if mask == "fgbg" else multiclass_loss
            losses.append(mask_loss(own, sample.labels, sample.mask.to(device, non_blocking=True), r=r))
    return torch.stack(losses).mean()
