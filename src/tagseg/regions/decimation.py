"""Decimation of an affinity, and interpolation back to the finer grid (Arbeláez et al. 2014, Sec. 3).

Each decimation keeps the pixels of odd row and column and squares the affinity, which connects the kept pixels via the
dropped ones. Affinities are stencils (see `affinity`): the square of a stencil of radius 5 spans 10 pixels, which are
5 of those that are kept.
"""

import numpy as np
from numba import njit

from tagseg.regions.affinity import OFFSETS, RADIUS

# (dy, dx) of all 81 pixels within the radius
NEIGHBOURS = np.concatenate([-OFFSETS[:0:-1], OFFSETS])
_HALF = len(OFFSETS) - 1  # the number of the pixel itself among its neighbours


def _table() -> np.ndarray:
    """Numbers of NEIGHBOURS by dy and dx, both from -3 RADIUS, beyond which no difference below leads; -1: too far."""
    table = np.full((6 * RADIUS + 1, 6 * RADIUS + 1), -1)
    table[tuple(NEIGHBOURS.T + 3 * RADIUS)] = np.arange(len(NEIGHBOURS))
    return table


def _by_parity() -> np.ndarray:
    """Numbers (2, 2, 24) of the NEIGHBOURS that lead from a kept pixel to one of even or odd row and column; -1: none.

    The first two axes are the parities of the row and the column that are reached.
    """
    table = np.full((2, 2, 24), -1)
    parities = (1 + NEIGHBOURS) % 2  # kept pixels are odd
    for row in range(2):
        for column in range(2):
            found = np.flatnonzero((parities == [row, column]).all(axis=1))
            table[row, column, : len(found)] = found
    return table


_TABLE = _table()
_BY_PARITY = _by_parity()


def decimate(stencil: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """A' = S diag(1 / 1ᵀS) Sᵀ with S the kept rows of A, given by `stencil` (41, H, W).

    Returns the stencil of A' (41, ⌊H/2⌋, ⌊W/2⌋), and S diag(1 / 1ᵀS) (81, ⌊H/2⌋, ⌊W/2⌋), both float32: entry (n, v, u)
    of the latter is the share of the kept pixel (2 v + 1, 2 u + 1) in its neighbour n, 0 if that is outside.
    Pairs without a kept pixel are not read.
    """
    size = stencil.shape[1:]
    rows = kept_rows(stencil)
    total = np.zeros(size, np.float32)
    for row, offset in zip(rows, NEIGHBOURS.tolist(), strict=True):
        fine, kept = _inside(offset, size)
        total[fine] += row[kept]
    np.maximum(total, np.finfo(np.float32).tiny, out=total)
    shares = np.zeros_like(rows)
    for share, row, offset in zip(shares, rows, NEIGHBOURS.tolist(), strict=True):
        fine, kept = _inside(offset, size)
        np.divide(row[kept], total[fine], out=share[kept])
    return _square(rows, shares, OFFSETS, NEIGHBOURS, _TABLE), shares


def kept_rows(stencil: np.ndarray) -> np.ndarray:
    """S (81, ⌊H/2⌋, ⌊W/2⌋) float32: affinities of the kept pixels (2 v + 1, 2 u + 1) with all NEIGHBOURS, from a
    stencil (41, H, W); 0 for neighbours outside the grid."""
    _, height, width = stencil.shape
    rows = np.zeros((len(NEIGHBOURS), height // 2, width // 2), np.float32)
    for n, offset in enumerate(NEIGHBOURS.tolist()):
        fine, kept = _inside(offset, (height, width))
        if n < _HALF:  # the affinity of the neighbour with this pixel, in the neighbour's place
            rows[n][kept] = stencil[_HALF - n][fine]
        else:
            rows[n] = stencil[n - _HALF, 1::2, 1::2]
    return rows


def interpolate(shares: np.ndarray, vectors: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Interpolate vectors (⌊H/2⌋, ⌊W/2⌋, n) float32 of the decimated grid to the grid of `size`: (H, W, n) float32.

    Each pixel is the mean of its kept neighbours, weighted by their `shares` (see `decimate`).
    """
    height, width, count = vectors.shape
    rows = np.ascontiguousarray(vectors).reshape(height * width, count)
    return _interpolate(shares, rows, size, NEIGHBOURS, _BY_PARITY)


def _inside(offset: list[int], size: tuple[int, ...]) -> tuple[tuple[slice, slice], tuple[slice, slice]]:
    """Where kept pixels have a neighbour at `offset` inside a grid of `size`: slices of the neighbours, and of the kept
    pixels in the decimated grid."""
    fine, kept = [], []
    for step, side in zip(offset, size, strict=True):
        low, high = max(0, -step // 2), min(side // 2, (side - step) // 2)
        kept.append(slice(low, max(high, low)))
        fine.append(slice(2 * low + 1 + step, max(2 * high + step, 0), 2))
    return (fine[0], fine[1]), (kept[0], kept[1])


@njit(cache=True, nogil=True, fastmath=True)
def _square(rows, shares, offsets, neighbours, table):  # type: ignore[no-untyped-def]  # compiled
    """Stencil (41, h, w) of the products of `rows` and `shares` (81, h, w), summed over the pixels both see.

    Runs along rows of kept pixels, so that the sums are vectors.
    """
    _, height, width = rows.shape
    middle = len(table) // 2
    coarse = np.zeros((len(offsets), height, width), np.float32)
    for v in range(height):
        for k in range(len(offsets)):
            dv, du = offsets[k]
            if v + dv >= height:
                continue
            low, high = max(0, -du), min(width, width - du)
            sums = coarse[k, v, low:high]
            for n in range(len(neighbours)):
                # the same pixel, as seen from the other end
                other = table[neighbours[n, 0] - 2 * dv + middle, neighbours[n, 1] - 2 * du + middle]
                if other >= 0:
                    near, far = rows[n, v, low:high], shares[other, v + dv, low + du : high + du]
                    for u in range(len(sums)):
                        sums[u] += near[u] * far[u]
    return coarse


@njit(cache=True, nogil=True, fastmath=True)
def _interpolate(shares, vectors, size, neighbours, by_parity):  # type: ignore[no-untyped-def]  # compiled
    """Implements `interpolate`. Takes four neighbours at a time, to read and write the sums less often."""
    height, width = size
    _, rows, columns = shares.shape
    count = vectors.shape[1]
    fine = np.zeros((height, width, count), np.float32)
    most = by_parity.shape[2]
    weights, places = np.zeros(most, np.float32), np.zeros(most, np.int64)
    for y in range(height):
        for x in range(width):
            used = 0
            for n in by_parity[y % 2, x % 2]:
                v, u = (y - neighbours[n, 0]) // 2, (x - neighbours[n, 1]) // 2
                if n >= 0 and 0 <= v < rows and 0 <= u < columns:
                    weights[used], places[used] = shares[n, v, u], v * columns + u
                    used += 1
            weights[used:] = 0
            values = fine[y, x]
            for j in range(0, used, 4):
                wa, wb, wc, wd = weights[j], weights[j + 1], weights[j + 2], weights[j + 3]
                a, b, c, d = vectors[places[j]], vectors[places[j + 1]], vectors[places[j + 2]], vectors[places[j + 3]]
                for i in range(count):
                    values[i] += wa * a[i] + wb * b[i] + wc * c[i] + wd * d[i]
    return fine
