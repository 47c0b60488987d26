"""Crisp boundaries: decimated cuts against dense matrices, oriented energy against plain correlation, both against the
public code."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from scipy.linalg import eigh
from scipy.ndimage import correlate

from tagseg.regions.affinity import OFFSETS
from tagseg.regions.crisp import boundary_energy
from tagseg.regions.cuts import eigenvectors, normalised_cuts, whiten
from tagseg.regions.decimation import NEIGHBOURS, decimate, interpolate, kept_rows
from tagseg.regions.matrices import filtered, stencil_matrix
from tagseg.regions.modes import MODES
from tagseg.regions.oriented import oriented_energy, oriented_filters, steering, suppress_border

NUMBERS = {tuple(offset): k for k, offset in enumerate(OFFSETS.tolist())}


def random_stencil(height: int, width: int, seed: int = 0) -> np.ndarray:
    """Affinities in .1 .. 1 wherever both pixels lie inside; none of a pixel with itself."""
    stencil = np.random.default_rng(seed).uniform(0.1, 1, (41, height, width)).astype(np.float32)
    for (dy, dx), weights in zip(OFFSETS.tolist(), stencil, strict=True):
        y, x = np.mgrid[:height, :width]
        weights[(y + dy >= height) | (x + dx < 0) | (x + dx >= width)] = 0
    stencil[0] = 0
    return stencil


def dense(stencil: np.ndarray) -> np.ndarray:
    _, height, width = stencil.shape
    matrix = np.zeros((height * width, height * width))
    for k, (dy, dx) in enumerate(OFFSETS.tolist()):
        for y, x in np.ndindex(height, width):
            if 0 <= y + dy < height and 0 <= x + dx < width:
                p, q = y * width + x, (y + dy) * width + x + dx
                matrix[p, q] = matrix[q, p] = stencil[k, y, x]
    return matrix


def kept_of(matrix: np.ndarray, height: int, width: int) -> np.ndarray:
    """S: the rows of pixels in every second row and column, from the second."""
    y, x = np.divmod(np.arange(height * width), width)
    return matrix[(y % 2 == 1) & (x % 2 == 1)]


@pytest.mark.parametrize(("height", "width"), [(7, 8), (6, 13), (2, 2), (1, 5)])
def test_a_stencil_is_its_symmetric_matrix(height: int, width: int) -> None:
    stencil = random_stencil(height, width)
    stencil[0] = 0.5
    np.testing.assert_allclose(stencil_matrix(stencil).toarray(), dense(stencil), rtol=1e-6)


@pytest.mark.parametrize(("height", "width"), [(7, 8), (1, 9), (5, 5)])
@pytest.mark.parametrize("degree", [1, 2, 5])
def test_a_filter_is_the_chebyshev_polynomial_of_the_dense_matrix(height: int, width: int, degree: int) -> None:
    matrix = stencil_matrix(random_stencil(height, width)).astype(np.float32)
    vectors = np.random.default_rng(1).normal(size=(height * width, 7)).astype(np.float32)
    before = vectors.copy()
    found = filtered(matrix, vectors, degree, centre=2.0, reach=5.0)
    values, axes = eigh(matrix.toarray().astype(np.float64))
    polynomial = np.polynomial.chebyshev.Chebyshev.basis(degree)((values - 2) / 5)
    wanted = axes @ (polynomial[:, None] * (axes.T @ vectors))
    np.testing.assert_allclose(found, wanted, rtol=0, atol=1e-4 * np.abs(wanted).max())
    np.testing.assert_array_equal(vectors, before)


@pytest.mark.parametrize("size", [(7, 8), (12, 13), (2, 3), (2, 2), (3, 31), (30, 2)])
def test_kept_rows_are_rows_of_the_dense_matrix(size: tuple[int, int]) -> None:
    height, width = size
    stencil = random_stencil(height, width)
    rows, wanted = kept_rows(stencil), kept_of(dense(stencil), height, width)
    for (v, u), row in zip(np.ndindex(height // 2, width // 2), wanted.reshape(-1, height, width), strict=True):
        for n, (dy, dx) in enumerate(NEIGHBOURS.tolist()):
            y, x = 2 * v + 1 + dy, 2 * u + 1 + dx
            inside = 0 <= y < height and 0 <= x < width
            assert rows[n, v, u] == pytest.approx(row[y, x] if inside else 0)


@pytest.mark.parametrize(("height", "width"), [(7, 8), (12, 13), (2, 3), (2, 2), (4, 40), (21, 2)])
def test_decimation_is_the_product_of_dense_matrices(height: int, width: int) -> None:
    stencil = random_stencil(height, width)
    for _ in range(2):  # the second time, pixels have affinities with themselves
        matrix = dense(stencil)
        kept = kept_of(matrix, *stencil.shape[1:])
        wanted = kept / np.maximum(kept.sum(axis=0), 1e-30) @ kept.T  # a lone pixel that stays has no neighbour
        stencil, _ = decimate(stencil)
        assert stencil.dtype == np.float32
        np.testing.assert_allclose(dense(stencil), wanted, rtol=1e-5, atol=1e-12)
        if min(stencil.shape[1:]) < 2:
            break


@pytest.mark.parametrize(("height", "width"), [(9, 12), (2, 2), (3, 20), (14, 7)])
def test_interpolation_is_the_product_of_dense_matrices(height: int, width: int) -> None:
    stencil = random_stencil(height, width)
    kept = kept_of(dense(stencil), height, width)
    coarse = np.random.default_rng(1).normal(size=(height // 2, width // 2, 5)).astype(np.float32)
    wanted = (kept / np.maximum(kept.sum(axis=0), 1e-30)).T @ coarse.reshape(-1, 5)
    found = interpolate(decimate(stencil)[1], coarse, (height, width))
    assert found.dtype == np.float32
    np.testing.assert_allclose(found.reshape(-1, 5), wanted, rtol=1e-4, atol=1e-5)


def test_decimation_reads_only_pairs_with_a_kept_pixel() -> None:
    stencil = random_stencil(11, 14)
    other = stencil.copy()
    y, x = np.mgrid[:11, :14]
    for (dy, dx), weights in zip(OFFSETS.tolist(), other, strict=True):
        weights[~((y % 2 == 1) & (x % 2 == 1) | ((y + dy) % 2 == 1) & ((x + dx) % 2 == 1))] = np.nan
    for found, wanted in zip(decimate(other), decimate(stencil), strict=True):
        np.testing.assert_array_equal(found, wanted)


def check_eigenvectors(matrix: np.ndarray, vectors: np.ndarray, values: np.ndarray) -> None:
    """(D - A) v = λ D v for the smallest λ > 0 of all."""
    degrees = np.diag(matrix.sum(axis=0))
    every, exact = eigh(degrees - matrix, degrees)
    np.testing.assert_allclose(values, every[1 : len(values) + 1], rtol=1e-4, atol=1e-7)
    flat = vectors.reshape(len(matrix), -1).astype(np.float64)
    for n in range(len(values)):  # all of these eigenvalues are simple
        along = abs(flat[:, n] @ degrees @ exact[:, n + 1])
        assert along / np.sqrt(flat[:, n] @ degrees @ flat[:, n]) > 0.9999


@pytest.mark.parametrize(
    ("height", "width", "count"), [(7, 9, 12), (26, 31, 40), (32, 36, 80), (40, 40, 30), (1, 1100, 5)]
)  # densely; densely; by Lanczos iteration; by refinement; too thin for that
def test_eigenvectors_are_those_of_the_generalised_problem(height: int, width: int, count: int) -> None:
    stencil = random_stencil(height, width)
    if min(height, width) > 1:
        stencil, _ = decimate(random_stencil(2 * height, 2 * width))
    vectors, values = eigenvectors(stencil, count, seed=0, lowest=0 if min(height, width) > 1 else -1)
    assert vectors.shape == (height, width, count) and vectors.dtype == np.float32
    check_eigenvectors(dense(stencil), vectors, values)


@pytest.mark.parametrize("contrast", [1, 12])
@pytest.mark.parametrize(("count", "decimated"), [(99, False), (60, True)])
def test_eigenvectors_of_large_grids_agree_with_lanczos(
    contrast: int, count: int, decimated: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    stencil = random_stencil(84, 92) ** contrast if decimated else random_stencil(70, 76) ** contrast
    lowest = -1
    if decimated:
        stencil, lowest = decimate(stencil)[0], 0
    vectors, values = eigenvectors(stencil, count, seed=0, lowest=lowest)
    monkeypatch.setattr("tagseg.regions.cuts._REFINED_FROM", 10**9)
    exact, exact_values = eigenvectors(stencil, count, seed=0, lowest=lowest)
    assert not np.array_equal(vectors, exact)
    np.testing.assert_allclose(values, exact_values, rtol=2e-3)
    found, wanted = oriented_energy(vectors, values), oriented_energy(exact, exact_values)
    assert np.corrcoef(found.ravel(), wanted.ravel())[0, 1] > 0.9999
    assert np.abs(found - wanted).max() < 0.02 * wanted.max()


def test_a_few_nodes_have_one_eigenvector_less_than_nodes() -> None:
    vectors, values = eigenvectors(random_stencil(2, 3), 99, seed=0)
    assert vectors.shape == (2, 3, 5) and (np.diff(values) >= 0).all() and (values > 0).all()
    assert eigenvectors(random_stencil(1, 1), 99, seed=0)[0].shape == (1, 1, 0)


@pytest.mark.parametrize("size", [(1, 9), (3, 2), (5, 40), (20, 21)])
def test_cuts_of_any_size_have_its_shape(size: tuple[int, int]) -> None:
    vectors, values = normalised_cuts(random_stencil(*size), 10, levels=2, seed=0)
    assert vectors.shape[:2] == size and vectors.shape[2] == len(values) <= 10
    assert np.isfinite(vectors).all() and (values > 0).all()


def test_whitened_vectors_are_uncorrelated_and_as_little_changed_as_can_be() -> None:
    rng = np.random.default_rng(0)
    mixing = rng.normal(size=(6, 6)) + 3 * np.eye(6)
    before = (rng.normal(size=(20, 30, 6)) @ mixing + 5).astype(np.float32)
    after = whiten(before.copy()).reshape(-1, 6).astype(np.float64)
    assert np.abs(after.mean(axis=0)).max() < 1e-4
    np.testing.assert_allclose(np.cov(after.T, bias=True), np.eye(6), atol=1e-4)
    # ZCA: the map from centred vectors to white ones is symmetric and positive
    centred = before.reshape(-1, 6) - before.reshape(-1, 6).mean(axis=0)
    mapped = np.linalg.lstsq(centred, after, rcond=None)[0]
    np.testing.assert_allclose(mapped, mapped.T, atol=1e-4)
    assert np.linalg.eigvalsh(mapped).min() > 0


def test_whitening_survives_repeated_and_tiny_vectors() -> None:
    vectors = np.random.default_rng(0).normal(size=(9, 9, 3)).astype(np.float32)
    vectors[..., 2] = vectors[..., 1]
    found = whiten(vectors * np.float32(1e-25))
    assert np.isfinite(found).all() and found.std() == pytest.approx(np.sqrt(2) / np.sqrt(3), rel=1e-3)


def test_only_decimated_cuts_are_whitened() -> None:
    stencil = random_stencil(16, 18)
    vectors, values = normalised_cuts(stencil, 8, levels=1, seed=0)
    decimated, shares = decimate(stencil)
    coarse, coarse_values = eigenvectors(decimated, 8, seed=0, lowest=0)
    np.testing.assert_array_equal(values, coarse_values)
    np.testing.assert_array_equal(vectors, whiten(interpolate(shares, coarse, (16, 18))))
    exact, _ = normalised_cuts(stencil, 8, levels=0, seed=0)
    np.testing.assert_array_equal(exact, eigenvectors(stencil, 8, seed=0)[0])


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


def test_energy_of_the_public_codes_affinity_equals_its_own(
    crisp_reference: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    affinity = np.load(crisp_reference / "101027_affinity.npz")
    wanted = np.load(crisp_reference / "101027_boundaries.npz")["E_oriented"]
    height, width, _ = wanted.shape
    first, second = (np.stack(np.divmod(affinity[name], width), axis=1) for name in "ij")
    numbers = [NUMBERS[offset] for offset in map(tuple, (second - first).tolist())]
    stencil = np.zeros((41, height, width), np.float32)
    stencil[numbers, first[:, 0], first[:, 1]] = affinity["w"]
    vectors, values = normalised_cuts(stencil, 99, levels=2, seed=0)
    found = [suppress_border(oriented_energy(vectors, values))]
    monkeypatch.setattr("tagseg.regions.cuts._DENSE_BELOW", 10**9)
    vectors, values = normalised_cuts(stencil, 99, levels=2, seed=0)
    scaled = vectors.astype(np.float64) / np.ptp(vectors, axis=(0, 1)) / np.sqrt(values)
    exact = [
        sum(np.abs(correlate(vector, weights, mode="reflect")) for vector in np.moveaxis(scaled, 2, 0))
        for weights in oriented_filters()
    ]
    found.append(suppress_border(np.stack(exact, axis=2)))
    fast, slow = (float(np.abs(energy - wanted).max() / wanted.max()) for energy in found)
    assert fast < 0.01  # measured: .006, of steered filters and of the last eigenvectors, which are not quite settled
    assert slow < 1e-4  # measured: 2e-5


def test_energy_from_the_image_correlates_with_the_public_codes(crisp_reference: Path) -> None:
    """The forest's samples are random in both: seeds give .984 to .987."""
    image = np.asarray(Image.open(crisp_reference / "101027.png").convert("RGB"))
    wanted = np.load(crisp_reference / "101027_boundaries.npz")["E"]
    found = boundary_energy(image, MODES["speedy_public"], seed=0).max(axis=2)
    assert np.corrcoef(found.ravel(), wanted.ravel())[0, 1] > 0.975
    assert found.sum() == pytest.approx(wanted.sum(), rel=0.1)
