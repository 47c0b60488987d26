# ruff: noqa: E402 - the number of threads is read when the libraries are loaded
"""Core-seconds that masks of real photographs take, stage by stage, as a ratio to the bare parts in the same run.

    python benchmarks/masks.py CONFIG DATASET [--results FOLDER] [--cores 1] [--parts 24]
    python benchmarks/masks.py tests/configs/voc_mini.yaml voc_mini

Class and foreground masks, with regions and second round, are made from nothing in a folder that must not hold results.
Core-seconds and memory of a stage are those that its log ends with; Snakemake's own are those of the whole run less
those of the stages. The bare parts, each on one thread with its input in memory, are what no pipeline could do without:
one pass of the trunk over all views of a photograph, by the engine that the run chose; its crisp boundaries; and, for
each prior, ten steps of pydensecrf at the resolution that the second round samples at and ten at the photograph's own.
They are measured on `--parts` photographs, spread evenly. Prints core-seconds a photograph.
"""

import os

for _name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS"):
    os.environ[_name] = "1"
os.environ["OMP_WAIT_POLICY"] = "passive"

import argparse
import re
import resource
import sys
import time
from collections import defaultdict
from collections.abc import Callable, Iterable
from functools import partial
from pathlib import Path
from statistics import mean

import numpy as np
import pydensecrf.densecrf as densecrf
import torch

from runs import prepared, run
from tagseg.config import DatasetConfig
from tagseg.config.networks import InferenceMachine
from tagseg.config.parsing import parse_config
from tagseg.crf import CrfParameters, softmax_unary
from tagseg.datasets.index import ImageRecord, read_index
from tagseg.images.files import read_image
from tagseg.networks.backbones.base import normalise
from tagseg.networks.views import views as image_views
from tagseg.regions import crisp_boundaries
from tagseg.runtime.frozen_trunk import FrozenTrunk
from tagseg.runtime.prefetch import image_tensor

USED = re.compile(r"([\d.]+) core-seconds, (\d+) MB of memory$", re.MULTILINE)
PRIORS = ("multiclass", "fgbg")


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n\n")[0])
    parser.add_argument("config", type=Path)
    parser.add_argument("dataset")
    parser.add_argument("--results", type=Path, default=Path("masks"), help="folder to work in")
    parser.add_argument("--cores", type=int, default=1)
    parser.add_argument("--parts", type=int, default=24, help="photographs that the bare parts are measured on")
    arguments = parser.parse_args()
    folder, name = arguments.results, arguments.dataset
    if (folder / "results").exists():
        sys.exit(f"{folder}/results: masks are to be made from nothing; give another folder")
    config, given = prepared(folder, arguments.config)
    settings = parse_config(given).datasets[name]
    masks = [f"results/{name}/masks/{p}-higher_order/{i:03d}.h5" for p in PRIORS for i in range(settings.shards)]

    began, before = time.perf_counter(), children()
    run(folder, [config.resolve()], arguments.cores, masks)
    wall, whole = time.perf_counter() - began, children() - before

    records = read_index(folder / "results" / name / "tags.csv")
    stages = used(folder / "logs" / name)
    count = len(records)
    print(f"{count} photographs, {wall:.0f} s on {arguments.cores} cores, {whole:.0f} core-seconds")
    for stage, (jobs, seconds, peak) in stages.items():
        print(f"{stage:34s} {jobs:4d} jobs {seconds / count:7.3f} core-s a photograph {peak:6.0f} MB at most")
    everything = whole / count
    foreground = sum(seconds for stage, (_, seconds, _) in stages.items() if stage.endswith("fgbg")) / count
    print(f"{'snakemake':34s} {'':9s} {(whole - sum(s for _, s, _ in stages.values())) / count:7.3f}")
    parts = bare_parts(folder / "results" / name / "trunk.h5", spread(records, arguments.parts), settings)
    for part, seconds in parts.items():
        print(f"bare: {part:28s} {'':9s} {seconds:7.3f}")
    one_prior = parts["pydensecrf, samples"] + parts["pydensecrf, masks"]
    of_both = sum(parts.values()) + one_prior
    print(f"class masks alone: {everything - foreground:.2f}, {(everything - foreground) / (of_both - one_prior):.2f}")
    print(f"class and foreground masks: {everything:.2f}, ratio to the bare parts {everything / of_both:.2f}")


def children() -> float:
    """Core-seconds of all child processes that have ended."""
    taken = resource.getrusage(resource.RUSAGE_CHILDREN)
    return taken.ru_utime + taken.ru_stime


def used(logs: Path) -> dict[str, tuple[int, float, float]]:
    """Jobs, core-seconds and peak memory (MB) by stage, and by prior where there is one, from the logs' last lines."""
    found: dict[str, list[tuple[float, float]]] = defaultdict(list)
    for log in sorted(logs.rglob("*.log")):
        match = USED.search(log.read_text(encoding="utf-8"))
        if match:
            parts = [part.split("-")[0] for part in log.relative_to(logs).with_suffix("").parts]
            found[" ".join(part for part in parts if not part.isdigit())].append((float(match[1]), float(match[2])))
    return {
        stage: (len(jobs), sum(seconds for seconds, _ in jobs), max(peak for _, peak in jobs))
        for stage, jobs in found.items()
    }


def spread(records: list[ImageRecord], count: int) -> list[ImageRecord]:
    """So many records, evenly spread."""
    return [records[i * len(records) // count] for i in range(min(count, len(records)))]


def bare_parts(trunk: Path, records: Iterable[ImageRecord], settings: DatasetConfig) -> dict[str, float]:
    """Core-seconds a photograph of each part by itself, on one thread."""
    frozen = FrozenTrunk(trunk, InferenceMachine(), 1)
    crf = CrfParameters(iterations=10)
    taken: dict[str, list[float]] = defaultdict(list)
    for number, record in enumerate(records):
        image = np.array(read_image(record.path))  # writable, as pydensecrf wants it
        looks = frozen.facts.views
        sent = normalise(image_tensor(image)[None], frozen.facts.statistics)
        views = [view for of_scale in image_views(sent, looks.scales, looks.mirror) for view in of_scale]
        small = image[::2, ::2].copy()  # about `second_round.crf_pixels`
        labels = 1 + len(record.tags)
        runs: dict[str, Callable[[], object]] = {
            "pass of the trunk": partial(bare_pass, frozen, views),
            "crisp boundaries": partial(crisp_boundaries, image, mode=settings.regions.mode),
            "pydensecrf, samples": partial(plain_crf, small, labels, crf),
            "pydensecrf, masks": partial(plain_crf, image, labels, crf),
        }
        for part, work in runs.items():
            if not number:  # the first of all compiles and loads
                work()
            began = time.process_time()
            work()
            taken[part].append(time.process_time() - began)
    return {part: mean(seconds) for part, seconds in taken.items()}


@torch.inference_mode()
def bare_pass(frozen: FrozenTrunk, views: list[torch.Tensor]) -> None:
    """The trunk on each of the views."""
    for view in views:
        frozen.engine(view)


def plain_crf(image: np.ndarray, labels: int, p: CrfParameters) -> None:
    """Ten steps of pydensecrf on noise: its time does not depend on the values."""
    height, width = image.shape[:2]
    unary = softmax_unary(np.random.default_rng(0).random((labels, height, width), dtype=np.float32))
    crf = densecrf.DenseCRF2D(width, height, labels)
    crf.setUnaryEnergy(np.ascontiguousarray(unary.reshape(labels, -1)))
    crf.addPairwiseGaussian(sxy=p.gaussian_width, compat=p.gaussian_weight)
    crf.addPairwiseBilateral(sxy=p.bilateral_width, srgb=p.bilateral_colour, rgbim=image, compat=p.bilateral_weight)
    crf.inference(p.iterations)


if __name__ == "__main__":
    main()
