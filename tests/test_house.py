"""The repository itself: one set of versions, imports in one direction, a schema that is up to date."""

import ast
import re
import subprocess
import tomllib
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml
from snakemake_runs import REPOSITORY

from tagseg.config.parsing import parse_config, schema

PACKAGE = REPOSITORY / "src" / "tagseg"
# The rooms of the package, lower first: an import goes down or stays in its room.
ROOMS = (
    "errors",
    "images",
    "regions",
    "crf",
    "networks",
    "priors",
    "evaluation",
    "figures",
    "config",
    "artifacts",
    "datasets",
    "runtime",
    "stages",
    "commands",
    "cli",
    "__main__",
)
CORE = ("regions", "crf", "networks", "priors", "evaluation", "figures")
# The modules of `images` that open no photograph and no mask: the core imports no others.
ARRAYS_ALONE = tuple(f"tagseg.images.{name}" for name in ("palette", "interpolation", "resize", "marks"))
# A stage's or command's file is named as its command, and these are called like what they work on.
SHARED_NAMES = {"index", "masks", "panels", "trimap"}


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


def _modules() -> dict[str, Path]:
    """The files of the package by their dotted names."""
    paths = [path.relative_to(PACKAGE.parent) for path in PACKAGE.rglob("*.py")]
    return {".".join(path.with_suffix("").parts).removesuffix(".__init__"): PACKAGE.parent / path for path in paths}


MODULES = _modules()


def _imports(path: Path) -> set[str]:
    """What a file imports, in functions too: modules of the package by their full names, other libraries as written."""
    names = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0 and node.module, f"{path}: imports are absolute"
            inner = {f"{node.module}.{alias.name}" for alias in node.names}
            names |= (inner & MODULES.keys()) | ({node.module} if inner - MODULES.keys() else set())
    return names


def _arrows() -> Iterator[tuple[str, str]]:
    """(importing module, imported module) within the package, but for the version that `tagseg` itself has."""
    for module, path in MODULES.items():
        for name in sorted(_imports(path)):
            if name.startswith("tagseg."):
                yield module, name


def _room(module: str) -> str:
    return module.split(".")[1]


def test_imports_go_down_or_stay_in_their_room() -> None:
    arrows = list(_arrows())
    rising = [(upper, lower) for upper, lower in arrows if ROOMS.index(_room(upper)) < ROOMS.index(_room(lower))]
    between = Counter((_room(upper), _room(lower)) for upper, lower in arrows if _room(upper) != _room(lower))
    print(f"{len(between)} arrows between rooms, {between.total()} imports; {len(arrows)} with those inside of rooms")
    assert len(between) > 40
    assert rising == []


def test_the_core_knows_no_file_layout_and_no_workflow() -> None:
    found = [
        (module, name)
        for module, path in MODULES.items()
        if module != "tagseg" and (_room(module) in CORE or module in ARRAYS_ALONE)
        for name in _imports(path)
        if (name.startswith("tagseg.images") and name not in ARRAYS_ALONE) or name.startswith(("snakemake", "h5py"))
    ]
    assert found == []


def test_stages_import_neither_each_other_nor_commands() -> None:
    found = [arrow for arrow in _arrows() if _room(arrow[0]) == "stages" and _room(arrow[1]) in ("stages", "commands")]
    assert found == []


def test_every_module_has_a_room_and_a_name_of_its_own() -> None:
    assert {path.name for path in PACKAGE.glob("*.py")} == {"__init__.py", "__main__.py", "errors.py"}
    assert {_room(module) for module in MODULES if module != "tagseg"} == set(ROOMS)
    names = Counter(path.stem for path in MODULES.values() if path.name != "__init__.py")
    assert {name for name, count in names.items() if count > 1} == SHARED_NAMES
    twins = [module for module in MODULES if module.split(".")[-1] in SHARED_NAMES]
    assert sum(_room(module) in ("stages", "commands") for module in twins) == len(SHARED_NAMES) == len(twins) / 2


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
