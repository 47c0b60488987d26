"""Crisp boundaries: every piece of a line between regions is read in its own direction."""

import numpy as np
import pytest

from tagseg.regions.arcs import arc_channels, channel_of


def channels_on_lines(labels: np.ndarray) -> tuple[np.ndarray, np.ndarray, set[int]]:
    """`arc_channels`, checked to mark all cracks of lines and no others, and the set of channels."""
    down, right = arc_channels(labels)
    assert down.dtype == right.dtype == np.int8
    np.testing.assert_array_equal(down >= 0, labels[1:] != labels[:-1])
    np.testing.assert_array_equal(right >= 0, labels[:, 1:] != labels[:, :-1])
    return down, right, set(np.concatenate([down[down >= 0], right[right >= 0]]).tolist())


@pytest.mark.parametrize("channel", range(8))
@pytest.mark.parametrize("shift", [0.1, 7.3])
def test_a_straight_line_has_the_channel_of_its_direction(channel: int, shift: float) -> None:
    angle = (4 - channel) * np.pi / 8
    y, x = np.mgrid[-30:31, -40:41]
    labels = (x * np.sin(angle) - y * np.cos(angle) > shift).astype(np.int32)
    assert channels_on_lines(labels)[2] == {channel}
    assert channels_on_lines(labels[::-1])[2] == channels_on_lines(labels[:, ::-1])[2] == {-channel % 8}


def test_the_channel_of_a_chord_is_the_nearest_of_eight() -> None:
    for degrees in np.arange(-179, 181, 3.1):
        dy, dx = np.sin(np.radians(degrees)), np.cos(np.radians(degrees))
        wanted = (4 - int(np.rint(degrees / 22.5))) % 8
        assert channel_of(dy, dx) == channel_of(-dy, -dx) == wanted
    assert channel_of(3.0, 0.0) == channel_of(-3.0, 0.0) == 0


def test_the_sides_of_a_corner_are_read_apart() -> None:
    labels = np.zeros((50, 60), np.int32)
    labels[20:, 25:] = 1
    down, right, _ = channels_on_lines(labels)
    assert set(down[19, 25:].tolist()) == {4} and set(right[20:, 24].tolist()) == {0}


def test_a_loop_is_read_in_all_directions() -> None:
    y, x = np.mgrid[:80, :80] - 39.5
    labels = (x**2 + y**2 < 30**2).astype(np.int32)
    down, right, channels = channels_on_lines(labels)
    assert channels == set(range(8))
    # the tangent at each crack, and how many channels away it was read
    away = []
    for marks, dy, dx in ((down, 0.5, 0), (right, 0, 0.5)):
        for v, u in np.argwhere(marks >= 0):
            tangent = channel_of(x[v, u] + dx, -(y[v, u] + dy))
            away.append(abs((marks[v, u] - tangent + 4) % 8 - 4))
    assert np.mean(np.array(away) <= 1) > 0.9 and max(away) <= 2


def test_a_box_inside_an_image_is_a_loop_of_four_sides() -> None:
    labels = np.zeros((40, 50), np.int32)
    labels[10:30, 12:40] = 1
    down, right, channels = channels_on_lines(labels)
    assert channels == {0, 4}
    assert set(down[9, 12:40].tolist()) == set(down[29, 12:40].tolist()) == {4}
    assert set(right[10:30, 11].tolist()) == set(right[10:30, 39].tolist()) == {0}


def test_a_single_pixel_and_its_loop_are_marked() -> None:
    labels = np.zeros((5, 5), np.int32)
    labels[2, 2] = 1
    channels_on_lines(labels)
    labels[0, 0] = labels[4, 4] = 2
    channels_on_lines(labels)


def test_lines_end_at_junctions() -> None:
    """The stem of a T is short: read together with one half of the bar, it would lose its own direction."""
    labels = np.zeros((40, 60), np.int32)
    labels[20:, :30] = 1
    labels[20:, 30:] = 2
    down, right, _ = channels_on_lines(labels)
    assert set(down[19].tolist()) == {4} and set(right[20:, 29].tolist()) == {0}
    y, x = np.mgrid[:61, :61] - 30
    thirds = np.floor((np.arctan2(y + 0.3, x + 0.2) + np.pi) / (2 * np.pi / 3)).astype(np.int32)
    _, _, channels = channels_on_lines(thirds)
    assert channels <= {4, 3, 2, 1, 7, 6, 5} and len(channels) >= 3


@pytest.mark.parametrize("size", [(2, 2), (1, 6), (6, 1), (1, 1), (9, 12)])
def test_noise_is_marked_where_labels_differ(size: tuple[int, int]) -> None:
    """Four lines may meet in a corner, also between two labels only."""
    for seed in range(5):
        channels_on_lines(np.random.default_rng(seed).integers(0, 3, size))
    y, x = np.mgrid[: size[0], : size[1]]
    channels_on_lines((y + x) % 2)


def line_of_heights(heights: np.ndarray) -> np.ndarray:
    """Two labels, the lower beginning at a height of its own in every column."""
    return (np.arange(60)[:, None] >= heights[None]).astype(np.int32)


@pytest.mark.parametrize(
    ("length", "bump", "straight"), [(24, 2, True), (24, 3, False), (100, 5, True), (100, 6, False)]
)
def test_a_line_is_straight_within_two_pixels_or_a_twentieth(length: int, bump: int, straight: bool) -> None:
    heights = np.full(length, 30)
    heights[length // 3 : length // 2] += bump
    channels = channels_on_lines(line_of_heights(heights))[2]
    assert (channels == {4}) == straight


def test_a_wave_is_read_in_its_slopes() -> None:
    heights = np.rint(30 + 15 * np.sin(np.arange(120) / 12)).astype(int)
    channels = channels_on_lines(line_of_heights(heights))[2]
    assert {3, 5} <= channels or {2, 6} <= channels


def test_a_line_that_turns_back_is_cut_there() -> None:
    """From the junction one pixel west, one south, then far east: all near the chord, but not all between its ends."""
    labels = np.zeros((12, 30), np.int32)
    labels[:5, 5:] = 1
    labels[5, 4:] = 2
    down, right, _ = channels_on_lines(labels)
    assert (down[4, 4], right[5, 3]) == (6, 6)
    assert set(down[5, 4:].tolist()) == set(down[4, 5:].tolist()) == {4}
    assert set(right[:5, 4].tolist()) == {0}
    # the same line walked from its other end
    down, right, _ = channels_on_lines(labels[::-1])
    assert (down[6, 4], right[6, 3]) == (2, 2) and set(down[5, 4:].tolist()) == {4}
