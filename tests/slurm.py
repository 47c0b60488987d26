"""A Slurm of one node on this machine, in a folder of its own: no systemd, no accounting, a GPU that is none.

Ports, keys, sockets and state are its own, so that it heeds neither an installed Slurm nor an earlier run's.
"""

import os
import re
import secrets
import shutil
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
from snakemake_runs import ENVIRONMENT

PATH = os.pathsep.join([os.environ["PATH"], "/usr/local/sbin", "/usr/sbin", "/sbin"])
PROGRAMS = ("munged", "slurmctld", "slurmd", "sbatch", "srun", "squeue", "scontrol", "scancel", "sinfo")

# config_overrides: what it says of the node counts, and not the machine's; so jobs of 8 GB wait on no small machine
SETTINGS = """
ClusterName=tagseg
SlurmctldHost={host}(127.0.0.1)
SlurmctldPort={ports[0]}
SlurmdPort={ports[1]}
SlurmUser=root
SlurmdUser=root
AuthType=auth/munge
AuthInfo=socket={folder}/munge.socket
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd.pid
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core_Memory
JobAcctGatherType=jobacct_gather/none
AccountingStorageType=accounting_storage/none
MinJobAge=300
KillWait=2
ReturnToService=2
SchedulerParameters=sched_interval=5,bf_interval=5,batch_sched_delay=0
SlurmdParameters=config_overrides
GresTypes=gpu
NodeName={host} NodeAddr=127.0.0.1 CPUs=2 RealMemory=64000 Gres=gpu:1 State=UNKNOWN
PartitionName=cpu Nodes={host} Default=YES MaxTime=INFINITE State=UP
PartitionName=gpu Nodes={host} MaxTime=INFINITE State=UP
"""


@dataclass(frozen=True)
class Cluster:
    """A running Slurm; `environment` is what its commands need."""

    environment: dict[str, str]

    def ask(self, *words: str) -> str:
        """The output of one of Slurm's commands."""
        return subprocess.run(
            words, env=self.environment, capture_output=True, text=True, check=True, timeout=30
        ).stdout

    def jobs(self) -> list[dict[str, str]]:
        """What Slurm knows of each job, those that have ended included, oldest first."""
        lines = self.ask("scontrol", "--oneliner", "show", "job").splitlines()
        found = [dict(re.findall(r"(\w+)=(\S*)", line)) for line in lines if line.startswith("JobId=")]
        return sorted(found, key=lambda job: int(job["JobId"]))


def install() -> None:
    """Have Slurm's programs here, from Debian's packages if need be; skips the test with the reason where it cannot."""
    if os.geteuid() != 0:
        pytest.skip("Slurm's daemons need root")

    def missing() -> list[str]:
        return [name for name in PROGRAMS if shutil.which(name, path=PATH) is None]

    if missing() and shutil.which("apt-get") is None:
        pytest.skip(f"no {', '.join(missing())} here, and no apt-get to install them")
    said = ""
    # what is known of the packages may be of today; if not, it is asked for once
    for lines in ([], [["update"]]):
        for words in [*lines, ["install", "--yes", "--no-install-recommends", "slurm-wlm", "munge"]]:
            if missing():
                done = subprocess.run(
                    ["apt-get", "-o", "DPkg::Lock::Timeout=120", "--quiet", *words],
                    env={**os.environ, "DEBIAN_FRONTEND": "noninteractive"},
                    capture_output=True,
                    text=True,
                    check=False,
                )
                said = done.stderr.strip().splitlines()[-1] if done.returncode else said
    if missing():
        pytest.skip(f"apt-get cannot install slurm-wlm and munge, is there a network? {said}")


@contextmanager
def running(folder: Path) -> Iterator[Cluster]:
    """A cluster with its files in the empty `folder`, whose path is short. Its daemons end with the block."""
    with ExitStack() as held:
        sockets = [held.enter_context(socket.socket()) for _ in range(2)]
        for free in sockets:
            free.bind(("127.0.0.1", 0))
        ports = [free.getsockname()[1] for free in sockets]
    host = socket.gethostname().split(".")[0]
    for name in ("state", "spool"):
        (folder / name).mkdir()
    (folder / "munge.key").write_bytes(secrets.token_bytes(64))
    (folder / "munge.key").chmod(0o600)
    (folder / "slurm.conf").write_text(SETTINGS.format(host=host, folder=folder, ports=ports), encoding="utf-8")
    (folder / "gres.conf").write_text("Name=gpu File=/dev/null\n", encoding="utf-8")
    # of a job that this very process was started in: it would be taken for the jobs' own
    kept = {name: value for name, value in ENVIRONMENT.items() if not name.startswith(("SLURM_", "SBATCH_"))}
    cluster = Cluster({**kept, "PATH": f"{folder}{os.pathsep}{PATH}", "SLURM_CONF": str(folder / "slurm.conf")})
    # the plugin keeps SLURM_CONF from the srun of a job, which would look for a cluster in /etc/slurm
    step = f'#!/bin/sh\nSLURM_CONF={folder}/slurm.conf exec {shutil.which("srun", path=PATH)} "$@"\n'
    (folder / "srun").write_text(step, encoding="utf-8")
    (folder / "srun").chmod(0o755)
    munge = [f"--{name}={folder}/munge.{end}" for name, end in MUNGE_FILES.items()]
    with ExitStack() as stack:
        _start(stack, cluster, folder, "munged", "--foreground", "--force", *munge)
        _wait(folder, lambda: (folder / "munge.socket").exists())
        _start(stack, cluster, folder, "slurmctld", "-D")
        _start(stack, cluster, folder, "slurmd", "-D")
        _wait(folder, lambda: _idle(cluster))
        stack.callback(_cancel_all, cluster)
        yield cluster


MUNGE_FILES = {"socket": "socket", "key-file": "key", "pid-file": "pid", "log-file": "log", "seed-file": "seed"}


def _start(stack: ExitStack, cluster: Cluster, folder: Path, *words: str) -> None:
    """Start a daemon that ends with the stack, and with this process, should that be killed."""
    with (folder / f"{words[0]}.out").open("wb") as said:
        daemon = subprocess.Popen(
            ["setpriv", "--pdeathsig", "KILL", *words], env=cluster.environment, stdout=said, stderr=said
        )
    stack.callback(_stop, daemon)


def _stop(daemon: subprocess.Popen[bytes]) -> None:
    daemon.terminate()
    try:
        daemon.wait(10)
    except subprocess.TimeoutExpired:
        daemon.kill()
        daemon.wait()


def _idle(cluster: Cluster) -> bool:
    words = ["sinfo", "--noheader", "--partition=cpu", "--format=%T"]
    told = subprocess.run(words, env=cluster.environment, capture_output=True, text=True, check=False)
    return told.stdout.strip() == "idle"


def _cancel_all(cluster: Cluster) -> None:
    """End the jobs, so that no step of theirs outlives the daemons."""
    subprocess.run(["scancel", "--user=root"], env=cluster.environment, capture_output=True, check=False)
    deadline = time.monotonic() + 15
    while cluster.ask("squeue", "--noheader") and time.monotonic() < deadline:
        time.sleep(0.2)


def _wait(folder: Path, ready: Callable[[], bool]) -> None:
    """Wait for a daemon; an error with what the daemons have said if it is not ready in time."""
    deadline = time.monotonic() + 60
    while not ready():
        if time.monotonic() > deadline:
            said = [f"{path.name}: {path.read_text(errors='replace')[-1500:]}" for path in folder.glob("*.out")]
            raise RuntimeError("Slurm does not start\n" + "\n".join(said))
        time.sleep(0.2)
