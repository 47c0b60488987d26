"""Decimated normalised cuts: eigenvectors of a pixel affinity from those of a grid a sixteenth its size.

Arbeláez et al. 2014 (Multiscale Combinatorial Grouping), Sec. 3. Every step keeps each second row and column, squares
the affinity over the pixels that go, and remembers how to interpolate back. Affinities are stencils (see `affinity`):
the square of a stencil of radius five spans ten pixels, five of those that stay.
"""

import numpy as np
from numba import njit
from scipy import sparse
from scipy.linalg import eigh, qr
from scipy.sparse.linalg import eigsh

from tagseg.regions.affinity import OFFSETS, RADIUS

_LANCZOS_FACTOR = 2.2  # Krylov vectors for each eigenvector wanted: fewest restarts for the time
_DENSE_BELOW = 500  # nodes: smaller problems are solved exactly in no time
_LANCZOS_BELOW = 5000  # nodes: larger problems start from the eigenvectors of their decimation
_SPARE = 0.25  # eigenvectors more than wanted, as part of those: the last ones converge slowly
_DEGREE = 20  # of the polynomial that a round of refinement filters with
_SETTLED = 0.1  # relative change of λ in a round; a round leaves less than a hundredth of an error
_TOGETHER = 32  # vectors filtered at a time, to save memory
_MOST_ROUNDS = 10
_ROUNDING = 1e-5  # of λ in single precision; the smallest λ settle first anyway


def normalised_cuts(stencil: np.ndarray, count: int, levels: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """The `count` smoothest non-constant eigenvectors of (D - A) v = λ D v, with λ in rising order.

    Returns eigenvectors (H, W, n) float32, of no particular scale, and λ (n,) float64; n < `count` where the
    grid has fewer nodes. With `levels` > 0 they are interpolated from a grid decimated so often (fewer times where a
    side would vanish), and whitened afterwards.
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
    """Eigenvectors (h, w, n) float32 and λ (n,) of (D - A) v = λ D v, but for the constant one; n <= `count`.

    Of large grids to single precision or a little less: λ differ by some 1e-4 of themselves.
    """
    _, height, width = stencil.shape
    nodes = height * width
    matrix = stencil_matrix(stencil)
    root = np.sqrt(np.maximum(np.asarray(matrix.sum(axis=0)).ravel(), np.finfo(np.float64).tiny))
    scaling = sparse.diags_array(1 / root)
    normal = (scaling @ matrix @ scaling).tocsr()
    del matrix  # of a large image, as large as all else
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
        # largest of D^-1/2 A D^-1/2 are the smallest of the Laplacian, and need no inverse
        krylov = min(nodes, int(_LANCZOS_FACTOR * (count + 1)))
        start = np.random.default_rng(seed).uniform(0.5, 1.5, nodes)
        values, vectors = eigsh(normal, count + 1, which="LA", ncv=krylov, v0=start)
    order = np.argsort(-values, kind="stable")[1 : count + 1]
    vectors = vectors[:, order] / root[:, None]
    return vectors.reshape(height, width, -1).astype(np.float32), 1 - values[order]


def _refine(normal: sparse.csr_array, start: np.ndarray, count: int) -> tuple[np.ndarray, np.ndarray]:
    """The `count` largest eigenvalues, falling, and eigenvectors (P, count) of `normal` (P, P), from (P, n) near them.

    Subspace iteration with a Chebyshev filter (Zhou et al. 2006): the polynomial is at most one in size on [-1, least
    value of the subspace] and grows fast above, so that a round lifts the wanted part of every vector out of the rest.
    Lanczos's method needs the same products, but its time goes into keeping a long basis orthogonal.
    """
    single = normal.astype(np.float32)
    start = start / np.maximum(np.linalg.norm(start, axis=0), np.finfo(np.float32).tiny)
    values, vectors = _rayleigh_ritz(single, start)
    for _ in range(_MOST_ROUNDS):
        before = values[:count]
        centre, reach = (values[-1] - 1) / 2, (values[-1] + 1) / 2
        scaled = (single - sparse.eye_array(len(start), dtype=np.float32) * centre) * np.float32(2 / reach)
        for low in range(0, vectors.shape[1], _TOGETHER):
            last = vectors[:, low : low + _TOGETHER]
            filtered = scaled @ last / 2
            for _ in range(_DEGREE - 1):
                after = scaled @ filtered
                after -= last
                last, filtered = filtered, after
            vectors[:, low : low + _TOGETHER] = filtered / np.linalg.norm(filtered, axis=0)
        values, vectors = _rayleigh_ritz(single, vectors)
        if (np.abs(values[:count] - before) <= _SETTLED * (1 - before) + _ROUNDING).all():
            break
    vectors = vectors[:, :count]
    # λ = 1 - μ of the smoothest vectors is smaller than single precision tells from 0
    exact = [v @ (normal @ v) / (v @ v) for v in (column.astype(np.float64) for column in vectors.T)]
    return np.array(exact), vectors


def _rayleigh_ritz(matrix: sparse.csr_array, vectors: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Best approximations of eigenvalues, falling, and eigenvectors within the span of `vectors` (P, n)."""
    basis = np.ascontiguousarray(qr(vectors, mode="economic", check_finite=False)[0])
    values, mixing = np.linalg.eigh((basis.T @ (matrix @ basis)).astype(np.float64))
    return values[::-1], basis @ mixing[:, ::-1].astype(np.float32)


def stencil_matrix(stencil: np.ndarray) -> sparse.csr_array:
    """The symmetric sparse matrix (H W, H W) of a stencil (41, H, W)."""
    _, height, width = stencil.shape
    place = np.arange(height * width).reshape(height, width)
    rows, columns, values = [], [], []
    for (dy, dx), weights in zip(OFFSETS.tolist(), stencil, strict=True):
        inside = slice(max(0, -dx), max(width - dx, 0))
        first = place[: max(height - dy, 0), inside].ravel()
        rows.append(first)
        columns.append(first + dy * width + dx)
        values.append(weights[: max(height - dy, 0), inside].ravel())
    size = (height * width, height * width)
    upper = sparse.coo_array(
        (np.concatenate(values).astype(np.float64), (np.concatenate(rows), np.concatenate(columns))), size
    ).tocsr()
    return (upper + sparse.triu(upper, 1).T).tocsr()


def whiten(vectors: np.ndarray) -> np.ndarray:
    """Centre and decorrelate (H, W, n) float32 to unit variance with the least change (ZCA); in place."""
    if not vectors.size:
        return vectors
    samples = vectors.reshape(-1, vectors.shape[2])
    samples -= samples.mean(axis=0, dtype=np.float64).astype(np.float32)
    # one scale for all, lest single precision underflow; a scale for each would whiten differently
    samples /= max(float(np.abs(samples).max()), np.finfo(np.float32).tiny)
    variance, axes = np.linalg.eigh((samples.T @ samples).astype(np.float64) / len(samples))
    keep = variance > 1e-9 * variance[-1]
    whitening = ((axes[:, keep] / np.sqrt(variance[keep])) @ axes[:, keep].T).astype(np.float32)
    for rows in vectors:  # row by row: a second copy of a large image's eigenvectors would not fit
        rows[:] = rows @ whitening
    return vectors


@njit(cache=True, nogil=True)
def _kept_neighbours(stencil, y, x, offsets, kept, weights):  # type: ignore[no-untyped-def]  # compiled
    """Fill `kept` with flat indices (coarse grid) and `weights` with shares of the pixels that stay around (y, x).

    Pixels of odd row and column stay. Returns their number and the sum of their affinities; the shares sum to one.
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
    """A' = S diag(1 / 1ᵀS) Sᵀ with S the rows of A that stay: stencil (41, H, W) -> (41, ⌊H/2⌋, ⌊W/2⌋) float64."""
    _, height, width = stencil.shape
    coarse = np.zeros((len(offsets), height // 2, width // 2))
    place = np.full((RADIUS + 1, 2 * RADIUS + 1), -1)
    for k in range(len(offsets)):
        place[offsets[k, 0], offsets[k, 1] + RADIUS] = k
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
                        coarse[place[w - v, t - u + RADIUS], v, u] += weights[i] * weights[j] * total
    return coarse


@njit(cache=True, nogil=True)
def interpolate(stencil: np.ndarray, vectors: np.ndarray, offsets: np.ndarray) -> np.ndarray:
    """Vectors (h, w, n) of the coarse grid on the fine one, (H, W, n) float32: each pixel the mean of those that stay
    around it, weighted by `stencil` (41, H, W), the fine grid's affinity."""
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
