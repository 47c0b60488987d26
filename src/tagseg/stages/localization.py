"""Train the localization network on tags (the paper's 3.1.2, 4.2.2)."""

import logging
from collections.abc import Iterator
from pathlib import Path

import torch
from torch import Tensor
from tqdm import tqdm

from tagseg.bundle import save_bundle
from tagseg.config import BackboneSettings, LocalizationSettings
from tagseg.datasets.index import ImageRecord, read_classes, read_index
from tagseg.errors import TagsegError
from tagseg.loading import load_image, load_square, shuffled
from tagseg.machine import prepare
from tagseg.networks.backbones import load_backbone
from tagseg.networks.localization import (
    LocalizationNetwork,
    fit_linear_head,
    pooled_features,
    tag_cross_entropy,
)
from tagseg.networks.training import Schedule, train
from tagseg.store import write_text

log = logging.getLogger(__name__)
Batch = tuple[Tensor, Tensor, list[str]]


def run(
    tags: Path,
    classes: Path,
    output: Path,
    training_log: Path,
    network: BackboneSettings,
    settings: LocalizationSettings,
    *,
    seed: int,
    device: str,
    threads: int,
) -> None:
    """Write the trained network as a bundle, and its log as CSV. Only images of split train are used."""
    place = prepare(device, threads, seed)
    names = read_classes(classes)[1:]
    records = read_index(tags, split="train")
    if not records or not names:
        raise TagsegError(f"{tags}: no training image with a tag; give at least one image of split train a tag")
    backbone = load_backbone(network.backbone, network.weights, network.preprocessing, stride=settings.stride)
    model = LocalizationNetwork(backbone, len(names), hidden=settings.hidden).to(place)
    targets = torch.tensor([[name in record.tags for name in names] for record in records]).float()
    if settings.mode == "head":
        history = _train_head(model, records, targets, settings, place)
    else:
        history = _finetune(model, records, targets, settings, seed, place)
    write_text(training_log, history)
    save_bundle(
        output,
        "localization",
        model.cpu(),
        classes=names,
        backbone=network.backbone,
        statistics=[list(values) for values in backbone.statistics],
        hidden=settings.hidden,
        stride=settings.stride,
    )


def _train_head(
    model: LocalizationNetwork,
    records: list[ImageRecord],
    targets: Tensor,
    settings: LocalizationSettings,
    place: torch.device,
) -> str:
    """The trunk runs once over each image and its mirror image; the head is then fitted on what it gave."""
    straight = (load_image(record).to(place) for record in tqdm(records, unit="image", disable=None))
    both = (view for image in straight for view in (image, image.flip(3)))
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
    log.info("linear head on %d images and their mirror images: loss %.4f", len(records), loss)
    return f"step,learning_rate,loss\n{settings.iterations},,{loss:.5f}\n"


def _finetune(
    model: LocalizationNetwork,
    records: list[ImageRecord],
    targets: Tensor,
    settings: LocalizationSettings,
    seed: int,
    place: torch.device,
) -> str:
    def batches() -> Iterator[Batch]:
        for chosen in shuffled(len(records), settings.batch, seed, flip=True):
            images = [load_square(records[i], settings.size) for i, _ in chosen]
            turned = [image.flip(2) if mirror else image for image, (_, mirror) in zip(images, chosen, strict=True)]
            indices = [i for i, _ in chosen]
            yield torch.stack(turned).to(place), targets[indices].to(place), [records[i].id for i in indices]

    return train(
        model,
        model.parameter_groups(settings.learning_rate, settings.head_factor),
        batches(),
        lambda batch: tag_cross_entropy(model(batch[0]), batch[1]),
        Schedule(settings.iterations, settings.schedule, settings.momentum, settings.weight_decay),
        lambda batch: f"images {', '.join(batch[2])}",
    )
