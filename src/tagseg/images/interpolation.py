"""Bilinear interpolation of feature maps, as networks' frameworks do it: centres of pixels aligned, no antialiasing."""

import numpy as np


def bilinear(maps: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Resize maps (C, h, w) to (C, H, W) = (C, *size), float32.

    Equal to torch's `interpolate` of mode bilinear without `align_corners`: the value outside a map is that at its
    edge. Unlike `resize_map`, it does not filter when it shrinks.
    """
    values = np.asarray(maps, dtype=np.float32)
    for axis, length in ((1, size[0]), (2, size[1])):
        low, high, share = _neighbours(values.shape[axis], length)
        share = share[:, None] if axis == 1 else share
        first = values.take(low, axis)
        values = first + (values.take(high, axis) - first) * share
    return values


def bilinear_at(maps: np.ndarray, size: tuple[int, int], positions: np.ndarray) -> np.ndarray:
    """Values (n, C) float32 that `bilinear` has at `positions` (n,), indices into its flattened (H, W)."""
    rows, columns = np.divmod(positions, size[1])
    top, bottom, down = (values[rows] for values in _neighbours(maps.shape[1], size[0]))
    left, right, across = (values[columns] for values in _neighbours(maps.shape[2], size[1]))
    found = np.zeros((len(maps), len(positions)), dtype=np.float32)
    for row, share in ((top, 1 - down), (bottom, down)):
        for column, part in ((left, 1 - across), (right, across)):
            found += maps[:, row, column].astype(np.float32) * (share * part)
    return found.T


def _neighbours(length: int, wanted: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """For each of `wanted` positions, the two of `length` on either side (int64), and the share of the second."""
    at = np.maximum((np.arange(wanted) + 0.5) * (length / wanted) - 0.5, 0)
    low = np.minimum(at.astype(np.int64), length - 1)
    return low, np.minimum(low + 1, length - 1), (at - low).astype(np.float32)
