"""The confusion matrix and its figures of merit against loops and hand-made cases, and the result's text."""

import json
import math
from pathlib import Path

import numpy as np
import pytest

from tagseg.errors import TagsegError
from tagseg.evaluation.confusion import ConfusionMatrix
from tagseg.evaluation.result import Result
from tagseg.images.files import read_labels
from tagseg.runtime.evaluations import read_result


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


# figures of merit

# rows: truth; the fourth class is in neither, the third in the prediction alone
BY_HAND = [[6, 1, 1, 0], [2, 2, 0, 0], [0, 0, 0, 0], [0, 0, 0, 0]]


def test_figures_of_merit_by_hand() -> None:
    matrix = filled(BY_HAND)
    np.testing.assert_allclose(matrix.iou(), [6 / 10, 2 / 5, 0, np.nan])
    assert matrix.mean_iou() == pytest.approx((6 / 10 + 2 / 5 + 0) / 3)
    assert matrix.pixel_accuracy() == pytest.approx(8 / 12)
    np.testing.assert_allclose(matrix.accuracy(), [6 / 8, 2 / 4, np.nan, np.nan])
    assert matrix.mean_accuracy() == pytest.approx((6 / 8 + 2 / 4) / 2)
    assert matrix.frequency_weighted_iou() == pytest.approx(8 / 12 * 6 / 10 + 4 / 12 * 2 / 5)
    assert matrix.absent().tolist() == [False, False, False, True]


def test_rows_of_the_normalised_matrix_sum_to_one_or_are_unknown() -> None:
    shares = filled(BY_HAND).row_normalised()
    np.testing.assert_allclose(shares[:2], [[6 / 8, 1 / 8, 1 / 8, 0], [1 / 2, 1 / 2, 0, 0]])
    assert np.isnan(shares[2:]).all()


def test_no_pixel_has_no_figure_of_merit() -> None:
    matrix = ConfusionMatrix(3)
    figures = [matrix.mean_iou(), matrix.pixel_accuracy(), matrix.mean_accuracy(), matrix.frequency_weighted_iou()]
    assert np.isnan(figures).all() and matrix.absent().all()


def test_pieces_of_a_split_add_up_to_the_whole() -> None:
    rng = np.random.default_rng(5)
    truth, predicted = (rng.integers(0, 4, (9, 6, 7)) for _ in range(2))
    whole, merged = ConfusionMatrix(4), ConfusionMatrix(4)
    for start in range(3):
        part = ConfusionMatrix(4)
        for one, other in zip(truth[start::3], predicted[start::3], strict=True):
            part.update(one, other)
            whole.update(one, other)
        merged += part
    np.testing.assert_array_equal(merged.counts, whole.counts)
    assert merged.counts.dtype == np.int64


def test_matrices_of_other_classes_do_not_add_up() -> None:
    matrix = ConfusionMatrix(3)
    with pytest.raises(ValueError, match="2 classes cannot be added to 3"):
        matrix += ConfusionMatrix(2)


def test_random_predictions_on_photographs_score_as_in_scikit_learn(voc_mini: Path) -> None:
    from sklearn.metrics import accuracy_score, balanced_accuracy_score, jaccard_score

    rng = np.random.default_rng(0)
    matrix, truths, predictions = ConfusionMatrix(21), [], []
    for path in sorted((voc_mini / "SegmentationClassAug").glob("*.png"))[:20]:
        truth = read_labels(path)
        predicted = np.where(rng.random(truth.shape) < 0.6, truth % 255, rng.integers(0, 19, truth.shape))
        matrix.update(truth, predicted.astype(np.uint8))
        kept = truth != 255
        truths.append(truth[kept])
        predictions.append(predicted[kept])
    true, given = np.concatenate(truths), np.concatenate(predictions)
    present = [k for k in range(21) if (true == k).any() or (given == k).any()]
    assert 5 < len(present) < 21
    each = jaccard_score(true, given, labels=present, average=None, zero_division=0)
    np.testing.assert_allclose(matrix.iou()[present], each, atol=1e-12, rtol=0)
    assert matrix.mean_iou() == pytest.approx(each.mean(), abs=1e-12)
    weighted = jaccard_score(true, given, average="weighted", zero_division=0)
    assert matrix.frequency_weighted_iou() == pytest.approx(weighted, abs=1e-12)
    assert matrix.pixel_accuracy() == pytest.approx(accuracy_score(true, given), abs=1e-12)
    with pytest.warns(UserWarning, match="y_pred contains classes not in y_true"):
        assert matrix.mean_accuracy() == pytest.approx(balanced_accuracy_score(true, given), abs=1e-12)


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


SPOILED: list[tuple[dict[str, object], str]] = [
    ({"counts": {}}, "its counts are not 2 x 2"),
    ({"counts": 5}, "its counts are not 2 x 2"),
    ({"counts": None}, "its counts are not 2 x 2"),
    ({"counts": [[1, 2]]}, "its counts are not 2 x 2"),
    ({"counts": [[1, 2], [3]]}, "its counts are not 2 x 2"),
    ({"counts": [[1, 2, 3], [4, 5, 6]]}, "its counts are not 2 x 2"),
    ({"counts": [[[1], [2]], [[3], [4]]]}, "its counts are not 2 x 2"),
    ({"counts": [[1, 2], [3, -1]]}, "its counts are not 2 x 2"),
    ({"counts": [[1, 2], [3, 0.5]]}, "its counts are not 2 x 2"),
    ({"counts": [[1, 2], [3, 2**63]]}, "its counts are not 2 x 2"),
    ({"classes": ["a"]}, "its counts are not 1 x 1"),
    ({"classes": "ab"}, "its classes"),
    ({"classes": []}, "its classes"),
    ({"classes": ["a", 1]}, "its classes"),
    ({"facts": None}, "its facts"),
    ({"facts": {"crf": 1}}, "its facts"),
    ({"images": "3"}, "its images"),
    ({"images": True}, "its images"),
    ({"images": -1}, "its images"),
]


@pytest.mark.parametrize(("changed", "said"), SPOILED)
def test_a_result_of_other_types_or_shapes_is_refused(changed: dict[str, object], said: str, tmp_path: Path) -> None:
    text = json.dumps(json.loads(result([[1, 2], [3, 4]]).to_json()) | changed)
    with pytest.raises(ValueError, match=said):
        Result.from_json(text)
    path = tmp_path / "result.json"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(TagsegError) as refused:
        read_result(path)
    line = str(refused.value)
    assert line.startswith(f"{path}: not a result of tagseg evaluate ({said}") and "\n" not in line
    assert line.endswith("; evaluate again")


def test_a_result_lists_the_classes_that_its_mean_leaves_out() -> None:
    content = json.loads(result(BY_HAND).to_json())
    assert content["absent"] == ["c3"]
    assert content["iou"] == {"c0": 0.6, "c1": 0.4, "c2": 0.0, "c3": None}
    assert content["merit"]["mean_iou"] == pytest.approx(1 / 3)
    assert set(content["merit"]) == {"mean_iou", "pixel_accuracy", "mean_accuracy", "frequency_weighted_iou"}
    assert set(json.loads(Result({}, ["a"], 0, ConfusionMatrix(1)).to_json())["merit"].values()) == {None}


def test_a_matrix_row_is_a_line() -> None:
    lines = result([[11, 12], [13, 14]], split="val").to_json().splitlines()
    assert "  [11, 12]," in lines and "  [13, 14]" in lines
