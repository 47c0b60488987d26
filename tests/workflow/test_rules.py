"""What every rule says of itself, and what its jobs ask a scheduler for."""

import os
import re
import shlex
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import yaml
from snakemake.api import SnakemakeApi
from snakemake.settings.types import (
    ConfigSettings,
    DeploymentMethod,
    DeploymentSettings,
    OutputSettings,
    Quietness,
    ResourceSettings,
)
from snakemake_runs import REPOSITORY, prepare

WILDCARDS = SimpleNamespace(
    dataset="voc", shard="000", prior="fgbg", crf="none", experiment="tags", split="val", table="miou", rank="best"
)  # fmt: skip
VOC = REPOSITORY / "config" / "voc.yaml"
NETWORKS = {
    "extract", "extract_features", "second_round_sample", "second_round_apply", "train_localization", "cams",
    "train_segmentation", "score", "figure_foreground",
}  # fmt: skip
PROFILES = REPOSITORY / "profiles"
SOURCE = REPOSITORY / "src"


@contextmanager
def read_rules(folder: Path, *configs: Path) -> Iterator[dict[str, Any]]:
    """The rules of workflow/rules by name, as Snakemake reads them under a configuration, with `folder` to work in."""
    start = Path.cwd()
    with SnakemakeApi(OutputSettings(quiet={Quietness.ALL})) as api:
        try:
            workflow = api.workflow(
                resource_settings=ResourceSettings(cores=8),
                config_settings=ConfigSettings(configfiles=configs),
                snakefile=REPOSITORY / "Snakefile",
                workdir=prepare(folder),
            )
            rules = workflow._workflow.rules  # no other way leads to what a rule asks for
            yield {rule.name: rule for rule in rules if "/rules/" in str(rule.snakefile)}
        finally:
            os.chdir(start)


@pytest.mark.parametrize("snakefile", ["Snakefile", "workflow/Snakefile"])
def test_rules_run_the_code_of_this_repository(tmp_path: Path, snakefile: str) -> None:
    """By Snakemake's own interpreter; in a conda environment, which has no tagseg, by that one's on the code here."""
    for method, wanted in (((), [sys.executable]), ((DeploymentMethod.CONDA,), [f"PYTHONPATH={SOURCE}", "python"])):
        with SnakemakeApi(OutputSettings(quiet={Quietness.ALL})) as api:
            start = Path.cwd()
            try:
                workflow = api.workflow(
                    resource_settings=ResourceSettings(cores=1),
                    deployment_settings=DeploymentSettings(deployment_method=set(method)),
                    snakefile=REPOSITORY / snakefile,
                    workdir=prepare(tmp_path),
                )
                assert shlex.split(workflow._workflow.globals["PYTHON"]) == wanted
            finally:
                os.chdir(start)
    assert (SOURCE / "tagseg" / "__main__.py").is_file()


def asked(rule: Any, name: str, attempt: int = 1) -> int:
    return rule.resources[name].evaluate(WILDCARDS, attempt=attempt).value if name in rule.resources else 0


def write_index(folder: Path, images: int) -> None:
    index = folder / "results" / "voc" / "tags.csv"
    index.parent.mkdir(parents=True, exist_ok=True)
    index.write_text("id,split,path,width,height,tags\n" + images * "a,train,a.jpg,9,9,cat\n", encoding="utf-8")


def test_every_rule_states_what_it_needs_and_says_what_it_does(tmp_path: Path) -> None:
    """By itself or by the rule that it is derived from; but no two rules share a log, a benchmark or a message."""
    with read_rules(tmp_path, VOC) as rules:
        assert len(rules) > 30
        for name, rule in rules.items():
            assert rule.output and rule.conda_env, name
            assert {"_cores", "mem_mb", "runtime"} <= rule.resources.keys(), name
            for resource in ("mem_mb", "runtime"):
                first, second, third = (asked(rule, resource, attempt) for attempt in (1, 2, 3))
                assert first > 0 and (second, third) == (2 * first, 3 * first), (name, resource)
        for own in ("log", "benchmark", "message"):
            found = [str(getattr(rule, own)) for rule in rules.values()]
            assert all(found) and "None" not in found and len(set(found)) == len(rules), own
        logs = {name: str(rule.log) for name, rule in rules.items()}
        others = {name for name, log in logs.items() if not re.search(rf"/{name}[./]", log)}  # docs/configuration.md
        assert others == {"pretrain_shapes"}  # of no data set


def test_minutes_follow_the_images_of_a_shard(tmp_path: Path) -> None:
    """Before there is an index a shard is taken for one of 250 images."""
    with read_rules(tmp_path, VOC) as rules:
        before = {name: asked(rule, "runtime") for name, rule in rules.items()}
        write_index(tmp_path, 64 * 250)
        assert {name: asked(rule, "runtime") for name, rule in rules.items()} == before
        write_index(tmp_path, 64 * 1000 - 5)
        after = {name: asked(rule, "runtime") for name, rule in rules.items()}
        of_shards = {name for name, rule in rules.items() if "{shard" in str(rule.output)}
        assert {"extract", "regions", "smooth_masks", "score"} <= of_shards
        assert all(after[name] > before[name] for name in {*of_shards, "evaluate_masks", "index"})
        assert after["regions"] == 10 + 20 * 1000 // 60 + 1
        assert after["train_segmentation"] == before["train_segmentation"] == 60 + 60000 // 120


@pytest.mark.parametrize(("device", "wanted"), [("cuda", NETWORKS), ("cpu", set())])
def test_a_gpu_is_asked_for_by_networks_and_only_where_they_run_on_one(
    tmp_path: Path, device: str, wanted: set[str]
) -> None:
    """Slurm's plugin makes --gpus=N of `gpu`, and nothing of 0."""
    change = tmp_path / "change.yaml"
    change.write_text(f"device: {device}\n", encoding="utf-8")
    with read_rules(tmp_path / "run", VOC, change) as rules:
        assert {name for name, rule in rules.items() if asked(rule, "gpu")} == wanted
        assert {name for name, rule in rules.items() if rule.resources["_cores"].value > 1} == NETWORKS | {"index"}


def rendered(name: str) -> dict[str, Any]:
    """A profile as Snakemake reads it."""
    from yte import process_yaml

    return dict(process_yaml((PROFILES / name / "config.yaml").read_text(encoding="utf-8")))


@pytest.mark.parametrize("name", ["slurm", "slurm-no-accounting"])
def test_profiles_send_every_network_and_nothing_else_to_the_gpus(name: str) -> None:
    assert rendered(name)["set-resources"] == {rule: {"slurm_partition": "gpu"} for rule in NETWORKS}
    assert rendered(name)["default-resources"] == {"slurm_partition": "cpu"}


def test_profiles_of_slurm_differ_in_accounting_alone() -> None:
    with_accounts, without = rendered("slurm"), rendered("slurm-no-accounting")
    assert without == {**with_accounts, "slurm-status-command": "squeue"}
    text = (PROFILES / "slurm" / "config.yaml").read_text(encoding="utf-8")
    assert '- account = ""' in text and '- gpu_model = ""' in text
    site = text.replace('account = ""', 'account = "vision"').replace('gpu_model = ""', 'gpu_model = "a100"')
    from yte import process_yaml

    changed = process_yaml(site)
    assert changed["default-resources"]["slurm_account"] == "vision"
    assert changed["set-resources"]["train_segmentation"] == {"slurm_partition": "gpu", "gpu_model": "a100"}


def test_the_machine_s_own_profile_takes_turns_on_its_gpu() -> None:
    profile = yaml.safe_load((PROFILES / "default" / "config.yaml").read_text(encoding="utf-8"))
    assert profile["resources"] == {"gpu": 1} and profile["cores"] == "all"
    assert profile["rerun-incomplete"] and profile["keep-going"] and profile["show-failed-logs"]
    assert "resources" not in rendered("slurm")  # there it would be one network on the whole cluster
