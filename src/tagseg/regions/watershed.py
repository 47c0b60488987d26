"""Watershed of an image, with boundaries between pixels: every pixel flows to a minimum along steepest descent."""

import numpy as np
from numba import njit


def watershed(heights: np.ndarray) -> np.ndarray:
    """Catchment basins (H, W) int32, 0..L-1, of `heights` (H, W) float32.

    A watershed cut (Cousty et al. 2009) of the 4-connected pixels, the edge of two neighbours weighing the mean of
    their heights: a pixel's lightest edges lead to its lowest neighbours, and from there on edges that are lighter
    still or, on a plateau, equal. Linear in the number of pixels.
    """
    height, width = heights.shape
    # a border higher than everything, which nothing flows to
    padded = np.pad(heights, 1, constant_values=np.float32(np.inf))
    return _basins(padded.ravel(), _lowest_neighbours(padded).ravel(), height, width)


def _lowest_neighbours(padded: np.ndarray) -> np.ndarray:
    """Height of the lowest of the four neighbours (H + 2, W + 2) of the pixels inside the border of `padded`."""
    lowest = np.full_like(padded, np.inf)
    inner = lowest[1:-1, 1:-1]
    np.minimum(padded[:-2, 1:-1], padded[2:, 1:-1], out=inner)
    np.minimum(inner, padded[1:-1, :-2], out=inner)
    np.minimum(inner, padded[1:-1, 2:], out=inner)
    return lowest


@njit(cache=True, nogil=True)
def _basins(heights, lowest, height, width):  # type: ignore[no-untyped-def]  # compiled
    """Implements `watershed`, on flat arrays with a border; `lowest` are the heights of the lowest neighbours."""
    stride = width + 2
    steps = (-stride, -1, 1, stride)
    none, here = -1, -2
    labels = np.full(len(heights), none, np.int32)
    stream = np.empty(height * width, np.int64)  # pixels that flow together
    found = 0
    for row in range(1, height + 1):
        for start in range(row * stride + 1, row * stride + width + 1):
            if labels[start] != none:
                continue
            stream[0], length, at = start, 1, 0  # from `at` on, whence to go on
            labels[start] = here
            basin = none
            while at < length and basin == none:
                pixel = stream[at]
                at += 1
                for step in steps:
                    other = pixel + step
                    if heights[other] != lowest[pixel] or labels[other] == here or heights[other] == np.inf:
                        continue
                    if labels[other] != none:  # this water has been followed before
                        basin = labels[other]
                        break
                    labels[other] = here
                    stream[length] = other
                    length += 1
                    if lowest[other] < heights[pixel]:  # a lighter edge leads on: leave the plateau
                        at = length - 1
                        break
            if basin == none:
                basin = found
                found += 1
            for i in range(length):
                labels[stream[i]] = basin
    inner = np.empty((height, width), np.int32)
    for row in range(height):
        inner[row] = labels[(row + 1) * stride + 1 : (row + 1) * stride + 1 + width]
    return inner
