"""Arcs of a watershed: boundaries between regions, split into nearly straight pieces with an orientation each.

Boundaries run between pixels. A crack is the edge shared by two neighbouring pixels: `down` (H - 1, W) holds those
between (y, x) and (y + 1, x), `right` (H, W - 1) those between (y, x) and (y, x + 1). A crack connects two corners of
the (H + 1) x (W + 1) grid. Cracks form arcs, which end where three boundaries meet or at the image border.
"""

import numpy as np
from numba import njit

from tagseg.regions.oriented import ORIENTATIONS

# An arc is straight (as in the public code of Arbeláez et al. 2011) if it does not extend beyond the ends of its chord,
# and no point is farther from the chord than the larger of
_TOLERANCE = 2.0  # pixels and
_DEVIATION = 0.05  # of the chord's length
_NONE = -1  # no boundary
_EAST, _SOUTH, _WEST, _NORTH = 1, 2, 4, 8  # bits


def arc_channels(labels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Orientation channel of each crack: `down` (H - 1, W) and `right` (H, W - 1) int8, -1 inside regions.

    `labels` (H, W) int are the regions. Arcs are split at the point farthest from their chord until every piece is
    straight, so that the channel of a crack (see `channel_of`) is that of its piece, not of the whole arc.
    """
    level, upright = labels[1:] != labels[:-1], labels[:, 1:] != labels[:, :-1]
    ways = np.zeros((labels.shape[0] + 1, labels.shape[1] + 1), np.uint8)
    ways[1:-1, :-1] |= np.uint8(_EAST) * level
    ways[1:-1, 1:] |= np.uint8(_WEST) * level
    ways[:-1, 1:-1] |= np.uint8(_SOUTH) * upright
    ways[1:, 1:-1] |= np.uint8(_NORTH) * upright
    down, right = (np.where(line, np.int8(0), np.int8(_NONE)) for line in (level, upright))
    _trace(ways, down, right)
    return down, right


@njit(cache=True, nogil=True)
def _trace(ways, down, right):  # type: ignore[no-untyped-def]  # compiled
    """Walk along every arc once and write the channels of its pieces to the cracks.

    `ways` (H + 1, W + 1) are the directions in which boundaries leave each corner.
    """
    height, width = ways.shape
    left = ways.copy()  # what has not been walked yet
    length = 1 + down.size + right.size
    ys, xs = np.empty(length, np.int64), np.empty(length, np.int64)
    # arcs with ends first; what remains are closed loops, which may start anywhere
    for loops in (False, True):
        for y in range(height):
            for x in range(width):
                if left[y, x] == 0 or (not loops and _passes(ways[y, x])):
                    continue
                for first in (_EAST, _SOUTH, _WEST, _NORTH):
                    if left[y, x] & first:
                        count = _follow(ways, left, y, x, first, ys, xs)
                        _write_pieces(ys[:count], xs[:count], down, right)


@njit(cache=True, nogil=True)
def _passes(directions):  # type: ignore[no-untyped-def]  # compiled
    """Whether exactly two boundaries meet, that is, a line passes."""
    rest = directions & (directions - 1)  # without the lowest bit
    return rest != 0 and rest & (rest - 1) == 0


@njit(cache=True, nogil=True)
def _follow(ways, left, y, x, first, ys, xs):  # type: ignore[no-untyped-def]  # compiled
    """Walk along the arc that leaves corner (y, x) in direction `first`, to its end or once around.

    Writes its corners, the first included, to `ys` and `xs`, clears its cracks in `left` in both directions, and
    returns the number of corners.
    """
    ys[0], xs[0] = y, x
    count, v, u, direction = 1, y, x, first
    while True:
        left[v, u] &= ~direction
        v += (direction == _SOUTH) - (direction == _NORTH)
        u += (direction == _EAST) - (direction == _WEST)
        back = direction << 2 if direction < _WEST else direction >> 2
        left[v, u] &= ~back
        ys[count], xs[count] = v, u
        count += 1
        if not _passes(ways[v, u]) or (v == y and u == x):
            return count
        direction = ways[v, u] & ~back


@njit(cache=True, nogil=True)
def _write_pieces(ys, xs, down, right):  # type: ignore[no-untyped-def]  # compiled
    """Split one arc, given by its corners, and write the channel of each piece to its cracks."""
    stack = [(0, len(ys) - 1)]
    while stack:
        low, high = stack.pop()
        split = _farthest_if_bent(ys, xs, low, high)
        if split > low:
            stack.append((low, split))
            stack.append((split, high))
            continue
        channel = channel_of(ys[high] - ys[low], xs[high] - xs[low])
        for i in range(low, high):
            if ys[i] == ys[i + 1]:
                down[ys[i] - 1, min(xs[i], xs[i + 1])] = channel
            else:
                right[min(ys[i], ys[i + 1]), xs[i] - 1] = channel


@njit(cache=True, nogil=True)
def channel_of(dy: float, dx: float) -> int:
    """Channel of `oriented_filters` for a line along (dy, dx), y downwards: 4 is horizontal, 0 vertical."""
    if dx == 0:
        return 0
    # the angle in -π/2 .. π/2, rounded to the nearest of 8 directions
    turns = int(np.floor(np.arctan(dy / dx) / (np.pi / ORIENTATIONS) + 0.5))
    return (4 - turns) % ORIENTATIONS


@njit(cache=True, nogil=True)
def _farthest_if_bent(ys, xs, low, high):  # type: ignore[no-untyped-def]  # compiled
    """Index of the corner farthest from the chord from `low` to `high` if the piece is not straight, else -1."""
    chord_y, chord_x = float(ys[high] - ys[low]), float(xs[high] - xs[low])
    chord = np.hypot(chord_y, chord_x)
    farthest, distance_there = low, 0.0
    bent = False
    for i in range(low + 1, high):
        y, x = float(ys[i] - ys[low]), float(xs[i] - xs[low])
        along = (y * chord_y + x * chord_x) / max(chord, 1e-9)
        if along < 0 or chord == 0:
            distance = np.hypot(y, x)
            bent = True
        elif along > chord:
            distance = np.hypot(y - chord_y, x - chord_x)
            bent = True
        else:
            distance = abs(y * chord_x - x * chord_y) / chord
        bent = bent or distance > max(_TOLERANCE, _DEVIATION * chord)
        if distance > distance_there:
            farthest, distance_there = i, distance
    return farthest if bent else -1
