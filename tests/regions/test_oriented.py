"""Crisp boundaries: oriented energy against plain correlation, its filters against the public code's."""

from pathlib import Path

import numpy as np
import pytest
from scipy.ndimage import correlate

from tagseg.regions.oriented import oriented_energy, oriented_filters, steering, suppress_border


def test_filters_equal_the_public_codes(crisp_reference: Path) -> None:
    wanted = np.load(crisp_reference / "101027_boundaries.npz")["oefilters"]  # (7, 7, 8), by angle
    by_channel = np.moveaxis(wanted, 2, 0)[[3, 2, 1, 0, 7, 6, 5, 4]]
    np.testing.assert_allclose(oriented_filters(), by_channel, rtol=0, atol=1e-6)


def steered_filters() -> np.ndarray:
    """The filters (8, 7, 7) that `steering` makes up."""
    smooth, slope, weights = (part.astype(np.float64) for part in steering())
    pair = np.stack([np.outer(smooth, slope), np.outer(slope, smooth)])
    return np.tensordot(weights, pair, axes=1)


def test_two_filters_make_up_all_eight() -> None:
    """The first and the fifth exactly; the others but for what the public code's table rounds."""
    found, wanted = steered_filters(), oriented_filters()
    largest = np.abs(wanted).max(axis=(1, 2), keepdims=True)
    assert (np.abs(found - wanted) / largest).max() < 0.006  # measured: .005
    np.testing.assert_allclose(found[[0, 4]], wanted[[0, 4]], rtol=0, atol=1e-7)
    _, _, weights = steering()
    np.testing.assert_allclose(weights[[7, 6, 5]], weights[[1, 2, 3]] * [1, -1], atol=1e-6)


@pytest.mark.parametrize("size", [(11, 14), (1, 9), (5, 2), (3, 3), (1, 1)])
@pytest.mark.parametrize("count", [5, 1, 40])
def test_oriented_energy_is_the_sum_of_absolute_correlations(size: tuple[int, int], count: int) -> None:
    rng = np.random.default_rng(0)
    vectors = rng.normal(size=(*size, count)).astype(np.float32) * 7
    values = rng.uniform(0.1, 2, count)
    for filters, tolerance in ((steered_filters(), 1e-5), (oriented_filters(), 0.01)):
        wanted = np.zeros((*size, 8))
        for n in range(count if size != (1, 1) else 0):
            scaled = vectors[..., n].astype(np.float64)
            scaled = (scaled - scaled.min()) / (scaled.max() - scaled.min()) / np.sqrt(values[n])
            for channel, weights in enumerate(filters):
                wanted[..., channel] += np.abs(correlate(scaled, weights, mode="reflect"))
        assert np.abs(oriented_energy(vectors, values) - wanted).max() <= tolerance * max(wanted.max(), 1e-9)


def test_vectors_without_structure_or_with_value_zero_are_left_out() -> None:
    vectors = np.random.default_rng(0).normal(size=(8, 9, 3)).astype(np.float32)
    vectors[..., 1] = 2
    wanted = oriented_energy(vectors[..., :1], np.array([0.5]))
    np.testing.assert_allclose(oriented_energy(vectors, np.array([0.5, 0.5, 0.0])), wanted, rtol=1e-4, atol=1e-6)
    assert not oriented_energy(vectors, np.zeros(3)).any()
    assert oriented_energy(vectors[..., :0], np.zeros(0)).shape == (8, 9, 8)


@pytest.mark.parametrize("channel", range(8))
def test_each_channel_answers_most_to_lines_of_its_direction(channel: int) -> None:
    """Channel 4 horizontal, 0 vertical; from 4 to 0 the line turns from the x axis towards y, that is downwards."""
    angle = (4 - channel) * np.pi / 8
    y, x = np.mgrid[-15:16, -15:16]
    side = (x * np.sin(angle) - y * np.cos(angle) > 0.1).astype(np.float32)
    energy = oriented_energy(side[..., None], np.ones(1))[12:19, 12:19].sum(axis=(0, 1))
    assert int(energy.argmax()) == channel


def test_the_border_loses_what_runs_along_it() -> None:
    height, width = 100, 140  # ramps of three pixels
    left = suppress_border(np.ones((height, width, 8), np.float32))
    middle = left[height // 2, :, 0]  # vertical lines: the ramp (d / 3)² from the left, and from the right
    np.testing.assert_allclose(middle[:4], [0, 1 / 9, 4 / 9, 1], atol=1e-6)
    np.testing.assert_allclose(middle[::-1], middle, atol=1e-6)
    np.testing.assert_allclose(left[:4, width // 2, 4], [0, 1 / 9, 4 / 9, 1], atol=1e-6)
    np.testing.assert_allclose(left[::-1, width // 2, 4], left[:, width // 2, 4], atol=1e-6)
    # what runs across the border stays, what is diagonal loses a part
    np.testing.assert_allclose(left[height // 2, :, 4], 1, atol=1e-6)
    np.testing.assert_allclose(left[:, width // 2, 0], 1, atol=1e-6)
    np.testing.assert_allclose(left[height // 2, 0, 2], 1 - np.sin(np.pi / 4), atol=1e-6)
    np.testing.assert_allclose(left[4:-4, 4:-4], 1, atol=1e-6)
