"""Running the workflow from tests: in a folder of its own, on the configuration of the repository."""

import os
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import yaml

REPOSITORY = Path(__file__).resolve().parents[1]
ENVIRONMENT = {**os.environ, "OMP_WAIT_POLICY": "passive", "OMP_NUM_THREADS": "1"}


@dataclass(frozen=True)
class Job:
    """One line of a plan: what is run, and why."""

    message: str
    reason: str


def prepare(folder: Path) -> Path:
    """A working directory with the repository's default configuration."""
    folder.mkdir(parents=True, exist_ok=True)
    shutil.copy(REPOSITORY / "config.yaml", folder / "config.yaml")
    return folder


def command(folder: Path, *words: str, configs: list[Path] | None = None) -> list[str]:
    """The snakemake call for `folder`, with further configuration files."""
    start = [
        sys.executable,
        "-m",
        "snakemake",
        "--snakefile",
        str(REPOSITORY / "Snakefile"),
        "--directory",
        str(folder),
    ]
    overlay = ["--configfile", *map(str, configs)] if configs else []
    return [*start, "--cores", "2", *words, *overlay]


def snakemake(folder: Path, *words: str, configs: list[Path] | None = None) -> subprocess.CompletedProcess[str]:
    """Run snakemake and wait."""
    return subprocess.run(
        command(folder, *words, configs=configs), capture_output=True, text=True, env=ENVIRONMENT, check=False
    )


def succeed(folder: Path, *words: str, configs: list[Path] | None = None) -> str:
    """Run snakemake; its output. Fails the test with that output if it fails."""
    done = snakemake(folder, *words, configs=configs)
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    return done.stdout + done.stderr


def plan(folder: Path, *words: str, configs: list[Path] | None = None) -> list[Job]:
    """The jobs that snakemake would run."""
    text = succeed(folder, "--dry-run", *words, configs=configs)
    return [Job(*found) for found in re.findall(r"^Job \d+: (.*)\nReason: (.*)$", text, flags=re.MULTILINE)]


def overlay(path: Path, dataset: str, **groups: object) -> Path:
    """A configuration file that changes some keys of one data set."""
    path.write_text(yaml.safe_dump({"datasets": {dataset: groups}}), encoding="utf-8")
    return path


def artifacts(folder: Path) -> dict[str, bytes]:
    """Every file of the results, by its path. Time stamps that Snakemake keeps in folders are left out."""
    results = folder / "results"
    files = sorted(path for path in results.rglob("*") if path.is_file() and path.name != ".snakemake_timestamp")
    return {str(path.relative_to(results)): path.read_bytes() for path in files}
