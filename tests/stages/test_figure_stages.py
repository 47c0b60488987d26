"""The stages of evaluation and of figures on six made-up images: what they write, and their one-line errors."""

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from PIL import Image
from typer.testing import CliRunner

from tagseg import cli
from tagseg.artifacts.shards import Shard, write_shard
from tagseg.datasets.index import ImageRecord, write_classes, write_ground_truth, write_index
from tagseg.evaluation.confusion import any_foreground
from tagseg.evaluation.result import Result
from tagseg.figures.panels import heat_panel
from tagseg.images.files import read_image, write_labels
from tagseg.images.palette import voc_palette
from tagseg.images.resize import resize_map
from tagseg.networks.backbones.taps import LAYERS
from tagseg.priors.foreground import scale_min_max
from tagseg.stages import figure_average, figure_cams, figure_foreground, figure_ranked

HEIGHT, WIDTH = 40, 48
IDS = [f"i{k}" for k in range(6)]
BASE = "--tags tags.csv --ground-truth truth.csv"
CLASSES = "--classes classes.txt"
LABELS = "--prediction good=good.h5 --prediction poor=poor.h5"
SCORES = "--score good=good.csv --score poor=poor.csv"


def invoke(line: str) -> str:
    outcome = CliRunner().invoke(cli.app, line.split(), catch_exceptions=False)
    assert outcome.exit_code == 0, f"{line}\n{outcome.output}"
    return outcome.output


def truth_of(k: int) -> np.ndarray:
    """A box of class 1 or 2; image k has k wrong rows in the good prediction."""
    labels = np.zeros((HEIGHT, WIDTH), dtype=np.uint8)
    labels[10:30, 12:36] = 1 + k % 2
    labels[9, 12:36] = 255
    return labels


def prediction_of(k: int, rows: int) -> np.ndarray:
    labels = truth_of(k)
    labels[labels == 255] = 0
    labels[10 : 10 + rows] = 0
    return labels


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Every artifact that figures are drawn from, and what the stages make of it."""
    folder = tmp_path_factory.mktemp("run")
    rng = np.random.default_rng(0)
    records, masks = [], {}
    for k, image_id in enumerate(IDS):
        path = folder / f"{image_id}.png"
        Image.fromarray(rng.integers(0, 255, (HEIGHT, WIDTH, 3)).astype(np.uint8)).save(path)
        tags = () if k == 5 else (("apple", "berry")[k % 2],)
        records.append(ImageRecord(image_id, "val", path, WIDTH, HEIGHT, tags))
        masks[image_id] = folder / "truth" / f"{image_id}.png"
        write_labels(masks[image_id], truth_of(k))
    write_index(folder / "tags.csv", records)
    write_ground_truth(folder / "truth.csv", masks)
    write_classes(folder / "classes.txt", ["apple", "berry", "cherry"])
    small = rng.random((6, 10, 12)).astype(np.float16)
    for name, kind in (
        ("cams", "cams"),
        ("fgbg", "probabilities"),
        ("fused", "probabilities"),
        ("good", "labels"),
        ("poor", "labels"),
    ):
        with write_shard(folder / f"{name}.h5", kind, {}) as writer:
            for k, image_id in enumerate(IDS):
                labels = np.array([] if k == 5 else [1 + k % 2], dtype=np.uint8)
                arrays: dict[str, np.ndarray] = {
                    "cams": {"cams": small[k][None][: len(labels)], "labels": labels},
                    "fgbg": {"maps": small[:2], "labels": np.array([0, 1], dtype=np.uint8)},
                    "fused": {"maps": small[: 1 + len(labels)], "labels": np.array([0, *labels], dtype=np.uint8)},
                    "good": {"labels": prediction_of(k, k)},
                    "poor": {"labels": prediction_of(k, 12)},
                }[name]
                writer.put(image_id, arrays)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        for line in LINES:
            invoke(line)
    return folder


FACTS = "--fact mask=multiclass --fact crf=higher_order --fact fov=small --fact smoothing=higher_order"
LINES = [
    *(
        f"evaluate --labels {name}.h5 {BASE} {CLASSES} --fact experiment={name} {FACTS} --output {name}.json "
        f"--per-image {name}.csv"
        for name in ("good", "poor")
    ),
    f"evaluate --labels good.h5 {BASE} {CLASSES} --protocol foreground --sample 0.5 --fact prior=fgbg "
    "--fact crf=none --output half.json --per-image half.csv",
    "tabulate --table miou good.json poor.json --published voc --output miou.csv",
    "tabulate --table masks half.json --output masks.csv",
    f"trimap --prediction good/none=good.h5 --prediction poor/pairwise=poor.h5 {BASE} {CLASSES} --width 6 "
    "--output trimap.csv",
    f"figure foreground {BASE} --priors fgbg.h5 --masks good.h5 --count 2 --backbone shapes --scales 0.5 --scales 1 "
    "--stride 8 -o foreground.png -o foreground.svg",
    f"figure cams {BASE} {CLASSES} --cams cams.h5 --masks good.h5 --count 2 -o cams.png",
    f"figure cams {BASE} {CLASSES} --cams cams.h5 --masks good.h5 --foreground fgbg.h5 --fused fused.h5 --count 2 "
    "-o fused.png",
    *(
        f"figure ranked --rank {rank} {BASE} {CLASSES} {SCORES} {LABELS} --count 2 -o {rank}.png"
        for rank in ("best", "median", "worst")
    ),
    f"figure average {BASE} {CLASSES} --cams cams.h5 -o average.png",
    "figure trimap --table trimap.csv -o trimap_figure.png",
    "figure confusion --result good.json -o confusion.png",
    f"figure per-class --table miou.csv {CLASSES} -o per_class.png",
    "figure experiments --table miou.csv -o miou.png",
    "summary --miou miou.csv --table masks.csv --picture miou.png --picture best.png --title mine --output page.html",
]
PICTURES = re.findall(r"-o (\S+\.png)", "\n".join(LINES))


@pytest.mark.parametrize("name", PICTURES)
def test_pictures_are_pictures(run: Path, name: str) -> None:
    pixels = read_image(run / name)
    assert min(pixels.shape[:2]) > 100 and pixels.std() > 10


@pytest.mark.parametrize("line", [line for line in LINES if line.startswith("figure")])
def test_figures_drawn_twice_are_the_same_bytes(
    run: Path, tmp_path: Path, line: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(run)
    name = re.findall(r"-o (\S+)\.png", line)[0]
    invoke(re.sub(r" -o \S+", "", line) + f" -o {tmp_path}/{name}.png")
    assert (tmp_path / f"{name}.png").read_bytes() == (run / f"{name}.png").read_bytes()


def test_images_are_scored_one_by_one(run: Path) -> None:
    """k of 20 rows of a box of 480 pixels are missed; the line of 255 above it counts nowhere."""
    table = pd.read_csv(run / "good.csv")
    assert table["id"].tolist() == IDS
    pixels = HEIGHT * WIDTH - 24
    for k, row in table.iterrows():
        missed = 24 * int(str(k))
        wanted = (((480 - missed) / 480) + (pixels - 480) / (pixels - 480 + missed)) / 2
        assert row["miou"] == pytest.approx(100 * wanted, abs=0.006)
        assert row["pixel_accuracy"] == pytest.approx(100 * (pixels - missed) / pixels, abs=0.006)


def test_the_result_is_of_all_images_together(run: Path) -> None:
    result = Result.from_json((run / "good.json").read_text())
    missed = 24 * sum(range(6))
    assert result.images == 6 and result.matrix.counts[1:, 0].sum() == missed
    assert result.matrix.counts.sum() == 6 * (HEIGHT * WIDTH - 24)
    content = json.loads((run / "good.json").read_text())
    assert content["absent"] == ["cherry"] and content["merit"]["mean_iou"] == result.matrix.mean_iou()


Drawn = list[tuple[Any, ...]]


@pytest.fixture
def drawn(run: Path, monkeypatch: pytest.MonkeyPatch) -> Drawn:
    """What stages hand to the functions that draw."""
    calls: Drawn = []
    monkeypatch.chdir(run)
    for stage, name in ((figure_foreground, "image_grid"), (figure_cams, "image_grid"),
                        (figure_ranked, "image_grid"), (figure_average, "average_figure")):  # fmt: skip
        draw = getattr(stage, name)

        def record(*given: Any, draw: Callable[..., Any] = draw) -> Any:
            calls.append(given)
            return draw(*given)

        monkeypatch.setattr(stage, name, record)
    return calls


def drawing(start: str, tmp_path: Path) -> None:
    line = next(line for line in LINES if line.startswith(start))
    invoke(re.sub(r" -o \S+", "", line) + f" -o {tmp_path}/again.png")


def grid(drawn: Drawn) -> tuple[list[str], list[str], list[list[np.ndarray]]]:
    """Of the grid that was drawn: its column titles, its row labels, the pixels of each row."""
    rows = drawn[0][0]
    pixels = [[panel.pixels for _, panel in cells] for _, cells in rows]
    return [title for title, _ in rows[0][1]], [label for label, _ in rows], pixels


def labelled(labels: np.ndarray) -> np.ndarray:
    return voc_palette()[labels]


def heat(values: np.ndarray) -> np.ndarray:
    return heat_panel(values).pixels


def test_foreground_figure_shows_what_it_says(drawn: Drawn, tmp_path: Path) -> None:
    drawing("figure foreground", tmp_path)
    columns, names, rows = grid(drawn)
    assert columns == ["image", *LAYERS, "fusion Pf", "mask", "truth"] and names == ["i0", "i5"]
    assert drawn[0][1] == ["background", "foreground"]
    np.testing.assert_array_equal(rows[1][-1], labelled(any_foreground(truth_of(5))))  # i5 holds class 2
    np.testing.assert_array_equal(rows[0][7], labelled(prediction_of(0, 0)))
    darkest, brightest = heat(np.array([[0, 1]]))[0]
    for shown in (pixels for row in rows for pixels in row[1:6]):
        assert (shown == darkest).all(axis=2).any() and (shown == brightest).all(axis=2).any()


def test_foreground_figure_shows_the_activations_of_which_the_prior_is_made(drawn: Drawn, tmp_path: Path) -> None:
    """conv4 and conv5 of each image are what `extract` keeps of it, its scales brought to one and averaged."""
    drawing("figure foreground", tmp_path)
    _, names, rows = grid(drawn)
    scales = "--scales 0.5 --scales 1"
    invoke(f"prepare-trunk --tags tags.csv --backbone shapes {scales} --stride 8 --output {tmp_path}/trunk.h5")
    invoke(f"extract --tags tags.csv --trunk {tmp_path}/trunk.h5 --output {tmp_path}/a.h5")
    kept = Shard(tmp_path / "a.h5", "activations")
    for row, image_id in zip(rows, names, strict=True):
        for column, layer in ((4, "conv4"), (5, "conv5")):
            both = [scale_min_max(resize_map(kept.get(image_id, f"{layer}-{s}"), (HEIGHT, WIDTH))) for s in (0, 1)]
            wanted = heat(scale_min_max(sum(both))).astype(int)
            assert abs(row[column] - wanted).max() <= 5  # kept as float16


def test_fused_figure_takes_the_map_of_its_tag(drawn: Drawn, tmp_path: Path) -> None:
    drawing("figure cams --tags tags.csv --ground-truth truth.csv --classes classes.txt --cams cams.h5 --masks good.h5 "
            "--foreground", tmp_path)  # fmt: skip
    columns, names, rows = grid(drawn)
    assert columns[3:5] == ["fused: class", "fused: background"] and drawn[0][1][1] == "apple"
    assert names == ["i0\napple", "i4\napple"]  # i5 has no tag
    with Shard(Path("fused.h5"), "probabilities") as shard:
        for row, image_id in zip(rows, ("i0", "i4"), strict=True):
            background, own = shard.get(image_id, "maps")
            np.testing.assert_array_equal(row[3], heat(resize_map(own, (HEIGHT, WIDTH))))
            np.testing.assert_array_equal(row[4], heat(resize_map(background, (HEIGHT, WIDTH))))


@pytest.mark.parametrize(
    ("rank", "wanted"), [("best", ["i0", "i1"]), ("median", ["i2", "i3"]), ("worst", ["i5", "i4"])]
)
def test_the_better_experiment_ranks(drawn: Drawn, tmp_path: Path, rank: str, wanted: list[str]) -> None:
    drawing(f"figure ranked --rank {rank}", tmp_path)
    columns, names, rows = grid(drawn)
    assert columns == ["image", "good\n(ranks)", "poor", "truth"]
    assert [name.split("\n")[0] for name in names] == wanted
    k = int(wanted[0][1])
    np.testing.assert_array_equal(rows[0][1], labelled(prediction_of(k, k)))
    np.testing.assert_array_equal(rows[0][3], labelled(truth_of(k)))
    assert names[0].split("\n")[1].split(" / ")[1] == "62"  # of the poor one: (8/20 + 1416/1704) / 2


def test_average_figure_is_of_the_tagged_images(drawn: Drawn, tmp_path: Path) -> None:
    drawing("figure average", tmp_path)
    names, images, found, truth, missing = drawn[0]
    assert (names, images, missing) == (["apple", "berry"], [3, 2], ["cherry"])
    assert found.shape == truth.shape == (2, 64, 64)
    box = slice(20, 44), slice(20, 44)  # within rows 10..30 of 40 and columns 12..36 of 48
    np.testing.assert_allclose(truth[0][box], 1, atol=1e-6)
    assert truth[0][:10].max() == 0


def test_half_of_the_images_are_drawn_once_and_for_all(run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(run)
    chosen = pd.read_csv("half.csv")["id"].tolist()
    assert len(chosen) == 3 and chosen == sorted(chosen)
    result = Result.from_json(Path("half.json").read_text())
    assert result.images == 3 and result.facts["sample"] == "0.5" and result.facts["sample_seed"] == "0"
    assert result.classes == ["background", "foreground"]
    line = f"evaluate --labels good.h5 {BASE} {CLASSES} --sample 0.5 --output again.json --per-image again.csv"
    invoke(line)
    assert pd.read_csv("again.csv")["id"].tolist() == chosen
    others = set()
    for seed in range(1, 6):
        invoke(f"{line} --sample-seed {seed}")
        others.add(tuple(pd.read_csv("again.csv")["id"]))
    assert len(others) > 1
    for name in ("again.json", "again.csv"):
        Path(name).unlink()


def test_published_rows_and_the_difference_reach_the_tables(run: Path) -> None:
    table = pd.read_csv(run / "miou.csv")
    assert table.loc[0, "difference"] == pytest.approx(table.loc[0, "miou"] - 49.3, abs=0.006)
    assert table["source"].value_counts().to_dict() == {"published": 19, "measured": 2}
    masks = pd.read_csv(run / "masks.csv")
    assert masks.loc[0, ["prior", "sample", "images"]].tolist() == ["fgbg", 50, 3]


def test_trimaps_of_each_method(run: Path) -> None:
    table = pd.read_csv(run / "trimap.csv")
    assert table[["method", "crf"]].drop_duplicates().to_numpy().tolist() == [["good", "none"], ["poor", "pairwise"]]
    assert table["width"].tolist() == [*range(1, 7)] * 2
    good = table[table["method"] == "good"]
    assert (np.diff(good["pixels"]) > 0).all()
    # errors lie at the upper boundary: the wider the band, the smaller their part
    assert good["pixel_accuracy"].iloc[0] < good["pixel_accuracy"].iloc[-1] < 100


def test_the_page_has_tables_and_pictures_in_it(run: Path) -> None:
    text = (run / "page.html").read_text(encoding="utf-8")
    assert "<th>classes</th>" in text and "<td>3</td>" in text  # how many the mean is over
    assert text.count("data:image/png;base64,") == 2 and "<h1>mine</h1>" in text
    assert "Ours multi-class masks+CRF" in text and "masks.csv" in text
    headline = text[: text.index("All figures")]
    assert "SEC+CRF" not in headline and "difference" in headline


def test_equal_inputs_give_the_same_page(run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(run)
    invoke(LINES[-1].replace("page.html", f"{tmp_path}/page.html"))
    assert (tmp_path / "page.html").read_bytes() == (run / "page.html").read_bytes()


def test_show_says_where_figures_and_page_are(run: Path, tmp_path: Path) -> None:
    for name in ("miou.csv", "summary.html", "figures/best.png", "figures/best.svg", "figures/average.png"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes((run / "miou.csv").read_bytes())
    lines = invoke(f"show {tmp_path}").splitlines()
    assert lines[-2:] == [
        f"figures, PNG and SVG, in {tmp_path}/figures: average, best",
        f"page: {tmp_path}/summary.html",
    ]


ERRORS = {
    "no part": (f"evaluate --labels good.h5 {BASE} {CLASSES} --sample 0 --output out.json", "--sample: "),
    "a part above all": (f"evaluate --labels good.h5 {BASE} {CLASSES} --sample 1.5 --output out.json", "--sample: "),
    "a picture of no format": ("figure confusion --result good.json -o out.pdf", "out.pdf: a picture is one of"),
    "a method without a CRF": (
        f"trimap --prediction good=good.h5 {BASE} {CLASSES} --output out.csv", "write it as METHOD/CRF=FILE",
    ),
    "truth of another split": (
        f"figure average {BASE} {CLASSES} --cams cams.h5 --split train -o out.png", "no image of split train",
    ),
    "half of a fusion": (
        f"figure cams {BASE} {CLASSES} --cams cams.h5 --masks good.h5 --fused fused.h5 -o out.png",
        "--foreground and --fused together",
    ),
    "scores of other experiments": (
        f"figure ranked --rank best {BASE} {CLASSES} --score good=good.csv {LABELS} -o out.png",
        "scores are of good, predictions of good, poor",
    ),
    "scores of other images": (
        f"figure ranked --rank best {BASE} {CLASSES} --score good=half.csv --prediction good=good.h5 -o out.png",
        "half.csv: no score of image",
    ),
    "no trimap": ("figure trimap --table tags.csv -o out.png", "tags.csv:1: the header lacks"),
    "no result": ("figure confusion --result tags.csv -o out.png", "tags.csv: not a result"),
    "no headline": ("summary --miou masks.csv --output out.html", "masks.csv: not a miou.csv"),
    "no picture": ("summary --miou miou.csv --picture good.h5 --output out.html", "good.h5: not a PNG"),
    "no file": ("summary --miou miou.csv --picture none.png --output out.html", "none.png: no such file"),
    "a class without a column": (
        "figure per-class --table trimap.csv --classes classes.txt -o out.png", "the header lacks background",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", ERRORS)
def test_a_user_s_error_is_one_line(
    name: str, fails: Callable[[str], str], run: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(run)
    line, told = ERRORS[name]
    assert told in fails(line)
    assert not list(run.glob("out.*"))


def test_a_truth_of_another_size_is_named(run: Path, tmp_path: Path, fails: Callable[[str], str]) -> None:
    write_labels(tmp_path / "small.png", np.zeros((5, 5), dtype=np.uint8))
    (tmp_path / "truth.csv").write_text(f"id,mask\ni0,{tmp_path}/small.png\n")
    told = fails(
        f"trimap --prediction a/none={run}/good.h5 --tags {run}/tags.csv --ground-truth {tmp_path}/truth.csv "
        f"--classes {run}/classes.txt --output {tmp_path}/out.csv"
    )
    assert told.startswith(f"{tmp_path}/small.png: 5 x 5 pixels, but its photograph") and "at its size" in told
