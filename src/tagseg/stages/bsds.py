"""Score boundaries and regions against people's, in the BSDS500 benchmark's protocol."""

import logging
import multiprocessing
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from pandas import DataFrame
from tqdm import tqdm

from tagseg.datasets.bsds import Example, index, read_annotations, read_contours
from tagseg.datasets.images import read_image
from tagseg.errors import TagsegError
from tagseg.evaluation.boundaries import BoundaryScores, best_point, boundary_counts, boundary_scores, thresholds
from tagseg.evaluation.covering import Labels, RegionCounts, RegionScores, components, region_counts, region_scores
from tagseg.progress import rate
from tagseg.regions.parameters import MODES, CrispParameters, Hierarchy, Mode
from tagseg.store import write_text

log = logging.getLogger(__name__)
# A contour map (H, W) in [0, 1], and the label map (H, W) of its regions at a threshold.
Contours = tuple[NDArray[np.floating], Callable[[float], Labels]]


@dataclass(frozen=True)
class _Job:
    """What a process needs to know to score one image."""

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


def run(
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
    """Write the scores of all images together (one row) and, if asked, a row for each; returns them for people to read.

    The contours are those of `maps`/ID.png, or, without `maps`, crisp boundaries made here from each photograph.
    They are cut at `count` thresholds. Raises TagsegError naming the first image or file that fails.
    """
    levels = thresholds(count)
    crisp = replace(MODES[mode], hierarchy=hierarchy)
    jobs = [_Job(example, maps, crisp, seed, levels, max_distance) for example in index(images, ground_truth)]
    with rate("images", len(jobs)):
        found = dict(tqdm(_all_counts(jobs, processes), total=len(jobs), unit="image", disable=None))
    counts = [found[job.example.id] for job in jobs]
    boundaries = boundary_scores(levels, np.stack([c.boundaries for c in counts]))
    regions = region_scores(levels, [c.regions for c in counts])
    _write(output, [{"images": len(jobs), "thresholds": count, **_summary(boundaries, regions)}])
    if per_image is not None:
        _write(per_image, [_row(job.example.id, levels, c) for job, c in zip(jobs, counts, strict=True)])
    return _text(boundaries, regions, len(jobs), count)


def _contours(image: np.ndarray, parameters: CrispParameters, seed: int) -> Contours:
    """The method's own contours of a photograph (H, W, 3) uint8."""
    from tagseg.regions import crisp_boundaries  # imported here: given maps need none of it

    crisp = crisp_boundaries(image, seed=seed, parameters=parameters)
    return crisp.ucm, crisp.regions


def _all_counts(jobs: list[_Job], processes: int) -> Iterator[tuple[str, _Counts]]:
    """Id and counts of each image as they come; here, or in up to `processes` others."""
    if min(processes, len(jobs)) == 1:
        for job in jobs:
            yield job.example.id, _count(job)
        return
    # spawned, not forked: threads of numerical libraries do not survive a fork
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(min(processes, len(jobs)), mp_context=context) as pool:
        futures = {pool.submit(_count, job): job.example for job in jobs}
        try:
            for future in as_completed(futures):
                yield futures[future].id, future.result()
        except BrokenProcessPool:
            raise TagsegError(
                f"{futures[future].photograph}: a process died at it or beside it, perhaps for want of memory; "
                "give fewer --processes"
            ) from None
        finally:
            pool.shutdown(cancel_futures=True)


def _count(job: _Job) -> _Counts:
    """Counts of one image at all thresholds. Raises TagsegError naming it, whatever goes wrong."""
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
        log.debug("%s", photograph, exc_info=True)
        fault = " ".join(str(error).split()) or "no more is known"
        raise TagsegError(
            f"{photograph}: cannot be scored ({type(error).__name__}: {fault}); take it out, or mend the cause"
        ) from None


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
    """One image at its own best thresholds."""
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
