"""Photographs from what a user types, and names of what is made of them."""

from pathlib import Path

import pytest
from trees import put_image, put_text, refused

from tagseg.commands.gathering import gather
from tagseg.commands.known_tags import allowed_labels
from tagseg.errors import TagsegError
from tagseg.images.marks import OVERLAY, jpeg_comment

NAMES = ["background", "cat", "dog"]


def names(*arguments: Path | str, listed: list[str] | None = None) -> dict[str, str]:
    return {p.name: p.path.name for p in gather([str(a) for a in arguments], listed or [])}


def test_a_folder_gives_its_photographs_and_those_below_it_under_their_paths(tmp_path: Path) -> None:
    for name in ("b.jpg", "a.PNG", "sub/deep/c.d.webp", ".hidden.jpg", ".cache/x.jpg"):
        put_text(tmp_path / name, "")
    put_text(tmp_path / "notes.txt", "")
    assert list(names(tmp_path)) == ["a", "b", "sub/deep/c.d"]


def test_a_file_is_called_after_itself_and_comes_once(tmp_path: Path) -> None:
    file = put_text(tmp_path / "sub" / "a.jpg", "")
    assert list(names(file, tmp_path, file.parent / ".." / "sub" / "a.jpg")) == ["a"]


def test_a_list_on_standard_input_is_read_line_by_line(tmp_path: Path) -> None:
    one, other = put_text(tmp_path / "with space .jpg", ""), put_text(tmp_path / "b.jpg", "")
    assert list(names("-", listed=[f"{one}\n", "\n", f"{other}\r\n"])) == ["with space ", "b"]


def test_names_that_would_be_alike_all_get_a_digest_of_their_path(tmp_path: Path) -> None:
    for name in ("a.jpg", "a.png", "x/A.jpg", "b.jpg"):
        put_text(tmp_path / name, "")
    found = names(tmp_path, tmp_path / "x" / "A.jpg")
    assert sorted(name.partition("-")[0] for name in found) == ["a", "a", "b", "x/A"]
    files = [put_text(tmp_path / f"{i}" / name, "") for i, name in enumerate(("a.jpg", "A.jpg", "a.tif"))]
    alone = names(*files)
    assert len({name.casefold() for name in alone}) == 3
    assert all(len(name) == len("a-12345678") for name in alone)
    assert alone == names(*files)  # the same each time


def test_pictures_that_tagseg_made_are_no_photographs_and_all_others_are(tmp_path: Path) -> None:
    put_text(tmp_path / "a.jpg", "")
    put_image(tmp_path / "out" / "a.overlay.jpg", comment=jpeg_comment(OVERLAY))
    put_text(tmp_path / "out" / "mine.jpg", "")  # where a run may write to: still its owner's photograph
    assert list(names(tmp_path)) == ["a", "out/mine"]


def test_nothing_to_do_is_one_line(tmp_path: Path) -> None:
    with refused(tmp_path, "no photograph in it or below it"):
        names(tmp_path)
    with refused(tmp_path / "none.jpg", "no such file or folder; correct"):
        names(tmp_path / "none.jpg")
    with refused("gone.jpg", "in the list on standard input"):
        names("-", listed=["gone.jpg\n"])
    with pytest.raises(TagsegError, match="no photographs: "):
        names("-")


def test_known_tags_are_looked_up_by_path_then_by_name(tmp_path: Path) -> None:
    for name in ("x/a.jpg", "y/a.jpg", "b.jpg", "c.jpg", "d.jpg"):
        put_image(tmp_path / name)
    table = put_text(tmp_path / "tags.csv", "image,tags\nx/a.jpg,dog\na,cat\nb.jpg, dog ; cat\nc,\n")
    photographs = gather([str(tmp_path)], [])
    allowed = allowed_labels(None, table, NAMES, photographs)
    found = {p.below: p for p in photographs}
    assert [allowed(found[name]) for name in ("x/a.jpg", "y/a.jpg", "b.jpg", "c.jpg")] == [
        [0, 2],
        [0, 1],
        [0, 1, 2],
        [0],
    ]
    with refused(tmp_path / "d.jpg", "no line of"):
        allowed(found["d.jpg"])


def test_wrong_tags_are_named(tmp_path: Path) -> None:
    with pytest.raises(TagsegError, match=r"^--classes: the model knows no class 'dgo'; did you mean 'dog'"):
        allowed_labels("cat,dgo", None, NAMES, [])
    with refused(f"{tmp_path / 'tags.csv'}:3", "no class 'zebra'"):
        allowed_labels(None, put_text(tmp_path / "tags.csv", "image,tags\na,cat\nb,zebra\n"), NAMES, [])
    with refused(f"{tmp_path / 'tags.csv'}:3", "other tags"):
        allowed_labels(None, put_text(tmp_path / "tags.csv", "image,tags\na,cat\na,dog\n"), NAMES, [])
    with refused(f"{tmp_path / 'tags.csv'}:1", "lacks image"):
        allowed_labels(None, put_text(tmp_path / "tags.csv", "name,tags\na,cat\n"), NAMES, [])
    with pytest.raises(TagsegError, match="give one of them"):
        allowed_labels("cat", tmp_path / "tags.csv", NAMES, [])
