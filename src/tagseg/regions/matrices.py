"""Stencils (see `affinity`) as sparse matrices, and Chebyshev polynomials of sparse matrices."""

import numpy as np
from numba import njit
from scipy import sparse

from tagseg.regions.affinity import OFFSETS
from tagseg.regions.decimation import NEIGHBOURS


def stencil_matrix(stencil: np.ndarray) -> sparse.csr_array:
    """Convert a stencil (41, H, W) to the symmetric sparse matrix (H W, H W) float64."""
    nodes = stencil.shape[1] * stencil.shape[2]
    return sparse.csr_array(_rows(stencil, NEIGHBOURS, len(OFFSETS)), (nodes, nodes))


def filtered(matrix: sparse.csr_array, vectors: np.ndarray, degree: int, centre: float, reach: float) -> np.ndarray:
    """T((M - centre) / reach) V (P, n) float32, with T the Chebyshev polynomial of `degree` >= 1.

    `matrix` M is (P, P) float32, `vectors` V are (P, n) float32. By the recurrence T_d(x) = 2 x T_d-1(x) - T_d-2(x).
    """
    last = np.ascontiguousarray(vectors)
    parts = matrix.indptr, matrix.indices, matrix.data
    now = np.zeros_like(last)
    _advance(*parts, last, now, np.float32(centre), np.float32(1 / reach))
    last = last.copy()
    for _ in range(degree - 1):
        _advance(*parts, now, last, np.float32(centre), np.float32(2 / reach))
        last, now = now, last
    return now


@njit(cache=True, nogil=True)
def _rows(stencil, neighbours, half):  # type: ignore[no-untyped-def]  # compiled
    """Entries, columns and row ends of `stencil_matrix`, row by row; `half` is the number of offsets of a stencil."""
    _, height, width = stencil.shape
    entries = np.empty(height * width * len(neighbours))
    columns = np.empty(len(entries), np.int32)
    ends = np.zeros(height * width + 1, np.int32)
    count = 0
    for y in range(height):
        for x in range(width):
            for n in range(len(neighbours)):
                v, u = y + neighbours[n, 0], x + neighbours[n, 1]
                if 0 <= v < height and 0 <= u < width:
                    k = n - half + 1
                    entries[count] = stencil[k, y, x] if k >= 0 else stencil[-k, v, u]
                    columns[count] = v * width + u
                    count += 1
            ends[y * width + x + 1] = count
    return entries[:count], columns[:count], ends


@njit(cache=True, nogil=True, fastmath=True)
def _advance(ends, columns, entries, vectors, last, centre, scale):  # type: ignore[no-untyped-def]  # compiled
    """`last` (P, n) becomes (M - centre) `vectors` scale - `last`. Takes four entries of M at a time."""
    count = vectors.shape[1]
    for p in range(len(ends) - 1):
        sums = last[p]
        own = vectors[p]
        for i in range(count):
            sums[i] = -sums[i] - centre * scale * own[i]
        low, high = ends[p], ends[p + 1]
        whole = low + (high - low) // 4 * 4
        for j in range(low, whole, 4):
            wa, wb, wc, wd = entries[j], entries[j + 1], entries[j + 2], entries[j + 3]
            a, b, c, d = vectors[columns[j]], vectors[columns[j + 1]], vectors[columns[j + 2]], vectors[columns[j + 3]]
            for i in range(count):
                sums[i] += scale * (wa * a[i] + wb * b[i] + wc * c[i] + wd * d[i])
        for j in range(whole, high):
            weight = entries[j] * scale
            row = vectors[columns[j]]
            for i in range(count):
                sums[i] += weight * row[i]
