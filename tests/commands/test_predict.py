"""A trained model on any photographs."""

import csv
import errno
import io
import logging
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from models import CLASSES, save_model
from nets import tiny_backbone
from PIL import Image
from trees import put_image, put_text
from typer.testing import CliRunner, Result

from tagseg import cli
from tagseg.artifacts.atomic import _temporary
from tagseg.artifacts.bundle import save_bundle
from tagseg.artifacts.shards import Shard
from tagseg.commands import labelling
from tagseg.commands.gathering import Photograph
from tagseg.commands.label_files import Outputs
from tagseg.config.masks import CrfSettings, RegionSettings
from tagseg.config.networks import EngineName, InferenceMachine
from tagseg.datasets.index import ImageRecord, write_index
from tagseg.figures.overlay import overlay
from tagseg.images.files import read_image
from tagseg.images.palette import voc_palette
from tagseg.images.resize import resize_map
from tagseg.runtime.engines import Engine, choose_engine
from tagseg.runtime.label_maps import label_map, upsampled, upsampled_argmax
from tagseg.stages import regions as region_stage
from tagseg.stages import score

SIZES = {"a.jpg": (70, 50), "sub/b.png": (64, 64), "sub/c.jpg": (70, 50), "d.jpg": (90, 40)}
NAMES = ["a", "d", "sub/b", "sub/c"]


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_model(tmp_path_factory.mktemp("model") / "model.pt", size=80)


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    rng = np.random.default_rng(5)
    for name, (width, height) in SIZES.items():
        put_image(tmp_path / "photos" / name)
        cells = rng.integers(0, 255, (-(-height // 10), -(-width // 10), 3), dtype=np.uint8)
        large = cells.repeat(10, axis=0).repeat(10, axis=1)[:height, :width]
        Image.fromarray(large).save(tmp_path / "photos" / name)
    return tmp_path / "photos"


def predict(*words: object, status: int = 0, listed: str | None = None) -> Result:
    outcome = CliRunner().invoke(cli.app, ["predict", *map(str, words)], input=listed)
    assert outcome.exit_code == status, (outcome.output, outcome.exception)
    return outcome


def labels_of(path: Path) -> np.ndarray:
    with Image.open(path) as image:
        assert image.mode == "P"
        assert image.getpalette()[:12] == voc_palette()[:4].ravel().tolist()
        return np.asarray(image)


def summary(folder: Path) -> dict[str, dict[str, str]]:
    with (folder / "summary.csv").open(encoding="utf-8") as file:
        return {row["image"]: row for row in csv.DictReader(file)}


def scored(model: Path, photos: Path, target: Path, engine: EngineName = "auto") -> tuple[list[ImageRecord], Path]:
    """The same photographs through the pipeline's stage."""
    paths = {name: next(photos.glob(f"{name}.*")) for name in NAMES}
    sizes = {name: read_image(path).shape for name, path in paths.items()}
    records = [
        ImageRecord(name.replace("/", "-"), "val", paths[name], sizes[name][1], sizes[name][0], ()) for name in NAMES
    ]
    write_index(target / "tags.csv", records)
    machine = InferenceMachine(engine=engine)
    score.run(model, target / "tags.csv", target / "scores.h5", machine, split="val", shard=0, shards=1, threads=1)
    return records, target / "scores.h5"


@pytest.mark.parametrize("engine", ["torch", "onnxruntime"])
def test_label_maps_are_those_of_the_pipeline(engine: EngineName, model: Path, photos: Path, tmp_path: Path) -> None:
    predict(model, photos, "-o", tmp_path / "out", "--scores", "--engine", engine)
    records, shard = scored(model, photos, tmp_path, engine)
    with Shard(shard, "scores") as maps:
        for record, name in zip(records, NAMES, strict=True):
            wanted = label_map(maps, None, record, "none", CrfSettings())
            assert len(np.unique(wanted)) > 1
            np.testing.assert_array_equal(labels_of(tmp_path / "out" / f"{name}.png"), wanted)
            with np.load(tmp_path / "out" / f"{name}.npz") as arrays:
                np.testing.assert_array_equal(arrays["scores"], maps.get(record.id, "maps"))
                assert arrays["scores"].dtype == np.float16 and arrays["classes"].tolist() == CLASSES


@pytest.mark.parametrize("crf", ["pairwise", "higher_order"])
def test_a_crf_is_that_of_the_pipeline(crf: str, model: Path, photos: Path, tmp_path: Path) -> None:
    words = ["--crf", crf, "--bilateral-width", "20", "--score-gain", "0.2", "--threshold", "0.2", "--seed", "1"]
    predict(model, photos, "-o", tmp_path / "out", "--no-overlay", *words)
    records, shard = scored(model, photos, tmp_path)
    settings = CrfSettings(bilateral_width=20, score_gain=0.2)
    region_stage.run(tmp_path / "tags.csv", tmp_path / "r.h5", RegionSettings(threshold=0.2, seed=1), shard=0, shards=1)
    with Shard(shard, "scores") as maps, Shard(tmp_path / "r.h5", "regions") as regions:
        given = regions if crf == "higher_order" else None
        for record, name in zip(records, NAMES, strict=True):
            wanted = label_map(maps, given, record, crf, settings)
            np.testing.assert_array_equal(labels_of(tmp_path / "out" / f"{name}.png"), wanted)
    assert not list((tmp_path / "out").rglob("*.jpg"))


def test_only_known_classes_win(model: Path, photos: Path, tmp_path: Path) -> None:
    predict(model, photos, "-o", tmp_path / "all")
    predict(model, photos, "-o", tmp_path / "some", "--classes", "dog,sheep", "--scores")
    everything = np.concatenate([labels_of(p).ravel() for p in sorted((tmp_path / "all").rglob("*.png"))])
    some = {p: labels_of(p) for p in sorted((tmp_path / "some").rglob("*.png"))}
    assert 1 in everything
    assert set(np.unique(np.concatenate([v.ravel() for v in some.values()]))) <= {0, 2, 3}
    with np.load(tmp_path / "some" / "a.npz") as arrays:
        maps = arrays["scores"]
    assert maps.shape[0] == 4  # of all classes
    wanted = np.array([0, 2, 3])[upsampled(maps[[0, 2, 3]], (50, 70)).argmax(axis=0)]
    np.testing.assert_array_equal(some[tmp_path / "some" / "a.png"], wanted)
    table = put_text(tmp_path / "tags.csv", "image,tags\na,cat\nsub/b.png,\nc,dog;sheep\n")
    outcome = predict(model, photos, "-o", tmp_path / "each", "--tags", table, status=1)
    assert f"tagseg: {photos / 'd.jpg'}: no line of {table} names it" in outcome.stderr
    assert set(np.unique(labels_of(tmp_path / "each" / "sub" / "b.png"))) == {0}
    assert set(np.unique(labels_of(tmp_path / "each" / "a.png"))) <= {0, 1}


@pytest.mark.parametrize("words", [["--images-at-once", "3"], ["--loaders", "2", "--threads", "3"]])
def test_batches_and_loaders_change_nothing(words: list[str], model: Path, photos: Path, tmp_path: Path) -> None:
    predict(model, photos, "-o", tmp_path / "one", "--scores")
    predict(model, photos, "-o", tmp_path / "many", "--scores", *words)
    assert summary(tmp_path / "one").keys() == summary(tmp_path / "many").keys()
    for name in NAMES:
        with np.load(tmp_path / "one" / f"{name}.npz") as one, np.load(tmp_path / "many" / f"{name}.npz") as many:
            np.testing.assert_allclose(one["scores"].astype(float), many["scores"].astype(float), atol=0.02)


def test_engines_agree_and_the_log_names_the_one(
    model: Path, photos: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "tagseg")
    for engine in ("torch", "onnxruntime", "auto"):
        predict(model, photos, "-o", tmp_path / engine, "--scores", "--engine", engine)
    said = [text for text in caplog.messages if text.startswith("engine ")]
    assert [text.split(":")[0] for text in said] == ["engine torch", "engine onnxruntime", "engine torch"]
    assert said[2] == "engine torch: 4 images are too few to export the network for"
    for name in NAMES:
        with (
            np.load(tmp_path / "torch" / f"{name}.npz") as one,
            np.load(tmp_path / "onnxruntime" / f"{name}.npz") as two,
        ):
            np.testing.assert_allclose(one["scores"].astype(float), two["scores"].astype(float), atol=0.02)
    assert (tmp_path / "torch" / "a.png").read_bytes() == (tmp_path / "auto" / "a.png").read_bytes()


def test_files_are_written_beside_the_network_and_faults_named_in_order(
    model: Path, photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    threads: list[str] = []
    write = labelling.write_files

    def slow(outputs: Outputs, photograph: Photograph, *rest: Any) -> None:
        threads.append(threading.current_thread().name)
        if photograph.name == "d":
            raise OSError(errno.ENOSPC, "No space left on device", str(outputs.labels(photograph)))
        time.sleep(0.1)  # the network is ahead by several photographs
        write(outputs, photograph, *rest)

    monkeypatch.setattr(labelling, "write_files", slow)
    outcome = predict(model, photos, "-o", tmp_path / "out", status=1)
    assert len(threads) == 4 and threading.main_thread().name not in threads
    assert f"tagseg: {photos / 'd.jpg'}: {tmp_path / 'out' / 'd.png'}: No space left on device" in outcome.stderr
    rows = summary(tmp_path / "out")
    assert list(rows) == [str(next(photos.glob(f"{name}.*"))) for name in NAMES]
    assert [bool(row["failure"]) for row in rows.values()] == [False, True, False, False]
    assert all(row["classes"] for row in rows.values() if not row["failure"])
    assert len(list((tmp_path / "out").rglob("*.png"))) == 3


def test_an_interrupt_leaves_whole_files_that_are_skipped_next_time(
    model: Path, photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Stops:
        """Runs twice, then is interrupted as from the keyboard."""

        def __init__(self, engine: Engine):
            self.engine, self.left = engine, 2

        def __call__(self, images: torch.Tensor) -> dict[str, torch.Tensor]:
            self.left -= 1
            if self.left < 0:
                raise KeyboardInterrupt
            return self.engine(images)

    monkeypatch.setattr(labelling, "choose_engine", lambda *given: Stops(choose_engine(*given)))
    CliRunner().invoke(cli.app, ["predict", str(model), str(photos), "-o", str(tmp_path / "out")])
    assert not list((tmp_path / "out").rglob(".*"))
    made = [labels_of(path) for path in (tmp_path / "out").rglob("*.png")]
    monkeypatch.undo()
    done = predict(model, photos, "-o", tmp_path / "out", "--skip-existing").stdout
    assert 0 < len(made) < 4 and done.startswith(f"{4 - len(made)} done, {len(made)} skipped, 0 failed")


@pytest.mark.parametrize("engine", ["torch", "onnxruntime"])
def test_two_runs_give_the_same_bytes(engine: str, model: Path, photos: Path, tmp_path: Path) -> None:
    for folder in ("one", "two"):
        predict(model, photos, "-o", tmp_path / folder, "--scores", "--engine", engine)
    files = [p.relative_to(tmp_path / "one") for p in (tmp_path / "one").rglob("*") if p.is_file()]
    assert len(files) == 4 * 3 + 1
    for file in files:
        assert (tmp_path / "one" / file).read_bytes() == (tmp_path / "two" / file).read_bytes(), file


def test_the_summary_has_shares_that_sum_to_one_and_names_failures(model: Path, photos: Path, tmp_path: Path) -> None:
    put_text(photos / "broken.jpg", b"\xff\xd8 no photograph")
    put_image(photos / "tiny.png", 20, 20)
    outcome = predict(model, photos, "-o", tmp_path / "out", status=1)
    lines = outcome.stderr.splitlines()
    assert [line for line in lines if line.startswith(f"tagseg: {photos / 'broken.jpg'}: not a readable image")]
    assert [line for line in lines if line.startswith(f"tagseg: {photos / 'tiny.png'}: 20 x 20 pixels")]
    assert outcome.stdout.startswith("4 done, 0 skipped, 2 failed; in ")
    rows = summary(tmp_path / "out")
    assert len(rows) == 6
    assert rows[str(photos / "tiny.png")]["file"] == "" and "20 x 20" in rows[str(photos / "tiny.png")]["failure"]
    row = rows[str(photos / "sub" / "b.png")]
    assert row["file"] == "sub/b.png" and row["failure"] == ""
    shares = {name: float(share) for name, share in (item.split("=") for item in row["classes"].split(";"))}
    assert sum(shares.values()) == pytest.approx(1, abs=1e-3)
    labels = labels_of(tmp_path / "out" / "sub" / "b.png")
    assert shares == {
        n: pytest.approx((labels == i).mean(), abs=1e-3) for i, n in enumerate(CLASSES) if (labels == i).any()
    }


def test_what_is_there_is_skipped_only_if_it_was_made_of_the_same(model: Path, photos: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    once = [model, photos, "-o", out, "--skip-existing"]
    predict(*once)
    first = summary(out)
    for path in out.rglob("*.*"):
        os.utime(path, ns=(0, 0))

    def made_again(*words: object) -> list[str]:
        predict(*once, *words)
        again = sorted(p.relative_to(out).as_posix() for p in out.rglob("*.png") if p.stat().st_mtime_ns)
        for path in out.rglob("*.*"):
            os.utime(path, ns=(0, 0))
        return again

    assert made_again() == []
    assert summary(out) == first
    (out / "a.overlay.jpg").unlink()
    assert made_again() == ["a.png"]
    (out / "d.png").write_bytes((out / "d.png").read_bytes()[:60])
    assert made_again() == ["d.png"]
    put_image(photos / "sub" / "c.jpg", 70, 50)
    assert made_again() == ["sub/c.png"]
    everything = [f"{name}.png" for name in NAMES]
    assert made_again("--crf", "pairwise") == everything
    assert made_again("--crf", "pairwise") == []
    assert made_again("--crf", "pairwise", "--bilateral-width", "20") == everything
    assert made_again("--classes", "cat") == everything
    assert made_again("--classes", "cat", "--scores") == everything
    save_model(tmp_path / "other.pt", size=70)
    once[0] = tmp_path / "other.pt"
    assert made_again() == everything


def test_scores_and_overlays_of_another_model_do_not_stay_beside_new_labels(
    model: Path, photos: Path, tmp_path: Path
) -> None:
    out, other = tmp_path / "out", tmp_path / "other.pt"
    save_model(other, size=70)
    predict(model, photos / "a.jpg", "-o", out, "--scores")
    predict(model, photos / "a.jpg", "-o", out, "--no-overlay")  # of the same model: they stay
    assert sorted(path.name for path in out.iterdir()) == ["a.npz", "a.overlay.jpg", "a.png", "summary.csv"]
    predict(other, photos / "a.jpg", "-o", out, "--no-overlay")
    assert sorted(path.name for path in out.iterdir()) == ["a.png", "summary.csv"]
    done = predict(other, photos / "a.jpg", "-o", out, "--scores", "--skip-existing")
    assert done.stdout.startswith("1 done, 0 skipped")


def test_without_it_everything_is_made_again(model: Path, photos: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    predict(model, photos, "-o", out)
    right = (out / "a.png").read_bytes()
    (out / "a.png").write_bytes((out / "d.png").read_bytes())
    dead = _temporary(out / "a.png").name.replace(str(os.getpid()), "99999999")
    put_text(out / dead, "left by a killed run")
    put_text(out / ".mine.part", "not ours")
    predict(model, photos, "-o", out)
    assert (out / "a.png").read_bytes() == right
    assert [p.name for p in out.iterdir() if p.name.startswith(".")] == [".mine.part"]


def test_a_list_on_standard_input(model: Path, photos: Path, tmp_path: Path) -> None:
    predict(model, "-", "-o", tmp_path / "out", listed=f"{photos / 'a.jpg'}\n{photos / 'sub' / 'b.png'}\n")
    assert sorted(p.name for p in (tmp_path / "out").glob("*.png")) == ["a.png", "b.png"]


def test_wrong_uses_are_one_line(
    model: Path, photos: Path, tmp_path: Path, fails: Callable[[str], str], monkeypatch: pytest.MonkeyPatch
) -> None:
    put_text(tmp_path / "text.pt", "no model")
    save_bundle(tmp_path / "localization.pt", "localization", tiny_backbone().trunk)
    (tmp_path / "empty").mkdir()
    out = tmp_path / "out"
    assert "no such model" in fails(f"predict {tmp_path}/none.pt {photos} -o {out}")
    assert "not a tagseg model" in fails(f"predict {tmp_path}/text.pt {photos} -o {out}")
    assert "holds localization" in fails(f"predict {tmp_path}/localization.pt {photos} -o {out}")
    assert "no class 'cow'" in fails(f"predict {model} {photos} -o {out} --classes cow")
    assert "no photograph" in fails(f"predict {model} {tmp_path}/empty -o {out}")
    assert "is a file" in fails(f"predict {model} {photos} -o {tmp_path}/localization.pt")
    assert "--score-gain" in fails(f"predict {model} {photos} -o {out} --score-gain 0")
    with monkeypatch.context() as patch:
        patch.setattr("tagseg.runtime.engines.graph_bytes", lambda *given: b"no graph")
        line = fails(f"predict {model} {photos} -o {out} --engine onnxruntime")
    assert line.startswith("engine onnxruntime: the network cannot be exported to ONNX (")
    assert line.endswith("); set engine: auto or torch")
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    assert "no usable GPU" in fails(f"predict {model} {photos} -o {out} --device cuda")
    monkeypatch.setattr(sys, "stdin", io.StringIO(f"{photos}/a.jpg\n{photos}/gone.jpg\n"))
    assert "gone.jpg: no such file or folder (in the list" in fails(f"predict {model} - -o {out}")
    assert not out.exists()


def test_the_mask_s_gain_is_no_option_of_predict() -> None:
    text = CliRunner().invoke(cli.app, ["predict", "--help"], env={"COLUMNS": "200"}).output
    assert "--score-gain" in text and "--mask-gain" not in text and "Prediction crf settings" in text


def test_the_command_line_and_its_errors_load_no_torch(photos: Path) -> None:
    code = (
        "import sys; from tagseg import cli\n"
        "sys.argv = ['tagseg', 'predict', 'm.pt', 'none.jpg', '-o', 'out']\n"
        "try: cli.main()\nexcept SystemExit as end: assert end.code == 2\n"
        "assert not {'torch', 'pandas', 'matplotlib', 'skimage', 'numba'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True, capture_output=True)


def test_predicting_loads_neither_figures_nor_regions() -> None:
    code = (
        "import sys; import tagseg.commands.labelling\n"
        "assert not {'matplotlib.pyplot', 'skimage.filters', 'numba', 'higra', 'pandas'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True, capture_output=True)


def test_the_upsampled_argmax_is_that_of_all_maps_upsampled() -> None:
    rng = np.random.default_rng(0)
    for size in ((50, 70), (9, 7), (3, 5)):
        scores = rng.normal(size=(6, 6, 8)).astype(np.float16)
        scores[2] = scores[0] - np.abs(scores[2])  # nowhere above background
        scores[4] = scores[1]  # a tie goes to the first
        wanted = np.stack([resize_map(values, size) for values in scores]).argmax(axis=0)
        np.testing.assert_array_equal(upsampled_argmax(scores, size), wanted)


def test_an_overlay_leaves_background_alone_and_has_a_legend() -> None:
    image = np.full((40, 60, 3), 100, dtype=np.uint8)
    labels = np.zeros((40, 60), dtype=np.uint8)
    labels[10:30, 20:50] = 2
    picture = overlay(image, labels, CLASSES)
    assert picture.shape[0] > 40 and picture.shape[1] == 160 and picture.dtype == np.uint8
    assert (picture[:5, :15] == 100).all()
    np.testing.assert_allclose(picture[20, 35], (100 + voc_palette()[2].astype(float)) / 2, atol=1)
    assert (picture[9, 30] == 255).all() and (picture[29, 30] == 255).all()  # outlines
    legend = picture[40:].reshape(-1, 3)
    assert (legend == voc_palette()[2]).all(axis=1).any() and not (legend == voc_palette()[1]).all(axis=1).any()
    many = [f"a class with a long name {i}" for i in range(30)]
    crowded = np.arange(40 * 60).reshape(40, 60) % 30
    assert overlay(image, crowded.astype(np.uint8), many).shape[0] > 40 + 29 * 11
