"""From the maps of an image to its label map, with a dense CRF or without (the paper's 3.1.3)."""

from collections.abc import Callable
from typing import Any

import numpy as np

from tagseg.artifacts.shards import Shard
from tagseg.config.data import Settings
from tagseg.config.masks import CRF_SETTINGS, Crf, HigherOrderSettings, MapKind, PairwiseSettings
from tagseg.crf import CrfParameters, dense_crf, log_unary, softmax_unary
from tagseg.datasets.index import ImageRecord
from tagseg.errors import TagsegError
from tagseg.images.files import read_image
from tagseg.images.resize import resize_map

KINDS: tuple[MapKind, ...] = ("probabilities", "scores")
# How a map becomes energies, and which setting sharpens or softens it.
_UNARIES: dict[MapKind, tuple[Callable[[np.ndarray, float], np.ndarray], str]] = {
    "probabilities": (softmax_unary, "mask_gain"),
    "scores": (log_unary, "score_gain"),
}
# Settings that are no parameter of the CRF itself: they say what its energies and probabilities are.
_NO_PARAMETERS = {"mask_gain", "score_gain", "higher_order", "region_probability"}


def label_map(
    maps: Shard, regions: Shard | None, record: ImageRecord, crf: Crf, settings: PairwiseSettings
) -> np.ndarray:
    """Labels (H, W) uint8 of one image at its own size: those of the largest of `smoothed`."""
    winner = smoothed(maps, regions, record, crf, settings).argmax(axis=0)
    return maps.get(record.id, "labels")[winner].astype(np.uint8)


def smoothed(
    maps: Shard, regions: Shard | None, record: ImageRecord, crf: Crf, settings: PairwiseSettings
) -> np.ndarray:
    """Maps (L, H, W) of one image at its own size, after the CRF its marginals; with `regions`, higher-order ones.

    `maps` holds probabilities of the image's labels (unary of Eq. 7) or a network's scores of all classes (unary
    -log softmax); which of the two, the file says itself. Raises TagsegError if regions are of another size.
    """
    values = maps.get(record.id, "maps")
    if crf == "none":
        return enlarged(values, (record.height, record.width))
    of_image = None if regions is None else _regions(regions, record)
    return with_crf(values, kind_of(maps), read_image(record.path), of_image, settings)


def kind_of(maps: Shard) -> MapKind:
    """What a shard of maps holds: a prior's probabilities, or a network's scores."""
    return "scores" if maps.kind == "scores" else "probabilities"


def enlarged(maps: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Maps (L, h, w) -> (L, H, W) float32, bilinear."""
    return np.stack([resize_map(values, size) for values in maps])


def with_crf(
    maps: np.ndarray, kind: MapKind, image: np.ndarray, regions: np.ndarray | None, settings: PairwiseSettings
) -> np.ndarray:
    """Marginals (L, H, W) of a dense CRF over `image` (H, W, 3) uint8, its energies those of `maps` (L, h, w).

    `kind` says what the maps are. With `regions` (H, W) int32, higher-order ones: then `settings` are those of both.
    """
    over_regions = settings if regions is not None and isinstance(settings, HigherOrderSettings) else None
    unary_of, gain = _UNARIES[kind]
    values = enlarged(maps, (image.shape[0], image.shape[1]))
    return dense_crf(
        image,
        unary_of(values, getattr(settings, gain)),
        regions=regions,
        higher_order=over_regions and over_regions.higher_order,
        probabilities=_map(values, kind) if over_regions and over_regions.region_probability == "map" else None,
        parameters=CrfParameters(**settings.model_dump(exclude=_NO_PARAMETERS)),
    )


def _map(values: np.ndarray, kind: str) -> np.ndarray:
    """The P of Eq. 8 as the equation has it, (L, H, W) in [0, 1]: a prior's maps, or a network's own probabilities."""
    return (np.exp(-log_unary(values)) if kind == "scores" else values).clip(0, 1)


def strongest(scores: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Which of the maps (L, h, w) is largest at each of (H, W) pixels, as `enlarged(...).argmax(axis=0)`; uint8.

    One map at a time, so that memory does not grow with the classes. A map that nowhere exceeds the first, background,
    cannot win in between either: such maps, most of a photograph's, are left out.
    """
    best = np.array(resize_map(scores[0], size))
    winner = np.zeros(size, dtype=np.uint8)
    for row in np.flatnonzero((scores > scores[0]).any(axis=(1, 2))):
        values = resize_map(scores[row], size)
        np.copyto(winner, row, where=values > best, casting="unsafe")
        np.maximum(best, values, out=best)
    return winner


def facts(crf: Crf, settings: Settings, kind: MapKind) -> dict[str, Any]:
    """What a file of label maps says of how it was made: the settings that counted."""
    return {"crf": crf, **settings.part(CRF_SETTINGS[kind, crf]).model_dump()}


def _regions(shard: Shard, record: ImageRecord) -> np.ndarray:
    labels = shard.get(record.id, "regions")
    if labels.shape != (record.height, record.width):
        raise TagsegError(
            f"{shard.path}: regions of image {record.id!r} are {labels.shape}, the image is "
            f"{(record.height, record.width)}; run tagseg regions again"
        )
    return labels.astype(np.int32)
