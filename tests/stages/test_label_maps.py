"""Label maps with the CRF and its regions, the search over its settings, and the picture of it, on made-up maps."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from tagseg.artifacts.shards import Shard, write_shard
from tagseg.config.masks import CrfSettings
from tagseg.crf import CrfParameters, dense_crf, softmax_unary
from tagseg.images.files import read_image, write_labels
from tagseg.stages import crf_panels, search_crf, smooth

SIZE = (24, 32)
IDS = ("a", "b")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Two noisy images of two halves; maps that doubt, regions that know the halves, truth."""
    rng = np.random.default_rng(0)
    (tmp_path / "masks").mkdir()
    lines, truth_lines = ["id,split,path,width,height,tags"], ["id,mask"]
    halves = np.repeat([[0, 1]], SIZE[1] // 2, axis=1).repeat(SIZE[0], axis=0).astype(np.uint8)
    with (
        write_shard(tmp_path / "maps.h5", "probabilities", {}) as maps,
        write_shard(tmp_path / "regions.h5", "regions", {}) as regions,
        write_shard(tmp_path / "sizes.h5", "regions", {}) as wrong,
    ):
        for name in IDS:
            Image.fromarray(rng.integers(0, 255, (*SIZE, 3)).astype(np.uint8)).save(tmp_path / f"{name}.png")
            lines.append(f"{name},val,{tmp_path / f'{name}.png'},{SIZE[1]},{SIZE[0]},cat")
            truth_lines.append(f"{name},{tmp_path / 'masks' / f'{name}.png'}")
            write_labels(tmp_path / "masks" / f"{name}.png", halves * 3)
            foreground = np.clip(0.35 + 0.3 * halves + rng.normal(0, 0.25, SIZE), 0, 1)
            values = np.stack([1 - foreground, foreground]).astype(np.float16)
            maps.put(name, {"maps": values, "labels": np.array([0, 1], np.uint8)})
            regions.put(name, {"regions": halves.astype(np.uint16)})
            wrong.put(name, {"regions": halves[:-1].astype(np.uint16)})
    (tmp_path / "tags.csv").write_text("\n".join(lines) + "\n", encoding="utf-8")
    (tmp_path / "ground_truth.csv").write_text("\n".join(truth_lines) + "\n", encoding="utf-8")
    (tmp_path / "classes.txt").write_text("background\ndog\ncow\ncat\n", encoding="utf-8")
    return tmp_path


def smoothed(folder: Path, crf: str, settings: CrfSettings) -> np.ndarray:
    smooth.run(
        crf, folder / "tags.csv", folder / "maps.h5", folder / f"{crf}.h5", settings,  # type: ignore[arg-type]
        regions=folder / "regions.h5", split=None, shard=0, shards=1,
    )  # fmt: skip
    with Shard(folder / f"{crf}.h5", "labels") as shard:
        return np.stack([shard.get(name, "labels") for name in IDS])


@pytest.mark.parametrize("model", ["pn_potts", "robust_pn"])
def test_the_stage_hands_regions_and_settings_to_the_crf(folder: Path, model: str) -> None:
    settings = CrfSettings(
        higher_order=model,  # type: ignore[arg-type]
        mask_gain=3, iterations=3, bilateral_weight=1, gaussian_weight=1, higher_order_weight=0.7, gamma_max=3,
        truncation=0.3, size_exponent=0.7, bilateral_width=20, bilateral_colour=9, gaussian_width=2,
    )  # fmt: skip
    labels = smoothed(folder, "higher_order", settings)
    with Shard(folder / "maps.h5", "probabilities") as maps, Shard(folder / "regions.h5", "regions") as regions:
        for name, found in zip(IDS, labels, strict=True):
            wanted = dense_crf(
                read_image(folder / f"{name}.png"),
                softmax_unary(maps.get(name, "maps").astype(np.float32), 3),
                regions=regions.get(name, "regions").astype(np.int32),
                higher_order=model,  # type: ignore[arg-type]
                parameters=CrfParameters(
                    iterations=3, bilateral_weight=1, gaussian_weight=1, higher_order_weight=0.7, gamma_max=3,
                    truncation=0.3, size_exponent=0.7, bilateral_width=20, bilateral_colour=9, gaussian_width=2,
                ),
            )  # fmt: skip
            np.testing.assert_array_equal(found, wanted.argmax(axis=0))


def test_regions_mend_what_noise_leaves(folder: Path) -> None:
    halves = np.arange(SIZE[1]) >= SIZE[1] // 2
    weak = CrfSettings(bilateral_weight=0, gaussian_weight=0.1, truncation=0.4)
    wrong = {crf: (smoothed(folder, crf, weak) != halves).mean() for crf in ("none", "pairwise", "higher_order")}
    assert wrong["higher_order"] < 0.02 < wrong["pairwise"] <= wrong["none"]


def test_a_file_names_only_the_settings_that_counted(folder: Path) -> None:
    import h5py

    for crf, counted in (("none", False), ("pairwise", False), ("higher_order", True)):
        smoothed(folder, crf, CrfSettings())
        with h5py.File(folder / f"{crf}.h5") as file:
            facts = file.attrs["parameters"]
        assert ("truncation" in facts) is counted and ("iterations" in facts) is (crf != "none")


def test_missing_or_foreign_regions_are_one_line(folder: Path, fails: Callable[[str], str]) -> None:
    line = f"smooth --crf higher_order --tags {folder}/tags.csv --maps {folder}/maps.h5 --output {folder}/out.h5"
    assert "--crf higher_order needs --regions" in fails(line)
    assert "maps.h5: holds probabilities, but regions is needed" in fails(f"{line} --regions {folder}/maps.h5")
    assert "regions of image 'a' are (23, 32), the image is (24, 32)" in fails(f"{line} --regions {folder}/sizes.h5")
    assert not (folder / "out.h5").exists()


def test_the_search_scores_each_distinct_trial(folder: Path) -> None:
    varied = {"higher_order_weight": ["0.1", "1"], "gaussian_weight": ["0", "0.1"]}
    base = CrfSettings(bilateral_weight=0)
    trials = search_crf.trials_of(["none", "pairwise", "higher_order"], base, varied)
    assert [crf for crf, _ in trials] == ["none", *["pairwise"] * 2, *["higher_order"] * 4]
    table = search_crf.search(
        trials, folder / "tags.csv", [folder / "maps.h5"], [folder / "regions.h5"], folder / "ground_truth.csv",
        folder / "classes.txt", folder / "search.csv", split="val", protocol="foreground", processes=1,
    )  # fmt: skip
    assert len(table) == 7 and table["mean_iou"].is_monotonic_decreasing
    pd.testing.assert_frame_equal(table, pd.read_csv(folder / "search.csv"), check_exact=False, atol=1e-3)
    row = table[
        (table["crf"] == "higher_order") & (table["higher_order_weight"] == 1) & (table["gaussian_weight"] == 0)
    ]
    labels = smoothed(folder, "higher_order", CrfSettings(bilateral_weight=0, gaussian_weight=0))
    right = (labels == (np.arange(SIZE[1]) >= SIZE[1] // 2)).mean()
    assert row["pixel_accuracy"].item() == pytest.approx(100 * right, abs=1e-3)


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        ("--crf triple", "--crf triple: use none, pairwise, higher_order"),
        ("--crf higher_order", "crf higher_order needs --regions"),
        ("--vary weight=1", "--weight: "),
        ("--vary truncation=0.7", "--truncation: "),
        ("--vary truncation", "--vary"),
        ("--split train", "no image of split train has a truth mask"),
    ],
)
def test_a_search_that_cannot_be_made_says_why(
    folder: Path, fails: Callable[[str], str], words: str, complaint: str
) -> None:
    line = (
        f"search-crf --tags {folder}/tags.csv --maps {folder}/maps.h5 --ground-truth {folder}/ground_truth.csv "
        f"--classes {folder}/classes.txt --split val --output {folder}/search.csv {words}"
    )
    assert complaint in fails(line)


def test_a_search_names_the_truth_that_does_not_fit(folder: Path, fails: Callable[[str], str]) -> None:
    write_labels(folder / "masks" / "a.png", np.zeros((5, 5), np.uint8))
    line = (
        f"search-crf --tags {folder}/tags.csv --maps {folder}/maps.h5 --ground-truth {folder}/ground_truth.csv "
        f"--classes {folder}/classes.txt --split val --crf none --output {folder}/search.csv"
    )
    assert "masks/a.png: 5 x 5 pixels, but its photograph" in fails(line)


def test_the_picture_shows_what_regions_change_most(folder: Path) -> None:
    weak = CrfSettings(bilateral_weight=0, gaussian_weight=0.1, truncation=0.4)
    smoothed(folder, "pairwise", weak)
    smoothed(folder, "higher_order", weak)
    for count, name in ((1, "one.png"), (2, "two.png")):
        crf_panels.run(
            "fgbg", folder / "tags.csv", folder / "classes.txt", folder / "ground_truth.csv", [folder / "regions.h5"],
            [folder / "pairwise.h5"], [folder / "higher_order.h5"], folder / name, split="val", count=count,
        )  # fmt: skip
    one, two = Image.open(folder / "one.png").size, Image.open(folder / "two.png").size
    assert one[0] == two[0] and two[1] > 1.3 * one[1]
