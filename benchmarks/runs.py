"""Runs of the workflow that a benchmark starts, in a folder of its own."""

import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import yaml

REPOSITORY = Path(__file__).resolve().parents[1]
# The keys that may name something on disk. Of VOC's `masks` and of `weights` other values are no paths.
PATHS = {"data": ("root", "masks", "sbd", "tags_table"), "network": ("weights",)}


def prepared(folder: Path, config: Path) -> tuple[Path, dict[str, Any]]:
    """Make `folder` one that Snakemake can run in; the file of the configuration there, and its content.

    Relative paths in the configuration are from the repository's root, as for a run that is started there. Ends the
    program if the folder holds a configuration of somebody else's.
    """
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / "given.yaml"
    if (folder / "config.yaml").exists() and not file.exists():
        sys.exit(f"{folder}: holds a config.yaml that no benchmark put there; give another folder (--results)")
    given: dict[str, Any] = yaml.safe_load(config.read_text(encoding="utf-8"))
    make_absolute(given)
    file.write_text(yaml.safe_dump(given), encoding="utf-8")
    shutil.copy(REPOSITORY / "config.yaml", folder / "config.yaml")
    return file, given


def make_absolute(config: dict[str, Any]) -> None:
    """Make the paths of a configuration absolute: Snakemake is started elsewhere than where relative ones are from."""
    for block in config.get("datasets", {}).values():
        for group, keys in PATHS.items():
            values = block.get(group, {})
            for key in set(keys) & set(values):
                path = REPOSITORY / values[key]
                if values[key] and path.exists():
                    values[key] = str(path.resolve())


def run(folder: Path, configs: list[Path], cores: int, targets: list[str]) -> None:
    """Make targets with Snakemake in a folder. Ends the program with what it said if it fails."""
    words = [
        sys.executable, "-m", "snakemake", "--snakefile", str(REPOSITORY / "Snakefile"), "--directory", str(folder),
        "--cores", str(cores), *targets, "--configfile", *map(str, configs),
    ]  # fmt: skip
    done = subprocess.run(words, env={**os.environ, "OMP_WAIT_POLICY": "passive"}, capture_output=True, text=True)
    if done.returncode:
        sys.exit(done.stdout[-3000:] + done.stderr[-3000:])
