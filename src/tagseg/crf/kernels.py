"""Compiled loops of the higher-order terms: sums over the pixels of a region, and the resulting gain of each pixel.

Let n be the number of pixels of a region that take a given label, where pixel j takes it independently with
probability q_j: a Poisson binomial variable. Robust P^n rewards agreement beyond an onset of t = N_s - Q pixels. For
each pixel i it needs the distribution of the count of the others, n' = n - [x_i = l]:

    slope(i) = E[(n' + 1 - t)_+] - E[(n' - t)_+] = (1 - θ) P(n' >= k) + θ P(n' >= k + 1),   k = floor(t), θ = t - k

It is 0 or 1 where n' is (almost) certain to stay below t or to exceed it. Otherwise it is computed exactly for regions
of at most `EXACT_PIXELS` pixels or a variance of at most `EXACT_VARIANCE`, and else by a normal approximation with
skewness correction (Volkova 1996; Hong 2013), whose error is below .01.

Shapes throughout: `q` (N, L) float32 marginals, `region` (N,) int32 the region of each pixel, others (R, L) float64
unless stated. `drops` is the saving per unit of product or slope, in nats. Gains are stored for the active labels of a
region only, since of 21 labels usually at most one gains: `active` (R, A) int32 lists these labels first in its row,
`counts` (R,) is their number, and `gains` (N, A) float32 is the gain of each in each pixel.

All kernels are in one file, because numba's cache tracks changes of a function's own file but not of its callees'.
"""

import math

import numpy as np
from numba import njit

EXACT_PIXELS = 32
EXACT_VARIANCE = 4.0
# Probabilities below this are treated as 0.
NEGLIGIBLE = 1e-7
_STEPS = -math.log(NEGLIGIBLE)
_ZERO, _ONE, _APPROXIMATE, _EXACT = 0, 1, 2, 3  # how the slope is computed

# Products over a region's pixels are kept above FLOOR and their factors above LEAST. This avoids underflow at a tenth
# of the cost of logarithms; a pixel's own factor can still be divided out exactly, and products affected by the floor
# are below FLOOR / LEAST = 1e-30.
FLOOR, LEAST = 1e-60, 1e-30


@njit(cache=True, nogil=True)
def region_sums(q: np.ndarray, region: np.ndarray, sums: np.ndarray) -> None:
    """Add the sum of `q` over the pixels of each region to `sums` (R, L), in place."""
    pixels, labels = q.shape
    for i in range(pixels):
        r = region[i]
        for label in range(labels):
            sums[r, label] += q[i, label]


@njit(cache=True, nogil=True)
def pn_potts_gains(q: np.ndarray, region: np.ndarray, drops: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """P^n-Potts: `drops` times the product of the other pixels' q; returns `active`, `counts` and `gains`."""
    pixels, labels = q.shape
    products = np.ones(drops.shape)
    for i in range(pixels):
        r = region[i]
        for label in range(labels):
            factor = max(np.float64(q[i, label]), LEAST)
            products[r, label] = max(products[r, label] * factor, FLOOR)
    active, counts = _active_labels(products > FLOOR)
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
    onsets: np.ndarray,
    drops: np.ndarray,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Robust P^n: `drops` times the slope; returns `active`, `counts` and `gains`.

    `order` (N,) int64 lists the pixels by region, those of region r from `offsets[r]` to `offsets[r + 1]`, `offsets`
    (R + 1,) int64. `onsets` (R,) float64 is t of each region.
    """
    pixels = q.shape[0]
    regions, labels = drops.shape
    mean, variance, third = np.zeros(drops.shape), np.zeros(drops.shape), np.zeros(drops.shape)
    region_sums(q, region, mean)
    methods = np.full(drops.shape, _ZERO)
    for r in range(regions):
        size = offsets[r + 1] - offsets[r]
        for label in range(labels):
            if drops[r, label] > 0:  # 0 in empty regions
                bound = mean[r, label] * (1 - mean[r, label] / size)  # largest variance for this mean: all q_j equal
                methods[r, label] = _slope_method(size, onsets[r], mean[r, label], bound)
    active, counts = _active_labels(methods != _ZERO)
    # for most labels the mean is enough; the other moments, which need another pass, only for the remaining ones
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
            method = _slope_method(members.size, onsets[r], mean[r, label], variance[r, label])
            if method == _ONE:
                coefficients[r, a, 0] = 1.0
            elif method == _APPROXIMATE:
                _fit(onsets[r], mean[r, label], variance[r, label], third[r, label], coefficients[r, a])
            elif method == _EXACT:
                coefficients[r, a, 0] = np.nan
                _exact_gains(q, label, members, onsets[r], drops[r, label], gains[:, a])
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
    """Add `weight` times the gains to log q and renormalise, in place; q of a pixel sums to 1 before and after."""
    pixels, labels = q.shape
    raised = np.empty(active.shape[1])
    for i in range(pixels):
        r = region[i]
        if counts[r] == 0:
            continue
        total = 1.0
        for a in range(counts[r]):
            p = np.float64(q[i, active[r, a]])
            raised[a] = p * math.exp(min(weight * gains[i, a], 600.0))  # exp overflows above 709
            total += raised[a] - p
        scale = np.float32(1 / total)
        for label in range(labels):
            q[i, label] *= scale
        for a in range(counts[r]):
            q[i, active[r, a]] = raised[a] / total


@njit(cache=True, nogil=True)
def _active_labels(chosen: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """`active` and `counts` of the labels that are `chosen` (R, L) bool."""
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
def _slope_method(pixels: int, onset: float, mean: float, variance: float) -> int:
    """How to compute the slopes of one label in one region; `variance` may be an upper bound."""
    k = math.floor(onset)
    # n - 1 <= n' <= n
    if _tail(pixels, k, mean, variance) < NEGLIGIBLE:
        return _ZERO
    if _tail(pixels, pixels - k - 1, pixels - mean, variance) < NEGLIGIBLE:
        return _ONE
    return _EXACT if pixels <= EXACT_PIXELS or variance <= EXACT_VARIANCE else _APPROXIMATE


@njit(cache=True, nogil=True)
def _tail(pixels: int, count: float, mean: float, variance: float) -> float:
    """Upper bound of P(n >= count) for any q_j: the tighter of the Bernstein and Chernoff bounds."""
    distance = count - mean
    if distance <= 0:
        return 1.0
    # float32 q may slightly exceed 1, which can make the variance negative
    bernstein = distance * distance / (2 * (max(variance, 0.0) + distance / 3))
    if bernstein > _STEPS or count >= pixels or mean <= 0:
        return math.exp(-bernstein)
    a, b = count / pixels, mean / pixels
    chernoff = pixels * (a * math.log(a / b) + (1 - a) * math.log((1 - a) / (1 - b)))
    return math.exp(-max(bernstein, chernoff))


@njit(cache=True, nogil=True)
def _fit(onset: float, mean: float, variance: float, third: float, coefficients: np.ndarray) -> None:
    """Write `coefficients` (3,) of the slope c0 + c1 q + c2 q² of a pixel with probability q.

    The slope is a smooth function of q, more so for a larger variance, so a parabola through three values suffices.
    """
    low = _slope_without(0.0, onset, mean, variance, third)
    middle = _slope_without(0.5, onset, mean, variance, third)
    high = _slope_without(1.0, onset, mean, variance, third)
    coefficients[0] = low
    coefficients[1] = 4 * middle - 3 * low - high
    coefficients[2] = 2 * low - 4 * middle + 2 * high


@njit(cache=True, nogil=True)
def _slope_without(q: float, onset: float, mean: float, variance: float, third: float) -> float:
    """Approximate slope of a pixel with probability `q`, from the moments of n over all pixels."""
    k = math.floor(onset)
    theta = onset - k
    spread = q * (1 - q)
    mean, variance, third = mean - q, variance - spread, third - spread * (1 - 2 * q)
    return (1 - theta) * _survival(k, mean, variance, third) + theta * _survival(k + 1, mean, variance, third)


@njit(cache=True, nogil=True)
def _survival(k: float, mean: float, variance: float, third: float) -> float:
    """P(n >= k), by the normal approximation with continuity and skewness correction."""
    deviation = math.sqrt(variance)
    x = (k - 0.5 - mean) / deviation
    density = math.exp(-0.5 * x * x) / math.sqrt(2 * math.pi)
    upper = 0.5 * math.erfc(x / math.sqrt(2)) - third / deviation**3 * (1 - x * x) * density / 6
    return min(max(upper, 0.0), 1.0)


@njit(cache=True, nogil=True)
def _exact_gains(q: np.ndarray, label: int, members: np.ndarray, onset: float, drop: float, gains: np.ndarray) -> None:
    """Write `drop` times the slope to `gains` (N,) at the pixels `members`, from the exact distribution of n'.

    The distribution is that of d = n - (number of pixels with q > 1/2), where each pixel moves d up or down with a
    probability p <= 1/2. The window covers every d of EXACT_PIXELS pixels, and all but 1e-7 of the mass of a region
    with a variance within EXACT_VARIANCE, in which the expected number of moves is at most 2 EXACT_VARIANCE. A move
    with p <= 1/2 can be removed from the distribution without loss of precision; a factor with q near 1 could not be
    removed from the distribution of n.
    """
    reach = EXACT_PIXELS
    width = 2 * reach + 1
    mass = np.zeros(width)
    mass[reach] = 1.0
    low, high = reach, reach  # the range with mass
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
    k = math.floor(onset)
    theta = onset - k
    for i in members:
        p = np.float64(q[i, label])
        at = k - sure + reach + (1 if p > 0.5 else 0)  # index in `survival` at which n' = k
        gains[i] = drop * _interpolated_without(survival, at, theta, p)


@njit(cache=True, nogil=True)
def _interpolated_without(survival: np.ndarray, at: int, theta: float, q: float) -> float:
    """(1 - θ) S'(at) + θ S'(at + 1), with S' the survival function S without one pixel's move of p = min(q, 1 - q).

    For a move up, S(d) = (1 - p) S'(d) + p S'(d - 1), so S' is computed upwards from where it is 1; for a move down,
    downwards from where it is 0. Errors shrink by p / (1 - p) per step, so a few steps suffice for small p.
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
