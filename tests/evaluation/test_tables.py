"""The tables, their published rows, and the difference where a row has a counterpart in the paper."""

import math

import numpy as np
import pandas as pd
import pytest

from tagseg.datasets.voc import CLASSES
from tagseg.evaluation.confusion import ConfusionMatrix
from tagseg.evaluation.published import headline_rows, published_rows
from tagseg.evaluation.result import Result
from tagseg.evaluation.tables import ablation_table, class_column, image_table, masks_table, miou_table, trimap_table
from tagseg.evaluation.trimap import Trimap


def filled(counts: list[list[int]]) -> ConfusionMatrix:
    return ConfusionMatrix(len(counts), np.array(counts, dtype=np.int64))


def result(counts: list[list[int]], images: int = 3, **facts: str) -> Result:
    return Result(facts, [f"c{i}" for i in range(len(counts))], images, filled(counts))


def test_miou_table_holds_percent_by_class() -> None:
    facts = {"experiment": "tags", "smoothing": "none"}
    table = miou_table([result([[2, 1, 0], [1, 1, 0], [0, 0, 0]], **facts)], "none")
    first = ["method", "crf", "source", "miou", "classes", "pixel_accuracy"]
    assert list(table.columns) == [*first, "c0", "c1", "c2", "mean_accuracy", "frequency_weighted_iou"]
    assert table["mean_accuracy"].tolist() == [58.33] and table["frequency_weighted_iou"].tolist() == [43.33]
    assert table["classes"].tolist() == [2] and table["pixel_accuracy"].tolist() == [60.0]
    row = table.iloc[0]
    assert (row["method"], row["crf"], row["source"]) == ("tags", "none", "measured")
    assert (row["c0"], row["c1"], row["miou"]) == (50, 33.33, 41.67)
    assert math.isnan(row["c2"])


def test_miou_table_keeps_the_order_of_results() -> None:
    names = ["b", "a", "c"]
    table = miou_table([result([[1]], experiment=name, smoothing="pairwise") for name in names], "none")
    assert table["method"].tolist() == names


def test_published_rows_stand_below_the_measured_in_the_same_columns() -> None:
    classes = ["background", *CLASSES]
    own = Result({"experiment": "tags", "smoothing": "pairwise"}, classes, 1, filled(np.eye(21, dtype=int).tolist()))
    table = miou_table([own], "voc")
    figures = {"miou", "classes", "pixel_accuracy", "mean_accuracy", "frequency_weighted_iou"}
    assert set(table.columns) == {"method", "crf", "source", "table", *figures, *classes}
    published = table[table["source"] == "published"].set_index("method")
    assert published["table"].value_counts().to_dict() == {"Table 1": 13, "Table 3": 6}
    assert len(published) == len(table) - 1 and len(published_rows("table1_voc_val")) == 13
    assert published.loc["STC+CRF+additional train data [17]", "miou"] == 49.8
    assert published.loc["CCNN(Tag)", "miou"] == 33.3
    assert published.loc["CCNN(Tag)", "bird"] == 24.3
    assert math.isnan(published.loc["EM-Adapt(Tag)+CRF", "bird"])
    assert table.iloc[0]["miou"] == 100


def ablation_results(mask: str, fov: str = "small", crf: str = "pairwise") -> list[Result]:
    facts = {"experiment": f"{mask}_{fov}", "mask": mask, "crf": crf, "fov": fov}
    return [
        result([[2, 1], [1, 1]], smoothing="none", **facts),
        result([[3, 0], [1, 1]], smoothing=crf, **facts),
    ][: 1 if crf == "none" else 2]


def test_ablation_table_puts_both_smoothings_in_one_row() -> None:
    table = ablation_table([*ablation_results("none"), *ablation_results("fgbg", "large")], "none")
    assert table["experiment"].tolist() == ["none_small", "fgbg_large"]
    assert table["miou_no_crf"].tolist() == [41.67, 41.67]
    assert table["miou"].tolist() == [62.5, 62.5]
    assert not {"published_miou", "difference"} & set(table.columns)


@pytest.mark.parametrize("backwards", [False, True])
@pytest.mark.parametrize(
    ("mask", "published"), [("none", 31.0), ("fgbg", 47.3), ("localization", 45.9), ("multiclass", 49.2)]
)
def test_ablation_table_sets_table_6_beside_the_run_s_own(mask: str, published: float, backwards: bool) -> None:
    results = ablation_results(mask)
    row = ablation_table(results[::-1] if backwards else results, "voc").iloc[0]
    assert list(row.index)[5:] == ["miou_no_crf", "miou", "published_setup", "published_miou", "difference"]
    assert row["published_miou"] == published
    assert row["difference"] == pytest.approx(62.5 - published, abs=0.005)
    assert row["published_setup"] in {r["setup"] for r in published_rows("table6_ablation")}


def test_a_row_that_table_6_lacks_has_no_published_figure() -> None:
    table = ablation_table([*ablation_results("none"), *ablation_results("fgbg", "large")], "voc")
    assert math.isnan(table.iloc[1]["published_miou"]) and math.isnan(table.iloc[1]["difference"])


def test_an_experiment_without_a_crf_has_one_figure_for_both() -> None:
    row = ablation_table(ablation_results("none", crf="none"), "none").iloc[0]
    assert row["miou"] == row["miou_no_crf"] == 41.67


@pytest.mark.parametrize("crf", ["none", "higher_order"])
def test_another_crf_than_the_experiment_s_own_has_no_figure(crf: str) -> None:
    facts = {"experiment": "e", "mask": "none", "crf": crf, "fov": "small"}
    other = result([[2, 1], [1, 1]], smoothing="pairwise", **facts)
    own = result([[3, 0], [1, 1]], smoothing=crf, **facts)
    assert not {"miou", "miou_no_crf"} & set(ablation_table([other], "none").columns)
    for results in ([own, other], [other, own]):
        table = ablation_table(results, "none")
        assert table["miou"].tolist() == [62.5] and table["experiment"].tolist() == ["e"]


def test_rows_of_table_6_follow_the_measured() -> None:
    table = ablation_table(ablation_results("none"), "voc")
    assert table["source"].tolist() == ["measured"] + 8 * ["published"]
    known = table[table["source"] == "published"].set_index("experiment")
    assert known["miou"].to_dict() == {r["setup"]: float(r["miou_val"]) for r in published_rows("table6_ablation")}
    assert known.loc["Localization+fusion priors + higher order (large FOV)", ["mask", "crf", "fov"]].tolist() == [
        "multiclass", "higher_order", "large",
    ]  # fmt: skip
    assert set(ablation_table(ablation_results("none"), "none")["source"]) == {"measured"}


@pytest.mark.parametrize(
    ("mask", "crf", "fov", "published"),
    [
        ("none", "pairwise", "small", 31.0),
        ("fgbg", "higher_order", "small", 48.0),
        ("localization", "higher_order", "small", 46.6),
        ("multiclass", "higher_order", "small", 49.3),
        ("multiclass", "higher_order", "large", 50.9),
    ],
)
def test_headline_rows_are_set_beside_their_counterparts(mask: str, crf: str, fov: str, published: float) -> None:
    facts = {"experiment": "e", "mask": mask, "crf": crf, "fov": fov}
    results = [result([[2, 1], [1, 1]], smoothing=smoothing, **facts) for smoothing in ("none", crf)]
    table = miou_table(results, "voc")
    assert math.isnan(table.loc[0, "difference"])  # the paper's rows are with a CRF
    assert table.loc[1, "published_miou"] == published
    assert table.loc[1, "difference"] == pytest.approx(41.67 - published, abs=0.005)
    assert table.loc[1, "counterpart"].startswith("Table 6: ")
    assert table.loc[2:, "difference"].isna().all()


@pytest.mark.parametrize("missing", ["mask", "crf", "fov"])
def test_a_result_that_does_not_say_its_set_up_has_no_counterpart(missing: str) -> None:
    facts = {"experiment": "e", "mask": "none", "crf": "pairwise", "fov": "small", "smoothing": "pairwise"}
    assert "difference" in miou_table([result([[1]], **facts)], "voc")
    del facts[missing]
    assert "difference" not in miou_table([result([[1]], **facts)], "voc")


def test_youtube_objects_is_set_beside_table_7() -> None:
    facts = {
        "experiment": "e",
        "mask": "multiclass",
        "crf": "higher_order",
        "fov": "small",
        "smoothing": "higher_order",
    }
    table = miou_table([result([[1, 1], [0, 2]], **facts)], "yto")
    assert table.loc[0, "difference"] == pytest.approx(58.33 - 51.6, abs=0.005)
    assert table["method"].tolist()[1:] == [row["method"] for row in published_rows("table7_yto")]
    pairwise = {**facts, "crf": "pairwise", "smoothing": "pairwise"}
    assert "difference" not in miou_table([result([[1, 1], [0, 2]], **pairwise)], "yto")


def test_coco_s_table_8_is_turned() -> None:
    facts = {
        "experiment": "e",
        "mask": "multiclass",
        "crf": "higher_order",
        "fov": "large",
        "smoothing": "higher_order",
    }
    rows = published_rows("table8_coco_val")
    names = [row["class"] for row in rows if row["class"] != "mean IOU"]
    own = Result(facts, names, 1, filled(np.eye(81, dtype=int).tolist()))
    table = miou_table([own], "coco").set_index("method")
    assert table.loc["SEC", ["zebra", "miou"]].tolist() == [59.8, 22.4]
    assert table.loc["Ours (multi-class masks)", ["background", "zebra", "miou"]].tolist() == [68.8, 65.0, 20.4]
    assert table.loc["e", "difference"] == pytest.approx(100 - 20.4)
    assert len(names) == 81 and [column for column in table if column in names] == names


def test_every_published_table_is_a_table_of_numbers() -> None:
    for published, tables in (("voc", {"Table 1", "Table 3"}), ("yto", {"Table 7"}), ("coco", {"Table 8"})):
        rows = headline_rows(published)
        assert {row["table"] for row in rows} == tables
        for row in rows:
            assert 0 < float(row["miou"]) < 100


def test_a_class_named_like_a_column_keeps_both() -> None:
    own = Result({"experiment": "e", "smoothing": "none"}, ["background", "source"], 1, filled([[1, 1], [0, 2]]))
    table = miou_table([own], "none")
    assert table["source"].tolist() == ["measured"] and table[class_column("source")].tolist() == [66.67]


def test_masks_table_of_each_prior() -> None:
    table = masks_table(
        [
            result([[3, 0], [1, 1]], images=5, prior="fgbg", crf="none", split="train", sample="0.1"),
            result([[2, 1, 0], [1, 1, 0], [0, 0, 0]], prior="localization", crf="none", split="val"),
            result([[1, 0], [0, 1]], prior="multiclass", crf="pairwise", split="val"),
        ],
        "voc",
    )
    own = table[table["source"] == "measured"]
    assert own["mean_iou"].tolist() == [62.5, 41.67, 100]
    assert own["published_mean_iou"].tolist() == [60.08, 43.0, 46.6]
    assert own["difference"].tolist() == [2.42, -1.33, 53.4]
    assert own["table"].tolist() == ["Table 4", "Table 5", "Table 5"]
    assert own["images"].tolist() == [5, 3, 3] and own["sample"].tolist() == [10, 100, 100]
    assert own.loc[0, ["background", "foreground"]].tolist() == [75, 50]
    assert own.loc[1:, ["background", "foreground"]].isna().all(axis=None)
    known = table[table["source"] == "published"].set_index("prior")["mean_iou"].to_dict()
    assert known == {
        "Objectness [25]": 52.34, "MCG [27]": 50.2, "Ours": 60.08, "localization": 43.0, "localization+fusion": 46.6,
    }  # fmt: skip


@pytest.mark.parametrize(
    ("prior", "split", "sample"), [("fgbg", "train", "1"), ("fgbg", "val", "1"), ("multiclass", "train", "1")]
)
def test_masks_of_another_protocol_have_no_counterpart(prior: str, split: str, sample: str) -> None:
    table = masks_table([result([[3, 0], [1, 1]], prior=prior, crf="none", split=split, sample=sample)], "voc")
    assert "difference" not in table


def test_masks_table_without_published_figures() -> None:
    table = masks_table([result([[3, 0], [1, 1]], prior="fgbg", crf="none", split="val")], "none")
    assert not {"published_mean_iou", "difference"} & set(table.columns)
    assert table["source"].tolist() == ["measured"]


def test_trimap_table_has_a_row_a_band() -> None:
    trimap = Trimap(2, widest=2)
    trimap.counts[0] = [[2, 1], [0, 1]]
    trimap.counts[1] = [[1, 0], [0, 3]]
    table = trimap_table({("tags", "none"): trimap})
    assert table.to_dict("records") == [
        {"method": "tags", "crf": "none", "source": "measured", "width": 1, "pixels": 4, "pixel_accuracy": 75.0,
         "miou": 58.33},
        {"method": "tags", "crf": "none", "source": "measured", "width": 2, "pixels": 8, "pixel_accuracy": 87.5,
         "miou": 77.5},
    ]  # fmt: skip


def test_table_of_images_is_in_percent_and_blank_where_nothing_counts() -> None:
    table = image_table([("a", 0.1234, 1.0), ("b", math.nan, math.nan)])
    assert table.to_csv(index=False) == "id,miou,pixel_accuracy\na,12.34,100.0\nb,,\n"
    assert isinstance(table, pd.DataFrame)
