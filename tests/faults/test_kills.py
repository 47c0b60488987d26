"""A run that is killed twenty times, as a machine or a person kills it: the same command ends in the same bytes."""

import itertools
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest
from snakemake_runs import ENVIRONMENT, REPOSITORY, artifacts, command, plan, prepare, succeed

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not sys.platform.startswith("linux"), reason="a stage sees its master's end on Linux alone"),
]
CONFIG = [REPOSITORY / "tests" / "configs" / "smallest.yaml"]
TARGETS = [
    "results/smallest/miou.csv",
    "results/smallest/miou.png",
    "results/smallest/predictions/multiclass/val-higher_order-png",
]
KILLS = 20
LONGEST = 5.0  # seconds that a run is left alone once a stage is at work


def start(folder: Path) -> subprocess.Popen[bytes]:
    """The run, in a group of its own."""
    return subprocess.Popen(
        command(folder, *TARGETS, configs=CONFIG),
        env=ENVIRONMENT, start_new_session=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip


def below(process: int) -> Iterator[int]:
    """The processes that one has started, and those that they have."""
    with suppress(OSError):  # gone meanwhile
        for task in Path(f"/proc/{process}/task").iterdir():
            for child in map(int, (task / "children").read_text().split()):
                yield child
                yield from below(child)


def stages(run: subprocess.Popen[bytes]) -> list[int]:
    """The stages at work, without their shells."""
    found = []
    for process in below(run.pid):
        with suppress(OSError):
            words = Path(f"/proc/{process}/cmdline").read_bytes().split(b"\0")
            if b"tagseg" in words and b"-m" in words:
                found.append(process)
    return found


def lives(process: int) -> bool:
    try:
        return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def kill(run: subprocess.Popen[bytes], whom: str, chance: random.Random) -> bool:
    """Send SIGKILL; whether there was something to kill."""
    started = list(below(run.pid))
    at_work = stages(run)
    if whom == "a stage":
        with suppress(ProcessLookupError, IndexError):
            os.kill(chance.choice(at_work), signal.SIGKILL)
            return True
        return False
    if whom == "everything":
        os.killpg(run.pid, signal.SIGKILL)
    else:
        run.kill()
    run.wait()
    deadline = time.monotonic() + 30
    while any(map(lives, started)):  # what a killed Snakemake had started ends by itself
        assert time.monotonic() < deadline
        time.sleep(0.01)
    return True


def test_twenty_kills_change_no_byte(tmp_path: Path) -> None:
    unbroken = prepare(tmp_path / "unbroken")
    succeed(unbroken, *TARGETS, configs=CONFIG)
    whole = artifacts(unbroken)
    chance = random.Random(0)
    kinds = itertools.cycle(("Snakemake alone", "a stage", "everything"))
    kills = 0
    for number in itertools.count():
        folder = prepare(tmp_path / f"run{number}")
        run = start(folder)
        while (ended := run.poll()) != 0:
            if ended is not None:
                if ended < 0:
                    succeed(folder, "--unlock", configs=CONFIG)  # what a user is told to do
                run = start(folder)
            elif kills == KILLS:
                run.wait()
            elif stages(run):
                time.sleep(chance.uniform(0, LONGEST))
                kills += run.poll() is None and kill(run, next(kinds), chance)
            else:
                time.sleep(0.01)
        resumed = artifacts(folder)
        assert resumed.keys() == whole.keys()  # nothing half made is left either
        assert [name for name in whole if whole[name] != resumed[name]] == []
        assert plan(folder, *TARGETS, configs=CONFIG) == []
        if kills == KILLS:
            break
