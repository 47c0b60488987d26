"""What the benchmarks share: made-up photographs (patches of one colour and noise), their size, and a clock."""

import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from tagseg.artifacts.shards import write_shard
from tagseg.datasets.index import ImageRecord, write_index

HEIGHT, WIDTH, PATCH = 375, 500, 25
TAGS = ("cat", "dog")


def photographs(folder: Path, count: int) -> Path:
    """Write `count` JPEGs and their tags.csv, each with two tags; returns the latter."""
    rng = np.random.default_rng(0)
    cells = HEIGHT // PATCH, WIDTH // PATCH
    records = []
    for i in range(count):
        colours = rng.integers(0, 255, (*cells, 3)).repeat(PATCH, axis=0).repeat(PATCH, axis=1)
        noisy = np.clip(colours + rng.normal(0, 12, colours.shape), 0, 255).astype(np.uint8)
        path = folder / f"{i:05d}.jpg"
        Image.fromarray(noisy).save(path, quality=90)
        records.append(ImageRecord(path.stem, "train", path, WIDTH, HEIGHT, TAGS))
    write_index(folder / "tags.csv", records)
    return folder / "tags.csv"


def masks(path: Path, count: int) -> None:
    """Write one shard of label maps: an object of each tag on background."""
    labels = np.zeros((HEIGHT, WIDTH), dtype=np.uint8)
    labels[80:250, 60:210], labels[120:330, 280:460] = 1, 2
    with write_shard(path, "labels", {}) as writer:
        for i in range(count):
            writer.put(f"{i:05d}", {"labels": labels})


def clock_of(device: str) -> Callable[[], float]:
    """Seconds of this process on a CPU, wall-clock seconds where a GPU does the work."""
    return time.process_time if device == "cpu" else time.perf_counter


def wait(device: torch.device) -> None:
    """Return once the device has done all that it was given; only a GPU may lag behind."""
    if device.type == "cuda":
        torch.cuda.synchronize()
