"""Try settings of the CRF on images that have truth.

No stage of training reads the result. To choose settings by it is to choose them with pixel labels: evaluate them on
other images.
"""

import itertools
import multiprocessing
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import pandas as pd
from pydantic import Field
from tqdm import tqdm

from tagseg.artifacts.atomic import write_text
from tagseg.artifacts.shards import Shard
from tagseg.config import Crf
from tagseg.config.arguments import Classes, Files, GroundTruth, Output, Tags
from tagseg.config.masks import CRFS, CrfSettings, MapKind
from tagseg.config.parsing import checked
from tagseg.datasets.index import ImageRecord, read_classes
from tagseg.datasets.truths import TruthMasks, Truths
from tagseg.errors import TagsegError
from tagseg.evaluation.confusion import ConfusionMatrix, Protocol, any_foreground
from tagseg.runtime.evaluations import compare
from tagseg.runtime.label_maps import KINDS, facts, kind_of, label_map
from tagseg.runtime.progress import log_rate

Trial = tuple[Crf, CrfSettings]


def run(
    tags: Tags,
    maps: Files,
    ground_truth: GroundTruth,
    classes: Classes,
    settings: CrfSettings,
    output: Output = Path("search.csv"),
    regions: Files = (),
    *,
    crf: Annotated[str, Field(description="Those to try, of none,pairwise,higher_order")] = "pairwise",
    vary: Annotated[
        dict[str, str],
        Field(default_factory=dict, description="KEY=VALUE,VALUE,...: settings to try; all combinations"),
    ],
    split: Annotated[str, Field(description="Split to try them on")] = "train",
    protocol: Annotated[Protocol, Field(description="foreground: any class counts as 1")] = "classes",
    processes: Annotated[int, Field(ge=1, description="Images at the same time")] = 1,
) -> str:
    """Try settings of the CRF on images that have truth, and list them, best first.

    The table has a row for each combination: the settings that count, mean IoU and pixel accuracy in percent. The
    columns that differ are printed. The protocol `foreground` counts any class as foreground (Table 4). Raises
    TagsegError if higher_order is tried without regions, or if no image of the split has truth.
    """
    varied = {key.replace("-", "_"): values.split(",") for key, values in vary.items()}
    trials = trials_of(crf.split(","), settings, varied)
    table = search(
        trials, tags, maps, regions, ground_truth, classes, output, split=split, protocol=protocol, processes=processes
    )
    return table[[*varied, "crf", "mean_iou", "pixel_accuracy"]].round(2).to_string(index=False)


def search(
    trials: list[Trial],
    tags: Path,
    maps: Sequence[Path],
    regions: Sequence[Path],
    ground_truth: Path,
    classes: Path,
    output: Path,
    *,
    split: str,
    protocol: Protocol,
    processes: int,
) -> pd.DataFrame:
    """Mean IoU and pixel accuracy of each trial, best first; also written to `output`."""
    if any(crf == "higher_order" for crf, _ in trials) and not regions:
        raise TagsegError("crf higher_order needs --regions: give the shards that tagseg regions wrote")
    truths = Truths(tags, ground_truth, split, "try settings")
    names = read_classes(classes) if protocol == "classes" else ["background", "foreground"]
    masks = truths.masks
    jobs = [(record, masks, trials, maps, regions, protocol, len(names)) for record in truths.records]
    totals = [ConfusionMatrix(len(names)) for _ in trials]
    context = multiprocessing.get_context("spawn")
    with log_rate("images", len(jobs)), ProcessPoolExecutor(processes, mp_context=context) as pool:
        for counts in tqdm(pool.map(_counts, jobs), total=len(jobs), unit="image", disable=None):
            for total, count in zip(totals, counts, strict=True):
                total.counts += count
    kind = _kind(maps[0])
    # two frames: if trials have different settings, their scores still stand in the last columns
    settings = pd.DataFrame([facts(crf, settings, kind) for crf, settings in trials])
    scored = pd.DataFrame(
        [{"mean_iou": 100 * total.mean_iou(), "pixel_accuracy": 100 * total.pixel_accuracy()} for total in totals]
    )
    table = settings.join(scored).sort_values("mean_iou", ascending=False, kind="stable").reset_index(drop=True)
    write_text(output, table.to_csv(index=False, float_format="%.3f"))
    return table


def trials_of(crfs: list[str], settings: CrfSettings, varied: dict[str, list[str]]) -> list[Trial]:
    """Every combination of `crfs` and of the values of `varied` keys, without those whose settings have equal effect.

    Raises TagsegError for a key or a value that the CRF does not have.
    """
    found: dict[str, Trial] = {}
    for crf in crfs:
        if crf not in CRFS:
            raise TagsegError(f"--crf {crf}: use {', '.join(CRFS)}")
        for values in itertools.product(*varied.values()):
            trial = checked(CrfSettings, {**settings.model_dump(), **dict(zip(varied, values, strict=True))})
            found.setdefault(str((facts(crf, trial, "probabilities"), trial.score_gain)), (crf, trial))
    return list(found.values())


def _kind(path: Path) -> MapKind:
    with Shard(path, KINDS) as shard:
        return kind_of(shard)


def _counts(
    job: tuple[ImageRecord, TruthMasks, list[Trial], Sequence[Path], Sequence[Path], Protocol, int],
) -> list[np.ndarray]:
    """Confusion counts (N, N) of one image for each trial."""
    record, masks, trials, maps, regions, protocol, classes = job
    truth = masks.labels(record)
    if protocol == "foreground":
        truth = any_foreground(truth)
    counts = []
    with ExitStack() as stack:
        source = stack.enter_context(_holding(record.id, maps, KINDS))
        shard = stack.enter_context(_holding(record.id, regions, "regions")) if regions else None
        for crf, settings in trials:
            labels = label_map(source, shard if crf == "higher_order" else None, record, crf, settings)
            if protocol == "foreground":
                labels = any_foreground(labels)
            counts.append(compare(truth, labels, classes, masks.path(record)).counts)
    return counts


def _holding(image: str, paths: Sequence[Path], kind: Any) -> Shard:
    """The shard that holds an image, open. Raises TagsegError if none does."""
    for path in paths:
        shard = Shard(path, kind)
        if image in shard:
            return shard
        shard.close()
    raise TagsegError(
        f"image {image!r} is in none of {', '.join(map(str, paths))}; run the stage that makes them again"
    )
