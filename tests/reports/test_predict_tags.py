"""`predict --tags` takes the tables that `init` takes, and lists on standard input are those of any system."""

import io
import json
import sys
from pathlib import Path

import pytest
from models import CLASSES, save_model
from openpyxl import Workbook
from PIL import Image
from trees import put_image, put_text, refused
from typer.testing import CliRunner

from tagseg import cli
from tagseg.commands.gathering import Photograph, gather, lines_of
from tagseg.commands.known_tags import allowed_labels
from tagseg.datasets.tag_tables import read_tags
from tagseg.errors import TagsegError

NFC, NFD = "caf\u00e9", "cafe\u0301"


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder to be in, with photos/00.png, photos/01.png and photos/sub/02.png."""
    monkeypatch.chdir(tmp_path)
    for name in ("00.png", "01.png", "sub/02.png"):
        put_image(tmp_path / "photos" / name, 44, 36)
    return tmp_path


def labels(table: Path, names: list[str] = CLASSES, images: str = "photos") -> dict[str, list[int]]:
    photographs = gather([images], [])
    allowed = allowed_labels(None, table, names, photographs)
    return {photograph.below: allowed(photograph) for photograph in photographs}


def workbook(path: Path, rows: list[list[str]]) -> Path:
    book = Workbook()
    for row in rows:
        book.worksheets[0].append(row)
    book.save(path)
    return path


TABLES = {
    "cap.csv": "Image,Tags\n00.png,cat\n01.png,dog;cat\n02.png,\n",
    "t.tsv": "image\ttags\n00.png\tcat\n01.png\tdog;cat\nsub/02.png\t\n",
    "t.json": json.dumps({"00.png": ["cat"], "01.png": ["dog", "cat"], "02": []}),
    "t.jsonl": '{"image": "00", "tags": ["cat"]}\n{"image": "01", "tags": ["cat", "dog"]}\n{"image": "02", "tags": []}',
    "win.csv": 'image;tags\r\nphotos\\00.png;cat\r\n.\\photos\\01.png;"dog;cat"\r\nphotos\\sub\\02.png;\r\n',
    "index.csv": "id,split,path,width,height,tags\n00,train,x,9,9,cat\n01,train,x,9,9,cat;dog\nsub__02,train,x,9,9,\n",
}


@pytest.mark.parametrize("name", TABLES)
def test_every_table_is_read(name: str, here: Path) -> None:
    assert labels(put_text(here / name, TABLES[name])) == {"00.png": [0, 1], "01.png": [0, 1, 2], "sub/02.png": [0]}


def test_a_workbook_is_read(here: Path) -> None:
    table = workbook(here / "t.xlsx", [["image", "tags"], ["00", "cat"], ["01", "dog;cat"], ["02", ""]])
    assert labels(table) == {"00.png": [0, 1], "01.png": [0, 1, 2], "sub/02.png": [0]}


@pytest.mark.parametrize(
    ("text", "line", "part"),
    [
        ("image,tags\n00.png,cat,dog\n01.png\n", ":2", "3 cells, but the header has 2"),
        ("image,tags\n00.png,\"cat, dog\"\n", ":2", "is 'cat' and 'dog', which are classes by themselves"),
        ("image,tags\n00.png,background\n", ":2", "is the class of every image"),
        ("image,tags\n00.png,cow\n", ":2", "the model knows no class 'cow'"),
        ("name,tags\n00.png,cat\n", ":1", "lacks image"),
        ("image,tags\n00.png,cat\n00.png,dog\n", ":3", "has other tags in line 2"),
    ],
)  # fmt: skip
def test_what_init_refuses_is_refused(text: str, line: str, part: str, here: Path) -> None:
    table = put_text(here / "t.csv", text)
    with refused(f"{table}{line}:", part):
        labels(table)
    with refused("gone.csv: no such file"):
        labels(Path("gone.csv"))


def test_a_row_of_several_photographs_is_refused(here: Path) -> None:
    put_image(here / "photos" / "sub" / "00.png")
    table = put_text(here / "t.csv", "image,tags\n00,cat\n01,cat\n02,dog\nsub/00.png,dog\n")
    assert labels(table)["sub/00.png"] == [0, 2]  # it has a row of its own
    put_image(here / "photos" / "other" / "00.png")
    with refused(f"{table}:2: image '00' may be photos/00.png or photos/other/00.png; write its whole path"):
        labels(table)


def test_paths_from_elsewhere_name_photographs(here: Path) -> None:
    rows = f'{here}/photos/00.png,cat\n../{here.name}/photos/01.png,dog\n"photos/sub/02.png",sheep\n'
    table = put_text(here / "t.csv", f"image,tags\n{rows}")
    wanted = {"00.png": [0, 1], "01.png": [0, 2], "sub/02.png": [0, 3]}
    assert labels(table) == labels(table, images=f"../{here.name}/photos") == labels(table, images=f"{here}/photos")
    assert labels(table) == wanted
    assert len(read_tags(table).faults) == 2  # of a data set these would lead out of its folder


def test_accents_are_one_spelling(here: Path) -> None:
    put_image(here / "photos" / f"{NFD}.png")
    table = put_text(here / "t.csv", f"image,tags\n00,{NFC}\n01,{NFD}\n02,\n{NFC},\n")
    assert labels(table, ["background", NFD])["00.png"] == labels(table, ["background", NFC])["01.png"] == [0, 1]
    assert allowed_labels(NFC, None, ["background", NFD], [])(Photograph(Path(), "", "")) == [0, 1]


# lists

LISTS = {
    "a byte order mark": "\ufeffphotos/00.png\r\nphotos/01.png\r\n",
    "quotes, blanks, backslashes": "\"photos\\00.png\"\r\n\r\n  \r\n 'photos/01.png' \t\n",
    "old Macintosh lines": "photos/00.png\rphotos/01.png",
}


@pytest.mark.parametrize("form", LISTS)
@pytest.mark.parametrize("encoding", ["utf-8", "utf-16", "utf-16-le"])
def test_lists_of_any_system(form: str, encoding: str, here: Path) -> None:
    stream = io.TextIOWrapper(io.BytesIO(LISTS[form].encode(encoding)))
    found = gather(["-"], lines_of(stream))
    assert [photograph.path for photograph in found] == [Path("photos/00.png"), Path("photos/01.png")]
    assert [photograph.path for photograph in gather(["-"], lines_of(io.StringIO(LISTS[form])))] == [
        Path("photos/00.png"),
        Path("photos/01.png"),
    ]


def test_what_is_written_counts_before_what_may_be_meant(here: Path) -> None:
    for name in ("'a'.png", " b.png", "b.png"):
        put_image(here / name)
    found = gather(["-"], ["'a'.png\n", " b.png\n"])
    assert [photograph.path.name for photograph in found] == ["'a'.png", " b.png"]
    with refused("gone.png: no such file or folder (in the list"):
        gather(["-"], ['"gone.png"\r\n'])


@pytest.mark.skipif(sys.platform != "linux", reason="such names exist on Linux alone")
def test_names_that_are_no_text_are_kept(here: Path) -> None:
    name = b"photos/\xff.png"
    (here / "photos" / "00.png").rename(here.__class__(name.decode("utf-8", "surrogateescape")))
    stream = io.TextIOWrapper(io.BytesIO(name + b"\nphotos/01.png\n"))
    assert len(gather(["-"], lines_of(stream))) == 2


def test_the_command_takes_both(here: Path) -> None:
    save_model(here / "m.pt")
    table = put_text(here / "t.json", '{"00": [], "01": ["dog"]}')
    given = "\ufeffphotos/00.png\r\nphotos\\01.png\r\n".encode()
    words = ["predict", "m.pt", "-", "-o", "out", "--tags", str(table)]
    outcome = CliRunner().invoke(cli.app, words, input=given, catch_exceptions=False)
    assert outcome.exit_code == 0, outcome.output
    found = [set(Image.open(here / "out" / f"{name}.png").get_flattened_data()) for name in ("00", "01")]
    assert found[0] == {0} and found[1] <= {0, 2} and 2 in found[1]


def test_both_readers_say_the_same(here: Path) -> None:
    table = put_text(here / "t.csv", "image,tags\n00,cat\n01\n")
    init = CliRunner().invoke(cli.app, ["init", "p", "--images", "photos", "--tags", str(table), "--device", "cpu"])
    assert isinstance(init.exception, TagsegError)
    with pytest.raises(TagsegError) as told:
        labels(table)
    assert str(told.value) == str(init.exception).splitlines()[0]
