"""A stage whose Snakemake is killed ends, too."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable

import pytest
from snakemake_runs import ENVIRONMENT

pytestmark = pytest.mark.skipif(not hasattr(os, "pidfd_open"), reason="processes are watched on Linux alone")
STAGE = (
    "import time; from tagseg.cli.orphans import end_with_master; end_with_master(); "
    "print('ready', flush=True); time.sleep(60)"
)


def stage(master: int | str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", STAGE],
        env={**ENVIRONMENT, "TAGSEG_MASTER": str(master)}, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip


def test_a_stage_ends_with_its_master() -> None:
    master = subprocess.Popen(["sleep", "60"])
    started = stage(master.pid)
    assert started.stdout is not None and started.stdout.readline() == "ready\n"
    time.sleep(0.2)
    assert started.poll() is None
    master.kill()  # and not waited for: a process that nobody has asked about yet has ended all the same
    assert started.wait(timeout=20) == -signal.SIGKILL
    master.wait()


def test_a_stage_whose_master_has_ended_before_does_not_begin() -> None:
    master = subprocess.Popen(["true"])
    master.wait()
    started = stage(master.pid)
    assert started.wait(timeout=60) == -signal.SIGKILL
    assert started.stdout is not None and started.stdout.read() == ""


def test_a_master_that_is_no_number_is_one_line(fails: Callable[[str], str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TAGSEG_MASTER", "me")
    assert fails("config-schema") == "TAGSEG_MASTER=me: not the number of a process; unset it"
