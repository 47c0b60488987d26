"""Decimated normalised cuts: eigenvectors of a pixel affinity, computed on a smaller grid and interpolated.

Arbeláez et al. 2014 (Multiscale Combinatorial Grouping), Sec. 3. Each decimation keeps every second row and column and
squares the affinity, which connects the kept pixels via the dropped ones. Affinities are stencils (see `affinity`): the
square of a stencil of radius 5 spans 10 pixels, which are 5 of those that are kept.
"""

import numpy as np
from numba import njit
from scipy import sparse
from scipy.linalg import eigh, qr
from scipy.sparse.linalg import eigsh

from tagseg.regions.affinity import OFFSETS, RADIUS

_LANCZOS_FACTOR = 2.2  # Krylov vectors per wanted eigenvector: measured to be fastest
_DENSE_BELOW = 500  # nodes: smaller problems are solved densely
_LANCZOS_BELOW = 5000  # nodes: larger problems start from the eigenvectors of the decimated grid
_SPARE = 0.25  # fraction of additional eigenvectors, since the last ones converge slowly
_DEGREE = 20  # of the Chebyshev polynomial of a round
_SETTLED = 0.1  # relative change of λ; a round reduces the error by more than a factor of 100
_BLOCK = 32  # vectors filtered at a time, to save memory
_MAX_ROUNDS = 10
_ROUNDING = 1e-5  # of λ in single precision


def normalised_cuts(stencil: np.ndarray, count: int, levels: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """The `count` smoothest non-constant eigenvectors of (D - A) v = λ D v, for A given by `stencil` (41, H, W).

    Returns eigenvectors (H, W, n) float32, of arbitrary scale, and λ (n,) float64 in increasing order; n < `count` if
    the grid has too few nodes. With `levels` > 0 they are computed on a grid decimated that many times (fewer if a side
    would vanish), interpolated, and whitened. `seed` is that of the solver's starting vector.
    """
    fine = []
    for _ in range(levels):
        if min(stencil.shape[1:]) < 2:
            break
        fine.append(stencil)
        stencil = decimate(stencil, OFFSETS)
    vectors, values = eigenvectors(stencil, count, seed)
    for above in reversed(fine):
        vectors = interpolate(above, vectors, OFFSETS)
    return (whiten(vectors) if fine else vectors), values


def eigenvectors(stencil: np.ndarray, count: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Non-constant eigenvectors (h, w, n) float32 and λ (n,) float64 of (D - A) v = λ D v; n <= `count`.

    On large grids the precision is about single: λ has a relative error of about 1e-4.
    """
    _, height, width = stencil.shape
    nodes = height * width
    matrix = stencil_matrix(stencil)
    root = np.sqrt(np.maximum(np.asarray(matrix.sum(axis=0)).ravel(), np.finfo(np.float64).tiny))
    scaling = sparse.diags_array(1 / root)
    normal = (scaling @ matrix @ scaling).tocsr()
    del matrix  # for a large image, a major part of the memory
    count = min(count, nodes - 1)
    if count < 1:
        return np.zeros((height, width, 0), np.float32), np.zeros(0)
    if nodes < max(_DENSE_BELOW, 2 * count):
        values, vectors = eigh(normal.toarray())
    elif nodes >= max(_LANCZOS_BELOW, 32 * count) and min(height, width) > 1:
        coarse, _ = eigenvectors(decimate(stencil, OFFSETS), count + int(_SPARE * count), seed)
        start = interpolate(stencil, coarse, OFFSETS).reshape(nodes, -1)
        start = np.hstack([np.ones((nodes, 1), np.float32), start]) * root[:, None].astype(np.float32)
        values, vectors = _refine(normal, start, count + 1)
    else:
        # the largest eigenvalues of D^-1/2 A D^-1/2 are the smallest of the Laplacian, without needing an inverse
        krylov = min(nodes, int(_LANCZOS_FACTOR * (count + 1)))
        start = np.random.default_rng(seed).uniform(0.5, 1.5, nodes)
        values, vectors = eigsh(normal, count + 1, which="LA", ncv=krylov, v0=start)
    order = np.argsort(-values, kind="stable")[1 : count + 1]
    vectors = vectors[:, order] / root[:, None]
    return vectors.reshape(height, width, -1).astype(np.float32), 1 - values[order]


def _refine(normal: sparse.csr_array, start: np.ndarray, count: int) -> tuple[np.ndarray, np.ndarray]:
    """The `count` largest eigenvalues, in decreasing order, and eigenvectors (P, count) of `normal` (P, P).

    Chebyshev-filtered subspace iteration (Zhou et al. 2006) from approximate eigenvectors `start` (P, n): the
    polynomial is at most 1 on [-1, smallest Ritz value] and grows quickly above, so each round amplifies the wanted
    components. Lanczos iteration needs the same products, but spends its time on orthogonalising a long basis.
    """
    single = normal.astype(np.float32)
    start = start / np.maximum(np.linalg.norm(start, axis=0), np.finfo(np.float32).tiny)
    values, vectors = _rayleigh_ritz(single, start)
    for _ in range(_MAX_ROUNDS):
        before = values[:count]
        centre, reach = (values[-1] - 1) / 2, (values[-1] + 1) / 2
        scaled = (single - sparse.eye_array(len(start), dtype=np.float32) * centre) * np.float32(2 / reach)
        for low in range(0, vectors.shape[1], _BLOCK):
            last = vectors[:, low : low + _BLOCK]
            filtered = scaled @ last / 2
            for _ in range(_DEGREE - 1):
                after = scaled @ filtered
                after -= last
                last, filtered = filtered, after
            vectors[:, low : low + _BLOCK] = filtered / np.linalg.norm(filtered, axis=0)
        values, vectors = _rayleigh_ritz(single, vectors)
        if (np.abs(values[:count] - before) <= _SETTLED * (1 - before) + _ROUNDING).all():
            break
    vectors = vectors[:, :count]
    # for the smoothest vectors, λ = 1 - μ is below single precision
    exact = [v @ (normal @ v) / (v @ v) for v in (column.astype(np.float64) for column in vectors.T)]
    return np.array(exact), vectors


def _rayleigh_ritz(matrix: sparse.csr_array, vectors: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Rayleigh-Ritz approximations in the span of `vectors` (P, n): eigenvalues in decreasing order, eigenvectors."""
    basis = np.ascontiguousarray(qr(vectors, mode="economic", check_finite=False)[0])
    values, mixing = np.linalg.eigh((basis.T @ (matrix @ basis)).astype(np.float64))
    return values[::-1], basis @ mixing[:, ::-1].astype(np.float32)


def stencil_matrix(stencil: np.ndarray) -> sparse.csr_array:
    """Convert a stencil (41, H, W) to the symmetric sparse matrix (H W, H W) float64."""
    _, height, width = stencil.shape
    index = np.arange(height * width).reshape(height, width)
    rows, columns, values = [], [], []
    for (dy, dx), weights in zip(OFFSETS.tolist(), stencil, strict=True):
        inside = slice(max(0, -dx), max(width - dx, 0))
        first = index[: max(height - dy, 0), inside].ravel()
        rows.append(first)
        columns.append(first + dy * width + dx)
        values.append(weights[: max(height - dy, 0), inside].ravel())
    size = (height * width, height * width)
    upper = sparse.coo_array(
        (np.concatenate(values).astype(np.float64), (np.concatenate(rows), np.concatenate(columns))), size
    ).tocsr()
    return (upper + sparse.triu(upper, 1).T).tocsr()


def whiten(vectors: np.ndarray) -> np.ndarray:
    """Whiten vectors (H, W, n) float32 in place with the least change (ZCA): zero mean, unit variance, uncorrelated."""
    if not vectors.size:
        return vectors
    samples = vectors.reshape(-1, vectors.shape[2])
    samples -= samples.mean(axis=0, dtype=np.float64).astype(np.float32)
    # one common scale avoids underflow in single precision; individual scales would give a different whitening
    samples /= max(float(np.abs(samples).max()), np.finfo(np.float32).tiny)
    variance, axes = np.linalg.eigh((samples.T @ samples).astype(np.float64) / len(samples))
    keep = variance > 1e-9 * variance[-1]
    whitening = ((axes[:, keep] / np.sqrt(variance[keep])) @ axes[:, keep].T).astype(np.float32)
    for rows in vectors:  # row by row: a copy of all eigenvectors of a large image might not fit in memory
        rows[:] = rows @ whitening
    return vectors


@njit(cache=True, nogil=True)
def _kept_neighbours(stencil, y, x, offsets, kept, weights):  # type: ignore[no-untyped-def]  # compiled
    """Find the kept neighbours of pixel (y, x): write their flat indices in the coarse grid and normalised affinities.

    Pixels of odd row and column are kept. Returns their number and the sum of their affinities; `weights` sum to 1.
    """
    _, height, width = stencil.shape
    count = 0
    total = 0.0
    for k in range(len(offsets)):
        dy, dx = offsets[k]
        for sign in (1, -1):
            if sign < 0 and k == 0:
                continue
            v, u = y + sign * dy, x + sign * dx
            if v % 2 == 0 or u % 2 == 0 or v < 0 or u < 0 or v >= height or u >= width:
                continue
            weight = stencil[k, y, x] if sign > 0 else stencil[k, v, u]
            kept[count] = (v // 2) * (width // 2) + u // 2
            weights[count] = weight
            total += weight
            count += 1
    for i in range(count):
        weights[i] /= max(total, 1e-300)
    return count, total


@njit(cache=True, nogil=True)
def decimate(stencil: np.ndarray, offsets: np.ndarray) -> np.ndarray:
    """A' = S diag(1 / 1ᵀS) Sᵀ with S the kept rows of A: stencil (41, H, W) -> (41, ⌊H/2⌋, ⌊W/2⌋) float64.

    `offsets` are OFFSETS, as an argument for numba.
    """
    _, height, width = stencil.shape
    coarse = np.zeros((len(offsets), height // 2, width // 2))
    number = np.full((RADIUS + 1, 2 * RADIUS + 1), -1)
    for k in range(len(offsets)):
        number[offsets[k, 0], offsets[k, 1] + RADIUS] = k
    kept = np.empty(2 * len(offsets), np.int64)
    weights = np.empty(2 * len(offsets))
    for y in range(height):
        for x in range(width):
            count, total = _kept_neighbours(stencil, y, x, offsets, kept, weights)
            for i in range(count):
                v, u = divmod(kept[i], width // 2)
                for j in range(count):
                    if kept[j] >= kept[i]:
                        w, t = divmod(kept[j], width // 2)
                        coarse[number[w - v, t - u + RADIUS], v, u] += weights[i] * weights[j] * total
    return coarse


@njit(cache=True, nogil=True)
def interpolate(stencil: np.ndarray, vectors: np.ndarray, offsets: np.ndarray) -> np.ndarray:
    """Interpolate vectors (h, w, n) of the decimated grid to the fine grid: (H, W, n) float32.

    Each pixel is the mean of its kept neighbours, weighted by `stencil` (41, H, W), the affinity of the fine grid.
    """
    _, height, width = stencil.shape
    rows = np.ascontiguousarray(vectors).reshape(-1, vectors.shape[2])
    fine = np.zeros((height, width, rows.shape[1]), np.float32)
    kept = np.empty(2 * len(offsets), np.int64)
    weights = np.empty(2 * len(offsets))
    for y in range(height):
        for x in range(width):
            count, _ = _kept_neighbours(stencil, y, x, offsets, kept, weights)
            values = fine[y, x]
            for i in range(count):
                share = np.float32(weights[i])
                row = rows[kept[i]]
                for n in range(len(row)):
                    values[n] += share * row[n]
    return fine
