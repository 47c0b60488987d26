"""What people ask the workflow for, and `make` on a machine that is not Linux."""

import os
import subprocess
from pathlib import Path

import pytest
from snakemake_runs import REPOSITORY, prepare, snakemake


@pytest.mark.parametrize(
    ("target", "line"),
    [
        ("results/nowhere/miou.csv", "no data set 'nowhere' in this configuration, which has shapes; correct the name"),
        ("results/voc/miou.csv", f"snakemake results/voc/miou.csv --configfile {REPOSITORY / 'config' / 'voc.yaml'}"),
        ("./results/shapes/miuo.csv", "no such target; did you mean miou.csv? there are ablation.csv,"),
    ],
)
def test_an_unknown_target_is_one_line(tmp_path: Path, target: str, line: str) -> None:
    done = snakemake(prepare(tmp_path), target, "--dry-run")
    told = [text for text in (done.stdout + done.stderr).splitlines() if text.startswith(f"{target}: ")]
    assert done.returncode and len(told) == 1 and line in told[0], done.stderr
    assert "MissingRuleException" not in done.stderr and "Traceback" not in done.stderr


def test_known_targets_pass(tmp_path: Path) -> None:
    folder = prepare(tmp_path)
    targets = ["results/shapes/figures/fused.png", "results/shapes/masks/multiclass-none-png"]
    done = snakemake(folder, *targets, "--dry-run")
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize(("tool", "wanted"), [("nproc", "7"), ("sysctl", "7"), ("none", "1")])
def test_make_counts_cores_without_nproc(tmp_path: Path, tool: str, wanted: str) -> None:
    for name in ("sh", "echo", "test"):
        found = next(path for place in os.defpath.split(os.pathsep) if (path := Path(place or "/bin", name)).exists())
        (tmp_path / name).symlink_to(found)
    script = tmp_path / tool
    script.write_text("#!/bin/sh\necho 7\n")
    script.chmod(0o755)
    make = next(path for place in os.environ["PATH"].split(os.pathsep) if (path := Path(place, "make")).exists())
    done = subprocess.run(
        [make, "--dry-run", "test"],
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
        env={"PATH": str(tmp_path)},
        check=True,
    )
    assert f"--numprocesses {wanted} " in done.stdout and not done.stderr
