"""Tags as people keep them: what each form gives, what is wrong with single rows, and the ids that images get."""

import json
import os
from pathlib import Path

import h5py
import pytest
from trees import put_image, put_text, refused

from tagseg.config.data import FolderData
from tagseg.datasets import folder
from tagseg.datasets.checks import Checks
from tagseg.datasets.folder_names import Photographs, image_id
from tagseg.datasets.index import ImageRecord
from tagseg.datasets.tag_tables import TagRow, read_class_folders, read_tags
from tagseg.images.formats import SUFFIXES


def told(rows: list[TagRow]) -> list[tuple[str, tuple[str, ...], str, int]]:
    return [(row.image, row.tags, row.split, row.line) for row in rows]


# forms

OBJECT = '{\n  "beach.jpg": ["person", "dog", "dog"],\n  "ü b.jpg": []\n}'
LIST = '[{"image": "beach.jpg", "tags": ["dog", "person"]},\n\n {"image": "ü b.jpg", "tags": [], "split": "Val"}]'


@pytest.mark.parametrize(
    ("name", "text", "wanted"),
    [
        ("t.csv", "image,tags\nbeach.jpg,person; dog;;dog\nü b.jpg,\n", [(2, "train"), (3, "train")]),
        ("t.csv", " Image ,x,TAGS,Split\r\nbeach.jpg,,dog;person,\r\n,,,\r\nü b.jpg,,,VAL\r\n",
         [(2, "train"), (4, "val")]),
        ("t.csv", "\ufeffimage,tags\nbeach.jpg,dog;person\nü b.jpg,,\n", [(2, "train"), (3, "train")]),
        ("t.csv", 'tags,image\n"dog;person","beach.jpg"\n,ü b.jpg\n', [(2, "train"), (3, "train")]),
        ("t.tsv", "image\ttags\nbeach.jpg\tdog;person\nü b.jpg\t\n", [(2, "train"), (3, "train")]),
        ("t.JSON", OBJECT, [(2, "train"), (3, "train")]),
        ("t.json", LIST, [(1, "train"), (3, "val")]),
        ("t.json", "\ufeff" + json.dumps({"beach.jpg": ["dog", "person"], "ü b.jpg": []}), 2 * [(1, "train")]),
    ],
)  # fmt: skip
def test_each_form_gives_the_same_rows(tmp_path: Path, name: str, text: str, wanted: list[tuple[int, str]]) -> None:
    table = read_tags(put_text(tmp_path / name, text))
    lines = [line for line, _ in wanted]
    splits = [split for _, split in wanted]
    assert told(table.rows) == [
        ("beach.jpg", ("dog", "person"), splits[0], lines[0]),
        ("ü b.jpg", (), splits[1], lines[1]),
    ]
    assert table.faults == []


@pytest.mark.parametrize(
    ("name", "text", "line", "parts"),
    [
        ("t.csv", b"image,tags\na,cat\n\xe4,cat\n", ":3", ["not UTF-8", "save it as UTF-8"]),
        ("t.csv", "image,tags,Tags\na,cat,dog\n", ":1", ["'tags' twice"]),
        ("t.json", '{"a": ["cat"],\n "b": [}', ":2", ["not JSON", "write"]),
        ("t.json", "", ":1", ["not JSON"]),
        ("t.json", "3", "", ["neither an object nor a list"]),
        ("t.json", "[" * 100_000, "", ["JSON"]),
    ],
)
def test_a_table_of_another_form_is_named(
    tmp_path: Path, name: str, text: str | bytes, line: str, parts: list[str]
) -> None:
    path = put_text(tmp_path / name, text)
    with refused(f"{path}{line}:", *parts):
        read_tags(path)


@pytest.mark.parametrize(
    ("name", "text", "faults"),
    [
        ("t.csv", "image,tags\nok,cat\na\nb,cat,dog\nc,\n", [(3, "1 cell,"), (4, "3 cells, but the header has 2")]),
        ("t.csv", "image,tags\nok,cat\n/a.jpg,cat\nb/../../c,cat\nc,\n", [(3, "leads out"), (4, "leads out")]),
        ("t.csv", "image,tags,split\nok,cat,\na,background,\nb,cat,a/b\nc,,\n", [(3, "every image"), (4, "a word")]),
        ("t.csv", 'image,tags\nok,cat\n"a\nb",cat\nx,"c\nat"\nc,\n', [(6, "line break")]),
        ("t.csv", 'image,tags\nok,cat\nc,\n"a,cat' + 200_000 * "x", [(4, "not CSV from here on")]),
        ("t.json", '{"ok": ["cat"],\n"a": "cat",\n"b": [1],\n"c": []}', [(2, "not a list"), (3, "not a list")]),
        ("t.json", '[{"image": "ok", "tags": ["cat"]},\n["a"],\n{"tags": []},\n{"image": "c", "tags": []}]',
         [(2, "list in place of an entry"), (3, "without an image")]),
        ("t.json", '[{"image": "ok", "tags": ["cat"]},\n{"image": "a", "tags": ["a;b"]},\n'
         '{"image": "\\udc80", "tags": []}]',
         [(2, "line break"), (3, "not UTF-8")]),
    ],
)  # fmt: skip
def test_faults_of_rows_are_all_told_and_the_others_kept(
    tmp_path: Path, name: str, text: str, faults: list[tuple[int, str]]
) -> None:
    table = read_tags(put_text(tmp_path / name, text))
    assert [fault.line for fault in table.faults] == [line for line, _ in faults]
    assert all(part in fault.what and fault.remedy for fault, (_, part) in zip(table.faults, faults, strict=True))
    assert told(table.rows)[0][:2] == ("ok", ("cat",))


def test_class_folders(tmp_path: Path) -> None:
    for name in ("dog/001.jpg", "dog/old/002.PNG", "my cat/001.jpg", "loose.jpg", "dog/.hidden.jpg", ".git/x.jpg"):
        put_image(tmp_path / name)
    (tmp_path / "empty").mkdir()
    table = read_class_folders(Photographs(tmp_path))
    assert [(row.image, row.tags, row.split) for row in table.rows] == [
        ("dog/001.jpg", ("dog",), "train"),
        ("dog/old/002.PNG", ("dog",), "train"),
        ("my cat/001.jpg", ("my cat",), "train"),
    ]
    assert [str(fault) for fault in table.faults] == [
        f"{tmp_path}/empty: no photograph in this class folder; add some or remove it"
    ]


def test_class_folders_below_splits(tmp_path: Path) -> None:
    for name in ("train/dog/1.jpg", "val/cat/1.jpg"):
        put_image(tmp_path / name)
    rows = read_class_folders(Photographs(tmp_path)).rows
    assert [(row.image, row.tags, row.split) for row in rows] == [
        ("train/dog/1.jpg", ("dog",), "train"),
        ("val/cat/1.jpg", ("cat",), "val"),
    ]


# ids


@pytest.mark.parametrize(
    ("name", "wanted"),
    [
        ("001.jpg", "001"),
        ("my holiday.v2.JPG", "my holiday.v2"),
        ("ünïcode 猫.png", "ünïcode 猫"),
        ("a__b.jpg", "a__b"),
        ("dog/001.jpg", "dog__001"),
        ("a/b/c d.jpg", "a__b__c d"),
        ("e\u0301.jpg", "é"),
    ],
)
def test_ids_are_readable(name: str, wanted: str) -> None:
    assert image_id(name) == wanted


ODD = [
    "..jpg",
    "...jpg",
    "a:b.jpg",
    "a?b.jpg",
    "a\nb.jpg",
    " a.jpg",
    "a/__b.jpg",
    "a_/b.jpg",
    "x" * 300,
    "猫" * 90 + ".jpg",
]


def test_ids_of_odd_names_are_safe_and_differ(tmp_path: Path) -> None:
    ids = [image_id(name) for name in [*ODD, "a/b.jpg", "a_/_b.jpg", "a__b/c.jpg", "a/b__c.jpg", "x" * 301]]
    assert len(set(ids)) == len(ids)
    with h5py.File(tmp_path / "f.h5", "w") as file:
        for name in ids:
            assert not set(name) & set('/\\:*?"<>|\n') and not name.startswith(".") and name == name.strip()
            assert len(name.encode()) <= 207
            file.create_group(name)
            (tmp_path / f".{name}.png.4194304.part").touch()
        assert set(file) == set(ids)


def test_a_name_without_a_photograph_s_suffix_is_whole() -> None:
    assert image_id("v1.2") == "v1.2" and all(image_id(f"v1.2{suffix}") == "v1.2" for suffix in SUFFIXES)


# how a name finds its photograph


def test_names_find_photographs(tmp_path: Path) -> None:
    images = tmp_path / "images"
    for name in ("a.jpg", "b/a.png", "b/c.d.JPG", "e\u0301.jpg", "x/y.jpg", "z/y.jpg"):
        put_image(images / name)
    put_text(images / "film.psd", "x")
    found = Photographs(images)
    for written, wanted in {
        "a": "a.jpg", "a.png": "b/a.png", "b/a": "b/a.png", "./a.jpg": "a.jpg", "images/b/a.png": "b/a.png",
        "b\\c.d.JPG": "b/c.d.JPG", "c.d": "b/c.d.JPG", "é": "é.jpg", "x/y": "x/y.jpg",
    }.items():  # fmt: skip
        assert found.find(written) == wanted
    for written, part in {
        "y": "may be x/y.jpg or z/y.jpg", "n.jpg": "no image 'n.jpg'", "film.psd": "not read (.psd)", "c": "no image",
    }.items():  # fmt: skip
        with refused("", part):
            found.find(written)


def test_links_that_lead_back_do_not_go_on_for_ever(tmp_path: Path) -> None:
    put_image(tmp_path / "images" / "a.jpg")
    put_image(tmp_path / "elsewhere" / "b.jpg")
    (tmp_path / "images" / "loop").symlink_to(tmp_path)
    (tmp_path / "images" / "more").symlink_to(tmp_path / "elsewhere")
    assert list(Photographs(tmp_path / "images").paths) == ["a.jpg", "more/b.jpg"]


# the whole folder


def test_an_own_folder_elsewhere(tmp_path: Path) -> None:
    put_image(tmp_path / "photos" / "dog" / "1.jpg")
    put_image(tmp_path / "own" / "truth" / "dog" / "1.png", mode="L")
    put_text(tmp_path / "labels.json", '{"dog/1.jpg": ["dog"]}')
    photos, classes = str(tmp_path / "photos"), ["cat", "dog"]
    data = FolderData(root=tmp_path / "own", images=photos, tags="../labels.json", masks="truth", classes=classes)
    record = ImageRecord("dog__1", "train", tmp_path / "photos" / "dog" / "1.jpg", 20, 12, ("dog",))
    assert folder.index(data) == (["cat", "dog"], [record])
    nested = tmp_path / "own" / "truth" / "dog" / "1.png"
    assert folder.truth(data, [record]) == {"dog__1": nested}
    flat = put_image(tmp_path / "own" / "truth" / "dog__1.png", mode="L")
    with refused(nested, f"{flat} is a mask of the same photograph"):
        folder.truth(data, [record])
    nested.unlink()
    assert folder.truth(data, [record]) == {"dog__1": tmp_path / "own" / "truth" / "dog__1.png"}
    assert folder.has_truth(data) and folder.sources(data) == [tmp_path / "own" / "../labels.json"]


def test_an_own_folder_of_classes(tmp_path: Path) -> None:
    put_image(tmp_path / "images" / "dog" / "1.jpg")
    put_image(tmp_path / "images" / "cat" / "1.jpg")
    data = FolderData(root=tmp_path, tags="folders")
    classes, records = folder.index(data)
    assert classes == ["cat", "dog"] and [record.id for record in records] == ["cat__1", "dog__1"]
    assert folder.sources(data) == [tmp_path / "images", tmp_path / "images" / "cat", tmp_path / "images" / "dog"]
    with refused(tmp_path / "images" / "dog", "no folder of photographs"):
        folder.index(data.model_copy(update={"images": "images/dog"}))


def test_one_class_and_five_photographs_do(tmp_path: Path) -> None:
    for i in range(5):
        put_image(tmp_path / "images" / f"{i}.jpg")
    put_text(tmp_path / "tags.csv", "image,tags\n" + "".join(f"{i},cat\n" for i in range(5)))
    classes, records = folder.index(FolderData(root=tmp_path))
    assert classes == ["cat"] and [record.split for record in records] == ["train"] * 5


def test_what_is_wrong_is_all_told_or_left_out(tmp_path: Path) -> None:
    for name in ("a.jpg", "b.jpg", "extra.jpg", "dog/b.jpg"):
        put_image(tmp_path / "images" / name)
    put_text(tmp_path / "images" / "c.jpg", "no photograph")
    rows = ["a,dog", "a.jpg,cat", "b.jpg,Dogs", "missing,dog", "c,cat", "d,background", "dog/b.jpg,dog"]
    table = put_text(tmp_path / "tags.csv", "\n".join(["image,tags", *rows]))
    data = FolderData(root=tmp_path, classes=["cat", "dog"])
    checks = Checks(collect=True)
    records = folder.index(data, checks)[1]
    assert [record.id for record in records] == ["a", "dog__b"]
    assert sorted((fault.file.name, fault.line, fault.image) for fault in checks.faults) == [
        ("c.jpg", 0, "c"), ("tags.csv", 3, "a.jpg"), ("tags.csv", 4, "b.jpg"), ("tags.csv", 5, "missing"),
        ("tags.csv", 7, "d"),
    ]  # fmt: skip
    assert any("did you mean 'dog'?" in fault.remedy for fault in checks.faults)
    assert [path.name for path in checks.unnamed] == ["extra.jpg"]
    leaving = Checks(collect=True, leave_out=["a.jpg", "b", "missing", "c", "d", "typo"])
    records = folder.index(data, leaving)[1]
    assert leaving.faults == [] and [record.id for record in records] == ["dog__b"]
    assert leaving.left_out == ["d", "a", "b", "missing", "c"] and leaving.unknown_left_out() == ["typo"]
    with refused(f"{table}:7:", "the class of every image"):
        folder.index(data)


@pytest.mark.skipif(os.name != "posix", reason="such names exist on Linux alone")
def test_a_file_name_that_is_no_utf_8_is_told(tmp_path: Path) -> None:
    put_image(tmp_path / "images" / "dog" / "1.jpg")
    path = os.fsencode(tmp_path / "images" / "dog") + b"/\xff.jpg"
    Path(os.fsdecode(path)).write_bytes((tmp_path / "images" / "dog" / "1.jpg").read_bytes())
    with refused(tmp_path / "images" / "dog", "not UTF-8", "rename the file"):
        folder.index(FolderData(root=tmp_path, tags="folders"))
