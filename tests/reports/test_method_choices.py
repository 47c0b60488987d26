"""Choices of the method that a key names: P of Eq. 8, and what the localization loss does with the classes."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from tagseg.config.masks import CrfSettings
from tagseg.crf import CrfParameters, dense_crf, softmax_unary
from tagseg.crf.downscaling import shrink_planes
from tagseg.crf.higher_order import RegionTerms, region_costs
from tagseg.networks.localization import tag_cross_entropy
from tagseg.runtime.label_maps import crf_marginals

IMAGE = np.full((6, 8, 3), 90, np.uint8)
REGIONS = np.repeat(np.arange(2, dtype=np.int32), 4)[None].repeat(6, axis=0)
MAPS = np.random.default_rng(0).uniform(size=(3, 6, 8)).astype(np.float32)


@pytest.mark.parametrize("model", ["pn_potts", "robust_pn"])
def test_the_map_itself_is_the_p_of_equation_8(model: str) -> None:
    """`map`: costs of the maps as they are; `softmax`: of what Eq. 7 makes of them with its gain."""
    flat = REGIONS.ravel()
    softmax = np.exp(-softmax_unary(MAPS, 4.0))
    for choice, p in (("map", MAPS), ("softmax", softmax)):
        wanted = -np.log([[p[k][r == REGIONS].mean() for k in range(3)] for r in (0, 1)])
        costs = region_costs(np.ascontiguousarray(p.reshape(3, -1).T, np.float32), flat, 4.6)
        np.testing.assert_allclose(costs, np.clip(wanted, 0, 4.6), rtol=1e-5)
        settings = CrfSettings(higher_order=model, region_probability=choice, bilateral_width=5)
        by_key = crf_marginals(MAPS, "probabilities", IMAGE, REGIONS, settings)
        by_hand = dense_crf(
            IMAGE, softmax_unary(MAPS, 4.0), regions=REGIONS, higher_order=model, probabilities=p,  # type: ignore[arg-type]
            parameters=CrfParameters(bilateral_width=5),
        )  # fmt: skip
        np.testing.assert_allclose(by_key, by_hand, atol=1e-5)


def test_the_choices_differ_where_a_gain_is_not_one() -> None:
    sure = np.stack([np.where(REGIONS == 0, 0.6, 0.3), np.where(REGIONS == 0, 0.3, 0.6)]).astype(np.float32)
    one, other = (
        crf_marginals(sure, "probabilities", IMAGE, REGIONS, CrfSettings(region_probability=choice, size_exponent=0))
        for choice in ("map", "softmax")
    )
    assert np.abs(one - other).max() > 1e-3


def test_of_scores_the_map_is_the_network_s_softmax_without_the_gain() -> None:
    scores = 5 * MAPS
    found = [
        crf_marginals(scores, "scores", IMAGE, REGIONS, CrfSettings(region_probability=choice, score_gain=gain))
        for choice, gain in (("map", 1), ("softmax", 1), ("map", 0.2), ("softmax", 0.2))
    ]
    np.testing.assert_allclose(found[0], found[1], atol=1e-5)  # with a gain of one there is no difference
    assert np.abs(found[2] - found[3]).max() > 1e-3


def test_a_large_image_s_probabilities_shrink_with_it() -> None:
    large = MAPS.repeat(4, axis=1).repeat(4, axis=2)
    np.testing.assert_allclose(shrink_planes(large, (6, 8)), MAPS, atol=1e-6)
    image, regions = IMAGE.repeat(4, axis=0).repeat(4, axis=1), REGIONS.repeat(4, axis=0).repeat(4, axis=1)
    found = crf_marginals(
        large, "probabilities", image, regions, CrfSettings(region_probability="map", max_pixels=48, gamma_max=2)
    )
    assert found.shape == large.shape and np.allclose(found.sum(axis=0), 1, atol=1e-4)


@pytest.mark.parametrize(
    ("probabilities", "said"),
    [
        (MAPS[:2], "do not match the unary"),
        (MAPS + 1, r"expected values in \[0, 1\]"),
        (np.where(MAPS < 0.5, np.nan, MAPS), "and no NaN"),
    ],
)
def test_probabilities_that_are_none_are_refused(probabilities: np.ndarray, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        dense_crf(IMAGE, softmax_unary(MAPS), regions=REGIONS, higher_order="pn_potts", probabilities=probabilities)


def test_eq_8_is_silent_in_a_large_region_whatever_its_p() -> None:
    """Why the two choices measure alike on photographs: the product over a thousand pixels vanishes."""
    q = np.full((1000, 2), 0.5, np.float32)
    for p in (q, np.tile(np.array([0.9, 0.1], np.float32), (1000, 1))):
        terms = RegionTerms("pn_potts", np.zeros(1000, np.int32), p, CrfParameters())
        assert terms.gains(q).values.max(initial=0) < 1e-20


def test_the_sum_is_caffe_s_and_the_mean_is_smaller_by_the_number_of_classes() -> None:
    logits, tags = torch.randn(5, 20, generator=torch.Generator().manual_seed(0)), torch.eye(20)[:5]
    by_hand = sum(
        -float(t * F.logsigmoid(x) + (1 - t) * F.logsigmoid(-x))
        for row, wanted in zip(logits, tags, strict=True)
        for x, t in zip(row, wanted, strict=True)
    ) / len(logits)  # fmt: skip
    assert float(tag_cross_entropy(logits, tags, "sum")) == pytest.approx(by_hand, rel=1e-5)
    assert float(tag_cross_entropy(logits, tags, "mean")) == pytest.approx(by_hand / 20, rel=1e-5)
