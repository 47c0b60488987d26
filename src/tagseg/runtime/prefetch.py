"""Images as tensors and batches for networks, prefetched by threads."""

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
    """An image (H, W, 3) uint8 as a tensor (3, H, W) uint8."""
    return torch.from_numpy(np.ascontiguousarray(image.transpose(2, 0, 1)))


def load_image(record: ImageRecord, side: int = 0) -> Tensor:
    """The image (3, H, W) uint8, its longer side resized to `side` pixels, or at its own size (0).

    Raises TagsegError if it cannot be read, or is too small for a network.
    """
    image = read_image(record.path)
    require_size(record.path, image.shape[1], image.shape[0])
    return image_tensor(np.asarray(resized(Image.fromarray(image), side)))


def load_square(record: ImageRecord, size: int) -> Tensor:
    """The image resized to (3, size, size) uint8, bilinear and antialiased. Raises TagsegError if it cannot be read."""
    image = Image.fromarray(read_image(record.path))
    return image_tensor(np.asarray(image.resize((size, size), Image.Resampling.BILINEAR)))


def shuffled(count: int, batch: int, seed: int, *, flip: bool, first: int = 0) -> Iterator[list[tuple[int, bool]]]:
    """Endless batches of (index in 0..count-1, whether to mirror), from step `first` on.

    Every index comes once in an epoch, in an order that depends on `seed` alone.
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


def group_by_size(records: Sequence[ImageRecord], at_once: int) -> list[list[ImageRecord]]:
    """Groups of up to `at_once` images of equal size: batches that need no padding."""
    sizes: dict[tuple[int, int], list[ImageRecord]] = {}
    for record in records:
        sizes.setdefault((record.height, record.width), []).append(record)
    return [group[i : i + at_once] for group in sizes.values() for i in range(0, len(group), at_once)]


def image_batches(
    records: Sequence[ImageRecord], at_once: int, loaders: int, side: int = 0, done: Container[str] = ()
) -> Iterator[tuple[list[ImageRecord], Tensor]]:
    """Every image once, in batches of equal size: the records and their images (N, 3, H, W) uint8.

    A batch is skipped if all its ids are `done`. If only some are, it is yielded complete, because a network's values
    for an image vary in their last bits with the rest of its batch.
    """
    groups = [group for group in group_by_size(records, at_once) if not all(record.id in done for record in group)]

    def load(group: list[ImageRecord]) -> tuple[list[ImageRecord], Tensor]:
        return group, pinned(torch.stack([load_image(record, side) for record in group]))

    return prefetch(groups, load, loaders)


def prefetch(jobs: Iterable[Job], work: Callable[[Job], Result], loaders: int) -> Iterator[Result]:
    """`work` of each of `jobs`, in their order, by `loaders` threads that prefetch two results each.

    Decoding and resizing release the interpreter lock, so threads are as fast as processes here, without copies. With
    0 loaders, each result is computed when it is asked for.
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
    """The tensor in pinned memory, if a GPU is in use: its copy to the GPU can then overlap with computation."""
    return images.pin_memory() if torch.cuda.is_initialized() else images


def copy_to_cpu(tensors: dict[str, Tensor]) -> Callable[[], dict[str, np.ndarray]]:
    """Start to copy tensors to the CPU; the function returned waits for these copies alone, and gives the arrays."""
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


def delay_by_one(results: Iterable[Result]) -> Iterator[Result]:
    """Each result, once the next has been started: so a GPU computes while the CPU writes the result before."""
    waiting: deque[Result] = deque()
    for result in results:
        waiting.append(result)
        if len(waiting) > 1:
            yield waiting.popleft()
    yield from waiting
