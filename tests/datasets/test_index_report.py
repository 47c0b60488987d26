"""A look at a data set tells all that is wrong with it, leaves out what it is told to, and nothing else."""

import csv
import logging
from collections.abc import Callable
from pathlib import Path

import pytest
from trees import put_image, put_text, refused

from tagseg.config.data import FolderData
from tagseg.datasets.checks import Checks
from tagseg.datasets.index import read_index
from tagseg.stages import index


def messy(root: Path) -> FolderData:
    """Photographs a to h of 40 x 36 pixels, of which c, e and g are broken, and h is too small; i has no row."""
    for name in "abdfi":
        put_image(root / "images" / f"{name}.jpg", 40, 36)
    put_text(root / "images" / "c.jpg", "")
    put_text(root / "images" / "e.jpg", "no photograph")
    whole = put_image(root / "images" / "g.jpg", 200, 150)
    whole.write_bytes(whole.read_bytes()[:2000])
    put_image(root / "images" / "h.jpg", 20, 12)
    rows = [f"{name},{'dog' if name in 'ab' else 'cat'}" for name in "abcdefgh"]
    put_text(root / "tags.csv", "\n".join(["image,tags", *rows, "nowhere.jpg,cat", "a,dog", "b.jpg,dog,cat"]) + "\n")
    return FolderData(root=root)


def run(data: FolderData, folder: Path, threads: int = 1) -> list[dict[str, str]]:
    index.run(data, folder / "out" / "tags.csv", folder / "out" / "classes.txt", threads=threads)
    return report(folder)


def report(folder: Path) -> list[dict[str, str]]:
    with (folder / "out" / "index_report.csv").open(encoding="utf-8") as file:
        return list(csv.DictReader(file))


@pytest.mark.parametrize("threads", [1, 3])
def test_all_that_is_wrong_is_told_at_once(tmp_path: Path, threads: int, caplog: pytest.LogCaptureFixture) -> None:
    data = messy(tmp_path)
    with refused(
        tmp_path / "out" / "index_report.csv", "7 faults", "data.leave_out: [b.jpg, nowhere.jpg, a, c, e, and 2 more]"
    ):
        run(data, tmp_path, threads)
    rows = report(tmp_path)
    assert [(row["status"], row["image"], Path(row["file"]).name, row["line"]) for row in rows] == [
        ("fault", "b.jpg", "tags.csv", "12"),
        ("fault", "nowhere.jpg", "tags.csv", "10"),
        ("fault", "a", "tags.csv", "11"),
        ("fault", "c", "c.jpg", ""),
        ("fault", "e", "e.jpg", ""),
        ("fault", "g", "g.jpg", ""),
        ("fault", "h", "h.jpg", ""),
        ("not used", "", "i.jpg", ""),
    ]
    assert all(row["what"] and row["remedy"] for row in rows)
    assert not (tmp_path / "out" / "tags.csv").exists() and not (tmp_path / "out" / "classes.txt").exists()
    told = [record.getMessage() for record in caplog.records if record.levelno == logging.ERROR]
    assert len(told) == 5 and "3 cells, but the header has 2" in told[0] and "c.jpg" in told[3]
    assert "1 photographs have no tags and are not used" in caplog.text and "i.jpg" in caplog.text


def test_what_is_to_be_left_out_is_and_is_told(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    data = messy(tmp_path)
    leave_out = ["a", "b.jpg", "c", "e", "g", "h", "nowhere.jpg"]
    rows = run(data.model_copy(update={"leave_out": leave_out}), tmp_path)
    assert [record.id for record in read_index(tmp_path / "out" / "tags.csv")] == ["d", "f"]
    assert sorted(row["image"] for row in rows if row["status"] == "left out") == sorted(
        ["a", "b", "c", "e", "g", "h", "nowhere"]
    )
    assert [row["status"] for row in rows if row["status"] != "left out"] == ["not used"]
    assert "left out, as data.leave_out says: b, a, c, e, g, and 2 more" in caplog.text
    with refused(tmp_path / "images" / "h.jpg", "20 x 12 pixels", "enlarge it"):
        run(data.model_copy(update={"leave_out": leave_out[:5] + leave_out[6:]}), tmp_path)
    assert [record.id for record in read_index(tmp_path / "out" / "tags.csv")] == ["d", "f"]  # as it was


def test_a_name_to_be_left_out_that_is_none_is_refused(tmp_path: Path) -> None:
    put_image(tmp_path / "images" / "a.jpg", 40, 36)
    put_text(tmp_path / "tags.csv", "image,tags\na,dog\n")
    with refused("data.leave_out", "'b' is no image", "write its id"):
        run(FolderData(root=tmp_path, leave_out=["b"]), tmp_path)
    with refused(tmp_path, "no image"):
        run(FolderData(root=tmp_path, leave_out=["a"]), tmp_path)


def test_a_sound_data_set_has_an_empty_report(tmp_path: Path) -> None:
    put_image(tmp_path / "images" / "a.jpg", 40, 36)
    put_text(tmp_path / "tags.csv", "image,tags\na,dog\n")
    put_text(tmp_path / "out" / "index_report.csv", "status,image,file,line,what,remedy\nof an earlier day")
    assert run(FolderData(root=tmp_path), tmp_path) == []


def test_one_fault_is_the_line_itself(tmp_path: Path, fails: Callable[[str], str]) -> None:
    put_text(tmp_path / "images" / "a.jpg", "no photograph")
    put_text(tmp_path / "tags.csv", "image,tags\na,dog\n")
    line = fails(
        f"index folder --root {tmp_path} --output {tmp_path}/t.csv --classes-file {tmp_path}/c.txt --threads 2"
    )
    assert line.startswith(f"{tmp_path}/images/a.jpg: not a readable image (cannot identify")
    assert (tmp_path / "index_report.csv").is_file()


def test_sizes_are_those_of_upright_photographs_on_any_number_of_threads(tmp_path: Path) -> None:
    paths = {str(i): put_image(tmp_path / f"{i}.png", 20 + i, 12) for i in range(20)}
    for threads in (1, 4):
        assert Checks(threads=threads).sizes(paths) == {str(i): (20 + i, 12) for i in range(20)}
