"""Affinities of small grids that tests make, as stencils and as dense matrices."""

import numpy as np

from tagseg.regions.affinity import OFFSETS


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
