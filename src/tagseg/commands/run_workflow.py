"""Run the workflow that comes with the package."""

import os
import shlex
import subprocess
import sys
from pathlib import Path

from tagseg.errors import TagsegError

_SNAKEFILE = Path(__file__).resolve().parents[3] / "Snakefile"


def command_line(folder: Path, cores: int) -> str:
    """The command that makes all of a project, to be typed in the current folder."""
    beside = Path.cwd() == _SNAKEFILE.parent
    snakefile = "" if beside else f"--snakefile {shlex.quote(os.path.relpath(_SNAKEFILE))} "
    return f"snakemake {snakefile}--cores {cores} --directory {shlex.quote(str(folder))}"


def make(folder: Path, targets: list[str], cores: int) -> None:
    """Have Snakemake make `targets`, paths relative to `folder`, and what they depend on, where out of date.

    Raises TagsegError if the workflow is not beside the package, or if a job failed; finished files are kept.
    """
    if not _SNAKEFILE.is_file():
        raise TagsegError(
            f"{_SNAKEFILE}: no such file; the workflow comes with the repository: install from a clone of it "
            "(pip install --editable .)"
        )
    words = ["--snakefile", str(_SNAKEFILE), "--directory", str(folder), "--cores", str(cores), "--quiet", "rules"]
    done = subprocess.run([sys.executable, "-m", "snakemake", *targets, *words], check=False)
    if done.returncode:
        raise TagsegError(
            f"{folder}: not everything could be made; the lines above say why; what was made stays: run it again"
        )
