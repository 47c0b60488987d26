"""A configuration fitted to somebody's own photographs, and what is worth knowing about them before a run."""

import math
import os
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any, Literal

import yaml

from tagseg.config.recipes import Recipe
from tagseg.datasets.index import ImageRecord

NAME = "photos"  # of the data set in a project's configuration, and so of its folder below results/
FEW = 10  # photographs of a class: with fewer, its maps are little more than those of the pre-trained classifier

# Core-seconds a photograph of 500 x 375 pixels (activations, CAMs, regions, the second round's pixels and maps, the CRF
# with regions), and a training step of one photograph at 320: measured with the light backbone.
_MASK_SECONDS, _STEP_SECONDS = 1.3, 0.35
_PIXELS = 500 * 375
LIGHT = "timm/tf_efficientnet_lite0"
PAPER_BACKBONE = "vgg16"
SHAPES = "shapes"  # the demo's network, pre-trained on the demo's classes


@dataclass(frozen=True)
class Survey:
    """The classes and images of a data set. `known`: classes that the pre-trained classifier has rows for."""

    classes: list[str]
    records: Sequence[ImageRecord]
    known: frozenset[str]

    @property
    def training(self) -> list[ImageRecord]:
        """The photographs of split train."""
        return [record for record in self.records if record.split == "train"]

    def counts(self) -> dict[str, int]:
        """Training photographs of each class, in the order of the classes."""
        found = Counter(tag for record in self.training for tag in record.tags)
        return {name: found[name] for name in self.classes}

    def table(self) -> str:
        """One line a class: its number of training photographs, and whether it is new to the pre-trained network."""
        width = max(len(name) for name in self.classes)
        new = "   not in ILSVRC: learned from your tags alone"
        return "\n".join(
            f"  {name:<{width}}  {count:>5}{'' if name in self.known else new}" for name, count in self.counts().items()
        )

    def doubts(self) -> list[str]:
        """What will make masks poor with any method that learns from tags alone, one sentence each."""
        training, counts = self.training, self.counts()
        found = []
        few = [name for name, count in counts.items() if count < FEW]
        if few:
            who = "all classes have" if len(few) == len(counts) else f"{len(few)} of {len(counts)} classes have"
            found.append(f"{who} fewer than {FEW} photographs; add some, or expect poor masks of these")
        everywhere = [name for name, count in counts.items() if count == len(training) and name not in self.known]
        if everywhere:
            found.append(
                f"on every photograph: {', '.join(everywhere)}; add some without, or the network cannot learn it"
            )
        together = ", ".join(f"{name} ({other})" for name, other in self._companions().items())
        if together:
            found.append(
                f"never without another class: {together}; tags cannot tell the two apart: add photographs of one alone"
            )
        empty = sum(not record.tags for record in training)
        if empty:
            found.append(f"{empty} without a tag: taken to show background alone; tag them if they show more")
        return found

    def _companions(self) -> dict[str, str]:
        """Classes of two or more photographs, all of which also show the same other class, and that other class."""
        found = {}
        for name in self.classes:
            sets = [set(record.tags) for record in self.training if name in record.tags]
            shared = set.intersection(*sets) - {name} if len(sets) > 1 else set()
            if shared:
                found[name] = min(shared)
        return found

    def size(self) -> tuple[int, int]:
        """Median width and height of the images in pixels."""
        return (
            round(median(record.width for record in self.records)),
            round(median(record.height for record in self.records)),
        )


def shards_for(images: int, cores: int) -> int:
    """Number of shards: one for every 250 images, but at least one for each core, and at most 999.

    A shard is eleven jobs, which take 14 core-seconds to start: with 250 images, 4 % of what the masks take.
    """
    return max(1, min(999, images, max(cores, math.ceil(images / 250))))


def iterations_for(training: int, device: Literal["cpu", "cuda"]) -> int:
    """Training steps: of one image on a CPU (larger batches gained nothing on 128 images), of eight on a GPU."""
    if device == "cuda":
        return min(max(1000, 5 * training), 20000)
    return min(max(600, 5 * training), 4000)


def minutes(survey: Survey, cores: int, iterations: int) -> tuple[int, int]:
    """Expected minutes on a CPU for the masks, and for the training on them."""
    pixels = sum(record.width * record.height for record in survey.records)
    masks = _MASK_SECONDS * pixels / _PIXELS / min(cores, len(survey.records))
    return math.ceil(masks / 60), math.ceil(_STEP_SECONDS * iterations / 60)


def settings_for(
    survey: Survey, backbone: str, device: Literal["cpu", "cuda"], cores: int, recipe: Recipe = "best"
) -> dict[str, Any]:
    """The keys of a data set, without `data`, that differ from the recipe's.

    For the paper's recipe there are few, since a key that is written down takes precedence over the recipe.
    """
    training = len(survey.training)
    common: dict[str, Any] = {
        "recipe": recipe,
        "shards": shards_for(len(survey.records), cores),
        "network": {"backbone": backbone},
    }
    experiments = {
        "experiments": {"multiclass": {"mask": "multiclass", "crf": "higher_order"}},
        "headline": ["multiclass"],
        "masks_table": ["multiclass"],
    }
    if recipe == "paper":
        large = {"multiclass": {"mask": "multiclass", "crf": "higher_order", "fov": "large"}}
        return common | experiments | {"experiments": large}
    iterations = iterations_for(training, device)
    if backbone == SHAPES:
        return common | _SHAPES | {"segmentation": _SHAPES["segmentation"] | {"iterations": iterations}} | experiments
    return (
        common
        | {
            "localization": {"mode": "head", "iterations": 200, "weight_decay": 0.01},
            "segmentation": {
                "stride": 16,
                "size": 320 if device == "cpu" else 512,
                "batch": 1 if device == "cpu" else 8,
                "iterations": iterations,
                "learning_rate": 1.0e-4,
                "schedule": "poly",
            },
        }
        | experiments
    )


# The settings for the demo's small network, which is for scenes of 80 pixels; config.yaml gives reasons for each.
_SHAPES: dict[str, Any] = {
    "views": {"scales": [1], "mirror": False, "stride": 0},
    "localization": {
        "mode": "finetune", "hidden": 0, "stride": 8, "size": 80, "batch": 15, "iterations": 250,
        "learning_rate": 0.02, "reduction": "mean", "schedule": "poly",
    },
    "priors": {"fgbg_centre": 0, "background_power": 1, "grid": 1},
    "second_round": {"priors": []},
    "crf": {"mask_gain": 1, "score_gain": 0.1, "bilateral_width": 30},
    "regions": {"mode": "accurate_high_res", "threshold": 0.05},
    "segmentation": {
        "stride": 8, "batch": 8, "learning_rate": 0.003, "head_factor": 10, "schedule": "poly", "lse_r": 0.1,
    },
}  # fmt: skip


def path_in_config(project: Path, path: Path) -> str:
    """A path as the configuration in `project` names it: relative to that folder."""
    return Path(os.path.relpath(path.absolute(), project.absolute())).as_posix()


def config_text(survey: Survey, places: dict[str, Any], settings: dict[str, Any], device: str) -> str:
    """A project's `config.yaml`: every key that is not the default, with a comment on what it is for.

    `places` are the keys of `data` without its kind, `settings` those of `settings_for`.
    """
    count = len(survey.records)
    gpu = device == "cuda"
    lines = [
        f"# {count} photographs, {len(survey.classes)} classes. Made for them once; yours to change.",
        "# docs/configuration.md lists every key, and what those have that are left out. Unknown keys are refused.",
        "",
        f"default: {NAME}",
        f"device: {device} # where networks run: cpu or cuda",
        f"loaders: {4 if gpu else 0} # threads that decode photographs ahead of a network; 4 with a GPU",
        f"images_at_once: {8 if gpu else 1} # images of one size that a network takes at once; 8 with a GPU",
        "",
        "datasets:",
        f"  {NAME}:",
        "    data:",
        "      kind: folder",
        f"      root: {_flow(places['root'])} # what follows is seen from the folder of this file",
        f"      images: {_flow(places['images'])} # the table names photographs below it",
        f"      tags: {_flow(places['tags'])} # image,tags,split; add a line for each photograph that you add",
        f"      masks: {_flow(places['masks'])} # truth to evaluate on, if there is any: ID.png, never trained on",
        *([_FOREGROUND.format(places["foreground"])] if "foreground" in places else []),
        f"      classes: {_flow(places['classes'])} # label 1 is the first, 0 is background",
        "",
    ]
    for key, comments in _COMMENTS.items():
        if key == "recipe" and settings[key] == "paper":
            comments = _PAPER_COMMENT
        if key in settings:
            lines += [f"    # {line}" for line in comments] + [f"    {key}: {_flow(settings[key])}"]
    return "\n".join(lines) + "\n"


_FOREGROUND = "      foreground: {} # masks have this value where the photograph's one tag is, and 0 elsewhere"
_COMMENTS = {
    "recipe": [
        "best: the keys below suit these photographs, the others measured best. Every key that is written down",
        "counts before a recipe: for the paper's choices in all stages, make a project with tagseg init --recipe paper",
    ],
    "shards": ["pieces that the photographs are cut into, one job each; more for more cores or a cluster"],
    "network": ["what everything starts from; docs/backbones.md has others"],
    "views": ["how often a photograph is looked at"],
    "localization": ["where a class is: a linear layer on the frozen network, fitted to the tags"],
    "priors": ["probability maps of each tag"],
    "second_round": ["the second round"],
    "crf": ["the dense CRF that smooths masks and predictions"],
    "regions": ["regions whose borders are object borders"],
    "segmentation": [
        "the network that needs no tags any more. iterations: more are better and slower; size: longer side of a",
        "photograph in training and in use; batch: photographs a step",
    ],
    "experiments": ["which networks to train, on which masks"],
    "headline": ["those of miou.csv and of the pictures"],
    "masks_table": ["masks that masks.csv evaluates, if there is truth"],
}


_PAPER_COMMENT = [
    "the paper's choices where it speaks of a key (docs/method.md): two networks of 60,000 steps each, for a GPU.",
    "A key that you write down counts before the recipe; the tables then name it",
]


def _flow(value: Any) -> str:
    """A value as YAML on one line."""
    text = yaml.safe_dump(value, default_flow_style=True, width=math.inf, sort_keys=False, allow_unicode=True)
    return text.removesuffix("...\n").strip()
