"""benchmarks/bsds/score.py: the files it reads, the tables it writes, and its errors."""

import contextlib
import io
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image
from scipy.io import savemat
from trees import put_text

import score
from covering import components
from dataset import photographs, read_annotations
from tagseg.artifacts.file_types import file_type
from tagseg.images.files import write_labels
from tagseg.regions import MODES, CrispParameters


def write_set(root: Path, names: tuple[str, ...] = ("a", "b", "c")) -> str:
    """Photographs, annotations and contour maps of upright lines; the words of the command for them."""
    for folder in ("images", "groundTruth", "maps"):
        (root / folder).mkdir()
    for i, name in enumerate(names):
        edges = np.zeros((40, 60), dtype=bool)
        edges[:, 20 + i] = True
        regions = np.repeat((np.arange(60) > 20 + i).astype(np.uint16)[None] + 1, 40, axis=0)
        Image.fromarray(np.repeat(edges[..., None] * np.uint8(200), 3, axis=2)).save(root / "images" / f"{name}.png")
        cells = np.empty((1, 1 + i), dtype=object)
        for k in range(1 + i):
            cells[0, k] = {"Segmentation": regions, "Boundaries": edges.astype(np.uint8)}
        savemat(root / "groundTruth" / f"{name}.mat", {"groundTruth": cells})
        depth = (np.uint8, 255) if i else (np.uint16, 65535)
        grey = np.where(edges, depth[1], 0).astype(depth[0])
        grey[:, 50] = depth[1] // 5  # a weak line that nobody drew
        Image.fromarray(grey).save(root / "maps" / f"{name}.png")
    return f"{root}/images {root}/groundTruth --maps {root}/maps --output {root}/results.csv --thresholds 9"


def invoke(line: str) -> str:
    with contextlib.redirect_stdout(io.StringIO()) as out:
        score.main(line.split())
    return out.getvalue()


@pytest.fixture
def fails(capfd: pytest.CaptureFixture[str]) -> Callable[[str], str]:
    """Run the command; it must end with status 2 and one line, which is returned."""

    def run(line: str) -> str:
        with pytest.raises(SystemExit) as end:
            score.main(line.split())
        out, err = capfd.readouterr()
        lines = err.splitlines()
        assert end.value.code == 2 and out == "" and len(lines) == 1
        return lines[0]

    return run


def test_the_command_writes_and_prints_the_scores(tmp_path: Path) -> None:
    text = invoke(f"{write_set(tmp_path)} --per-image {tmp_path}/images.csv")
    assert "3 images, 9 thresholds" in text and "ODS 1.000  OIS 1.000" in text
    summary = pd.read_csv(tmp_path / "results.csv").iloc[0]
    assert (summary["images"], summary["thresholds"], summary["ods"], summary["ois"]) == (3, 9, 1, 1)
    assert 0.2 <= summary["ods_threshold"] <= 0.3 and summary["covering_threshold"] == 0.2
    assert summary["covering_ods"] == summary["covering_best"] > 0.98  # the lines' own pixels go to the left or right
    rows = pd.read_csv(tmp_path / "images.csv")
    assert rows["image"].tolist() == ["a", "b", "c"] and (rows["f"] == 1).all()
    assert {"threshold", "precision", "recall", "covering"} < set(rows.columns)


def test_processes_do_not_change_a_byte(tmp_path: Path) -> None:
    line = f"{write_set(tmp_path)} --per-image {tmp_path}/images.csv"
    files = [tmp_path / "results.csv", tmp_path / "images.csv"]
    invoke(line)
    alone = [path.read_bytes() for path in files]
    assert [file_type(path) for path in files] == ["bsds", "bsds images"]  # so that they may be written once more
    invoke(f"{line} --processes 2".replace(f"{tmp_path}/images {tmp_path}/groundTruth", f"{tmp_path} {tmp_path}"))
    assert [path.read_bytes() for path in files] == alone


def test_without_maps_the_method_is_asked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []

    def contours(image: np.ndarray, parameters: CrispParameters, seed: int) -> score.Contours:
        asked.append((image.shape, parameters, seed))
        edges = image[..., 0] > 100
        return edges.astype(np.float32), lambda level: components(edges, level)

    monkeypatch.setattr(score, "_contours", contours)
    line = write_set(tmp_path).replace(
        f"--maps {tmp_path}/maps", "--mode accurate_low_res --hierarchy mean_pb --seed 4"
    )
    wanted = replace(MODES["accurate_low_res"], hierarchy="mean_pb")
    assert "ODS 1.000" in invoke(line) and asked == [((40, 60, 3), wanted, 4)] * 3


def savemat_of(path: Path, **content: object) -> None:
    savemat(path, content)


SPOILED: dict[str, tuple[Callable[[Path], object], str, str]] = {
    "no truth": (lambda r: (r / "groundTruth/b.mat").unlink(), "groundTruth/b.mat", "no such ground truth"),
    "broken": (lambda r: (r / "groundTruth/b.mat").write_bytes(b"no"), "groundTruth/b.mat", "not a readable .mat"),
    "other .mat": (lambda r: savemat_of(r / "groundTruth/b.mat", x=1), "groundTruth/b.mat", "no groundTruth with"),
    "other size": (
        lambda r: savemat_of(
            r / "groundTruth/b.mat", groundTruth={"Segmentation": np.ones((4, 4)), "Boundaries": np.ones((4, 4))}
        ),
        "groundTruth/b.mat",
        "an annotation is (4, 4), the photograph (40, 60)",
    ),
    "no annotation": (
        lambda r: savemat_of(r / "groundTruth/b.mat", groundTruth=np.empty((1, 0), dtype=object)),
        "groundTruth/b.mat",
        "no annotation in it",
    ),
    "no map": (lambda r: (r / "maps/b.png").unlink(), "maps/b.png", "no such map"),
    "map in colours": (lambda r: Image.new("RGB", (60, 40)).save(r / "maps/b.png"), "maps/b.png", "mode RGB"),
    "small map": (
        lambda r: Image.new("L", (30, 20)).save(r / "maps/b.png"),
        "maps/b.png",
        "the contour map is (20, 30)",
    ),
    "broken map": (lambda r: (r / "maps/b.png").write_bytes(b"no"), "maps/b.png", "not a readable map"),
    "broken image": (lambda r: (r / "images/b.png").write_bytes(b"no"), "images/b.png", "not a readable image"),
    "no images": (lambda r: [p.unlink() for p in (r / "images").iterdir()], "images", "no photograph in it"),
}


@pytest.mark.parametrize("name", SPOILED)
def test_a_user_s_error_is_one_line(name: str, tmp_path: Path, fails: Callable[[str], str]) -> None:
    line = write_set(tmp_path)
    spoil, file, told = SPOILED[name]
    spoil(tmp_path)
    assert fails(line).startswith(f"{tmp_path / file}: {told}")
    assert not (tmp_path / "results.csv").exists()


def test_an_error_in_another_process_is_one_line(tmp_path: Path, fails: Callable[[str], str]) -> None:
    line = write_set(tmp_path)
    (tmp_path / "maps" / "c.png").write_bytes(b"no")
    assert fails(f"{line} --processes 2").startswith(f"{tmp_path}/maps/c.png: not a readable map")


def test_the_script_runs_from_any_folder(tmp_path: Path) -> None:
    """As from the shell: nobody else puts its folder on the path, and its processes find its functions."""

    def run(options: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, str(Path(score.__file__)), *line.split(), *options.split()]
        return subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)

    line = write_set(tmp_path)
    done = run("--processes 2")
    assert done.returncode == 0 and "ODS 1.000" in done.stdout
    (tmp_path / "maps" / "c.png").write_bytes(b"no")
    done = run("")
    assert done.returncode == 2 and done.stdout == ""
    assert done.stderr.splitlines()[-1].startswith(f"{tmp_path}/maps/c.png: not a readable map")
    assert run("--max-distance 0.06").returncode == 2


def test_a_method_that_fails_names_the_image(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fails: Callable[[str], str]
) -> None:
    def contours(image: np.ndarray, mode: str, seed: int) -> score.Contours:
        raise FloatingPointError("no eigenvalue\nat all")

    monkeypatch.setattr(score, "_contours", contours)
    line = fails(write_set(tmp_path).replace(f"--maps {tmp_path}/maps", ""))
    assert line.startswith(f"{tmp_path}/images/a.png: cannot be scored (FloatingPointError: no eigenvalue at all)")


def test_real_annotations_as_maps_score_high(bsds_mini: Path, tmp_path: Path) -> None:
    for folder in ("images", "maps"):
        (tmp_path / folder).mkdir()
    for name in ("135069", "253036"):
        (tmp_path / "images" / f"{name}.jpg").write_bytes((bsds_mini / "images" / f"{name}.jpg").read_bytes())
        drawn = read_annotations(bsds_mini / "groundTruth" / f"{name}.mat", (321, 481)).boundaries[0]
        Image.fromarray(drawn.astype(np.uint8) * 255).save(tmp_path / "maps" / f"{name}.png")
    invoke(f"{tmp_path} {bsds_mini} --maps {tmp_path}/maps --output {tmp_path}/r.csv --thresholds 3")
    summary = pd.read_csv(tmp_path / "r.csv").iloc[0]
    assert summary["ods"] > 0.85 and summary["covering_ods"] > 0.85


def test_its_photographs_are_those_of_any_folder(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    for name in ("a.heic", "b.jp2", "._a.jpg", "c.psd", "d.txt"):
        put_text(tmp_path / name, "")
    write_labels(tmp_path / "e.png", np.ones((40, 40), np.uint8))
    assert [path.name for path in photographs(tmp_path)] == ["a.heic", "b.jp2"]
    assert "1 file is not read: 1 .psd (c.psd)" in caplog.text
    assert "1 pictures that tagseg made are passed over: e.png" in caplog.text
