"""A data set of COCO's size, of which there is an index and no pixel: its plan, and what stages hold of it."""

import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from snakemake_runs import ENVIRONMENT, REPOSITORY, command, prepare
from trees import refused

from tagseg.artifacts.shard_sets import ShardSet, shard_paths
from tagseg.artifacts.shards import write_shard
from tagseg.datasets.index import ImageRecord, read_index, write_index
from tagseg.stages.second_round.sample import learned_from

IMAGES = 123_287
COCO = [REPOSITORY / "config" / "coco.yaml"]
LONGEST_ARGUMENT = 128 * 1024  # bytes that Linux takes as one argument, such as the line of `sh -c`
# Runs a command and says what it took. A process's peak counts that of its parent when it was born, and these tests'
# is large; so a small one stands between.
_MEASURE = """
import resource, subprocess, sys
status = subprocess.run(sys.argv[1:], stderr=subprocess.STDOUT).returncode
used = resource.getrusage(resource.RUSAGE_CHILDREN)
print(used.ru_utime + used.ru_stime, used.ru_maxrss, file=sys.stderr)
sys.exit(status)
"""


def put_index(path: Path) -> Path:
    names = [f"class {i}" for i in range(80)]
    write_index(
        path,
        (
            ImageRecord(
                f"COCO_{i:012d}", "train" if i < 82_783 else "val", Path(f"data/coco/images/COCO_{i:012d}.jpg"),
                640, 480, (names[i % 80], names[i // 80 % 80]),
            )
            for i in range(IMAGES)
        ),
    )  # fmt: skip
    return path


@pytest.mark.slow
def test_the_plan_of_eight_experiments_on_coco_takes_seconds(tmp_path: Path) -> None:
    folder = prepare(tmp_path)
    put_index(folder / "results" / "coco" / "tags.csv")
    words = command(folder, "--dry-run", "--printshellcmds", "--", "all", "results/coco/ablation.csv", configs=None)
    words[words.index("--") : words.index("--")] = ["--configfile", *map(str, COCO)]
    with (tmp_path / "plan.txt").open("wb") as output:
        planned = subprocess.run(
            [sys.executable, "-c", _MEASURE, *words],
            env=ENVIRONMENT, stdout=output, stderr=subprocess.PIPE, text=True, check=False,
        )  # fmt: skip
    text = (tmp_path / "plan.txt").read_text(encoding="utf-8")
    assert planned.returncode == 0, text[-2000:]
    seconds, kilobytes = map(float, planned.stderr.split())
    assert seconds < 40  # of the processor: 13 on a laptop
    assert kilobytes < 1024**2
    assert int(re.findall(r"^total +(\d+)$", text, flags=re.MULTILINE)[0]) < 6000
    assert len(re.findall("coco: train the score network", text)) == 8
    lines = re.findall(r"^Shell command: (.*)$", text, flags=re.MULTILINE)
    assert len(lines) > 5000
    assert max(map(len, lines)) < LONGEST_ARGUMENT / 16  # it does not grow with the shards
    assert any("--masks 'results/coco/masks/multiclass-higher_order/{000..127}.h5'" in line for line in lines)


def test_reading_the_index_holds_little(tmp_path: Path) -> None:
    index = put_index(tmp_path / "tags.csv")
    code = (
        "import resource, sys\nfrom pathlib import Path\nfrom tagseg.datasets.index import read_index\n"
        "held = lambda: resource.getrusage(resource.RUSAGE_SELF).ru_maxrss\n"
        "before = held()\nread_index(Path(sys.argv[1]))\nprint(held() - before)\n"
    )
    done = subprocess.run([sys.executable, "-c", code, str(index)], capture_output=True, text=True, check=True)
    assert int(done.stdout) < 200 * 1024


def test_a_second_round_learns_from_no_more_photographs_than_fill_it(tmp_path: Path) -> None:
    index = read_index(put_index(tmp_path / "tags.csv"))
    learned = learned_from(index, 200_000)
    assert len(learned) == 10_000
    places = [i for i, record in enumerate(index) if record.id in learned]
    assert places[0] == 0 and 82_000 < places[-1] < 82_783  # spread over the training images
    assert set(np.diff(places)) == {8, 9}
    assert len(learned_from(index[:500], 200_000)) == 500


# shards by the hundred


def put_shards(folder: Path, count: int) -> str:
    for shard in range(count):
        with write_shard(folder / f"{shard:03d}.h5", "labels", {}) as writer:
            writer.put(f"i{shard}", {"labels": np.full((2, 2), shard % 250, dtype=np.uint8)})
    return f"{folder}/{{000..{count - 1:03d}}}.h5"


def test_many_shards_are_named_as_in_a_shell() -> None:
    assert shard_paths([Path("a/{008..011}.h5"), Path("b.h5")]) == [
        *(Path(f"a/{shard}.h5") for shard in ("008", "009", "010", "011")), Path("b.h5")
    ]  # fmt: skip


def test_more_shards_can_be_read_than_files_be_open(tmp_path: Path) -> None:
    pattern = put_shards(tmp_path / "masks", 200)
    code = (
        "import resource, sys\nfrom pathlib import Path\nfrom tagseg.artifacts.shard_sets import ShardSet\n"
        "resource.setrlimit(resource.RLIMIT_NOFILE, (100, 100))\n"
        "shards = ShardSet([Path(sys.argv[1])], 'labels')\n"
        "assert [int(shards.get(f'i{i}', 'labels')[0, 0]) for i in range(200)] == list(range(200))\n"
    )
    subprocess.run([sys.executable, "-c", code, pattern], check=True)


def test_an_image_in_two_shards_is_refused(tmp_path: Path) -> None:
    put_shards(tmp_path, 2)
    (tmp_path / "002.h5").write_bytes((tmp_path / "001.h5").read_bytes())
    with refused(tmp_path / "002.h5", "image 'i1' is in", "001.h5 as well"):
        ShardSet([tmp_path / "{000..002}.h5"], "labels")
