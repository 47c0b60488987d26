"""Photographs as batches for networks."""

from collections.abc import Iterator

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from tagseg.datasets.images import SMALLEST_SIDE, read_image, require_size
from tagseg.datasets.index import ImageRecord


def image_tensor(image: np.ndarray) -> Tensor:
    """(H, W, 3) uint8 -> (3, H, W) uint8."""
    return torch.from_numpy(np.ascontiguousarray(image.transpose(2, 0, 1)))


def load_image(record: ImageRecord, side: int = 0) -> Tensor:
    """The photograph as (1, 3, H, W) uint8, its longer side resized to `side`, or at its own size (0).

    Raises TagsegError if it is too small for a network.
    """
    image = read_image(record.path)
    require_size(record.path, image.shape[1], image.shape[0])
    return image_tensor(np.asarray(resized(Image.fromarray(image), side)))[None]


def resized(image: Image.Image, side: int, method: Image.Resampling = Image.Resampling.BILINEAR) -> Image.Image:
    """An image with its longer side at `side` pixels and the shorter at no less than a network takes; 0: as it is."""
    if not side:
        return image
    scale = side / max(image.size)
    width, height = (max(SMALLEST_SIDE, round(length * scale)) for length in image.size)
    return image.resize((width, height), method)


def load_square(record: ImageRecord, size: int) -> Tensor:
    """The photograph resized to size x size (bilinear, antialiased), (3, size, size) uint8."""
    image = Image.fromarray(read_image(record.path))
    return image_tensor(np.asarray(image.resize((size, size), Image.Resampling.BILINEAR)))


def shuffled(count: int, batch: int, seed: int, *, flip: bool) -> Iterator[list[tuple[int, bool]]]:
    """Batches of (index, mirrored?) without end: every index once an epoch, in an order that `seed` fixes."""
    generator = np.random.default_rng(seed)
    queue: list[int] = []
    while True:
        while len(queue) < batch:
            queue += generator.permutation(count).tolist()
        taken, queue = queue[:batch], queue[batch:]
        yield [(index, flip and bool(generator.random() < 0.5)) for index in taken]
