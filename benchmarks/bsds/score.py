"""Score boundaries and regions against human annotations, in the protocol of the BSDS500 benchmark.

    python benchmarks/bsds/score.py IMAGES GROUND_TRUTH [--maps FOLDER] [--processes 2] [--per-image images.csv]

Prints ODS, OIS and average precision of the boundaries, and covering, Rand index and variation of information of the
regions; writes them to a CSV file. Scores crisp boundaries, computed on the fly, or the contour maps of --maps.
"""

import argparse
import logging
import multiprocessing
import sys
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, get_args

import numpy as np
from numpy.typing import NDArray
from pandas import DataFrame
from tqdm import tqdm

from boundaries import MAX_DISTANCE, BoundaryScores, best_point, boundary_counts, boundary_scores, thresholds
from covering import Labels, RegionCounts, RegionScores, components, region_counts, region_scores
from dataset import Example, index, read_annotations, read_contours
from tagseg.artifacts.atomic import write_text
from tagseg.artifacts.disk import explained
from tagseg.errors import TagsegError, one_line
from tagseg.images.files import read_image
from tagseg.regions.modes import MODES, CrispParameters, Hierarchy, Mode
from tagseg.runtime.progress import log_rate

# A contour map (H, W) in [0, 1], and a function from a threshold to the label map (H, W) of its regions.
Contours = tuple[NDArray[np.floating], Callable[[float], Labels]]


@dataclass(frozen=True)
class _Job:
    """What a process needs to score one image."""

    example: Example
    maps: Path | None
    crisp: CrispParameters
    seed: int
    levels: NDArray[np.float64]
    max_distance: float


@dataclass(frozen=True)
class _Counts:
    boundaries: NDArray[np.int64]
    regions: RegionCounts


def score(
    images: Path,
    ground_truth: Path,
    output: Path,
    *,
    per_image: Path | None,
    maps: Path | None,
    mode: Mode,
    hierarchy: Hierarchy,
    seed: int,
    count: int,
    max_distance: float,
    processes: int,
) -> str:
    """Write the scores over all images (one row) and, on request, a row per image; return a summary to print.

    Contours are read from `maps`/ID.png, or, without `maps`, computed as crisp boundaries from each image. They are
    evaluated at `count` thresholds. Raises TagsegError naming the first image or file that fails.
    """
    levels = thresholds(count)
    crisp = replace(MODES[mode], hierarchy=hierarchy)
    jobs = [_Job(example, maps, crisp, seed, levels, max_distance) for example in index(images, ground_truth)]
    with log_rate("images", len(jobs)):
        found = dict(tqdm(_all_counts(jobs, processes), total=len(jobs), unit="image", disable=None))
    counts = [found[job.example.id] for job in jobs]
    boundaries = boundary_scores(levels, np.stack([c.boundaries for c in counts]))
    regions = region_scores(levels, [c.regions for c in counts])
    _write(output, [{"images": len(jobs), "thresholds": count, **_summary(boundaries, regions)}])
    if per_image is not None:
        _write(per_image, [_row(job.example.id, levels, c) for job, c in zip(jobs, counts, strict=True)])
    return _text(boundaries, regions, len(jobs), count)


def _contours(image: np.ndarray, parameters: CrispParameters, seed: int) -> Contours:
    """Crisp boundaries of an image (H, W, 3) uint8."""
    from tagseg.regions import crisp_boundaries  # imported here: numba and higra are not needed to score given maps

    crisp = crisp_boundaries(image, seed=seed, parameters=parameters)
    return crisp.ucm, crisp.regions


def _all_counts(jobs: list[_Job], processes: int) -> Iterator[tuple[str, _Counts]]:
    """ID and counts of each image in order of completion; in this process, or in up to `processes` others."""
    if min(processes, len(jobs)) == 1:
        for job in jobs:
            yield job.example.id, _count(job)
        return
    # spawned, not forked: the threads of numerical libraries do not survive a fork
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(min(processes, len(jobs)), mp_context=context) as pool:
        futures = {pool.submit(_count, job): job.example for job in jobs}
        try:
            for future in as_completed(futures):
                yield futures[future].id, future.result()
        except BrokenProcessPool:
            raise TagsegError(
                f"{futures[future].photograph}: a process died on this or another image, perhaps out of memory; "
                "use fewer --processes"
            ) from None
        finally:
            pool.shutdown(cancel_futures=True)


def _count(job: _Job) -> _Counts:
    """Counts of one image at all thresholds. Raises TagsegError naming the image, whatever goes wrong."""
    photograph = job.example.photograph
    image = read_image(photograph)
    shape = image.shape[0], image.shape[1]
    truth = read_annotations(job.example.truth, shape)
    given = None if job.maps is None else read_contours(job.maps / f"{job.example.id}.png", shape)
    try:
        if given is None:
            contours, regions = _contours(image, job.crisp, job.seed)
        else:
            contours, regions = given, lambda level: components(given, level)
        return _Counts(
            boundary_counts(contours, truth.boundaries, job.levels, job.max_distance),
            region_counts((regions(float(level)) for level in job.levels), truth.segmentations),
        )
    except Exception as error:
        kind, reason = type(error).__name__, one_line(error)
        why = kind if reason == kind else f"{kind}: {reason}"
        raise TagsegError(f"{photograph}: cannot be scored ({why}); remove it, or fix the cause") from None


def _summary(boundaries: BoundaryScores, regions: RegionScores) -> dict[str, float]:
    ods, ois = boundaries.ods, boundaries.ois
    return {
        "ods": ods.f,
        "ods_threshold": ods.threshold,
        "ods_precision": ods.precision,
        "ods_recall": ods.recall,
        "ois": ois.f,
        "ois_precision": ois.precision,
        "ois_recall": ois.recall,
        "ap": boundaries.ap,
        **vars(regions),
    }


def _row(image_id: str, levels: NDArray[np.float64], counts: _Counts) -> dict[str, object]:
    """Scores of one image at its own best thresholds."""
    point, regions = best_point(levels, counts.boundaries), counts.regions
    return {
        "image": image_id,
        "threshold": point.threshold,
        "f": point.f,
        "precision": point.precision,
        "recall": point.recall,
        "covering_threshold": levels[int(np.argmax(regions.covering))],
        "covering": regions.covering.max(),
        "rand": regions.rand.max(),
        "variation": regions.variation.min(),
    }


def _write(path: Path, rows: list[dict]) -> None:
    write_text(path, DataFrame(rows).round(4).to_csv(index=False, lineterminator="\n"))


def _text(boundaries: BoundaryScores, regions: RegionScores, images: int, count: int) -> str:
    ods = boundaries.ods
    return "\n".join(
        [
            f"{images} images, {count} thresholds",
            f"boundaries    ODS {ods.f:.3f}  OIS {boundaries.ois.f:.3f}  AP {boundaries.ap:.3f}  "
            f"(ODS: threshold {ods.threshold:.3f}, precision {ods.precision:.3f}, recall {ods.recall:.3f})",
            f"covering      ODS {regions.covering_ods:.3f}  OIS {regions.covering_ois:.3f}  "
            f"best {regions.covering_best:.3f}  (ODS: threshold {regions.covering_threshold:.3f})",
            f"Rand index    ODS {regions.rand_ods:.3f}  OIS {regions.rand_ois:.3f}",
            f"variation     ODS {regions.variation_ods:.3f}  OIS {regions.variation_ois:.3f}  (bits; less is better)",
        ]
    )


def _within(kind: type, low: float, high: float = float("inf")) -> Callable[[str], Any]:
    """A type for argparse: a number from `low` to `high`."""

    def parse(text: str) -> Any:
        try:
            value = kind(text)
        except ValueError:
            raise argparse.ArgumentTypeError(f"{text!r} is not a number of type {kind.__name__}") from None
        if not low <= value <= high:
            raise argparse.ArgumentTypeError(f"{text} is outside [{low}, {high}]")
        return value

    return parse


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add = parser.add_argument
    add("images", type=Path, help="folder of images")
    add("ground_truth", type=Path, help="folder with ID.mat for each image, as groundTruth of BSDS500")
    add("--maps", type=Path, help="folder of contour maps ID.png, grey, 8 or 16 bits, to score instead")
    add("--mode", choices=get_args(Mode), default="speedy", help="mode of the crisp boundaries (default: %(default)s)")
    add(
        "--hierarchy",
        choices=get_args(Hierarchy),
        default="oriented",
        help="strength of a line: the energy in its own direction, or the largest of all directions; or higra's "
        "mean_pb (default: %(default)s)",
    )
    add("--seed", type=_within(int, 0), default=0, help="seed of the crisp boundaries (default: %(default)s)")
    add(
        "--thresholds",
        type=_within(int, 1),
        default=99,
        dest="count",
        metavar="N",
        help="number of thresholds, evenly spaced between 0 and 1 (default: %(default)s)",
    )
    add(
        "--max-distance",
        type=_within(float, 0, 0.05),
        default=MAX_DISTANCE,
        help="largest distance of matched pixels, as a fraction of the diagonal (default: %(default)s)",
    )
    add("--processes", type=_within(int, 1), default=1, help="images scored in parallel (default: %(default)s)")
    add("--output", "-o", type=Path, default=Path("results.csv"), help="CSV to write (default: %(default)s)")
    add("--per-image", type=Path, help="also write a row for each image to this CSV")
    return parser


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line: a user's error is one line and status 2, without a traceback."""
    logging.basicConfig(level=logging.WARNING, format="%(asctime)s %(name)s: %(message)s", datefmt="%H:%M:%S")
    logging.getLogger("tagseg").setLevel(logging.INFO)
    options = vars(_parser().parse_args(arguments))
    try:
        print(score(options.pop("images"), options.pop("ground_truth"), options.pop("output"), **options))
    except (TagsegError, OSError) as error:
        line = explained(error) if isinstance(error, OSError) else error
        if line is None:
            raise
        print(line, file=sys.stderr)
        sys.exit(2)


if __name__ == "__main__":
    main()
