"""`tagseg show`: tables, and a contact sheet of whatever a results folder holds."""

import shutil
from collections.abc import Callable
from pathlib import Path

import matplotlib.figure
import numpy as np
import pytest
from trees import put_image, put_text
from typer.testing import CliRunner

from tagseg import cli
from tagseg.artifacts.atomic import write_text
from tagseg.artifacts.shards import write_shard
from tagseg.commands import sheet
from tagseg.datasets.index import ImageRecord, write_classes, write_ground_truth, write_index
from tagseg.figures.grid import image_grid
from tagseg.figures.panels import Panel, heat_panel
from tagseg.images.files import write_labels
from tagseg.images.palette import voc_palette

H, W = 40, 50

Rows = list[tuple[str, list[tuple[str, Panel]]]]


@pytest.fixture
def results(tmp_path: Path) -> Path:
    """A results folder with every step of three images, in two shards; predictions are of val alone."""
    folder = tmp_path / "results"
    records = [
        ImageRecord(name, split, put_image(tmp_path / f"{name}.png", W, H), W, H, ("dog",))
        for name, split in (("one", "train"), ("two", "val"), ("three", "val"))
    ]
    write_index(folder / "tags.csv", records)
    write_classes(folder / "classes.txt", ["cat", "dog"])
    mask = np.zeros((H, W), dtype=np.uint8)
    mask[10:30, 10:30] = 2
    regions = (np.arange(H * W).reshape(H, W) // (10 * W)).astype(np.uint16)
    maps = np.stack([np.full((8, 10), 0.25), np.full((8, 10), 0.75)]).astype(np.float16)
    scores = np.stack([np.zeros((4, 5)), np.ones((4, 5)), np.zeros((4, 5))]).astype(np.float16)
    steps = {
        "activations": ("activations", {f"conv{n}-{s}": maps[1] * n for n in (4, 5) for s in (0, 1)}),
        "cams": ("cams", {"cams": maps[1:], "labels": np.array([2], dtype=np.uint8)}),
        **{
            path: ("probabilities", {"maps": maps, "labels": np.array([0, label], dtype=np.uint8)})
            for path, label in (("priors/fgbg", 1), ("priors/multiclass", 2), ("second_round/multiclass/maps", 2))
        },
        "regions": ("regions", {"regions": regions}),
        "masks/fgbg-none": ("labels", {"labels": np.minimum(mask, 1)}),
        "masks/multiclass-pairwise": ("labels", {"labels": mask}),
        "predictions/large/val": ("scores", {"maps": scores}),
        "predictions/tags/val": ("scores", {"maps": scores}),
        "predictions/tags/val-none": ("labels", {"labels": mask}),
    }
    for path, (kind, arrays) in steps.items():
        for shard in (0, 1):
            with write_shard(folder / path / f"00{shard}.h5", kind, {}) as writer:
                for record in records[shard::2]:
                    if not path.startswith("predictions") or record.split == "val":
                        writer.put(record.id, arrays)
    truth = mask.copy()
    truth[:10] = 1
    write_labels(tmp_path / "truth.png", truth)
    write_ground_truth(folder / "ground_truth.csv", dict.fromkeys(("one", "two"), tmp_path / "truth.png"))
    return folder


@pytest.fixture
def drawn(monkeypatch: pytest.MonkeyPatch) -> Rows:
    """What is handed to the figure: of each image its name and its titled panels."""
    rows: Rows = []

    def keep(given: Rows, classes: list[str], *, columns: int) -> matplotlib.figure.Figure:
        rows.extend(given)
        return image_grid(given, classes, columns=columns)

    monkeypatch.setattr(sheet, "image_grid", keep)
    return rows


def show(*words: object) -> str:
    outcome = CliRunner().invoke(cli.app, ["show", *map(str, words)], catch_exceptions=False)
    assert outcome.exit_code == 0, outcome.output
    return outcome.output


def titles(cells: list[tuple[str, Panel]]) -> list[str]:
    return [title.replace("\n", ", ") for title, _ in cells]


def test_every_step_of_an_image_is_drawn_in_order(results: Path, drawn: Rows, tmp_path: Path) -> None:
    text = show(results, "--image", "two", "-o", tmp_path / "sheet.png")
    ((name, cells),) = drawn
    assert name == "two (val)\ndog"
    assert titles(cells) == [
        "image", "conv4, mean of 2 scales", "conv5, mean of 2 scales", "CAMs of the tags", "fgbg prior",
        "multiclass prior", "multiclass, second round", "4 regions", "fgbg mask, CRF none",
        "multiclass mask, CRF pairwise", "large, largest score", "tags, CRF none, mIoU 56.2", "truth",
    ]  # fmt: skip
    panels = dict(cells)
    assert all(panel.pixels.shape == (H, W, 3) for panel in panels.values())
    brightest = heat_panel(np.ones((1, 1))).pixels[0, 0]
    assert panels["fgbg mask\nCRF none"].labels == frozenset()  # its 1 is no class
    assert (panels["fgbg mask\nCRF none"].pixels[15, 15] == brightest).all()
    assert (panels["large\nlargest score"].pixels == voc_palette()[1]).all()
    assert text.splitlines() == [
        f"sheet: {tmp_path / 'sheet.png'}", "not there: priors/localization", "not there: masks/localization-*",
    ]  # fmt: skip
    assert (tmp_path / "sheet.png").read_bytes()[1:4] == b"PNG"


def test_what_an_image_lacks_is_named_with_it(results: Path, drawn: Rows, tmp_path: Path) -> None:
    text = show(results, "--image", "one", "--image", "three", "-o", tmp_path / "sheet.svg")
    assert [name.partition(" ")[0] for name, _ in drawn] == ["one", "three"]
    assert "truth" in titles(drawn[0][1]) and "truth" not in titles(drawn[1][1])
    assert "tags, CRF none" in titles(drawn[1][1])
    assert "not there: predictions/tags/*-none, of one" in text.splitlines()
    assert "not there: ground_truth.csv, of three" in text.splitlines()
    assert b"<svg" in (tmp_path / "sheet.svg").read_bytes()


def test_an_index_alone_is_enough(results: Path, drawn: Rows, tmp_path: Path) -> None:
    for path in results.iterdir():
        if path.is_dir():
            shutil.rmtree(path)
        elif path.name != "tags.csv":
            path.unlink()
    text = show(results, "-o", tmp_path / "sheet.png")
    assert [(name.partition(" ")[0], titles(cells)) for name, cells in drawn] == [
        ("two", ["image"]),
        ("three", ["image"]),
    ]
    missing = [line.removeprefix("not there: ") for line in text.splitlines()[1:]]
    assert missing == [
        "activations", "cams", *(f"priors/{p}" for p in sheet.PRIORS), "regions",
        *(f"masks/{p}-*" for p in sheet.PRIORS), "predictions", "ground_truth.csv",
    ]  # fmt: skip


def test_tables_come_first(results: Path, tmp_path: Path) -> None:
    write_text(results / "miou.csv", "method,miou\ntags,12.34\n")
    text = show(results, "--image", "two", "-o", tmp_path / "sheet.png")
    assert text.index("12.3") < text.index("sheet: ")
    assert "sheet: " not in show(results)


def test_wrong_uses_are_one_line(results: Path, tmp_path: Path, fails: Callable[[str], str]) -> None:
    out = f"-o {tmp_path}/sheet.png"
    assert "no such folder" in fails(f"show {tmp_path}/none")
    assert "no miou.csv" in fails(f"show {results}")
    assert "--image four: " in fails(f"show {results} --image four {out}")
    assert "say where to write it" in fails(f"show {results} --image two")
    assert ".png, .svg" in fails(f"show {results} -o {tmp_path}/sheet.gif")
    for content in (b"\xff\xfe\0", b"", b'method,miou\ntags,"1\n2,3\n'):
        put_text(results / "miou.csv", content)
        assert "miou.csv: not a table" in fails(f"show {results}")
    (results / "miou.csv").unlink()
    put_text(results / "regions" / "000.h5", "cut short")
    assert "regions/000.h5: not a whole tagseg HDF5 file" in fails(f"show {results} {out}")
    (results / "tags.csv").unlink()
    assert "tags.csv: no such file" in fails(f"show {results} {out}")
    assert not (tmp_path / "sheet.png").exists()
