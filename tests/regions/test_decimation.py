"""Crisp boundaries: decimation and interpolation against dense matrices."""

import numpy as np
import pytest
from stencils import dense, random_stencil

from tagseg.regions.affinity import OFFSETS
from tagseg.regions.decimation import NEIGHBOURS, decimate, interpolate, kept_rows


def kept_of(matrix: np.ndarray, height: int, width: int) -> np.ndarray:
    """S: the rows of pixels in every second row and column, from the second."""
    y, x = np.divmod(np.arange(height * width), width)
    return matrix[(y % 2 == 1) & (x % 2 == 1)]


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
