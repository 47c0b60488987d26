"""Tables of tags as spreadsheets, scripts and people write them: read, or told apart by cause and remedy."""

import datetime
import io
import json
import zipfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from openpyxl import Workbook, load_workbook
from trees import put_image, put_text, refused
from typer.testing import CliRunner

from tagseg import cli
from tagseg.config.data import FolderData
from tagseg.datasets import folder
from tagseg.datasets.checks import Checks
from tagseg.datasets.folder_names import Photographs
from tagseg.datasets.index import read_classes
from tagseg.datasets.tag_tables import read_class_folders, read_tags
from tagseg.errors import TagsegError

NFC, NFD = "caf\u00e9", "cafe\u0301"
WANTED = [("a.png", ("disc", "ring")), ("b.png", ("disc",))]


def told(path: Path, classes: Sequence[str] = ()) -> list[tuple[str, tuple[str, ...]]]:
    table = read_tags(path, classes)
    assert table.faults == []
    return [(row.image, row.tags) for row in table.rows]


def faults(path: Path, classes: Sequence[str] = ()) -> list[str]:
    return [str(fault).removeprefix(f"{path}:") for fault in read_tags(path, classes).faults]


# separators of columns, quotes, encodings

FORMS = {
    "semicolons": 'image;tags\na.png;"disc;ring"\nb.png;disc\n',
    "what Excel says of itself": 'sep=;\r\nimage;tags\r\na.png;"disc;ring"\r\nb.png;disc\r\n',
    "the same, quoted, and of commas": '"sep=,"\r\nimage,tags\r\na.png,disc;ring\r\nb.png,disc\r\n',
    "quoted cells": '"image";"tags"\r\n"a.png";"disc;ring"\r\n"b.png";"disc"\r\n',
    "rows quoted as a whole": '"image;tags"\n"a.png;""disc;ring"""\n"b.png;disc"\n',
    "rows quoted as a whole, of commas": '"image,tags"\n"a.png,disc;ring"\n"b.png,disc"\n',
    "bars": "image|tags\na.png|disc;ring\nb.png|disc\n",
    "tabs, with a comma in a heading": "image\tremarks, free\ttags\na.png\tx, y\tdisc;ring\nb.png\t\tdisc\n",
    "blanks behind commas": 'image, tags\na.png, "disc; ring"\nb.png, disc\n',
    "old Macintosh lines": "image,tags\ra.png,disc;ring\rb.png,disc\r",
    "empty rows": "\n,,\nimage,tags\n\na.png,disc;ring\n,\nb.png,disc\n",
    "hidden characters": "\ufeffimage\u200b,\u00a0tags \n\u200ba.png\u00a0,disc\u200b;\u00a0ring\u200e\n"
    "b.png , d\u00adisc \n",
    "full-width and doubled separators": "image,tags\na.png,disc；ring;;；\nb.png,;disc;\n",
    "quotes left in": "image,tags\na.png,'disc;ring'\nb.png,“disc”\n",
    "quotes left in around each": "image,tags\na.png,'disc'; 'ring'\nb.png,'disc'\n",
    "a list of pandas": "image,tags\na.png,\"['disc', 'ring']\"\nb.png,['disc']\n",
    "an index that a run wrote": "id,split,path,width,height,tags,digest\na.png,train,x/a.png,9,9,disc;ring,0\n"
    "b.png,train,x/b.png,9,9,disc,0\n",
}


@pytest.mark.parametrize("form", FORMS)
def test_every_form_of_text_gives_the_same_rows(form: str, tmp_path: Path) -> None:
    assert told(put_text(tmp_path / "t.csv", FORMS[form])) == WANTED


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "utf-32"])
def test_encodings_that_can_be_told(encoding: str, tmp_path: Path) -> None:
    text = f"image\ttags\r\na.png\t{NFC};ring\r\n"
    assert told(put_text(tmp_path / "t.txt", text.encode(encoding))) == [("a.png", (NFC, "ring"))]


def test_lines_are_those_of_the_file(tmp_path: Path) -> None:
    path = put_text(tmp_path / "t.csv", "sep=;\n\nimage;tags\n\na;disc\nb;disc;ring\n")
    assert [row.line for row in read_tags(path).rows] == [5]
    assert faults(path)[0].startswith("6: 3 cells, but the header has 2; write image,tags")


@pytest.mark.parametrize(
    ("content", "line", "parts"),
    [
        ("image,tags\na,käfer\n".encode("cp1252"), ":2", ["byte 0xE4, 'ä' in Windows-1252", "CSV UTF-8"]),
        ("file_name,labels\na,b\n", ":1", ["lacks image, tags", "rename file_name to image, labels to tags"]),
        ("imgae,Tags\na,b\n", ":1", ["lacks image", "rename imgae to image"]),
        ("a.png,disc\n", ":1", ["lacks image, tags", "it needs image,tags"]),
        ("image tags\na.png disc\n", ":1", ["'image tags' is one cell", "separate columns by"]),
        ("sep=;\nimage,tags\na,b\n", ":2", ["'image,tags' is one cell"]),
        ("<html><table><tr><td>image</td></tr></table>", ":1", ["a page of HTML", "save it as CSV"]),
        (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(600), "", ["old Excel workbook (.xls)", "save it as CSV"]),
        (
            b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + "EncryptedPackage".encode("utf-16-le"),
            "",
            ["a workbook with a password", "save it without one"],
        ),
        (b"PK\x03\x04 and no more", "", ["cut short or damaged", "save it as CSV"]),
    ],
)
def test_other_files_are_named(content: str | bytes, line: str, parts: list[str], tmp_path: Path) -> None:
    path = put_text(tmp_path / "t.csv", content)
    with refused(f"{path}{line}:", *parts):
        read_tags(path)


# tags that are joined by another sign than ;

JOINED = ["disc, ring", "disc,ring", "disc|ring", "disc/ring", "disc ring", "disc + ring", "disc、ring"]


@pytest.mark.parametrize("cell", JOINED)
def test_classes_in_one_tag_are_told_apart(cell: str, tmp_path: Path) -> None:
    text = f'image,tags\na,"{cell}"\nb,disc\nc,ring\n'
    found = faults(put_text(tmp_path / "t.csv", text))
    assert len(found) == 1 and found[0].startswith(f"2: tag {cell!r} is 'disc' and 'ring', which are classes by them")
    assert "; write disc;ring, not " in found[0] and "--classes FILE" in found[0]
    assert told(tmp_path / "t.csv", [cell, "disc", "ring"])[0] == ("a", (cell,))  # a class of its own, and said to be


def test_known_classes_tell_as_well(tmp_path: Path) -> None:
    path = put_text(tmp_path / "t.csv", 'image,tags\na,"potted plant, disc"\n')
    assert faults(path, ["disc", "potted plant"])[0].startswith(
        "2: tag 'potted plant, disc' is 'potted plant' and 'disc'"
    )
    assert told(put_text(tmp_path / "u.csv", "image,tags\na,potted plant\nb,plant\n"))[0][1] == ("potted plant",)


@pytest.mark.parametrize(("cell", "sign"), [("disc, ring", "','"), ("disc|ring", "'|'"), ("disc，ring", "','")])
def test_a_sign_that_no_name_has_is_told_even_where_nothing_else_shows_it(cell: str, sign: str, tmp_path: Path) -> None:
    path = put_text(tmp_path / "t.csv", f'image,tags\na,"{cell}"\nb,"{cell}"\n')
    assert [text.partition(":")[0] for text in faults(path)] == ["2", "3"]
    assert f"has {sign} in it, but tags are separated by ';'; write disc;ring, not {sign}" in faults(path)[0]


def test_joined_tags_in_json(tmp_path: Path) -> None:
    path = put_text(tmp_path / "t.json", '{"a": ["disc, ring"],\n"b": ["disc", "ring"], "c": ["tabby, cat"]}')
    assert faults(path) == [
        "1: tag 'disc, ring' is 'disc' and 'ring', which are classes by themselves; write \"disc\", \"ring\"; if it is "
        "a class of its own, list it (--classes FILE, data.classes)"
    ]


@pytest.mark.parametrize("tag", ["cup/mug", "polar bear", "6+", "salt & pepper", "rock'n'roll", "9/11", "a-b_c.d"])
def test_names_with_signs_are_names(tag: str, tmp_path: Path) -> None:
    assert told(put_text(tmp_path / "t.csv", f"image,tags\na,{tag};disc\nb,ring\n"))[0][1] == tuple(
        sorted((tag, "disc"))
    )


def test_a_quote_that_never_ends_is_told(tmp_path: Path) -> None:
    assert (
        "begins with a quote that never ends; take it out"
        in faults(put_text(tmp_path / "t.tsv", 'image\ttags\na\tx;"disc\nb\tring\n'))[0]
    )


# one spelling


def test_accents_are_one_spelling_everywhere(tmp_path: Path) -> None:
    for name in (f"{NFD}.png", "b.png"):
        put_image(tmp_path / "images" / name)
    put_text(tmp_path / "tags.csv", f"image,tags\n{NFC}.png,{NFD}\nb,{NFC}\n")
    classes, records = folder.index(FolderData(root=tmp_path))
    assert classes == [NFC] and [record.tags for record in records] == [(NFC,), (NFC,)]
    assert FolderData(root=tmp_path, classes=[f" {NFD}\u200b"]).classes == [NFC]
    assert folder.index(FolderData(root=tmp_path, classes=[NFD]))[0] == [NFC]
    with pytest.raises(ValueError, match="listed twice"):
        FolderData(root=tmp_path, classes=[NFC, NFD])
    leaving = Checks(collect=True, leave_out=[NFD, "b"])
    assert folder.index(FolderData(root=tmp_path), leaving)[1] == [] and leaving.unknown_left_out() == []
    assert read_classes(put_text(tmp_path / "classes.txt", f"background\n{NFD}\n")) == ["background", NFC]


def test_a_class_folder_may_have_any_spelling(tmp_path: Path) -> None:
    put_image(tmp_path / NFD / "1.png")
    table = read_class_folders(Photographs(tmp_path))
    assert table.faults == [] and [row.tags for row in table.rows] == [(NFC,)]


def test_joiners_stay_where_they_belong(tmp_path: Path) -> None:
    family, word, stray = "👩\u200d🚒", "می\u200cخواهم", "di\u200dsc"
    path = put_text(tmp_path / "t.csv", f"image,tags\na,{family}\nb,{word}\nc,{stray}\n")
    assert [tags for _, tags in told(path)] == [(family,), (word,), ("disc",)]
    assert FolderData(root=tmp_path, classes=[family, word]).classes == [family, word]


def test_names_of_files_are_found_as_they_look(tmp_path: Path) -> None:
    for name in ("Screen\u202fshot.png", "o'brien.png", "'q'.png", "x/y.png"):
        put_image(tmp_path / "images" / name)
    found = Photographs(tmp_path / "images")
    for written, wanted in {
        "Screen shot.png": "Screen\u202fshot.png", "Screen\u202fshot": "Screen\u202fshot.png",
        "'o'brien.png'": "o'brien.png", "'q'": "'q'.png",
        '"x\\y.png"': "x/y.png", "x__y": "x/y.png", "\u200bx/y.png ": "x/y.png",
        "images\\x\\y": "x/y.png",
    }.items():  # fmt: skip
        assert found.find(written) == wanted


def test_two_files_of_one_name_are_told(tmp_path: Path) -> None:
    for name in (NFC, NFD):
        put_image(tmp_path / f"{name}.png")
    if len(list(tmp_path.iterdir())) < 2:
        pytest.skip("this file system takes the two names for one")
    with pytest.raises(TagsegError, match="may be either of two files"):
        Photographs(tmp_path).find(NFC)


# workbooks


def workbook(path: Path, sheets: dict[str, list[list[Any]]]) -> Path:
    book = Workbook()
    book.remove(book.worksheets[0])
    for name, rows in sheets.items():
        sheet = book.create_sheet(name)
        for row in rows:
            sheet.append(row)
    book.save(path)
    return path


def test_a_workbook_is_read_by_its_content(tmp_path: Path) -> None:
    rows = [
        [],
        [None, "Image", "Note", "TAGS", "Split"],
        [None, "a.png", 1.5, "disc; ring", None],
        [],
        [None, 7.0, None, 3, "val"],
    ]
    path = workbook(tmp_path / "t.csv", {"Notes": [["hello"]], "Tags": rows, "Empty": []})
    table = read_tags(path)
    assert table.faults == []
    assert [(r.image, r.tags, r.split, r.line) for r in table.rows] == [
        ("a.png", ("disc", "ring"), "train", 3),
        ("7", ("3",), "val", 5),
    ]


def test_cells_that_are_no_names_are_told(tmp_path: Path) -> None:
    day = datetime.datetime(2024, 1, 2)
    rows = [["image", "tags"], ["a", day], [day, "disc"], ["b", "=1+1"], ["c", "#N/A"], ["d", "disc"], ["e", "x"]]
    path = workbook(tmp_path / "t.xlsx", {"S": rows})
    book = load_workbook(path)
    book["S"].merge_cells("B6:B7")
    book.save(path)
    date = "a cell was taken for a date (2024-01-02 00:00:00); set the column's format to text, and write the cell anew"
    assert [(text.partition(":")[0], text.partition(": ")[2]) for text in faults(path)] == [
        ("2", date),
        ("3", date),
        ("4", "a formula without a result; open the workbook in a spreadsheet program and save it there"),
        ("5", "a cell shows the error #N/A; correct it"),
        ("7", "a cell that is merged with another; unmerge the cells, and fill in each"),
    ]


def test_formulas_are_what_they_gave(tmp_path: Path) -> None:
    path = workbook(tmp_path / "t.xlsx", {"S": [["image", "tags"], ["a", "=UPPER(0)"]]})
    content = io.BytesIO()
    with zipfile.ZipFile(path) as old, zipfile.ZipFile(content, "w") as new:
        for name in old.namelist():
            data = old.read(name)
            if name == "xl/worksheets/sheet1.xml":
                assert b"<f>UPPER(0)</f><v" in data
                data = data.replace(b'<c r="B2">', b'<c r="B2" t="str">').replace(b"<v />", b"<v>disc</v>")
                data = data.replace(b"<v></v>", b"<v>disc</v>").replace(b"<v/>", b"<v>disc</v>")
            new.writestr(name, data)
    assert told(put_text(path, content.getvalue())) == [("a", ("disc",))]


def test_sheets_that_do_not_fit_are_named(tmp_path: Path) -> None:
    table = [["image", "tags"], ["a", "disc"]]
    path = workbook(tmp_path / "two.xlsx", {"One": table, "Two": table})
    with refused(path, "sheets One, Two all have columns image,tags", "keep the one"):
        read_tags(path)
    path = workbook(tmp_path / "none.xlsx", {"One": [["file", "label"]], "Two": [["x"]]})
    with refused(f"{path}:1", "lacks image, tags", "none of 2 sheets has them"):
        read_tags(path)
    path = workbook(tmp_path / "empty.xlsx", {"One": []})
    with refused(f"{path}:1", "lacks image, tags"):
        read_tags(path)


@pytest.mark.parametrize(
    ("members", "part"),
    [
        ({"mimetype": "application/vnd.oasis.opendocument.spreadsheet"}, "an OpenDocument table (.ods), which is not"),
        ({"Index/Document.iwa": ""}, "a table of Apple Numbers, which is not read"),
        ({"xl/workbook.bin": ""}, "a binary Excel workbook (.xlsb), which is not read"),
        ({"notes.txt": "x"}, "a zip archive, which is not read"),
        ({"[Content_Types].xml": "<Types/>", "xl/sharedStrings.xml": "<sst/>"}, "not a readable workbook"),
    ],
)  # fmt: skip
def test_other_tables_in_archives_are_named(members: dict[str, str], part: str, tmp_path: Path) -> None:
    path = tmp_path / "t.xlsx"
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    with refused(path, part, "save it as CSV (UTF-8) or as .xlsx"):
        read_tags(path)


# JSON

ROWS = [{"image": "a.png", "tags": ["ring", "disc"]}, {"Image": "b.png", "TAGS": ["disc"]}]


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("t.json", json.dumps(ROWS)),
        ("t.json", '{"a.png": ["disc", "ring"], "b.png": ["disc"]}'),
        ("t.jsonl", "\n".join(map(json.dumps, ROWS))),
        ("t.ndjson", "\ufeff" + "\r\n\r\n".join(map(json.dumps, ROWS)) + "\r\n"),
        ("t.json", "\n".join(map(json.dumps, ROWS))),
    ],
)
def test_every_form_of_json_gives_the_same_rows(name: str, text: str, tmp_path: Path) -> None:
    assert told(put_text(tmp_path / name, text)) == WANTED


def test_a_broken_line_of_json_lines_is_named(tmp_path: Path) -> None:
    path = put_text(tmp_path / "t.jsonl", json.dumps(ROWS[0]) + '\n\n{"image": "b.png", "tags": [}\n')
    with refused(f"{path}:3: not JSON (Expecting value)"):
        read_tags(path)


# the command


def init(*words: str) -> str:
    outcome = CliRunner().invoke(cli.app, ["init", *words, "--device", "cpu"], catch_exceptions=False)
    assert outcome.exit_code == 0, outcome.output
    return outcome.output


def test_init_reads_a_workbook_and_a_file_of_classes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for name in "abc":
        put_image(Path("photos") / f"{name}.png", 40, 40)
    workbook(Path("t.xlsx"), {"S": [["image", "tags"], ["a", NFD], ["b", f"{NFC};tabby, cat"], ["c", None]]})
    put_text(Path("classes.txt"), f'"tabby, cat"\r\n{NFD}\u200b\r\n\r\n'.encode("utf-16"))
    init("p", "--images", "photos", "--tags", "t.xlsx", "--classes", "classes.txt")
    text = Path("p/tags.csv").read_text(encoding="utf-8")
    assert text == f'image,tags,split\na.png,{NFC},train\nb.png,"{NFC};tabby, cat",train\nc.png,,train\n'
    with pytest.raises(TagsegError, match=r"clases\.txt: no such file"):
        init("q", "--images", "photos", "--tags", "t.xlsx", "--classes", "clases.txt")
    many = ",".join(f"class{i}" for i in range(90))
    with pytest.raises(TagsegError, match="is not among the classes"):
        init("q", "--images", "photos", "--tags", "t.xlsx", "--classes", many)


def test_faults_of_a_workbook_are_collected_with_those_of_photographs(tmp_path: Path) -> None:
    put_image(tmp_path / "images" / "a.png")
    workbook(tmp_path / "t.xlsx", {"S": [["image", "tags"], ["a", "disc"], ["b", "disc"], ["c", "#N/A"]]})
    checks = Checks(collect=True)
    assert [record.id for record in folder.index(FolderData(root=tmp_path, tags="t.xlsx"), checks)[1]] == ["a"]
    assert sorted((fault.line, fault.image) for fault in checks.faults) == [(3, "b"), (4, "c")]
