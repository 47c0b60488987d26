"""Files and folders that appear whole or not at all."""

import os
import subprocess
import time
from pathlib import Path

import numpy as np
import pytest
from trees import names_in

from tagseg.artifacts.atomic import atomic, atomic_folder, write_text
from tagseg.images.files import write_labels


def test_a_file_appears_when_the_block_ends(tmp_path: Path) -> None:
    path = tmp_path / "new" / "folder" / "file.txt"
    with atomic(path) as temporary:
        assert temporary.parent == path.parent
        temporary.write_text("whole")
        assert not path.exists()
    assert path.read_text() == "whole"
    assert names_in(path.parent) == ["file.txt"]


def test_an_error_leaves_the_old_file_and_nothing_else(tmp_path: Path) -> None:
    path = tmp_path / "file.txt"
    write_text(path, "old")
    with pytest.raises(RuntimeError, match="stop"), atomic(path) as temporary:
        temporary.write_text("half")
        raise RuntimeError("stop")
    assert path.read_text() == "old"
    assert names_in(tmp_path) == ["file.txt"]


def test_text_is_utf_8_with_the_lines_it_has(tmp_path: Path) -> None:
    write_text(tmp_path / "t", "Höhe\nzwei\n")
    assert (tmp_path / "t").read_bytes() == "Höhe\nzwei\n".encode()


def test_what_a_killed_writer_left_goes_with_the_next(tmp_path: Path) -> None:
    target = tmp_path / "a[1].txt"
    with atomic(target) as own:
        own.write_text("old", encoding="utf-8")
        host = own.name.split(".")[-3]
    ended = subprocess.Popen(["true"])
    ended.wait()
    hour_ago = time.time() - 4000
    stays = [f".a1.txt.{host}.{ended.pid}.part", f".b.txt.{host}.{ended.pid}.part"]  # of other files
    stays += [f".a[1].txt.{host}.{os.getppid()}.part", ".a[1].txt.elsewhere.1.part"]  # of processes that may live
    stays += [".a[1].txt.backup.part", ".a[1].txt.my.old.part", ".a[1].txt.part"]  # somebody's
    goes = [f".a[1].txt.{host}.{ended.pid}.part", ".a[1].txt.elsewhere.2.part"]
    for name in stays + goes:
        (tmp_path / name).write_text("half", encoding="utf-8")
    for name in (goes[1], *stays[-3:]):
        os.utime(tmp_path / name, (hour_ago, hour_ago))
    write_text(target, "old\nand new\n")
    assert {path.name for path in tmp_path.iterdir()} == {"a[1].txt", *stays}


@pytest.mark.parametrize("fails", [False, True])
def test_a_folder_appears_whole_or_not_at_all(tmp_path: Path, fails: bool) -> None:
    path = tmp_path / "new" / "folder"
    with atomic_folder(path) as folder:
        write_labels(folder / "a", np.zeros((4, 4), np.uint8))
    (path.parent / folder.name.replace(str(os.getpid()), "99999999")).mkdir()  # a killed process's
    try:
        with atomic_folder(path) as folder:
            write_labels(folder / "b", np.zeros((4, 4), np.uint8))
            assert names_in(path) == ["a"]
            if fails:
                raise RuntimeError
    except RuntimeError:
        assert names_in(path) == ["a"] and len(names_in(path.parent)) == 2
    else:
        assert names_in(path) == ["b"] and names_in(path.parent) == ["folder"]
