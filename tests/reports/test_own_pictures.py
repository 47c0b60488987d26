"""Pictures that tagseg made are no photographs: `predict` in one folder again and again, folders of classes, BSDS."""

import logging
from pathlib import Path

import numpy as np
import pytest
from models import save_model
from PIL import Image
from trees import put_image, put_text, refused
from typer.testing import CliRunner, Result

from tagseg import cli
from tagseg.commands.gathering import gather
from tagseg.config.data import FolderData
from tagseg.datasets import folder
from tagseg.datasets.checks import Checks
from tagseg.datasets.folder_names import Photographs
from tagseg.datasets.tag_tables import read_class_folders
from tagseg.images.files import png_info, write_labels
from tagseg.images.marks import FIGURE, OVERLAY, PHOTOGRAPH, jpeg_comment


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_model(tmp_path_factory.mktemp("model") / "model.pt", size=80)


def predict(*words: object) -> Result:
    return CliRunner().invoke(cli.app, ["predict", *map(str, words)])


def content(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def put_made(folder: Path, *names: str) -> None:
    """Pictures as tagseg makes them."""
    folder.mkdir(parents=True, exist_ok=True)
    for name in names:
        if name.endswith(".jpg"):
            Image.new("RGB", (40, 40)).save(folder / name, comment=jpeg_comment(OVERLAY))
        elif "figure" in name:
            Image.new("RGB", (40, 40)).save(folder / name, pnginfo=png_info(FIGURE))
        else:
            write_labels(folder / name, np.zeros((40, 40), np.uint8))


def test_in_the_photographs_own_folder_and_below(model: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    photos = tmp_path / "photos"
    put_image(photos / "a.jpg", 64, 48)
    put_image(photos / "b.bmp", 64, 48)
    before = content(photos)
    for output in (photos / "out", photos / "out2", photos, photos, photos / "out"):
        done = predict(model, photos, "-o", output)
        assert done.exit_code == 0 and done.output.splitlines()[-1].startswith("2 done, 0 skipped, 0 failed"), done
        assert sorted(p.name for p in output.iterdir() if p.is_file() and p.name not in before) == [
            "a.overlay.jpg", "a.png", "b.overlay.jpg", "b.png", "summary.csv",
        ]  # fmt: skip
        assert before.items() <= content(photos).items()
    assert "4 pictures that tagseg made are passed over" in caplog.text
    done = predict(model, photos / "a.jpg", photos / "a.png", "-o", tmp_path / "new")
    assert done.output.splitlines()[-1].startswith("1 done")
    with refused(photos / "a.png", "a picture that tagseg made, not a photograph"):
        gather([str(photos / "a.png")], [])


def test_a_photograph_in_the_label_map_s_place(model: Path, tmp_path: Path) -> None:
    photos = tmp_path / "photos"
    put_image(photos / "00.png", 64, 48)
    put_image(photos / "mine.jpg", 64, 48)
    (tmp_path / "link").symlink_to(photos)
    before = content(tmp_path)
    for words in ([photos / "00.png", "-o", photos], [photos, "-o", photos], [photos, "-o", tmp_path / "link"]):
        done = predict(model, *words)
        assert "00.png: is a photograph, and would be replaced by what is made of" in str(done.exception)
    assert content(tmp_path) == before
    for name in ("00.png", "00.overlay.jpg", "summary.csv"):
        put_image(tmp_path / name, 64, 48, format="png")
        done = predict(model, photos / "00.png", "-o", tmp_path)
        assert f"{tmp_path / name}: is there already" in str(done.exception)
        (tmp_path / name).unlink()
    assert content(tmp_path) == before
    table = put_text(tmp_path / "out" / "summary.csv", "image,file,classes,failure,tags\n00,,,,cat\n")
    done = predict(model, photos / "00.png", "-o", tmp_path / "out", "--tags", table)
    assert f"{table}: is read by this command (--tags)" in str(done.exception)


def test_a_table_s_folder(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    root = tmp_path / "images"
    put_image(root / "a.jpg", 40, 40)
    put_image(root / "sub" / "b.jpg", 40, 40)
    put_image(root / "spare.jpg", 40, 40)
    put_made(root, "a.png", "a.overlay.jpg")
    put_made(root / "out", "b.png", "sheet figure.png")
    put_text(tmp_path / "tags.csv", "image,tags\na,cat\nb,dog\n")
    data = FolderData(root=tmp_path)
    checks = Checks(collect=True)
    _, records = folder.index(data, checks)
    assert [record.id for record in records] == ["a", "sub__b"] and not checks.faults
    assert checks.unnamed == [root / "spare.jpg"]
    assert "4 pictures that tagseg made are passed over" in caplog.text
    put_text(tmp_path / "tags.csv", "image,tags\na.png,cat\n")
    with refused(f"{tmp_path / 'tags.csv'}:2", "'a.png' is a picture that tagseg made, not a photograph"):
        folder.index(data)


def test_folders_of_classes(tmp_path: Path) -> None:
    put_image(tmp_path / "cat" / "a.jpg", 40, 40)
    put_made(tmp_path / "cat", "a.png", "a.overlay.jpg")
    put_made(tmp_path / "out" / "cat", "a.png")
    table = read_class_folders(Photographs(tmp_path))
    assert [row.image for row in table.rows] == ["cat/a.jpg"] and not table.faults


def test_working_copies_are_photographs_of_their_project_alone(tmp_path: Path) -> None:
    copies = tmp_path / "project" / "working_copies"
    put_image(copies / "images" / "a.jpg", 40, 40, comment=jpeg_comment(PHOTOGRAPH))
    put_text(copies / "originals.csv", "id,original,width,height\na,../a.jpg,80,80\n")
    put_image(tmp_path / "a.jpg", 80, 80)
    assert list(Photographs(copies / "images").paths) == ["a.jpg"]
    assert list(Photographs(tmp_path).paths) == ["a.jpg"]
    assert [p.path for p in gather([str(tmp_path)], [])] == [tmp_path / "a.jpg"]
    assert [p.below for p in gather([str(copies / "images")], [])] == ["a.jpg"]
