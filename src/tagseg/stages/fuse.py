"""Compute the probability maps of one prior: foreground, localization, or their fusion (the paper's 3.1)."""

from contextlib import ExitStack
from pathlib import Path
from typing import Annotated, Any

import numpy as np
from pydantic import Field
from tqdm import tqdm

from tagseg.artifacts.shards import Shard, write_shard
from tagseg.config.arguments import Classes, Output, ShardNumber, Shards, Tags
from tagseg.config.masks import PRIOR_SETTINGS, Prior, PriorSettings
from tagseg.datasets.index import ImageRecord, in_shard, read_classes, read_index
from tagseg.errors import TagsegError
from tagseg.images.resize import resize_map
from tagseg.priors.foreground import foreground_prior
from tagseg.priors.fusion import fgbg_maps, localization_maps, multiclass_maps
from tagseg.runtime.progress import log_rate
from tagseg.runtime.stamps import stamps


def run(
    prior: Annotated[Prior, Field(description="Which maps to make")],
    tags: Tags,
    classes: Classes,
    output: Output,
    settings: PriorSettings,
    *,
    activations: Annotated[Path | None, Field(description="Shard of activations (fgbg, multiclass)")] = None,
    cams: Annotated[Path | None, Field(description="Shard of CAMs (localization, multiclass)")] = None,
    shard: ShardNumber = 0,
    shards: Shards = 1,
) -> None:
    """Compute the probability maps of one prior: foreground, localization, or their fusion.

    The shard holds, for each image, `maps` (L, h, w) float16 in [0, 1] at 1/grid of the image's size, and `labels` (L,)
    uint8: 0 and 1 for `fgbg` (1 = any foreground), else 0 and the image's tags. `fgbg` reads `activations`,
    `localization` reads `cams`, `multiclass` reads both. Raises TagsegError if one that is needed is not given.
    """
    records = in_shard(read_index(tags), shard, shards)
    class_count = len(read_classes(classes)) - 1
    parameters = {"prior": prior, **settings.part(PRIOR_SETTINGS[prior]).model_dump()}
    with ExitStack() as stack:
        activation_shard = (
            stack.enter_context(_needed(activations, "activations", prior)) if prior != "localization" else None
        )
        cam_shard = stack.enter_context(_needed(cams, "cams", prior)) if prior != "fgbg" else None
        inputs = [classes, *(shard.path for shard in (activation_shard, cam_shard) if shard is not None)]
        writer = stack.enter_context(write_shard(output, "probabilities", parameters, stamps(records), inputs))
        left = writer.left(records)
        stack.enter_context(log_rate("images", len(left)))
        for record in tqdm(left, unit="image", disable=None):
            maps, labels = _maps(activation_shard, cam_shard, record, settings, class_count)
            writer.put(
                record.id,
                {"maps": maps.astype(np.float16), "labels": np.array([0, *labels], dtype=np.uint8)},
            )


def _maps(
    activations: Shard | None, cams: Shard | None, record: ImageRecord, settings: PriorSettings, class_count: int
) -> tuple[np.ndarray, list[int]]:
    """Maps (L, h, w) float32 of one image, background first, and the labels of the others."""
    size = -(-record.height // settings.grid), -(-record.width // settings.grid)
    if cams is None:
        assert activations is not None
        return fgbg_maps(_foreground(activations, record, size, settings, settings.fgbg_centre)), [1]
    labels: list[int] = cams.get(record.id, "labels").tolist()
    tag_maps = np.array([resize_map(cam, size) for cam in cams.get(record.id, "cams")], dtype=np.float32)
    if activations is None:
        return _localization(tag_maps, size, settings, class_count), labels
    foreground = _foreground(activations, record, size, settings, centre=0.0)
    return _multiclass(tag_maps, foreground, settings, class_count), labels


def _needed(path: Path | None, kind: str, prior: Prior) -> Shard:
    """The shard of a prior's input. Raises TagsegError if its file is not given."""
    if path is None:
        raise TagsegError(f"prior {prior} is made of {kind}: give --{kind} FILE")
    return Shard(path, kind)


def _foreground(
    shard: Shard, record: ImageRecord, size: tuple[int, int], settings: PriorSettings, centre: float
) -> np.ndarray:
    activations = [shard.get(record.id, name) for name in shard.names(record.id)]
    return foreground_prior(activations, size, layers=settings.layers, scaling=settings.scaling, centre=centre)


def _localization(cams: np.ndarray, size: tuple[int, int], settings: PriorSettings, class_count: int) -> np.ndarray:
    if not len(cams):
        return np.ones((1, *size), dtype=np.float32)  # an image without a tag is background throughout
    return localization_maps(cams, **_background(cams, settings, class_count))


def _multiclass(cams: np.ndarray, foreground: np.ndarray, settings: PriorSettings, class_count: int) -> np.ndarray:
    if not len(cams):
        return np.ones((1, *foreground.shape), dtype=np.float32)
    return multiclass_maps(
        cams,
        foreground,
        threshold=settings.cam_threshold,
        alpha=settings.alpha,
        **_background(cams, settings, class_count),
    )


def _background(cams: np.ndarray, settings: PriorSettings, class_count: int) -> dict[str, Any]:
    count = len(cams) if settings.background_classes == "tags" else class_count
    return {
        "background": settings.background,
        "power": settings.background_power,
        "classes": count,
        "normalise": settings.normalise,
    }
