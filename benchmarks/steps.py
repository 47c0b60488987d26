"""The masks' quality, step by step from the paper's recipe to the default one.

    python benchmarks/steps.py CONFIG DATASET [--results FOLDER] [--cores 2]
    python benchmarks/steps.py tests/configs/voc_mini.yaml voc_mini

It can be started from any folder: relative paths in CONFIG are from the repository's root, as for a run that is started
there. Each step keeps those before it and changes a few keys of the data set; Snakemake redoes what depends on them and
keeps the rest. After each, the masks made with known tags are compared with the truth of both splits: `multiclass` over
the classes, `fgbg` against any foreground. Prints a row a step, the last first, and writes them, with the classes' own
IoU, to steps-DATASET.csv.
"""

import argparse
import csv
import json
from pathlib import Path
from typing import Any

import yaml

from runs import prepared, run
from tagseg.config import PAPER
from tagseg.evaluation.result import Result

# What each step changes, and the CRF after it: none is that of no masks without one.
STEPS: list[tuple[str, dict[str, dict[str, Any]], str]] = [
    ("paper, no CRF", {}, "none"),  # what later steps change, at the paper's values: see below
    ("paper", {}, "pairwise"),
    ("Pf: each layer scaled, Otsu", {"priors": {"layers": "scale_each", "scaling": "otsu"}}, "pairwise"),
    ("M_0 by max, maps not normalised", {"priors": {"background": "max", "normalise": False}}, "pairwise"),
    ("unary gain 4", {"crf": {"mask_gain": 4}}, "pairwise"),
    ("rows of the classifier added", {"localization": {"rows": "summed"}}, "pairwise"),
    ("stride 16", {"views": {"stride": 16}}, "pairwise"),
    ("scales .5, 1, 1.5 and mirror images", {"views": {"scales": [0.5, 1.0, 1.5], "mirror": True}}, "pairwise"),
    ("M_0 squared; fgbg: centre", {"priors": {"background_power": 2, "fgbg_centre": 0.7}}, "pairwise"),
    ("second round", {"second_round": {"priors": ["fgbg", "multiclass"]}}, "pairwise"),
    ("regions (the default recipe)", {"crf": {"higher_order": "robust_pn"}}, "higher_order"),
    ("the default recipe, no CRF", {}, "none"),
]
# Only what later steps change again: so the last step is the default recipe, and no step is one of training.
STEPS[0][1].update(
    {
        group: {key: PAPER[group][key] for _, keys, _ in STEPS for key in keys.get(group, {})}
        for _, changes, _ in STEPS
        for group in changes
    }
)
SPLITS, PRIORS = ("train", "val"), ("multiclass", "fgbg")


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n\n")[0])
    parser.add_argument("config", type=Path)
    parser.add_argument("dataset")
    parser.add_argument("--results", type=Path, default=Path("steps"), help="folder to work in")
    parser.add_argument("--cores", type=int, default=2)
    parser.add_argument("--splits", nargs="+", default=SPLITS)
    arguments = parser.parse_args()
    folder = arguments.results
    config, _ = prepared(folder, arguments.config)
    done: list[dict[str, Any]] = []
    for name, keys, crf in reversed(cumulated()):  # a folder that holds the default recipe's run has the longest part
        overlay = folder / "step.yaml"
        overlay.write_text(yaml.safe_dump({"datasets": {arguments.dataset: keys}}), encoding="utf-8")
        files = {
            (prior, split): f"results/{arguments.dataset}/evaluation/masks/{prior}-{crf}/{split}.json"
            for prior in PRIORS
            for split in arguments.splits
        }
        run(folder, [config.resolve(), overlay.resolve()], arguments.cores, list(files.values()))
        row: dict[str, Any] = {"step": name, "crf": crf}
        for (prior, split), file in files.items():
            result = Result.from_json((folder / file).read_text(encoding="utf-8"))
            row[f"{prior} {split}"] = round(100 * result.matrix.mean_iou(), 2)
            if prior == "multiclass":
                row[f"classes {split}"] = json.dumps([round(100 * float(iou), 1) for iou in result.matrix.iou()])
        done.insert(0, row)
        figures = "  ".join(f"{key} {value:5.1f}" for key, value in row.items() if isinstance(value, float))
        print(f"{name:38s} {figures}", flush=True)
        with Path(f"steps-{arguments.dataset}.csv").open("w", newline="", encoding="utf-8") as table:
            writer = csv.DictWriter(table, done[0])
            writer.writeheader()
            writer.writerows(done)


def cumulated() -> list[tuple[str, dict[str, dict[str, Any]], str]]:
    """Each step with all keys that hold after it, and its CRF."""
    keys: dict[str, dict[str, Any]] = {}
    steps = []
    for name, changes, crf in STEPS:
        keys = {group: {**keys.get(group, {}), **changes.get(group, {})} for group in {**keys, **changes}}
        steps.append((name, keys, crf))
    return steps


if __name__ == "__main__":
    main()
