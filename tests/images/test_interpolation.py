"""Bilinear interpolation of maps, beside torch's and by hand."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from tagseg.images.interpolation import bilinear, bilinear_at

SIZES = [((24, 32), (47, 63)), ((47, 63), (24, 32)), ((1, 1), (3, 5)), ((5, 7), (5, 7)), ((70, 3), (11, 80))]


@pytest.mark.parametrize(("given", "wanted"), SIZES)
@pytest.mark.parametrize("dtype", [np.float16, np.float32])
def test_it_is_torch_s(given: tuple[int, int], wanted: tuple[int, int], dtype: type) -> None:
    rng = np.random.default_rng(0)
    maps = rng.normal(size=(4, *given)).astype(dtype)
    reference = F.interpolate(torch.from_numpy(maps)[None].double(), wanted, mode="bilinear")[0].numpy()
    whole = bilinear(maps, wanted)
    assert whole.shape == (4, *wanted) and whole.dtype == np.float32
    np.testing.assert_allclose(whole, reference, atol=1e-5)
    positions = rng.integers(0, wanted[0] * wanted[1], 50)
    np.testing.assert_allclose(bilinear_at(maps, wanted, positions), reference.reshape(4, -1).T[positions], atol=1e-5)


def test_by_hand() -> None:
    np.testing.assert_allclose(bilinear(np.array([[[0.0, 4.0]]]), (1, 4))[0, 0], [0, 1, 3, 4])


def test_no_map_and_no_position() -> None:
    assert bilinear(np.zeros((0, 3, 4)), (5, 6)).shape == (0, 5, 6)
    assert bilinear_at(np.zeros((2, 3, 4)), (5, 6), np.zeros(0, np.int64)).shape == (0, 2)
