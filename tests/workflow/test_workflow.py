"""The workflow as a whole: its plan, its artifacts, and what a change of one key redoes."""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
import yaml
from snakemake_runs import ENVIRONMENT, REPOSITORY, artifacts, command, overlay, plan, prepare, snakemake, succeed
from trees import put_image

pytestmark = pytest.mark.slow
TINY = [REPOSITORY / "tests" / "configs" / "tiny.yaml"]
TARGETS = [f"results/tiny/{name}" for name in ("ablation.csv", "ablation.png", "regions.png", "crf_multiclass.png")]


FIGURES = [
    *("foreground", "cams", "fused", "best", "median", "worst", "average", "trimap", "per_class"),
    *(f"confusion_{experiment}" for experiment in ("tags", "fgbg", "multiclass")),
]


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny run from nothing to every table and picture."""
    folder = prepare(tmp_path_factory.mktemp("finished"))
    succeed(folder, "all", *TARGETS, configs=TINY)
    return folder


def test_one_run_makes_every_table_and_picture(finished: Path) -> None:
    made = {path.name for path in (finished / "results" / "tiny").iterdir()}
    assert {"miou.csv", "ablation.csv", "masks.csv", "panels.png", "miou.png", "losses.png", "ablation.png"} <= made
    assert {"regions.png", "crf_multiclass.png", "trimap.csv", "summary.html"} <= made
    figures = {path.name for path in (finished / "results" / "tiny" / "figures").iterdir()}
    assert figures == {f"{name}.{kind}" for name in FIGURES for kind in ("png", "svg")}
    masks = list((finished / "results/tiny/predictions/multiclass/val-pairwise-png").glob("*.png"))
    assert len(masks) == 4


def test_a_finished_run_has_nothing_to_do(finished: Path) -> None:
    assert plan(finished, "all", *TARGETS, configs=TINY) == []


def test_the_report_opens_with_the_headline_and_holds_every_figure(finished: Path, tmp_path: Path) -> None:
    report = tmp_path / "report.html"  # not among the results, which another test compares
    succeed(finished, "--report", str(report), configs=TINY)
    text = report.read_text(encoding="utf-8")

    def held(name: str) -> Any:
        return json.loads(re.findall(rf'<script id="[\w-]+">\s+var {name} = (.*);\n', text)[0])

    description = held("workflow_desc")
    assert description.index("<h1>From image tags to pixel labels: tiny</h1>") < description.index("data:image/png")
    assert "pixel accuracy" in description and "System Message" not in description
    shown = {path.removeprefix("results/tiny/"): result for path, result in held("results").items()}
    tables = {"miou.csv", "masks.csv", "trimap.csv", "summary.html"}
    assert set(shown) == {*tables, "miou.png", "losses.png", "panels.png", *(f"figures/{f}.png" for f in FIGURES)}
    assert all(result["caption"] and list(result["labels"]) == ["what"] for result in shown.values())
    assert set(held("categories")["tiny"]) == {"Analysis", "Headline", "Images", "Method", "Tables", "Training"}
    # of this house's own stylesheet, which the default profile names
    assert "#rulegraph { max-height: none; overflow-x: auto; }" in text


@pytest.mark.parametrize("config", ["config.yaml", "config/voc.yaml", "tests/configs/voc_mini.yaml"])
def test_the_plan_has_every_figure_and_table(tmp_path: Path, config: str) -> None:
    block = yaml.safe_load((REPOSITORY / config).read_text(encoding="utf-8"))
    name = block["default"]
    configs = [REPOSITORY / config] if config != "config.yaml" else []
    messages = {job.message for job in plan(prepare(tmp_path), configs=configs)}
    headline = block["datasets"][name]["headline"]
    figures = [figure for figure in FIGURES if not figure.startswith("confusion")]
    wanted = [f"draw figures/{figure}" for figure in [*figures, *(f"confusion_{e}" for e in headline)]]
    wanted += ["write trimap.csv", "write summary.html", "write miou.csv", "write masks.csv"]
    wanted += ["evaluate the fgbg masks of train_tenth, CRF none", "evaluate the multiclass masks of val, CRF none"]
    assert {f"{name}: {message}" for message in wanted} <= messages


@pytest.mark.parametrize(("page", "least"), [("stages", 4), ("evaluation", 4)])
def test_the_commands_of_the_docs_run(finished: Path, tmp_path: Path, page: str, least: int) -> None:
    """A page of the docs, pasted line by line, on the tiny run in the demo's place."""
    folder = tmp_path / "run"
    shutil.copytree(finished, folder, ignore=shutil.ignore_patterns(".snakemake"))
    (folder / "results/tiny").rename(folder / "results/shapes")
    index = folder / "results/shapes/tags.csv"
    index.write_text(index.read_text(encoding="utf-8").replace("results/tiny", "results/shapes"), encoding="utf-8")
    truth = folder / "results/shapes/ground_truth.csv"
    truth.write_text(truth.read_text(encoding="utf-8").replace("results/tiny", "results/shapes"), encoding="utf-8")
    text = (REPOSITORY / "docs" / f"{page}.md").read_text(encoding="utf-8")
    blocks = [block for block in re.findall(r"```bash\n(.*?)```", text, flags=re.DOTALL) if "activate" not in block]
    assert len(blocks) >= least
    script = f'set -e\ntagseg() {{ "{sys.executable}" -m tagseg "$@"; }}\n' + "".join(blocks)
    done = subprocess.run(
        ["bash", "-c", script], cwd=folder, env=ENVIRONMENT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
    python = re.findall(r"```python\n(.*?)```", text, flags=re.DOTALL)
    subprocess.run([sys.executable, "-c", "".join(python)], cwd=folder, env=ENVIRONMENT, check=True)


def test_a_killed_run_that_is_run_again_ends_in_the_same_bytes(finished: Path, tmp_path: Path) -> None:
    folder = prepare(tmp_path)
    started = subprocess.Popen(
        command(folder, "all", *TARGETS, configs=TINY),
        env=ENVIRONMENT, start_new_session=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    deadline = time.monotonic() + 300
    while not (folder / "results/tiny/masks").exists():
        assert started.poll() is None, "the run ended before it could be killed"
        assert time.monotonic() < deadline
        time.sleep(0.1)
    os.killpg(started.pid, signal.SIGKILL)
    started.wait()
    assert not (folder / "results/tiny/miou.csv").exists()
    succeed(folder, "--unlock", configs=TINY)
    succeed(folder, "all", *TARGETS, configs=TINY)
    whole, resumed = artifacts(finished), artifacts(folder)
    assert resumed.keys() == whole.keys()
    assert [name for name in whole if whole[name] != resumed[name]] == []


def test_truth_of_training_images_may_be_unreadable(finished: Path, tmp_path: Path) -> None:
    """Once the index, which looks at every mask, has been made."""
    folder = prepare(tmp_path)
    succeed(folder, "results/tiny/tags.csv", "results/tiny/ground_truth.csv", configs=TINY)
    spoilt = list((folder / "results/tiny/data/masks").glob("train_*.png"))
    assert len(spoilt) == 10
    for mask in spoilt:
        mask.write_bytes(b"no picture")
    succeed(folder, "results/tiny/miou.csv", "results/tiny/panels.png", configs=TINY)
    for name in ("miou.csv", "panels.png", "segmentation/multiclass/model.pt"):
        assert (folder / "results/tiny" / name).read_bytes() == (finished / "results/tiny" / name).read_bytes()
    # the mask table does look at them: had it not, this test could not fail
    failed = snakemake(folder, "results/tiny/masks.csv", configs=TINY)
    assert failed.returncode != 0
    assert "not a readable mask" in failed.stdout + failed.stderr


@pytest.mark.parametrize(
    "config", ["config.yaml", "config/voc.yaml", "config/coco.yaml", "config/yto.yaml", "tests/configs/voc_mini.yaml"]
)
def test_no_rule_above_a_mask_or_a_model_reads_the_truth(tmp_path: Path, config: str) -> None:
    name = yaml.safe_load((REPOSITORY / config).read_text(encoding="utf-8"))["default"]
    folder = prepare(tmp_path)
    configs = [REPOSITORY / config] if config != "config.yaml" else []
    experiments = ["tags", "fgbg", "multiclass"]
    models = [f"results/{name}/segmentation/{experiment}/model.pt" for experiment in experiments]
    masks = [
        f"results/{name}/masks/{prior}-{crf}/000.h5"
        for prior in ("fgbg", "localization", "multiclass")
        for crf in ("none", "pairwise", "higher_order")
    ]
    text = succeed(folder, "--dry-run", "--printshellcmds", *models, *masks, configs=configs)
    rules = set(re.findall(r"^rule (\w+):$|^(\w+) +\d+$", text, flags=re.MULTILINE))
    names = {word for pair in rules for word in pair if word} - {"total"}
    above = {
        "index", "prepare_trunk", "train_localization", "cams", "fuse", "regions", "smooth_masks", "train_segmentation",
    }  # fmt: skip
    if config == "config.yaml":  # the demo has no second round
        above |= {"extract"}
    else:
        above |= {"extract_features", "second_round_sample", "second_round_fit", "second_round_apply"}
    assert above <= names <= {*above, "make_shapes"}
    commands = re.findall(r"Shell command: (tagseg .*)", text)
    assert len(commands) > 10
    readers = [line for line in commands if "ground_truth" in line or "ground-truth" in line]
    assert readers == []
    # the demo's exact masks: written by the rule that makes the scenes, named by no other on the way
    touching = [line for line in commands if "data/masks" in line]
    assert all("make-shapes" in line for line in touching)


def test_the_plan_for_voc_needs_no_data(tmp_path: Path) -> None:
    jobs = plan(prepare(tmp_path), "results/voc/ablation.csv", configs=[REPOSITORY / "config" / "voc.yaml"])
    messages = [job.message for job in jobs]
    assert "voc: index images and tags" in messages
    assert sum("train the score network" in message for message in messages) == 8
    assert sum("voc: crisp regions" in message for message in messages) == 64
    assert "voc: write ablation.csv" in messages
    assert "download VOC 2012 and SBD" not in messages


def test_a_download_is_planned_only_on_request(tmp_path: Path) -> None:
    assert [job.message for job in plan(prepare(tmp_path), "download_voc")] == ["download VOC 2012 and SBD"]


def test_a_submission_is_of_test_images_or_of_val_on_request(tmp_path: Path) -> None:
    folder, voc, target = prepare(tmp_path / "run"), REPOSITORY / "config" / "voc.yaml", "results/voc/submission.tar.gz"
    failed = snakemake(folder, "--dry-run", target, configs=[voc])
    assert failed.returncode != 0
    assert "voc: no list of test images to submit; unpack VOC's test archive" in failed.stdout + failed.stderr
    change = overlay(tmp_path / "change.yaml", "voc", submission="val")
    assert "voc: pack the predictions of val for the test server" in {
        job.message for job in plan(folder, target, configs=[voc, change])
    }
    lists = folder / "data/VOCdevkit/VOC2012/ImageSets/Segmentation"
    lists.mkdir(parents=True)
    (lists / "test.txt").write_text("2008_000006\n", encoding="utf-8")
    messages = {job.message for job in plan(folder, target, configs=[voc])}
    assert "voc: pack the predictions of test for the test server" in messages
    assert "voc: multiclass_large_regions scores test, shard 000" in messages


def test_photographs_from_a_devkit_to_every_table(voc_mini: Path, tmp_path: Path) -> None:
    """Eight real photographs, the packaged EfficientNet-Lite0, a linear head on its frozen trunk."""
    devkit = tmp_path / "VOC2012"
    for split, count in (("train_aug", 6), ("val", 2)):
        ids = (voc_mini / f"ImageSets/Segmentation/{split}.txt").read_text(encoding="utf-8").split()[:count]
        (devkit / "ImageSets/Segmentation").mkdir(parents=True, exist_ok=True)
        (devkit / f"ImageSets/Segmentation/{split}.txt").write_text("\n".join(ids), encoding="utf-8")
        for folder, suffix in (("JPEGImages", "jpg"), ("SegmentationClassAug", "png")):
            (devkit / folder).mkdir(exist_ok=True)
            for image_id in ids:
                shutil.copy(voc_mini / folder / f"{image_id}.{suffix}", devkit / folder)
    groups = {
        "data": {"kind": "voc", "root": str(devkit)},
        "shards": 1,
        "network": {"backbone": "timm/tf_efficientnet_lite0"},
        "localization": {"mode": "head", "iterations": 20},
        "segmentation": {"stride": 16, "size": 96, "iterations": 2},
        "headline": ["multiclass"],
        "published": "voc",
        "panels": 2,
    }
    folder = prepare(tmp_path / "run")
    (tmp_path / "machine.yaml").write_text("keep_maps: false\n", encoding="utf-8")
    succeed(
        folder,
        "results/few/miou.csv",
        "results/few/panels.png",
        configs=[overlay(tmp_path / "few.yaml", "few", **groups), tmp_path / "machine.yaml"],
    )
    assert "they are stored" in (folder / "logs/few/prepare_trunk.log").read_text(encoding="utf-8")
    assert [path.name for path in (folder / "results/few").rglob("0*.h5") if "features" in str(path)] == []
    lines = (folder / "results/few/miou.csv").read_text(encoding="utf-8").splitlines()
    assert lines[0].startswith("method,crf,source,recipe,miou,classes,pixel_accuracy,background,aeroplane")
    assert lines[1].startswith("multiclass,none,measured,")
    assert lines[-1].startswith("Ours multi-class masks")


@pytest.mark.parametrize(("masks", "truth"), [(None, False), ([], False), (["a.png"], True)])
def test_an_own_folder_is_evaluated_only_where_it_has_truth(
    tmp_path: Path, masks: list[str] | None, truth: bool
) -> None:
    """A folder of masks with nothing in it is none: a project has one for truth that may come later."""
    own = tmp_path / "own"
    (own / ("images" if masks is None else "masks")).mkdir(parents=True)
    for name in masks or []:
        put_image(own / "masks" / name)
    change = overlay(tmp_path / "own.yaml", "own", data={"kind": "folder", "root": str(own)}, shards=1)
    change.write_text(change.read_text(encoding="utf-8") + "default: own\n", encoding="utf-8")
    messages = {job.message for job in plan(prepare(tmp_path / "run"), configs=[change])}
    assert ("own: write miou.csv" in messages) is truth
    assert ("own: list the truth masks, for evaluation only" in messages) is truth
    assert {"own: multiclass masks as PNG", "own: draw a sheet of multiclass masks"} <= messages
    assert "own: train the score network of multiclass_large" in messages


SHARDS = ("000", "001")
EXPERIMENTS = ("tags", "fgbg", "localization", "multiclass", "multiclass_large")


def _maps(*priors: str) -> set[str]:
    return {f"{prior} maps, shard {shard}" for prior in priors for shard in SHARDS}


def _smoothed_masks(crf: str, *priors: str) -> set[str]:
    return {f"{prior} masks, CRF {crf}, shard {shard}" for prior in priors for shard in SHARDS}


def _trained() -> set[str]:
    return {f"train the score network of {experiment}" for experiment in EXPERIMENTS}


def _smoothed_predictions() -> set[str]:
    return {f"label maps of {name}, CRF pairwise, shard {shard}" for name in EXPERIMENTS for shard in SHARDS}


MASKS = _smoothed_masks("pairwise", "fgbg", "localization", "multiclass") | _smoothed_masks(
    "higher_order", "multiclass"
)
REGIONS = {f"crisp regions, shard {shard}" for shard in SHARDS}
LOCALIZATION = {"train the localization network on tags"}
REFITTED = ("fgbg", "multiclass")
SAMPLES = {f"confident pixels of the {prior} maps, shard {shard}" for prior in REFITTED for shard in SHARDS}
SECOND = {f"second round of the {prior} maps, shard {shard}" for prior in REFITTED for shard in SHARDS}
TRUNK = {"prepare the trunk; maps of all photographs are stored up to 50 GB"}

# Key -> the jobs whose own settings it is. Everything that follows from them is redone too, and nothing else.
REDOES = {
    "data.seed": {"make the embedded demo's scenes"},
    "network.preprocessing": TRUNK | LOCALIZATION | _trained() | {"draw figures/foreground"},
    "seed": LOCALIZATION | SAMPLES | _trained(),
    "localization.learning_rate": LOCALIZATION,
    "localization.stride": LOCALIZATION,
    "priors.scaling": _maps("fgbg", "multiclass"),
    "priors.layers": _maps("fgbg", "multiclass"),
    "priors.alpha": _maps("multiclass"),
    "priors.cam_threshold": _maps("multiclass"),
    "priors.background": _maps("localization", "multiclass"),
    "priors.normalise": _maps("localization", "multiclass"),
    "priors.grid": _maps("fgbg", "localization", "multiclass"),
    "priors.background_power": _maps("localization", "multiclass"),
    "priors.fgbg_centre": _maps("fgbg"),
    "views.mirror": TRUNK | {f"class activation maps, shard {shard}" for shard in SHARDS} | {"draw figures/foreground"},
    "second_round.confidence": SAMPLES,
    "second_round.decay": {f"fit the regression of the {prior} maps' second round" for prior in REFITTED},
    "second_round.weight": SECOND,
    "regions.threshold": REGIONS,
    "regions.mode": REGIONS | {"draw regions.png"},
    "crf.bilateral_weight": MASKS | SAMPLES | _smoothed_predictions(),
    "crf.mask_gain": MASKS | SAMPLES,
    "crf.truncation": _smoothed_masks("higher_order", "multiclass"),
    "crf.region_probability": _smoothed_masks("higher_order", "multiclass"),
    "crf.score_gain": _smoothed_predictions(),
    "segmentation.iterations": _trained(),
    "segmentation.lse_r": _trained(),
    "segmentation.precision": _trained(),
    "segmentation.channels_last": _trained(),
    "localization.precision": LOCALIZATION,
    "localization.reduction": LOCALIZATION,
    "experiments.fgbg.fov": {"train the score network of fgbg"},
    "panels": {"draw panels.png"},
    "published": {f"write {table}.csv" for table in ("miou", "ablation", "masks")},
}
NEW_VALUES = {
    "data.seed": 4, "network.preprocessing": "caffe", "seed": 1, "localization.learning_rate": 0.01,
    "localization.stride": 8, "priors.scaling": "min_max", "priors.layers": "raw_sum", "priors.alpha": 0.25,
    "priors.cam_threshold": 0.3, "priors.background": "mean", "priors.normalise": True, "priors.grid": 2,
    "priors.background_power": 3, "priors.fgbg_centre": 0.5, "views.mirror": False,
    "second_round.confidence": 0.5, "second_round.decay": 0.2, "second_round.weight": 0.25,
    "regions.threshold": 0.2, "regions.mode": "accurate_high_res", "crf.truncation": 0.3,
    "crf.bilateral_weight": 7, "crf.mask_gain": 3, "crf.score_gain": 0.7,
    "segmentation.iterations": 3, "segmentation.lse_r": 3, "experiments.fgbg.fov": "large", "panels": 1,
    "published": "voc", "segmentation.precision": "bfloat16", "segmentation.channels_last": False,
    "localization.precision": "bfloat16", "localization.reduction": "sum", "crf.region_probability": "map",
}  # fmt: skip


@pytest.mark.parametrize("key", REDOES)
def test_a_changed_key_redoes_what_depends_on_it(finished: Path, tmp_path: Path, key: str) -> None:
    value: object = NEW_VALUES[key]
    *groups, last = key.split(".")
    nested: dict[str, object] = {last: value}
    for group in reversed(groups):
        nested = {group: nested}
    if key.startswith("experiments"):
        nested = {"experiments": {**DEFAULT_EXPERIMENTS, "fgbg": {"mask": "fgbg", "fov": "large"}}}
    jobs = plan(finished, "all", *TARGETS, configs=[*TINY, overlay(tmp_path / "change.yaml", "tiny", **nested)])
    # Snakemake gives one reason a job: where an input changes as well, that is the reason it gives
    changed = {job.message.removeprefix("tiny: ") for job in jobs if "Params have changed" in job.reason}
    planned = {job.message.removeprefix("tiny: ") for job in jobs}
    facts = {message for message in changed if key.startswith("experiments") and message.startswith("evaluate fgbg")}
    assert changed
    assert changed - facts <= REDOES[key]
    assert planned >= REDOES[key]
    following = [job for job in jobs if "Params have changed" not in job.reason]
    assert all("updated by another job" in job.reason for job in following)


DEFAULT_EXPERIMENTS = {
    "tags": {"mask": "none"},
    "fgbg": {"mask": "fgbg"},
    "localization": {"mask": "localization"},
    "multiclass": {"mask": "multiclass"},
    "multiclass_large": {"mask": "multiclass", "fov": "large"},
}


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("default", "shapes"),
        ("device", "cuda"),
        ("loaders", 1),
        ("images_at_once", 3),
        ("engine", "torch"),
        ("features_gb", 0),
        ("deterministic", False),
        ("checkpoint_every", 7),
        ("keep_maps", False),
    ],
)
def test_keys_of_the_machine_redo_nothing(finished: Path, tmp_path: Path, key: str, value: object) -> None:
    change = tmp_path / "change.yaml"
    change.write_text(yaml.safe_dump({key: value}), encoding="utf-8")
    assert plan(finished, "results/tiny/miou.csv", *TARGETS, configs=[*TINY, change]) == []


def test_other_memory_minutes_threads_and_gpus_redo_nothing(finished: Path) -> None:
    rules = ("prepare_trunk", "extract", "train_localization", "smooth_masks", "train_segmentation", "evaluate_masks")
    asked = [f"{rule}:{resource}" for rule in rules for resource in ("mem_mb=9", "runtime=9", "gpu=2")]
    more = ["--set-resources", *asked, "--set-threads", *(f"{rule}=2" for rule in rules)]
    assert plan(finished, *TARGETS, *more, configs=TINY) == []


def test_an_unknown_key_is_one_line_with_the_nearest_known(tmp_path: Path) -> None:
    change = overlay(tmp_path / "change.yaml", "tiny", priors={"alhpa": 0.3})
    failed = snakemake(prepare(tmp_path / "run"), "--dry-run", configs=[*TINY, change])
    assert failed.returncode != 0
    assert "config: datasets.tiny.priors.alhpa: unknown key; did you mean 'alpha'?" in failed.stdout + failed.stderr
    assert "Traceback" not in failed.stdout + failed.stderr


def test_an_unknown_experiment_names_the_known(tmp_path: Path) -> None:
    failed = snakemake(prepare(tmp_path), "--dry-run", "results/tiny/segmentation/tagz/model.pt", configs=TINY)
    assert failed.returncode != 0
    assert "'tagz' is not an experiment of tiny: tags, fgbg" in failed.stdout + failed.stderr
