"""From an image's maps to its label map, with a dense CRF or without (the paper's 3.1.3)."""

from typing import Any

import numpy as np

from tagseg.artifacts.shards import Shard
from tagseg.config.data import Settings
from tagseg.config.masks import CRF_SETTINGS, Crf, HigherOrderSettings, MapKind, PairwiseSettings
from tagseg.crf import CrfParameters, dense_crf, softmax_unary
from tagseg.datasets.index import ImageRecord
from tagseg.errors import TagsegError
from tagseg.images.files import read_image
from tagseg.images.resize import resize_map

KINDS: tuple[MapKind, ...] = ("probabilities", "scores")
# The setting that scales a map before it becomes unary energies.
_GAINS: dict[MapKind, str] = {"probabilities": "mask_gain", "scores": "score_gain"}
# Settings that are not parameters of the CRF itself: they determine its unary energies and region probabilities.
_NOT_PARAMETERS = {"mask_gain", "score_gain", "higher_order", "region_probability"}


def label_map(
    maps: Shard, regions: Shard | None, record: ImageRecord, crf: Crf, settings: PairwiseSettings
) -> np.ndarray:
    """Label map (H, W) uint8 of one image at its own size: at each pixel, the label of the largest of `smoothed`.

    Raises TagsegError as `smoothed` does.
    """
    winner = smoothed(maps, regions, record, crf, settings).argmax(axis=0)
    return maps.get(record.id, "labels")[winner].astype(np.uint8)


def smoothed(
    maps: Shard, regions: Shard | None, record: ImageRecord, crf: Crf, settings: PairwiseSettings
) -> np.ndarray:
    """Maps (L, H, W) float32 of one image at its own size: upsampled, or with a CRF its marginals.

    `maps` holds a prior's probabilities of the image's labels (unary energies of Eq. 7) or a network's scores of all
    classes (unary energies -log softmax); the file says which. `regions` are for the CRF with higher-order terms.
    Raises TagsegError if those of the image have another size than the image.
    """
    values = maps.get(record.id, "maps")
    if crf == "none":
        return upsampled(values, (record.height, record.width))
    of_image = None if regions is None else _regions(regions, record)
    return crf_marginals(values, kind_of(maps), read_image(record.path), of_image, settings)


def kind_of(maps: Shard) -> MapKind:
    """Whether a shard of maps holds a prior's probabilities or a network's scores."""
    return "scores" if maps.kind == "scores" else "probabilities"


def upsampled(maps: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Maps (L, h, w) resized to `size` (H, W): (L, H, W) float32, bilinear."""
    return np.stack([resize_map(values, size) for values in maps])


def crf_marginals(
    maps: np.ndarray, kind: MapKind, image: np.ndarray, regions: np.ndarray | None, settings: PairwiseSettings
) -> np.ndarray:
    """Marginals (L, H, W) of a dense CRF over `image` (H, W, 3) uint8, with unary energies from `maps` (L, h, w).

    `kind` says what the maps are. With `regions` (H, W) int32 and higher-order `settings`, the CRF has higher-order
    terms over these.
    """
    higher = settings if regions is not None and isinstance(settings, HigherOrderSettings) else None
    values = upsampled(maps, (image.shape[0], image.shape[1]))
    return dense_crf(
        image,
        softmax_unary(values, getattr(settings, _GAINS[kind])),
        regions=regions,
        higher_order=higher and higher.higher_order,
        probabilities=_probabilities(values, kind) if higher and higher.region_probability == "map" else None,
        parameters=CrfParameters(**settings.model_dump(exclude=_NOT_PARAMETERS)),
    )


def _probabilities(values: np.ndarray, kind: str) -> np.ndarray:
    """P of Eq. 8, (L, H, W) in [0, 1]: a prior's maps, or the softmax of a network's scores."""
    return (np.exp(-softmax_unary(values)) if kind == "scores" else values).clip(0, 1)


def upsampled_argmax(scores: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Index (H, W) uint8 of the largest of the maps (L, h, w), upsampled: `upsampled(scores, size).argmax(axis=0)`.

    Maps are upsampled one at a time, so that memory does not grow with the number of classes. A map that nowhere
    exceeds the first, background, cannot do so between its pixels either, and is skipped, as most maps of an image are.
    """
    best = np.array(resize_map(scores[0], size))
    winner = np.zeros(size, dtype=np.uint8)
    for row in np.flatnonzero((scores > scores[0]).any(axis=(1, 2))):
        values = resize_map(scores[row], size)
        np.copyto(winner, row, where=values > best, casting="unsafe")
        np.maximum(best, values, out=best)
    return winner


def facts(crf: Crf, settings: Settings, kind: MapKind) -> dict[str, Any]:
    """The settings that label maps depend on, to store beside them."""
    return {"crf": crf, **settings.part(CRF_SETTINGS[kind, crf]).model_dump()}


def _regions(shard: Shard, record: ImageRecord) -> np.ndarray:
    labels = shard.get(record.id, "regions")
    if labels.shape != (record.height, record.width):
        raise TagsegError(
            f"{shard.path}: regions of image {record.id!r} are {labels.shape}, the image is "
            f"{(record.height, record.width)}; run tagseg regions again"
        )
    return labels.astype(np.int32)
