"""Compiled loops of the region terms: sums over a region's pixels, and what they mean for each of its pixels.

`n` is the number of pixels of a region that take one label, when pixel j takes it with probability q_j on its own: a
Poisson binomial variable. Robust P^n asks for each pixel i how likely the count of the others, n' = n - [x_i = l],
lies above the point t where the term begins:

    slope(i) = E[(n' + 1 - t)_+] - E[(n' - t)_+] = (1 - θ) P(n' >= k) + θ P(n' >= k + 1),   k = floor(t), θ = t - k

Where the count is bound to fall short of t or to pass it, that is 0 or 1. Between, it is exact where the region has up
to `EXACT_PIXELS` pixels or no more variance than `EXACT_VARIANCE`, and else a normal distribution corrected for
skewness (Volkova 1996; Hong 2013), less than .01 off.

Shapes throughout: `q` (N, L) float32 marginals, `region` (N,) int32, all others (R, L) float64 unless said. Gains are
kept for few labels of each region, for of 21 it is mostly one or none that gains: `active` (R, A) int32 holds those
labels first in its row, `counts` (R,) how many, and `gains` (N, A) float32 the gain of each in each pixel.

All of it stands in one file, because numba's cache looks at the file of a compiled function and not at those of what
it calls.
"""

import math

import numpy as np
from numba import njit

EXACT_PIXELS = 32
EXACT_VARIANCE = 4.0
# Probabilities below this are taken as 0.
NEGLIGIBLE = 1e-7
_STEPS = -math.log(NEGLIGIBLE)
_FALLS_SHORT, _PASSES, _SMOOTH, _EXACT = 0, 1, 2, 3

# A product over a region's pixels is held above FLOOR, each factor above LEAST. That keeps it from running into zero,
# which is what logarithms are for, at a tenth of their time; taking a pixel's own factor out again stays exact, and
# what the floor hides is below FLOOR / LEAST = 1e-30.
FLOOR, LEAST = 1e-60, 1e-30


@njit(cache=True, nogil=True)
def region_sums(q: np.ndarray, region: np.ndarray, sums: np.ndarray) -> None:
    """Add the sum of `q` over each region to `sums`."""
    pixels, labels = q.shape
    for i in range(pixels):
        r = region[i]
        for label in range(labels):
            sums[r, label] += q[i, label]


@njit(cache=True, nogil=True)
def pn_potts_gains(q: np.ndarray, region: np.ndarray, drops: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """`drops` times the product of the other pixels' q: active labels, their counts, gains."""
    pixels, labels = q.shape
    products = np.ones(drops.shape)
    for i in range(pixels):
        r = region[i]
        for label in range(labels):
            factor = max(np.float64(q[i, label]), LEAST)
            products[r, label] = max(products[r, label] * factor, FLOOR)
    active, counts = _listed(products > FLOOR)
    gains = np.empty((pixels, active.shape[1]), np.float32)
    for i in range(pixels):
        r = region[i]
        for a in range(counts[r]):
            label = active[r, a]
            gains[i, a] = drops[r, label] * products[r, label] / max(np.float64(q[i, label]), LEAST)
    return active, counts, gains


@njit(cache=True, nogil=True)
def robust_pn_gains(
    q: np.ndarray,
    region: np.ndarray,
    order: np.ndarray,
    offsets: np.ndarray,
    begins: np.ndarray,
    drops: np.ndarray,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """`drops` times the slope: active labels, their counts, gains.

    `order` (N,) holds the pixels region by region, those of region r from `offsets[r]` to `offsets[r + 1]`; `begins`
    (R,) the t of each region.
    """
    pixels = q.shape[0]
    regions, labels = drops.shape
    mean, variance, third = np.zeros(drops.shape), np.zeros(drops.shape), np.zeros(drops.shape)
    region_sums(q, region, mean)
    ways = np.full(drops.shape, _FALLS_SHORT)
    for r in range(regions):
        size = offsets[r + 1] - offsets[r]
        for label in range(labels):
            if drops[r, label] > 0:  # not in an empty region
                most = mean[r, label] * (1 - mean[r, label] / size)  # the variance, were all q_j alike
                ways[r, label] = _way_to_slopes(size, begins[r], mean[r, label], most)
    active, counts = _listed(ways != _FALLS_SHORT)
    # For most labels the mean settled it. The other moments, sums over pixels too, are for the rest.
    for i in range(pixels):
        r = region[i]
        for a in range(counts[r]):
            label = active[r, a]
            p = np.float64(q[i, label])
            variance[r, label] += p * (1 - p)
            third[r, label] += p * (1 - p) * (1 - 2 * p)
    coefficients = np.zeros((regions, active.shape[1], 3))
    gains = np.empty((pixels, active.shape[1]), np.float32)
    for r in range(regions):
        for a in range(counts[r]):
            label = active[r, a]
            members = order[offsets[r] : offsets[r + 1]]
            way = _way_to_slopes(members.size, begins[r], mean[r, label], variance[r, label])
            if way == _PASSES:
                coefficients[r, a, 0] = 1.0
            elif way == _SMOOTH:
                _fit(begins[r], mean[r, label], variance[r, label], third[r, label], coefficients[r, a])
            elif way == _EXACT:
                coefficients[r, a, 0] = np.nan
                _exact_gains(q, label, members, begins[r], drops[r, label], gains[:, a])
            coefficients[r, a] *= drops[r, label]
    for i in range(pixels):
        r = region[i]
        for a in range(counts[r]):
            c = coefficients[r, a]
            if not math.isnan(c[0]):
                p = np.float64(q[i, active[r, a]])
                gains[i, a] = c[0] + p * (c[1] + p * c[2])
    return active, counts, gains


@njit(cache=True, nogil=True)
def add_gains(
    q: np.ndarray, region: np.ndarray, active: np.ndarray, counts: np.ndarray, gains: np.ndarray, weight: float
) -> None:
    """Add `weight` times the gains to log q, in place. The q of a pixel sum to 1, before and after."""
    pixels, labels = q.shape
    raised = np.empty(active.shape[1])
    for i in range(pixels):
        r = region[i]
        if counts[r] == 0:
            continue
        total = 1.0
        for a in range(counts[r]):
            p = np.float64(q[i, active[r, a]])
            raised[a] = p * math.exp(min(weight * gains[i, a], 600.0))  # e^709 would be too large
            total += raised[a] - p
        scale = np.float32(1 / total)
        for label in range(labels):
            q[i, label] *= scale
        for a in range(counts[r]):
            q[i, active[r, a]] = raised[a] / total


@njit(cache=True, nogil=True)
def _listed(chosen: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """`active` and `counts` of the labels chosen (R, L) bool."""
    counts = np.zeros(chosen.shape[0], np.int64)
    for r in range(chosen.shape[0]):
        for label in range(chosen.shape[1]):
            counts[r] += chosen[r, label]
    active = np.zeros((chosen.shape[0], counts.max()), np.int32)
    for r in range(chosen.shape[0]):
        a = 0
        for label in range(chosen.shape[1]):
            if chosen[r, label]:
                active[r, a] = label
                a += 1
    return active, counts


@njit(cache=True, nogil=True)
def _way_to_slopes(pixels: int, begins: float, mean: float, variance: float) -> int:
    """Which way to the slopes of one label in one region; `variance` may be too large, never too small."""
    k = math.floor(begins)
    # n - 1 <= n' <= n
    if _tail(pixels, k, mean, variance) < NEGLIGIBLE:
        return _FALLS_SHORT
    if _tail(pixels, pixels - k - 1, pixels - mean, variance) < NEGLIGIBLE:
        return _PASSES
    return _EXACT if pixels <= EXACT_PIXELS or variance <= EXACT_VARIANCE else _SMOOTH


@njit(cache=True, nogil=True)
def _tail(pixels: int, count: float, mean: float, variance: float) -> float:
    """No less than P(n >= count), whatever the q_j: the better of Bernstein's and Chernoff's bounds."""
    distance = count - mean
    if distance <= 0:
        return 1.0
    # float32 q may exceed 1 by a hair, and make a variance of 0 negative
    bernstein = distance * distance / (2 * (max(variance, 0.0) + distance / 3))
    if bernstein > _STEPS or count >= pixels or mean <= 0:
        return math.exp(-bernstein)
    a, b = count / pixels, mean / pixels
    chernoff = pixels * (a * math.log(a / b) + (1 - a) * math.log((1 - a) / (1 - b)))
    return math.exp(-max(bernstein, chernoff))


@njit(cache=True, nogil=True)
def _fit(begins: float, mean: float, variance: float, third: float, coefficients: np.ndarray) -> None:
    """`coefficients` (3,) of the slope, c0 + c1 q + c2 q² for a pixel of probability q.

    It is a smooth function of q, the more so the larger the variance: three values fix it.
    """
    low = _slope_without(0.0, begins, mean, variance, third)
    middle = _slope_without(0.5, begins, mean, variance, third)
    high = _slope_without(1.0, begins, mean, variance, third)
    coefficients[0] = low
    coefficients[1] = 4 * middle - 3 * low - high
    coefficients[2] = 2 * low - 4 * middle + 2 * high


@njit(cache=True, nogil=True)
def _slope_without(q: float, begins: float, mean: float, variance: float, third: float) -> float:
    """The slope for the count of all pixels but one of probability `q`, approximately."""
    k = math.floor(begins)
    theta = begins - k
    spread = q * (1 - q)
    mean, variance, third = mean - q, variance - spread, third - spread * (1 - 2 * q)
    return (1 - theta) * _survival(k, mean, variance, third) + theta * _survival(k + 1, mean, variance, third)


@njit(cache=True, nogil=True)
def _survival(k: float, mean: float, variance: float, third: float) -> float:
    """P(n >= k): normal, with continuity and skewness corrected."""
    deviation = math.sqrt(variance)
    x = (k - 0.5 - mean) / deviation
    density = math.exp(-0.5 * x * x) / math.sqrt(2 * math.pi)
    upper = 0.5 * math.erfc(x / math.sqrt(2)) - third / deviation**3 * (1 - x * x) * density / 6
    return min(max(upper, 0.0), 1.0)


@njit(cache=True, nogil=True)
def _exact_gains(q: np.ndarray, label: int, members: np.ndarray, begins: float, drop: float, gains: np.ndarray) -> None:
    """Into `gains` (N,) of the pixels `members`: `drop` times the slope, by the exact distribution without each pixel.

    The distribution is that of d = n - (number of pixels with q > 1/2): every pixel then moves d, up or down, with a
    probability p <= 1/2. Its window is wide enough for every d of EXACT_PIXELS pixels, and for all but 1e-7 of the
    mass of a region within EXACT_VARIANCE, whose moves number at most 2 EXACT_VARIANCE in the mean. And a move of
    p <= 1/2 can be taken out again without loss of precision; a q near 1 could not be taken out of that of n.
    """
    reach = EXACT_PIXELS
    width = 2 * reach + 1
    mass = np.zeros(width)
    mass[reach] = 1.0
    low, high = reach, reach  # where there is mass
    sure = 0
    for i in members:
        p = np.float64(q[i, label])
        if p > 0.5:
            sure += 1
            low = max(low - 1, 0)
            for d in range(low, high):
                mass[d] = mass[d] * p + mass[d + 1] * (1 - p)
            mass[high] *= p
        else:
            high = min(high + 1, width - 1)
            for d in range(high, low, -1):
                mass[d] = mass[d] * (1 - p) + mass[d - 1] * p
            mass[low] *= 1 - p
    survival = np.zeros(width + 1)  # P(d >= index - reach)
    for d in range(width - 1, -1, -1):
        survival[d] = survival[d + 1] + mass[d]
    k = math.floor(begins)
    theta = begins - k
    for i in members:
        p = np.float64(q[i, label])
        at = k - sure + reach + (1 if p > 0.5 else 0)  # where in `survival` the others reach k
        gains[i] = drop * _interpolated_without(survival, at, theta, p)


@njit(cache=True, nogil=True)
def _interpolated_without(survival: np.ndarray, at: int, theta: float, q: float) -> float:
    """(1 - θ) S'(at) + θ S'(at + 1): S' is the survival function S without one pixel's move of p = min(q, 1 - q).

    A move up: S(d) = (1 - p) S'(d) + p S'(d - 1), so S' follows from below, where it is 1. A move down: the mirror
    image, from above, where it is 0. An error shrinks by p / (1 - p) a step, so that a few steps do for a small p.
    """
    last = survival.size - 1
    if at < 0:
        return 1.0
    if at >= last:
        return 0.0
    down = q > 0.5
    p = 1 - q if down else q
    steps = last
    if p < 0.49:
        steps = int(_STEPS / math.log((1 - p) / max(p, 1e-12))) + 1
    keep, drop = 1 / (1 - p), p / (1 - p)
    if down:
        first = min(last, at + 1 + steps)
        value = before = survival[first]
        for d in range(first - 1, at - 1, -1):
            before = value
            value = keep * survival[d] - drop * value
        return (1 - theta) * value + theta * before
    first = max(0, at - steps)
    value = before = survival[first]
    for d in range(first + 1, at + 2):
        before = value
        value = keep * survival[d] - drop * value
    return (1 - theta) * before + theta * value
