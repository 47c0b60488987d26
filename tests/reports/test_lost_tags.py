"""No tag is lost without a word: keys that are there twice, quotes that swallow rows, tags in wrong places."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from openpyxl import Workbook
from trees import put_text, refused

from tagseg.config.parsing import require_unique_keys
from tagseg.datasets.coco_file import read_coco
from tagseg.datasets.tag_tables import read_tags
from tagseg.datasets.voc_tags import _object_names


def rows(path: Path) -> dict[str, tuple[str, ...]]:
    return {row.image: row.tags for row in read_tags(path).rows}


def faults(path: Path) -> list[str]:
    return [str(fault) for fault in read_tags(path).faults]


ENTRIES = '{"image": "b.jpg", "tags": ["cat"]}'


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("t.json", f'[{{"image": "a.jpg", "tags": ["cat"], "tags": ["dog"]}},\n{ENTRIES}]'),
        ("t.jsonl", f'{{"image": "a.jpg", "tags": ["cat"], "tags": ["dog"]}}\n{ENTRIES}\n'),
    ],
)
def test_a_key_twice_in_an_entry_of_json(name: str, text: str, tmp_path: Path) -> None:
    path = put_text(tmp_path / name, text)
    with refused(f"{path}:1", "key 'tags' is there twice", "keep one, with the values of both"):
        read_tags(path)


def test_a_key_in_two_cases_is_there_twice(tmp_path: Path) -> None:
    path = put_text(tmp_path / "t.json", f'[{{"image": "a.jpg", "Tags": ["cat"], "tags": ["dog"]}},\n{ENTRIES}]')
    assert faults(path) == [
        f"""{path}:1: key 'tags' twice in an entry; write {{"beach.jpg": ["dog", "person"]}} or """
        """[{"image": "beach.jpg", "tags": ["dog"], "split": "val"}]"""
    ]
    assert rows(path) == {"b.jpg": ("cat",)}


def test_an_image_twice_in_an_object_gives_two_rows(tmp_path: Path) -> None:
    path = put_text(tmp_path / "t.json", '{"a.jpg": ["cat"],\n"a.jpg": ["dog"]}')
    assert [(row.image, row.tags, row.line) for row in read_tags(path).rows] == [
        ("a.jpg", ("cat",), 1), ("a.jpg", ("dog",), 2),
    ]  # fmt: skip


def test_a_key_twice_in_a_coco_file(tmp_path: Path) -> None:
    whole = {
        "images": [{"id": 1, "file_name": "a.jpg"}],
        "categories": [{"id": 1, "name": "cat"}, {"id": 2, "name": "dog"}],
        "annotations": [{"image_id": 1, "category_id": 1}],
    }
    text = json.dumps(whole)
    path = put_text(tmp_path / "c.json", text[:-1] + ', "annotations": [{"image_id": 1, "category_id": 2}]}')
    with refused(path, "key 'annotations' is there twice"):
        read_coco(path)
    put_text(path, text.replace('"file_name"', '"file_name": "b.jpg", "file_name"'))
    with refused(path, "key 'file_name' is there twice"):
        read_coco(path)


def test_categories_of_one_name_as_it_looks_are_one_too_many(tmp_path: Path) -> None:
    names = [{"id": 1, "name": "caf\u00e9"}, {"id": 2, "name": "cafe\u0301 "}]
    path = put_text(tmp_path / "c.json", json.dumps({"images": [], "categories": names, "annotations": []}))
    with refused(path, "class 'caf\u00e9' is listed twice"):
        read_coco(path)
    names[1]["name"] = "\u0645\u06cc\u200c\u062e\u0648"  # a joiner within a word
    put_text(path, json.dumps({"images": [], "categories": names, "annotations": []}))
    assert list(read_coco(path).categories.values()) == ["caf\u00e9", names[1]["name"]]


def test_a_key_twice_in_a_configuration(tmp_path: Path) -> None:
    text = "default: a\ndatasets:\n  a:\n    data:\n      kind: folder\n      leave_out: [x]\n      leave_out: [y]\n"
    path = put_text(tmp_path / "config.yaml", text)
    with refused(f"{path}:7", "key 'leave_out' was given before, in line 6", "keep one"):
        require_unique_keys(path)
    call = f"-m snakemake --snakefile Snakefile --configfile {path} --dry-run --directory {tmp_path}"
    done = subprocess.run([sys.executable, *call.split()], capture_output=True, text=True, check=False)
    assert done.returncode and f"{path}:7: key 'leave_out' was given before" in done.stdout + done.stderr
    put_text(path, text.replace("      leave_out: [y]\n", ""))
    require_unique_keys(path)


def test_a_quote_that_swallows_a_row_is_a_fault(tmp_path: Path) -> None:
    path = put_text(tmp_path / "t.csv", 'image,note,tags\na.jpg,"big,cat\nb.jpg,small",dog\nc.jpg,x,cat\n')
    assert faults(path) == [f"{path}:3: a quote that swallows the row 'b.jpg,small'; close or drop the quote"]
    put_text(path, 'image,tags,note\na.jpg,cat,"5"" tall\nb.jpg,dog,x\nc.jpg,cat,"y"\n')
    assert f"{path}:4: a quote that swallows the row 'b.jpg,dog,x'; close or drop the quote" in faults(path)
    put_text(path, 'image,tags,note\na.jpg,cat,"two lines,\nof a note, as people write; see b.jpg"\nb.jpg,dog,\n')
    assert faults(path) == [] and rows(path) == {"a.jpg": ("cat",), "b.jpg": ("dog",)}


def test_a_tag_in_the_column_of_splits_is_a_fault(tmp_path: Path) -> None:
    path = put_text(tmp_path / "t.csv", "image;tags;split\na.jpg;dog;train\nx.jpg;cat;dog\n")
    (line,) = faults(path)
    assert line.startswith(f"{path}:3: split 'dog' is a tag elsewhere; write the tags of an image in one cell")
    put_text(path, "image,tags,split\na.jpg,train,train\nb.jpg,dog,extra\n")  # VOC has a class train
    assert faults(path) == [] and len(rows(path)) == 2


@pytest.mark.parametrize(
    ("inner", "part"),
    [
        ("<object><name>cat</name><name>dog</name></object>", "an object with names cat, dog"),
        ("<Object><name>cat</name></Object>", "objects, but not as <object> in <annotation>"),
        ("<objects><object><name>cat</name></object></objects>", "objects, but not as <object> in <annotation>"),
    ],
)
def test_objects_in_another_form_than_voc_s_are_named(inner: str, part: str, tmp_path: Path) -> None:
    path = put_text(tmp_path / "a.xml", f"<annotation>{inner}</annotation>")
    with refused(path, part):
        _object_names(path)


def test_numbers_of_a_workbook_are_names_as_they_are_shown(tmp_path: Path) -> None:
    book = Workbook()
    for row in (["image", "tags"], [7, "cat"], [7, "dog"], [70.0, "cat"]):
        book.active.append(row)
    book.active["A2"].number_format = "000"
    book.save(tmp_path / "t.xlsx")
    assert [row.image for row in read_tags(tmp_path / "t.xlsx").rows] == ["007", "7", "70"]
