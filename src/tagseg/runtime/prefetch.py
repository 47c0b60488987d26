"""Photographs as batches for networks, decoded ahead of them."""

import itertools
from collections import deque
from collections.abc import Callable, Container, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from tagseg.datasets.index import ImageRecord
from tagseg.images.files import read_image, require_size
from tagseg.images.resize import resized

Job = TypeVar("Job")
Result = TypeVar("Result")


def image_tensor(image: np.ndarray) -> Tensor:
    """(H, W, 3) uint8 -> (3, H, W) uint8."""
    return torch.from_numpy(np.ascontiguousarray(image.transpose(2, 0, 1)))


def load_image(record: ImageRecord, side: int = 0) -> Tensor:
    """The photograph as (3, H, W) uint8, its longer side resized to `side`, or at its own size (0).

    Raises TagsegError if it is too small for a network.
    """
    image = read_image(record.path)
    require_size(record.path, image.shape[1], image.shape[0])
    return image_tensor(np.asarray(resized(Image.fromarray(image), side)))


def load_square(record: ImageRecord, size: int) -> Tensor:
    """The photograph resized to size x size (bilinear, antialiased), (3, size, size) uint8."""
    image = Image.fromarray(read_image(record.path))
    return image_tensor(np.asarray(image.resize((size, size), Image.Resampling.BILINEAR)))


def shuffled(count: int, batch: int, seed: int, *, flip: bool, first: int = 0) -> Iterator[list[tuple[int, bool]]]:
    """Batches of (index, mirrored?) without end, from step `first` on.

    Every index comes once an epoch, in an order that `seed` and the step alone fix.
    """
    return itertools.islice(_shuffled(count, batch, seed, flip), first, None)


def _shuffled(count: int, batch: int, seed: int, flip: bool) -> Iterator[list[tuple[int, bool]]]:
    generator = np.random.default_rng(seed)
    queue: list[int] = []
    while True:
        while len(queue) < batch:
            queue += generator.permutation(count).tolist()
        taken, queue = queue[:batch], queue[batch:]
        yield [(index, flip and bool(generator.random() < 0.5)) for index in taken]


def like_sizes(records: Sequence[ImageRecord], at_once: int) -> list[list[ImageRecord]]:
    """Groups of up to `at_once` images of one size each, so that a network takes them as one batch, unpadded."""
    sizes: dict[tuple[int, int], list[ImageRecord]] = {}
    for record in records:
        sizes.setdefault((record.height, record.width), []).append(record)
    return [group[i : i + at_once] for group in sizes.values() for i in range(0, len(group), at_once)]


def batches_of(
    records: Sequence[ImageRecord], at_once: int, loaders: int, side: int = 0, done: Container[str] = ()
) -> Iterator[tuple[list[ImageRecord], Tensor]]:
    """Every image once, in batches of one size: the records and their (N, 3, H, W) uint8.

    A batch is left out where all its ids are `done`. One of which some are not is made whole: a network's values for
    an image vary in their last bits with what is beside it.
    """
    groups = [group for group in like_sizes(records, at_once) if not all(record.id in done for record in group)]

    def load(group: list[ImageRecord]) -> tuple[list[ImageRecord], Tensor]:
        return group, pinned(torch.stack([load_image(record, side) for record in group]))

    return ahead(groups, load, loaders)


def ahead(jobs: Iterable[Job], work: Callable[[Job], Result], loaders: int) -> Iterator[Result]:
    """`work` of each of `jobs`, in their order, done by `loaders` threads that keep two results each in store.

    Decoding and resizing release the interpreter, so threads serve here as processes would, without copies. With 0
    loaders the work is done when its result is asked for.
    """
    if not loaders:
        yield from map(work, jobs)
        return
    pool = ThreadPoolExecutor(loaders, "loader")
    results: deque[Future[Result]] = deque()
    try:
        for job in jobs:
            results.append(pool.submit(work, job))
            if len(results) > 2 * loaders:
                yield results.popleft().result()
        while results:
            yield results.popleft().result()
    finally:
        pool.shutdown(cancel_futures=True)


def pinned(images: Tensor) -> Tensor:
    """The same values where a GPU, if one is used, can fetch them while it works on something else."""
    return images.pin_memory() if torch.cuda.is_initialized() else images


def fetched(tensors: dict[str, Tensor]) -> Callable[[], dict[str, np.ndarray]]:
    """Start to copy tensors to the CPU. The function returned waits for these copies, and for nothing queued later."""
    copies = {name: values.to("cpu", non_blocking=True) for name, values in tensors.items()}
    done = None
    if any(values.is_cuda for values in tensors.values()):
        done = torch.cuda.Event()
        done.record()

    def wait() -> dict[str, np.ndarray]:
        if done is not None:
            done.synchronize()
        return {name: values.numpy() for name, values in copies.items()}

    return wait


def one_behind(results: Iterable[Result]) -> Iterator[Result]:
    """Each result once the next has been started, so that a GPU works while the result is written."""
    waiting: deque[Result] = deque()
    for result in results:
        waiting.append(result)
        if len(waiting) > 1:
            yield waiting.popleft()
    yield from waiting
