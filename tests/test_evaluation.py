"""The confusion matrix against loops, the result's text, and the tables with their published rows."""

import math

import numpy as np
import pytest

from tagseg.datasets.voc import CLASSES
from tagseg.evaluation.confusion import ConfusionMatrix
from tagseg.evaluation.result import Result
from tagseg.evaluation.tables import ablation_table, masks_table, miou_table, published_rows


def filled(counts: list[list[int]]) -> ConfusionMatrix:
    return ConfusionMatrix(len(counts), np.array(counts, dtype=np.int64))


def result(counts: list[list[int]], images: int = 3, **facts: str) -> Result:
    return Result(facts, [f"c{i}" for i in range(len(counts))], images, filled(counts))


def iou_loop(truth: np.ndarray, predicted: np.ndarray, k: int) -> float:
    both = either = 0
    for t, p in zip(truth.ravel().tolist(), predicted.ravel().tolist(), strict=True):
        if t == 255:
            continue
        both += t == k and p == k
        either += t == k or p == k
    return both / either if either else math.nan


# confusion matrix


def test_by_hand() -> None:
    matrix = ConfusionMatrix(3)
    matrix.update(np.array([[0, 0, 1], [1, 255, 0]]), np.array([[0, 1, 1], [0, 2, 0]]))
    assert matrix.counts.tolist() == [[2, 1, 0], [1, 1, 0], [0, 0, 0]]
    np.testing.assert_allclose(matrix.iou(), [2 / 4, 1 / 3, np.nan])
    assert matrix.mean_iou() == pytest.approx((1 / 2 + 1 / 3) / 2)
    assert matrix.pixel_accuracy() == pytest.approx(3 / 5)


@pytest.mark.parametrize("seed", range(4))
def test_equals_a_loop_over_classes_and_pixels(seed: int) -> None:
    rng = np.random.default_rng(seed)
    classes = 6
    truth = rng.choice([0, 1, 2, 3, 255], (4, 9, 11)).astype(np.uint8)  # class 4 in the prediction alone, 5 nowhere
    predicted = np.where(rng.random(truth.shape) < 0.5, truth % 5, rng.integers(0, 5, truth.shape)).astype(np.uint8)
    matrix = ConfusionMatrix(classes)
    for one, other in zip(truth, predicted, strict=True):
        matrix.update(one, other)
    wanted = [iou_loop(truth, predicted, k) for k in range(classes)]
    np.testing.assert_allclose(matrix.iou(), wanted)
    assert wanted[4] == 0 and math.isnan(wanted[5])
    assert matrix.mean_iou() == pytest.approx(sum(wanted[:5]) / 5)
    kept = truth != 255
    assert matrix.pixel_accuracy() == pytest.approx((truth[kept] == predicted[kept]).mean())
    assert matrix.counts.sum() == kept.sum()


def test_rows_are_truth_and_columns_prediction() -> None:
    matrix = ConfusionMatrix(2)
    matrix.update(np.array([0, 0, 0]), np.array([1, 1, 1]))
    assert matrix.counts.tolist() == [[0, 3], [0, 0]]


def test_labels_of_any_integer_type_count() -> None:
    matrix = ConfusionMatrix(200)
    matrix.update(np.full((2, 2), 199, dtype=np.uint8), np.full((2, 2), 199, dtype=np.uint8))
    assert matrix.counts[199, 199] == 4


def test_no_pixel_gives_nan() -> None:
    matrix = ConfusionMatrix(2)
    matrix.update(np.full((2, 2), 255), np.zeros((2, 2), dtype=int))
    assert not matrix.counts.any()
    assert math.isnan(matrix.mean_iou()) and math.isnan(matrix.pixel_accuracy()) and np.isnan(matrix.iou()).all()


def test_differing_sizes_are_refused() -> None:
    with pytest.raises(ValueError, match=r"truth is \(2, 3\), prediction \(3, 2\)"):
        ConfusionMatrix(2).update(np.zeros((2, 3), dtype=int), np.zeros((3, 2), dtype=int))


@pytest.mark.parametrize(("name", "at"), [("truth", 0), ("prediction", 1)])
def test_a_label_outside_the_classes_is_refused(name: str, at: int) -> None:
    maps = [np.zeros((2, 2), dtype=np.uint8), np.zeros((2, 2), dtype=np.uint8)]
    maps[at][0, 0] = 3
    matrix = ConfusionMatrix(3)
    with pytest.raises(ValueError, match=f"{name} holds label 3, but there are 3 classes"):
        matrix.update(*maps)
    assert not matrix.counts.any()


def test_a_predicted_255_is_no_class() -> None:
    with pytest.raises(ValueError, match="prediction holds label 255"):
        ConfusionMatrix(3).update(np.zeros((1, 1), dtype=np.uint8), np.full((1, 1), 255, dtype=np.uint8))


def test_matrices_do_not_share_counts() -> None:
    one, other = ConfusionMatrix(2), ConfusionMatrix(2)
    one.update(np.zeros(3, dtype=int), np.zeros(3, dtype=int))
    assert not other.counts.any()


# result


def test_result_survives_its_text() -> None:
    before = Result({"experiment": "größe", "split": "val"}, ["background", 'a "b"'], 7, filled([[2**40, 1], [0, 3]]))
    after = Result.from_json(before.to_json())
    assert (after.facts, after.classes, after.images) == (before.facts, before.classes, before.images)
    np.testing.assert_array_equal(after.matrix.counts, before.matrix.counts)
    assert after.matrix.counts.dtype == np.int64 and after.matrix.classes == 2
    assert after.to_json() == before.to_json()


def test_result_without_facts_survives_its_text() -> None:
    assert Result.from_json(Result({}, ["background"], 0, ConfusionMatrix(1)).to_json()).facts == {}


def test_a_matrix_row_is_a_line() -> None:
    lines = result([[11, 12], [13, 14]], split="val").to_json().splitlines()
    assert "  [11, 12]," in lines and "  [13, 14]" in lines


# tables


def test_miou_table_holds_percent_by_class() -> None:
    facts = {"experiment": "tags", "smoothing": "none"}
    table = miou_table([result([[2, 1, 0], [1, 1, 0], [0, 0, 0]], **facts)], "none")
    assert list(table.columns) == ["method", "crf", "source", "miou", "classes", "pixel_accuracy", "c0", "c1", "c2"]
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
    assert set(table.columns) == {"method", "crf", "source", "miou", "classes", "pixel_accuracy", *classes}
    published = table[table["source"] == "published"].set_index("method")
    assert len(published) == len(table) - 1 == len(published_rows("table1_voc_val"))
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
    assert row["published_miou"] == published
    assert row["difference"] == pytest.approx(62.5 - published, abs=0.005)
    assert row["published_setup"] in {r["setup"] for r in published_rows("table6_ablation")}


def test_a_row_that_table_6_lacks_has_no_published_figure() -> None:
    table = ablation_table([*ablation_results("none"), *ablation_results("fgbg", "large")], "voc")
    assert math.isnan(table.iloc[1]["published_miou"]) and math.isnan(table.iloc[1]["difference"])


def test_an_experiment_without_a_crf_has_one_figure_for_both() -> None:
    row = ablation_table(ablation_results("none", crf="none"), "none").iloc[0]
    assert row["miou"] == row["miou_no_crf"] == 41.67


def test_masks_table_of_each_prior() -> None:
    common = {"crf": "pairwise", "split": "train"}
    table = masks_table(
        [
            result([[3, 0], [1, 1]], images=5, prior="fgbg", **common),
            result([[2, 1, 0], [1, 1, 0], [0, 0, 0]], prior="localization", **common),
            result([[1, 0], [0, 1]], prior="multiclass", **common),
        ],
        "voc",
    )
    assert table["mean_iou"].tolist() == [62.5, 41.67, 100]
    assert table["published_mean_iou"].tolist() == [60.08, 43.0, 46.6]
    assert table["images"].tolist() == [5, 3, 3]
    assert table.loc[0, ["background", "foreground"]].tolist() == [75, 50]
    assert table.loc[1:, ["background", "foreground"]].isna().all(axis=None)


def test_masks_table_without_published_figures() -> None:
    table = masks_table([result([[3, 0], [1, 1]], prior="fgbg", crf="none", split="val")], "none")
    assert "published_mean_iou" not in table.columns
