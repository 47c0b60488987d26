"""Time of the dense CRF with and without region terms, as ratios to pydensecrf alone in the same run.

    python benchmarks/crf.py [--repeats 7] [--steps 10] [--regions 150]

A made-up picture of 500 x 375, the size of a VOC photograph: patches of one colour and noise, doubtful probabilities of
21 labels (test time) and of 4 (an image's tags), and superpixels as regions. `step` is one mean-field step, the time of
all steps less that of none; `whole` is a call, set-up and all. The runs are taken in turn, after one that compiles;
each figure is a median over the repeats, each ratio the median of those within a repeat.
"""

import argparse
import time
from collections.abc import Callable
from statistics import median

import numpy as np
import pydensecrf.densecrf as densecrf
from skimage.segmentation import slic

from scenes import HEIGHT, PATCH, WIDTH
from tagseg.crf import CrfParameters, dense_crf, softmax_unary


def picture(labels: int, regions: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Image (H, W, 3) uint8, unary (L, H, W) float32 and regions (H, W)."""
    rng = np.random.default_rng(0)
    cells = HEIGHT // PATCH, WIDTH // PATCH
    square = np.ones((PATCH, PATCH), dtype=int)
    colours = np.stack([np.kron(rng.integers(0, 255, cells), square) for _ in range(3)], axis=2)
    image = np.clip(colours + rng.normal(0, 8, colours.shape), 0, 255).astype(np.uint8)
    probabilities = 0.5 * rng.dirichlet(np.ones(labels), (HEIGHT, WIDTH)).transpose(2, 0, 1)
    probabilities += 0.5 * (np.kron(rng.integers(0, labels, cells), square) == np.arange(labels)[:, None, None])
    unary = np.ascontiguousarray(softmax_unary(probabilities, 4))
    return image, unary, slic(image, regions, start_label=0)


def plain(image: np.ndarray, unary: np.ndarray, p: CrfParameters) -> np.ndarray:
    """pydensecrf as its own example uses it."""
    labels, height, width = unary.shape
    crf = densecrf.DenseCRF2D(width, height, labels)
    crf.setUnaryEnergy(unary.reshape(labels, -1))
    crf.addPairwiseGaussian(sxy=p.gaussian_width, compat=p.gaussian_weight)
    crf.addPairwiseBilateral(sxy=p.bilateral_width, srgb=p.bilateral_colour, rgbim=image, compat=p.bilateral_weight)
    return np.array(crf.inference(p.iterations)).reshape(labels, height, width)


def runs_of(labels: int, regions: int) -> dict[str, Callable[[int], object]]:
    """What is timed, by name: each takes the number of steps."""
    image, unary, numbers = picture(labels, regions)
    return {
        "pydensecrf": lambda steps: plain(image, unary, CrfParameters(steps)),
        "pairwise": lambda steps: dense_crf(image, unary, parameters=CrfParameters(steps)),
        "pn_potts": lambda steps: dense_crf(
            image, unary, regions=numbers, higher_order="pn_potts", parameters=CrfParameters(steps)
        ),
        "robust_pn": lambda steps: dense_crf(
            image, unary, regions=numbers, higher_order="robust_pn", parameters=CrfParameters(steps)
        ),
    }


def seconds(run: Callable[[int], object], steps: int) -> float:
    start = time.perf_counter()
    run(steps)
    return time.perf_counter() - start


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n\n")[0])
    parser.add_argument("--repeats", type=int, default=7)
    parser.add_argument("--steps", type=int, default=10, help="mean-field steps")
    parser.add_argument("--regions", type=int, default=150, help="superpixels asked for")
    arguments = parser.parse_args()
    print(f"{'labels':>6}  {'model':<11} {'step, s':>8} {'ratio':>6} {'whole, s':>9} {'ratio':>6}")
    for labels in (21, 4):
        runs = runs_of(labels, arguments.regions)
        for run in runs.values():
            run(1)
        steps: dict[str, list[float]] = {name: [] for name in runs}
        wholes: dict[str, list[float]] = {name: [] for name in runs}
        for _ in range(arguments.repeats):
            for name, run in runs.items():
                wholes[name].append(seconds(run, arguments.steps))
                steps[name].append((wholes[name][-1] - seconds(run, 0)) / arguments.steps)
        for name in runs:
            print(
                f"{labels:>6}  {name:<11} {median(steps[name]):>8.4f} {ratio(steps, name):>6.2f}"
                f" {median(wholes[name]):>9.3f} {ratio(wholes, name):>6.2f}"
            )


def ratio(taken: dict[str, list[float]], name: str) -> float:
    return median([own / bare for own, bare in zip(taken[name], taken["pydensecrf"], strict=True)])


if __name__ == "__main__":
    main()
