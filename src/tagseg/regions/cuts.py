"""Decimated normalised cuts: eigenvectors of a pixel affinity, computed on a smaller grid and interpolated.

Arbeláez et al. 2014 (Multiscale Combinatorial Grouping), Sec. 3. Affinities are stencils (see `affinity`).
"""

import numpy as np
from scipy import sparse
from scipy.linalg import eigh, qr
from scipy.sparse.linalg import eigsh

from tagseg.regions.decimation import decimate, interpolate
from tagseg.regions.matrices import filtered, stencil_matrix

_DENSE_BELOW = 1000  # nodes: smaller problems are solved densely
_REFINED_FROM = 24  # nodes per eigenvector: larger problems start from the eigenvectors of the decimated grid
_LANCZOS_FACTOR = 2.2  # Krylov vectors per wanted eigenvector, in what is between: measured to be fastest
_SPARE = 0.25  # fraction of additional eigenvectors, since the last ones converge slowly
_GAIN = 300  # by which a round amplifies the last wanted eigenvector over those below the spare ones
_MAX_DEGREE = 40  # of the Chebyshev polynomial of a round
_LARGEST = 50  # natural logarithm of the polynomial's largest value, in single precision
_PRECISION = 2e-6  # of λ, relative: a round reduces its error by the square of the gain
_BLOCK = 2**18  # entries of vectors filtered at a time, but at least
_MIN_BLOCK = 32  # vectors, to save memory
_MAX_ROUNDS = 10
_ROUNDING = 1e-5  # of λ in single precision


def normalised_cuts(stencil: np.ndarray, count: int, levels: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """The `count` smoothest non-constant eigenvectors of (D - A) v = λ D v, for A given by `stencil` (41, H, W).

    Returns eigenvectors (H, W, n) float32, of arbitrary scale, and λ (n,) float64 in increasing order; n < `count` if
    the grid has too few nodes. With `levels` > 0 they are computed on a grid decimated that many times (fewer if a side
    would vanish), interpolated, and whitened. `seed` is that of the solver's starting vector.
    """
    ways = []  # from each decimated grid back to the finer one
    for _ in range(levels):
        size = stencil.shape[1], stencil.shape[2]
        if min(size) < 2:
            break
        stencil, shares = decimate(stencil)
        ways.append((shares, size))
    vectors, values = eigenvectors(stencil, count, seed, lowest=0 if ways else -1)
    for shares, size in reversed(ways):
        vectors = interpolate(shares, vectors, size)
    return (whiten(vectors) if ways else vectors), values


def eigenvectors(stencil: np.ndarray, count: int, seed: int, *, lowest: float = -1) -> tuple[np.ndarray, np.ndarray]:
    """Non-constant eigenvectors (h, w, n) float32 and λ (n,) float64 of (D - A) v = λ D v; n <= `count`.

    Precision is about single on small grids; on large ones λ has a relative error of about 1e-5, the last ones up to
    1e-3. `lowest` is a bound of the eigenvalues of
    D^-1/2 A D^-1/2, which lie in [-1, 1], and in [0, 1] if A has been decimated, as A' is then a square.
    """
    _, height, width = stencil.shape
    nodes = height * width
    count = min(count, nodes - 1)
    if count < 1:
        return np.zeros((height, width, 0), np.float32), np.zeros(0)
    # the largest eigenvalues of D^-1/2 A D^-1/2 are the smallest of the Laplacian, without needing an inverse
    normal, root = _normalised(stencil_matrix(stencil))
    if nodes < max(_DENSE_BELOW, 2 * count):
        last = nodes - 1
        vectors = eigh(normal.toarray().astype(np.float32), subset_by_index=(last - count, last), check_finite=False)[1]
    elif nodes >= _REFINED_FROM * count and min(height, width) > 1:
        coarse, shares = decimate(stencil)
        start, _ = eigenvectors(coarse, count + int(_SPARE * count), seed, lowest=0)
        start = interpolate(shares, start, (height, width)).reshape(nodes, -1)
        start = np.hstack([np.ones((nodes, 1), np.float32), start]) * root[:, None].astype(np.float32)
        vectors = _refine(normal.astype(np.float32), start, count + 1, lowest)
    else:
        krylov = min(nodes, int(_LANCZOS_FACTOR * (count + 1)))
        start = np.random.default_rng(seed).uniform(0.5, 1.5, nodes)
        vectors = eigsh(normal, count + 1, which="LA", ncv=krylov, v0=start)[1]
    values = _rayleigh_quotients(normal, vectors)
    order = np.argsort(-values, kind="stable")[1:]
    vectors = vectors[:, order] / root[:, None]
    return vectors.reshape(height, width, -1).astype(np.float32), 1 - values[order]


def _normalised(matrix: sparse.csr_array) -> tuple[sparse.csr_array, np.ndarray]:
    """D^-1/2 A D^-1/2 (P, P) float64, in place of `matrix` A, and D^1/2 (P,)."""
    root = np.sqrt(np.maximum(np.asarray(matrix.sum(axis=0)).ravel(), np.finfo(np.float64).tiny))
    matrix.data /= root[matrix.indices]
    matrix.data /= np.repeat(root, np.diff(matrix.indptr))
    return matrix, root


def _refine(normal: sparse.csr_array, start: np.ndarray, count: int, lowest: float) -> np.ndarray:
    """Eigenvectors (P, count) float32 of the largest eigenvalues of `normal` (P, P) float32, in decreasing order.

    Chebyshev-filtered subspace iteration (Zhou et al. 2006) from approximate eigenvectors `start` (P, n): the
    polynomial is at most 1 on [lowest, smallest Ritz value] and grows quickly above, so each round amplifies the wanted
    components. Lanczos iteration needs the same products, but spends its time on orthogonalising a long basis.
    """
    start = start / np.maximum(np.linalg.norm(start, axis=0), np.finfo(np.float32).tiny)
    values, vectors = _rayleigh_ritz(normal, start)
    blocks = -(-start.shape[1] // max(_MIN_BLOCK, _BLOCK // len(start)))
    for _ in range(_MAX_ROUNDS):
        before = values[:count]
        centre, reach = (values[-1] + lowest) / 2, max((values[-1] - lowest) / 2, 1e-3)
        # the polynomial of degree d is cosh(d arccosh t) at t > 1
        growth = np.arccosh(np.maximum((before[[0, -1]] - centre) / reach, 1 + 1e-6))
        degree = max(1, int(min(np.ceil(np.arccosh(_GAIN) / growth[1]), _LARGEST / growth[0], _MAX_DEGREE)))
        gain = min(np.cosh(degree * growth[1]), _GAIN)
        for part in np.array_split(np.arange(vectors.shape[1]), blocks):
            some = filtered(normal, vectors[:, part], degree, centre, reach)
            vectors[:, part] = some / np.linalg.norm(some, axis=0)
        values, vectors = _rayleigh_ritz(normal, vectors)
        if (np.abs(values[:count] - before) <= _PRECISION * gain**2 * (1 - before) + _ROUNDING).all():
            break
    return vectors[:, :count]


def _rayleigh_ritz(matrix: sparse.csr_array, vectors: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Rayleigh-Ritz approximations in the span of `vectors` (P, n): eigenvalues in decreasing order, eigenvectors."""
    basis = np.ascontiguousarray(qr(vectors, mode="economic", check_finite=False)[0])
    values, mixing = np.linalg.eigh((basis.T @ (matrix @ basis)).astype(np.float64))
    return values[::-1], basis @ mixing[:, ::-1].astype(np.float32)


def _rayleigh_quotients(matrix: sparse.csr_array, vectors: np.ndarray) -> np.ndarray:
    """vᵀ M v / vᵀ v (n,) of the columns of `vectors` (P, n), in double precision.

    For the smoothest vectors, λ = 1 - μ is below single precision.
    """
    found = []
    for low in range(0, vectors.shape[1], _MIN_BLOCK):
        some = np.ascontiguousarray(vectors[:, low : low + _MIN_BLOCK], dtype=np.float64)
        found.append((some * (matrix @ some)).sum(axis=0) / (some**2).sum(axis=0))
    return np.concatenate(found)


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
