"""Time and memory of evaluating predictions of the size of VOC val, and of their trimaps.

    python benchmarks/evaluation.py [--images 1449] [--shards 64]

Made-up truth of 500 x 375 lies on the disk as indexed PNG, predictions as HDF5 shards, as the stages find them: 21
classes, patches with lines of 255 around them, four fifths of the pixels right. Times are wall-clock seconds;
memory is the peak of the process, after a tenth of the images and after all: flat if it grows by next to nothing.
"""

import argparse
import resource
import time
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
from PIL import Image

from scenes import HEIGHT, WIDTH
from tagseg.artifacts.shards import write_shard
from tagseg.datasets.index import ImageRecord, write_classes, write_ground_truth, write_index
from tagseg.images.files import write_labels
from tagseg.stages import evaluate, trimap

CLASSES = 21


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n\n")[0])
    parser.add_argument("--images", type=int, default=1449)
    parser.add_argument("--shards", type=int, default=64)
    arguments = parser.parse_args()
    with TemporaryDirectory() as name:
        folder = Path(name)
        shards = make(folder, arguments.images, arguments.shards)
        few = [f"v{i:05d}" for i in range(max(1, arguments.images // 10))]
        for what, run in (("evaluate", run_evaluate), ("trimap", run_trimap)):
            index(folder, few)
            run(folder, shards)  # also loads what is loaded once
            before = memory()
            index(folder, [f"v{i:05d}" for i in range(arguments.images)])
            start = time.perf_counter()
            run(folder, shards)
            seconds = time.perf_counter() - start
            print(
                f"{what}: {seconds:.1f} s, {1000 * seconds / arguments.images:.1f} ms an image; "
                f"memory {before} MB after {len(few)} images, {memory()} MB after {arguments.images}"
            )


def run_evaluate(folder: Path, shards: list[Path]) -> None:
    evaluate.run(
        shards, folder / "tags.csv", folder / "truth.csv", folder / "classes.txt", folder / "result.json",
        split="val", protocol="classes", facts={}, per_image=folder / "images.csv",
    )  # fmt: skip


def run_trimap(folder: Path, shards: list[Path]) -> None:
    trimap.run(
        {"made-up/none": shards}, folder / "tags.csv", folder / "truth.csv", folder / "classes.txt",
        folder / "trimap.csv", split="val", width=40,
    )  # fmt: skip


def make(folder: Path, images: int, shards: int) -> list[Path]:
    """Truth as PNG and predictions as shards; the paths of the shards."""
    (folder / "truth").mkdir()
    write_classes(folder / "classes.txt", [f"class {i}" for i in range(1, CLASSES)])
    paths = [folder / f"{i:03d}.h5" for i in range(shards)]
    for shard, path in enumerate(paths):
        with write_shard(path, "labels", {}) as writer:
            for i in range(shard, images, shards):
                truth, predicted = label_maps(np.random.default_rng(i))
                write_labels(folder / "truth" / f"v{i:05d}.png", truth)
                writer.put(f"v{i:05d}", {"labels": predicted})
    return paths


def index(folder: Path, ids: list[str]) -> None:
    write_index(folder / "tags.csv", [ImageRecord(i, "val", folder / f"{i}.jpg", WIDTH, HEIGHT, ()) for i in ids])
    write_ground_truth(folder / "truth.csv", {i: folder / "truth" / f"{i}.png" for i in ids})


def label_maps(rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Truth and prediction (H, W) uint8: three classes and background in patches."""
    used = np.array([0, 0, 0, *rng.integers(1, CLASSES, 3)], dtype=np.uint8)
    patches = rng.choice(used, (6, 8)).astype(np.uint8)
    truth = np.array(Image.fromarray(patches).resize((WIDTH, HEIGHT), Image.Resampling.NEAREST))
    predicted = np.where(
        np.array(Image.fromarray(rng.random((12, 16)).astype(np.float32)).resize((WIDTH, HEIGHT))) < 0.8,
        np.roll(truth, 3, axis=1),
        rng.choice(used),
    ).astype(np.uint8)
    line = np.zeros(truth.shape, dtype=bool)
    line[:, 1:] |= truth[:, 1:] != truth[:, :-1]
    line[1:] |= truth[1:] != truth[:-1]
    truth[line] = 255
    return truth, predicted


def memory() -> int:
    """The peak memory of the process, in MB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024


if __name__ == "__main__":
    main()
