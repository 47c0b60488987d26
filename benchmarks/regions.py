# ruff: noqa: E402 - the number of threads is read when the libraries are loaded
"""Time of crisp boundaries and regions on one thread, by step, and as a ratio to pydensecrf in the same run.

    python benchmarks/regions.py [--mode speedy] [--image PATH] [--repeats 7]
    python benchmarks/regions.py --images 50

The first form takes `--image`, or a made-up picture of 321 x 481 (coloured cells, a gradient, noise with a spectrum
like a photograph's), runs every step alone and the whole call, and ten mean-field steps of pydensecrf at 500 x 375 with
21 labels, in turn, after one run that compiles. Figures are medians over the repeats. The second form works through
N pictures: time grows with their number, and memory does not.
"""

import os

for _name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS"):
    os.environ[_name] = "1"
os.environ["OMP_WAIT_POLICY"] = "passive"

import argparse
import resource
import time
from collections import defaultdict
from collections.abc import Callable
from functools import partial
from pathlib import Path
from statistics import median
from typing import Any, get_args

import numpy as np
from PIL import Image

from crf import plain
from scenes import HEIGHT, WIDTH
from tagseg.crf import CrfParameters
from tagseg.regions import MODES, CrispParameters, Mode, crisp_boundaries
from tagseg.regions.affinity import forest_affinity, quantise, sample_local_pairs
from tagseg.regions.cuts import eigenvectors, whiten
from tagseg.regions.decimation import decimate, interpolate
from tagseg.regions.density import fit_density, order_pairs
from tagseg.regions.features import crisp_features, resize
from tagseg.regions.forest import Forest, fit_forest
from tagseg.regions.hierarchy import region_tree
from tagseg.regions.oriented import oriented_energy, suppress_border

THRESHOLD = 0.1
SECONDS: defaultdict[str, list[float]] = defaultdict(list)


def picture(seed: int, height: int = 321, width: int = 481) -> np.ndarray:
    """Thirty cells of one colour each, lit from one side, under noise whose amplitude falls with frequency."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[:height, :width]
    centres = rng.uniform(size=(30, 2)) * [height, width]
    cells = ((y[..., None] - centres[:, 0]) ** 2 + (x[..., None] - centres[:, 1]) ** 2).argmin(axis=2)
    frequency = np.hypot(np.fft.fftfreq(height)[:, None], np.fft.rfftfreq(width))
    frequency[0, 0] = np.inf
    image = rng.integers(40, 216, (30, 3))[cells] + 30.0 * (x / width - 0.5)[..., None]
    for channel in range(3):
        white = rng.normal(size=(height, width))
        noise = np.fft.irfft2(np.fft.rfft2(white) / frequency, white.shape)
        image[..., channel] += 14 * noise / noise.std() * rng.uniform(0.2, 1, 30)[cells] + 3 * white
    return np.clip(image, 0, 255).astype(np.uint8)


def watch(name: str, step: Callable[[], Any]) -> Any:
    start = time.perf_counter()
    result = step()
    SECONDS[name].append(time.perf_counter() - start)
    return result


def steps(image: np.ndarray, p: CrispParameters) -> None:
    """What `crisp_boundaries` does, step by step."""
    rng = np.random.default_rng(0)
    maps = watch("features", lambda: [crisp_features(image, name, halvings=p.halvings) for name in p.features])
    pixels = [m.reshape(-1, 3) for m in maps]
    pairs = [sample_local_pairs(m.shape[:2], p.samples, rng) for m in maps]

    def pmi(m: np.ndarray, q: np.ndarray, ends: tuple[np.ndarray, np.ndarray]) -> np.ndarray:
        return fit_density(m, p.kernels, p.bandwidth, rng).pmi(q, *ends)

    targets = watch("density and PMI", lambda: list(map(pmi, maps, pixels, pairs)))
    levels = [order_pairs(np.hstack([quantise(q[end]) for end in ends])) for q, ends in zip(pixels, pairs, strict=True)]

    def fit(samples: np.ndarray, wanted: np.ndarray) -> Forest:
        return fit_forest(
            samples, wanted, trees=p.trees, features=p.split_features, smallest_leaf=p.smallest_leaf, rng=rng
        )

    forests = watch("forest fit", lambda: list(map(fit, levels, targets)))
    stencil = watch("affinity", lambda: forest_affinity(maps, forests, kept_only=p.decimations > 0))

    def coarser() -> tuple[np.ndarray, list[tuple[np.ndarray, tuple[int, int]]]]:
        grid, ways = stencil, []
        for _ in range(p.decimations):
            size = grid.shape[1], grid.shape[2]
            grid, shares = decimate(grid)
            ways.append((shares, size))
        return grid, ways

    grid, ways = watch("decimation", coarser)
    lowest = 0 if ways else -1
    vectors, values = watch("eigenvectors", lambda: eigenvectors(grid, p.eigenvectors, 0, lowest=lowest))

    def finer() -> np.ndarray:
        found = vectors
        for shares, size in reversed(ways):
            found = interpolate(shares, found, size)
        return whiten(found) if ways else found

    whitened = watch("interpolation, whitening", finer)
    small = watch("oriented energy", lambda: suppress_border(oriented_energy(whitened, values)))
    energy = np.maximum(resize(small, image.shape[:2]), 0)
    tree = watch("hierarchy", lambda: region_tree(energy, p.hierarchy))
    watch("contour map, cut", lambda: (tree.contours(), tree.cut(THRESHOLD)))


def whole(image: np.ndarray, mode: Mode) -> None:
    found = crisp_boundaries(image, mode=mode)
    _ = found.ucm, found.regions(THRESHOLD)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--mode", choices=get_args(Mode), default="speedy")
    parser.add_argument("--image", type=Path)
    parser.add_argument("--repeats", type=int, default=7)
    parser.add_argument("--images", type=int, help="work through so many pictures instead")
    options = parser.parse_args()
    if options.images:
        for index in range(options.images + 1):
            image = picture(index)
            watch("whole call", partial(whole, image, options.mode))
            if index in (0, options.images):
                megabytes = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e6  # as Linux counts
                print(f"peak {megabytes:.0f} MB after {index + 1} pictures")
        first, last = np.array_split(SECONDS["whole call"][1:], 2)
        print(f"{first.mean():.3f} s a picture in the first half, {last.mean():.3f} s in the second")
        return
    image = np.asarray(Image.open(options.image).convert("RGB")) if options.image else picture(0)
    field = picture(1, HEIGHT, WIDTH)
    unary = np.random.default_rng(0).uniform(0, 3, (21, HEIGHT, WIDTH)).astype(np.float32)
    for _ in range(options.repeats + 1):
        steps(image, MODES[options.mode])
        watch("whole call", lambda: whole(image, options.mode))
        watch("pydensecrf, 10 steps", lambda: plain(field, unary, CrfParameters(10)))
    for name, seconds in SECONDS.items():
        print(f"{name:<28} {median(seconds[1:]):7.3f} s")
    ratios = zip(SECONDS["whole call"][1:], SECONDS["pydensecrf, 10 steps"][1:], strict=True)
    print(f"{'whole call / pydensecrf':<28} {median(a / b for a, b in ratios):7.2f}")


if __name__ == "__main__":
    main()
