"""The repository itself: one set of versions, three layers with one direction, a schema that is up to date."""

import ast
import re
import subprocess
import tomllib
from pathlib import Path

import pytest
import yaml
from snakemake_runs import REPOSITORY

from tagseg.config.parsing import parse_config, schema

PACKAGE = REPOSITORY / "src" / "tagseg"
CORE = ("crf", "evaluation", "figures", "networks", "priors")


def _pins(lines: list[str]) -> dict[str, str]:
    pairs = [line.split("==") for line in lines if "==" in line and not line.startswith("#")]
    return {re.sub(r"[-_.]+", "-", name).lower(): version for name, version in pairs}


def _project() -> dict[str, object]:
    return tomllib.loads((REPOSITORY / "pyproject.toml").read_text(encoding="utf-8"))["project"]


@pytest.mark.parametrize("name", ["cpu", "gpu"])
def test_environments_hold_the_versions_of_the_project(name: str) -> None:
    content = yaml.safe_load((REPOSITORY / "envs" / f"{name}.yaml").read_text(encoding="utf-8"))
    pip = next(entry["pip"] for entry in content["dependencies"] if isinstance(entry, dict))
    assert _pins(pip) == _pins(_project()["dependencies"])


def test_the_lock_holds_the_versions_of_the_project() -> None:
    lock = _pins((REPOSITORY / "requirements.lock").read_text(encoding="utf-8").splitlines())
    extras = _project()["optional-dependencies"]
    wanted = _pins([*_project()["dependencies"], *extras["test"], *extras["dev"]])
    assert {name: lock.get(name) for name in wanted} == wanted
    assert not [name for name in lock if name.startswith("nvidia")]


def _imports(path: Path) -> set[str]:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    names = {node.module for node in ast.walk(tree) if isinstance(node, ast.ImportFrom) and node.module}
    return names | {alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names}


def test_the_core_knows_no_file_layout_and_no_stage() -> None:
    outer = (
        "tagseg.stages",
        "tagseg.datasets",
        "tagseg.artifacts.shards",
        "tagseg.cli",
        "tagseg.config",
        "snakemake",
        "h5py",
    )
    found = [
        (str(path.relative_to(PACKAGE)), name)
        for folder in CORE
        for path in (PACKAGE / folder).rglob("*.py")
        for name in _imports(path)
        if name.startswith(outer)
    ]
    assert found == []


def test_stages_do_not_import_each_other() -> None:
    found = [
        (path.name, name)
        for path in (PACKAGE / "stages").glob("*.py")
        for name in _imports(path)
        if name.startswith("tagseg.stages")
    ]
    assert found == []


def test_rules_hold_no_logic() -> None:
    """Only the helpers define functions; every rule calls the command line."""
    for path in (REPOSITORY / "workflow" / "rules").glob("*.smk"):
        text = path.read_text(encoding="utf-8")
        if path.name not in ("common.smk", "inputs.smk", "resources.smk", "targets.smk"):
            assert "\ndef " not in text, path
            rules = len(re.findall(r"^rule \w+:", text, flags=re.MULTILINE))
            assert rules == len(re.findall(r'shell:\n +"tagseg ', text)), path


def test_the_schema_is_up_to_date() -> None:
    """Made by `tagseg config-schema > workflow/schemas/config.schema.json`."""
    assert (REPOSITORY / "workflow" / "schemas" / "config.schema.json").read_text(encoding="utf-8") == schema()


@pytest.mark.parametrize(
    "path", ["config.yaml", *sorted(str(p.relative_to(REPOSITORY)) for p in (REPOSITORY / "config").glob("*.yaml"))]
)
def test_shipped_configurations_are_valid(path: str) -> None:
    data = yaml.safe_load((REPOSITORY / path).read_text(encoding="utf-8"))
    config = parse_config(data)
    assert config.default in config.datasets


def test_every_key_of_the_demo_is_written_out() -> None:
    """config.yaml is where people learn what there is: it lists every key of every group."""
    block = yaml.safe_load((REPOSITORY / "config.yaml").read_text(encoding="utf-8"))["datasets"]["shapes"]
    settings = parse_config({"datasets": {"shapes": block}}).datasets["shapes"]
    for name in type(settings).model_fields:
        value = getattr(settings, name)
        if hasattr(value, "model_fields_set"):
            assert set(block[name]) == set(type(value).model_fields), name


def test_every_file_that_a_page_links_to_is_there() -> None:
    pages = [REPOSITORY / "README.md", REPOSITORY / "CONTRIBUTING.md", *(REPOSITORY / "docs").rglob("*.md")]
    links = [
        (page, link) for page in pages for link in re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", page.read_text("utf-8"))
    ]
    assert len(links) > 30
    assert [f"{page.name}: {link}" for page, link in links if not (page.parent / link).exists()] == []


def test_no_host_or_machine_path_is_named() -> None:
    names = subprocess.run(["git", "ls-files", "-z"], cwd=REPOSITORY, capture_output=True, text=True, check=True).stdout
    forbidden = re.compile("/" + r"work/|py" + r"pi\.org|python" + r"hosted|/ro" + r"ot/")
    found = []
    for name in filter(None, names.split("\0")):
        path = REPOSITORY / name
        if (
            path.is_file()
            and path.suffix not in {".png", ".jpg", ".pt"}
            and forbidden.search(path.read_text(encoding="utf-8"))
        ):
            found.append(name)
    assert found == []
