"""Photographs as batches for networks."""

from collections.abc import Iterator

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from tagseg.datasets.images import read_image
from tagseg.datasets.index import ImageRecord


def image_tensor(image: np.ndarray) -> Tensor:
    """(H, W, 3) uint8 -> (3, H, W) uint8."""
    return torch.from_numpy(np.ascontiguousarray(image.transpose(2, 0, 1)))


def load_image(record: ImageRecord) -> Tensor:
    """The photograph at its own size, (1, 3, H, W) uint8."""
    return image_tensor(read_image(record.path))[None]


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
