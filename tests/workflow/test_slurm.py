"""The workflow on a real Slurm: the bytes of a run on this machine, one GPU shared, a job that is cancelled."""

import itertools
import re
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import slurm
from snakemake_runs import REPOSITORY, artifacts, command, plan, prepare, succeed

pytestmark = [pytest.mark.slow, pytest.mark.slurm]
CONFIGS = [REPOSITORY / "tests" / "configs" / name for name in ("tiny.yaml", "one_round.yaml")]
SHARDS = ("000", "001")
# docs/cluster.md: jobs of seconds, handed over as one
TOGETHER = ["--groups", "fuse=masks", "smooth_masks=masks"]
MASKS = [f"results/tiny/masks/fgbg-pairwise/{shard}.h5" for shard in SHARDS]


@pytest.fixture(scope="module")
def cluster() -> Iterator[slurm.Cluster]:
    """A Slurm that is taken down again, whatever the tests do."""
    slurm.install()
    with tempfile.TemporaryDirectory(prefix="slurm-") as folder, slurm.running(Path(folder)) as cluster:
        yield cluster


@pytest.fixture(scope="module")
def profile(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The profile for clusters without accounting, with the one GPU for the networks, which run on the CPU here."""
    text = (REPOSITORY / "profiles" / "slurm-no-accounting" / "config.yaml").read_text(encoding="utf-8")
    line = "      slurm_partition: ?gpu_partition\n"
    assert text.count(line) == 1
    text = re.sub("(status-checks): 20", r"\1: 1", text.replace(line, f"{line}      gpu: 1\n"))
    path = tmp_path_factory.mktemp("profile") / "config.yaml"
    path.write_text(text, encoding="utf-8")
    return path.parent


@pytest.fixture(scope="module")
def local(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The masks, made on this machine."""
    folder = prepare(tmp_path_factory.mktemp("local"))
    succeed(folder, *MASKS, configs=CONFIGS)
    return folder


@pytest.fixture(scope="module")
def folder(local: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A working directory with the scenes and their index: what follows is Slurm's."""
    folder = prepare(tmp_path_factory.mktemp("run"))
    for name in ("data", "tags.csv", "classes.txt"):
        source, target = local / "results/tiny" / name, folder / "results/tiny" / name
        if source.is_dir():
            shutil.copytree(source, target)
        else:
            shutil.copy2(source, target)
    return folder


# Snakemake, asking Slurm every second: the plugin asks less and less often, which is most of a run of short jobs
MASTER = """
import asyncio
from snakemake.cli import main
from snakemake_interface_executor_plugins.executors.remote import RemoteExecutor

async def sleep(self):
    await asyncio.sleep(1)

RemoteExecutor.sleep = sleep
main()
"""


def start(cluster: slurm.Cluster, profile: Path, folder: Path, *words: str) -> subprocess.Popen[str]:
    """Snakemake handing jobs to the cluster; what it says goes to a file."""
    python, _, _, *options = command(folder, "--workflow-profile", str(profile), *words, configs=CONFIGS)
    with (folder / "said.txt").open("w", encoding="utf-8") as said:
        return subprocess.Popen(
            [python, "-c", MASTER, *options], env=cluster.environment, stdout=said, stderr=said, text=True
        )


def finish(run: subprocess.Popen[str], folder: Path) -> tuple[int, str]:
    """Exit status and what was said."""
    status = run.wait(400)
    return status, (folder / "said.txt").read_text(encoding="utf-8")


def rule_of(job: dict[str, str]) -> str:
    return job["Comment"].removeprefix("rule_").split("_wildcards")[0]


def test_a_cancelled_job_is_all_that_is_redone(cluster: slurm.Cluster, profile: Path, folder: Path) -> None:
    run = start(cluster, profile, folder, *MASKS, "--retries", "0")
    deadline = time.monotonic() + 120
    while not (folder / "logs/tiny/extract/000.log").exists():  # its network is at work
        assert run.poll() is None and time.monotonic() < deadline, (folder / "said.txt").read_text(encoding="utf-8")
        time.sleep(0.05)
    running = [job for job in cluster.jobs() if job["JobState"] == "RUNNING"]
    (victim,) = (job for job in running if job["Comment"] == "rule_extract_wildcards_tiny_000")
    cluster.ask("scancel", victim["JobId"])
    status, said = finish(run, folder)
    assert status == 1 and "CANCELLED" in said, said[-3000:]
    made = {name: (folder / "results" / name).stat().st_mtime_ns for name in artifacts(folder)}
    missing = {f"tiny/{part}/000.h5" for part in ("activations", "priors/fgbg", "masks/fgbg-pairwise")}
    assert not missing & made.keys() and {name.replace("000", "001") for name in missing} <= made.keys()
    wanted = {"run the trunk", "fgbg maps", "fgbg masks, CRF pairwise"}
    assert {job.message for job in plan(folder, *MASKS, configs=CONFIGS)} == {f"tiny: {w}, shard 000" for w in wanted}
    before = len(cluster.jobs())
    status, said = finish(start(cluster, profile, folder, *MASKS, *TOGETHER), folder)
    assert status == 0, said[-3000:]
    network, group = cluster.jobs()[before:]
    assert rule_of(network) == "extract" and rule_of(group).startswith("masks_")
    now = {name: (folder / "results" / name).stat().st_mtime_ns for name in artifacts(folder)}
    assert now.keys() - made.keys() == missing
    assert {name: now[name] for name in made} == made


def test_masks_made_on_the_cluster_have_the_bytes_of_those_made_here(
    cluster: slurm.Cluster, local: Path, folder: Path
) -> None:
    """Of the run above, whose jobs were each one of Slurm's."""
    here, there = artifacts(local), artifacts(folder)
    for made in (here, there):  # a log, which Snakemake keeps where the job ran
        made.pop("tiny/index_report.csv", None)
    assert {f"tiny/masks/fgbg-pairwise/{shard}.h5" for shard in SHARDS} <= here.keys() == there.keys()
    assert [name for name in here if here[name] != there[name]] == []


def test_networks_take_turns_on_the_gpu_and_other_jobs_ask_for_none(cluster: slurm.Cluster) -> None:
    """As Slurm recorded it; Snakemake itself knows of no limit."""
    jobs = cluster.jobs()
    assert len(jobs) >= 6
    networks = [job for job in jobs if rule_of(job) == "extract"]
    others = [job for job in jobs if rule_of(job) != "extract"]
    assert {job["Partition"] for job in networks} == {"gpu"} and {job["Partition"] for job in others} == {"cpu"}
    assert all("gpu:1" in job["TresPerJob"] for job in networks)
    assert not any("gpu" in value.lower() for job in others for value in job.values() if value != job["Command"])
    spans = sorted((job["StartTime"], job["EndTime"]) for job in networks)
    assert all(end <= start for (_, end), (start, _) in itertools.pairwise(spans))
