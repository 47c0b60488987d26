"""Synthetic scenes of textured shapes: the embedded demo's data set, which needs no download.

Fourteen classes of single shapes stand for what a classification network was pre-trained on; the first eight,
`TARGETS`, are the classes to segment, as ILSVRC's include VOC's. Every class has a dark or bright part, its head, that
most share with another class: a network finds it first, like the heads of animals in photographs, and needs the outline
to tell two such classes apart. Image i of a seed is always the same, whatever else is drawn.
"""

import colorsys
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image, ImageChops, ImageDraw

from tagseg.artifacts.atomic import atomic_folder, write_text
from tagseg.artifacts.outputs import require_own
from tagseg.images.files import png_info
from tagseg.images.marks import PHOTOGRAPH, TRUTH
from tagseg.images.palette import voc_palette

Points = np.ndarray
"""(n, 2) float corners x, y of a polygon in a shape's own frame, about as large as the unit circle; y points down."""

_Range = tuple[float, float]

_OVERSAMPLING = 4
_OUTLINE = 1.6
"""Width of the dark outline in pixels."""
_RECOGNITION, _SCENES = 0, 1
_FIRST_VAL = 1_000_000
"""Index of the first validation scene: so large that more training scenes do not change it."""


@dataclass(frozen=True)
class Shape:
    """One class: a body, which may have a hole, and its head, which is drawn on the body only."""

    name: str
    body: Points
    heads: tuple[Points, ...]
    bright: bool
    hole: Points | None = None


def _shift(points: Points, x: float, y: float) -> Points:
    return points + np.array([x, y])


def _circle(x: float = 0.0, y: float = 0.0, radius: float = 1.0, corners: int = 40) -> Points:
    return _shift(_polar(np.full(corners, radius)), x, y)


def _polar(radii: np.ndarray) -> Points:
    """Corners at equal angles, clockwise from the top, at the given radii."""
    angles = np.linspace(0, 2 * np.pi, len(radii), endpoint=False)
    return np.stack([radii * np.sin(angles), -radii * np.cos(angles)], axis=1)


def _box(left: float, top: float, right: float, bottom: float) -> Points:
    return np.array([(left, top), (right, top), (right, bottom), (left, bottom)])


def _crescent() -> Points:
    """The unit disc less a disc of radius .8 set .5 to the right: the arcs between their two crossings."""
    crossing = (1 + 0.5**2 - 0.8**2) / (2 * 0.5)
    outer, inner = np.arccos(crossing), np.arctan2(np.sqrt(1 - crossing**2), crossing - 0.5)
    away = np.linspace(outer, 2 * np.pi - outer, 30)
    back = np.linspace(2 * np.pi - inner, inner, 30)
    x = np.concatenate([np.cos(away), 0.5 + 0.8 * np.cos(back)])
    y = np.concatenate([np.sin(away), 0.8 * np.sin(back)])
    return np.stack([x, y], axis=1)


def _heart() -> Points:
    t = np.linspace(0, 2 * np.pi, 48, endpoint=False)
    x = 16 * np.sin(t) ** 3
    y = -(13 * np.cos(t) - 5 * np.cos(2 * t) - 2 * np.cos(3 * t) - np.cos(4 * t))
    return np.stack([x, y - 2.5], axis=1) / 16.5


def _drop() -> Points:
    t = np.linspace(0, 2 * np.pi, 40, endpoint=False)
    return np.stack([0.95 * np.sin(t) * np.sin(t / 2) ** 1.5, -np.cos(t)], axis=1)


def _flower() -> Points:
    return _polar(0.78 + 0.24 * np.cos(np.linspace(0, 10 * np.pi, 60, endpoint=False)))


_PLUS = [(-0.36, -1), (0.36, -1), (0.36, -0.36), (1, -0.36), (1, 0.36), (0.36, 0.36)]
_ARROW = [(0, -1), (0.85, -0.1), (0.36, -0.1), (0.36, 0.95), (-0.36, 0.95), (-0.36, -0.1), (-0.85, -0.1)]
_BOLT = [(0.3, -1), (-0.65, 0.2), (-0.05, 0.2), (-0.3, 1), (0.7, -0.3), (0.1, -0.3)]
_HOURGLASS = [(-0.8, -0.95), (0.8, -0.95), (0.22, 0), (0.8, 0.95), (-0.8, 0.95), (-0.22, 0)]
_CAP = _box(-1.2, -1.2, 1.2, -0.38)
_BAND = _box(-1.2, -0.02, 1.2, 0.36)
_EYES = (_circle(-0.3, 0.1, 0.2, 16), _circle(0.3, 0.1, 0.2, 16))

SHAPES = (
    Shape("disc", _circle(radius=0.88), (_circle(0, -0.32, 0.34),), bright=False),
    Shape("ring", _circle(), (_circle(0, -0.76, 0.36),), bright=True, hole=_circle(radius=0.48)),
    Shape("square", _box(-0.8, -0.8, 0.8, 0.8), (_CAP,), bright=True),
    Shape("triangle", _shift(1.1 * _polar(np.ones(3)), 0, 0.15), (_shift(_CAP, 0, 0.2),), bright=False),
    Shape("star", _polar(np.tile([1.1, 0.5], 5)), (_circle(radius=0.38),), bright=True),
    Shape("cross", np.array(_PLUS + [(-x, -y) for x, y in _PLUS]), (_CAP,), bright=False),
    Shape("crescent", _shift(_crescent(), 0.2, 0), (_CAP,), bright=True),
    Shape("heart", _heart(), (_circle(0, 0, 0.36),), bright=False),
    Shape("hexagon", _polar(np.full(6, 0.95)), (_BAND,), bright=False),
    Shape("arrow", np.array(_ARROW), (_circle(0, -0.35, 0.3),), bright=True),
    Shape("drop", _drop(), (_BAND,), bright=False),
    Shape("bolt", np.array(_BOLT), (_shift(_BAND, 0, -0.2),), bright=True),
    Shape("flower", _flower(), _EYES, bright=False),
    Shape("hourglass", np.array(_HOURGLASS), (_shift(_BAND, 0, 0.25),), bright=True),
)
CLASSES: tuple[str, ...] = tuple(shape.name for shape in SHAPES)
TARGETS: tuple[str, ...] = CLASSES[:8]


def recognition_image(seed: int, index: int, size: int = 48) -> tuple[np.ndarray, int]:
    """A picture of one shape, as used to pre-train a classification network.

    Args:
        seed: seed of all pictures.
        index: number of the image, 0 or more.
        size: side of the picture in pixels.

    Returns:
        (size, size, 3) uint8 RGB and the label, a position in `CLASSES`. The shape's radius is 11 to 24
        pixels, as in a scene, and its centre lies up to 9 pixels from the middle each way.
    """
    rng = np.random.default_rng([seed, _RECOGNITION, index])
    label = int(rng.integers(len(SHAPES)))
    picture, hue = _background(rng, size)
    _draw(rng, picture, SHAPES[label], rng.triangular(11, 13, 24), size / 2 + rng.uniform(-9, 9, 2), hue)
    return _finish(rng, picture), label


def scene(seed: int, index: int, size: int = 80) -> tuple[np.ndarray, np.ndarray]:
    """A picture of one to three target shapes, often with other shapes, and its mask.

    As in photographs, not every object that a classification network knows is of a class to segment: shapes beyond
    `TARGETS` belong to the background and have no tag, but attract the foreground prior all the same.

    Args:
        seed: seed of all scenes.
        index: number of the scene, 0 or more.
        size: side of the picture in pixels, 48 or more.

    Returns:
        (size, size, 3) uint8 RGB, and (size, size) uint8 mask: 0 background, 1 to 8 the position in `TARGETS`
        plus one. Later shapes cover earlier ones; a ring's hole is background, and so is a shape of no target class.
    """
    rng = np.random.default_rng([seed, _SCENES, index])
    picture, hue = _background(rng, size)
    mask = np.zeros((size, size), np.uint8)
    centres: list[np.ndarray] = []
    others = rng.integers(len(TARGETS), len(SHAPES), rng.choice([0, 1, 2], p=[0.2, 0.5, 0.3])).tolist()
    targets = rng.integers(len(TARGETS), size=rng.choice([1, 2, 3], p=[0.35, 0.45, 0.2])).tolist()
    for kind in others + targets:
        radius = rng.triangular(11, 13, 24)
        # Of three random places, the farthest from the other shapes: some overlap, but few are hidden.
        places = rng.uniform(0.75 * radius, size - 0.75 * radius, (3, 2))
        room = [min((float(np.hypot(*(place - other))) for other in centres), default=0.0) for place in places]
        centres.append(places[int(np.argmax(room))])
        mask[_draw(rng, picture, SHAPES[kind], radius, centres[-1], hue)] = kind + 1 if kind < len(TARGETS) else 0
    return _finish(rng, picture), mask


def _colour(rng: np.random.Generator, hue: float, saturation: _Range, value: _Range) -> np.ndarray:
    return 255 * np.array(colorsys.hsv_to_rgb(hue % 1, rng.uniform(*saturation), rng.uniform(*value)))


def _clouds(rng: np.random.Generator, size: int, cells: int) -> np.ndarray:
    """(size, size) smooth noise in [0, 1] with about `cells` blobs per side."""
    noise = Image.fromarray(rng.normal(0.5, 0.35, (cells + 2, cells + 2)).astype(np.float32))
    return np.clip(np.asarray(noise.resize((size, size), Image.Resampling.BICUBIC)), 0, 1)


def _stripes(rng: np.random.Generator, size: int) -> np.ndarray:
    """(size, size) sine grating in [0, 1] with a period of 4 to 9 pixels."""
    angle, period, phase = rng.uniform(0, np.pi), rng.uniform(4, 9), rng.uniform(0, 2 * np.pi)
    along = np.arange(size)
    wave = np.cos(angle) * along[None, :] + np.sin(angle) * along[:, None]
    return 0.5 + 0.5 * np.sin(2 * np.pi * wave / period + phase)


def _background(rng: np.random.Generator, size: int) -> tuple[np.ndarray, float]:
    """(size, size, 3) float RGB in 0..255: two muted colours in clouds, with strokes and dots; the hue."""
    hue = rng.uniform()
    first = _colour(rng, hue, (0.08, 0.45), (0.35, 0.85))
    second = _colour(rng, hue + rng.uniform(-0.12, 0.12), (0.08, 0.45), (0.35, 0.85))
    blend = 0.85 * _clouds(rng, size, int(rng.integers(2, 9))) + 0.15 * _stripes(rng, size)
    return _clutter(rng, first + blend[..., None] * (second - first), 6, 8), hue


def _clutter(rng: np.random.Generator, picture: np.ndarray, strokes: float, dots: float) -> np.ndarray:
    """`picture` with about `strokes` strokes and `dots` dots per 80 x 80 pixels."""
    size, big = len(picture), 3
    canvas = Image.fromarray(picture.astype(np.uint8))
    canvas = canvas.resize((big * size, big * size), Image.Resampling.BILINEAR)
    draw = ImageDraw.Draw(canvas)
    for _ in range(rng.poisson(strokes * (size / 80) ** 2)):
        ink = tuple(int(part) for part in _colour(rng, rng.uniform(), (0.1, 0.6), (0.15, 0.95)))
        start, step, bend = rng.uniform(0, size, 2), rng.uniform(-16, 16, 2), rng.uniform(-8, 8, 2)
        course = [tuple(big * (start + t * step + t * t * bend)) for t in (0.0, 0.5, 1.0, 1.5)]
        draw.line(course, fill=ink, width=int(rng.integers(2, 6)), joint="curve")
    for _ in range(rng.poisson(dots * (size / 80) ** 2)):
        ink = tuple(int(part) for part in _colour(rng, rng.uniform(), (0.1, 0.6), (0.15, 0.95)))
        (x, y), radius = big * rng.uniform(0, size, 2), big * rng.uniform(0.7, 3.0)
        draw.ellipse((x - radius, y - radius, x + radius, y + radius), fill=ink)
    return np.asarray(canvas.reduce(big), dtype=np.float64).copy()


def _draw(
    rng: np.random.Generator, picture: np.ndarray, shape: Shape, radius: float, centre: np.ndarray, hue: float
) -> np.ndarray:
    """Draw one shape on `picture` in place; returns (size, size) bool, the pixels that it covers at least half."""
    size = len(picture)
    turn, stretch, mirror = rng.uniform(-0.8, 0.8), rng.uniform(0.8, 1.25), rng.choice([-1, 1])
    rotation = np.array([[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]])
    frame = radius * rotation @ np.diag([mirror * stretch, 1 / stretch])

    def place(points: Points) -> list[tuple[float, float]]:
        return [tuple(point) for point in _OVERSAMPLING * (points @ frame.T + centre)]

    blank = Image.new("L", (_OVERSAMPLING * size, _OVERSAMPLING * size))
    body, line, head = blank.copy(), blank.copy(), blank
    ImageDraw.Draw(body).polygon(place(shape.body), fill=255)
    if shape.hole is not None:
        ImageDraw.Draw(body).polygon(place(shape.hole), fill=0)
    for contour in [shape.body] if shape.hole is None else [shape.body, shape.hole]:
        closed = place(np.concatenate([contour, contour[:2]]))
        ImageDraw.Draw(line).line(closed, fill=255, width=round(_OVERSAMPLING * _OUTLINE), joint="curve")
    for points in shape.heads:
        ImageDraw.Draw(head).polygon(place(points), fill=255)

    def coverage(layer: Image.Image) -> np.ndarray:
        return np.asarray(layer.reduce(_OVERSAMPLING), dtype=np.float64)[..., None] / 255

    # At some distance from the background on the colour wheel, so that every shape is visible.
    tint = hue + rng.uniform(1 / 10, 9 / 10)
    first = _colour(rng, tint, (0.35, 0.9), (0.5, 0.85))
    second = _colour(rng, tint + rng.uniform(-0.06, 0.06), (0.4, 0.9), (0.4, 0.9))
    pattern = _stripes(rng, size) if rng.uniform() < 0.5 else _clouds(rng, size, int(rng.integers(6, 20)))
    fill = first + 0.6 * pattern[..., None] * (second - first)
    part = _colour(rng, tint, *(((0.05, 0.2), (0.93, 1.0)) if shape.bright else ((0.3, 0.7), (0.1, 0.22))))
    ink = _colour(rng, tint, (0.3, 0.8), (0.08, 0.25))
    fill += rng.uniform(0.15, 0.9) * coverage(head) * (part - fill)
    fill += coverage(line) * (ink - fill)
    covered = coverage(ImageChops.lighter(body, line))
    picture += covered * (fill - picture)
    return covered[..., 0] >= 0.5


def _finish(rng: np.random.Generator, picture: np.ndarray) -> np.ndarray:
    """Add a little clutter in front and grain, and round to uint8."""
    littered = _clutter(rng, picture, 1.5, 3)
    grain = rng.normal(0, rng.uniform(3, 9), (*picture.shape[:2], 1))
    return np.clip(np.rint(littered + grain), 0, 255).astype(np.uint8)


def write_scenes(
    images: Path,
    masks: Path,
    tags: Path,
    *,
    seed: int,
    train: int,
    val: int,
    size: int = 80,
    progress: Callable[[list[str]], Iterable[str]] = iter,
) -> None:
    """Write the segmentation data set: pictures, truth masks, and the table of tags.

    Args:
        images: folder to write, `{id}.png` RGB; ids are `train_00000`, ..., `val_00000`, ...
        masks: folder to write, `{id}.png` with a palette, values as in `scene`'s mask.
        tags: CSV to write, `image,tags,split`, an image's tags joined by `;` in the order of `TARGETS`. It is written
            last: if it exists, the folders are complete. Earlier files of tagseg's are replaced.
        seed: seed of all scenes.
        train, val: numbers of training and validation scenes; a scene does not depend on either.
        size: side of a scene in pixels.
        progress: wraps the list of ids to show progress, such as `tqdm`.
    Raises TagsegError if a file that tagseg did not write is in the way.
    """
    scenes = {f"train_{i:05d}": i for i in range(train)} | {f"val_{i:05d}": _FIRST_VAL + i for i in range(val)}
    require_own([tags])
    lines = ["image,tags,split"]
    with atomic_folder(images, PHOTOGRAPH) as pictures, atomic_folder(masks, TRUTH) as truths:
        for name in progress(list(scenes)):
            picture, mask = scene(seed, scenes[name], size)
            Image.fromarray(picture).save(pictures / f"{name}.png", pnginfo=png_info(PHOTOGRAPH))
            (indexed := Image.fromarray(mask)).putpalette(voc_palette()[: len(TARGETS) + 1].tobytes())
            indexed.save(truths / f"{name}.png", pnginfo=png_info(TRUTH))
            present = ";".join(TARGETS[value - 1] for value in np.unique(mask) if value > 0)
            lines.append(f"{name},{present},{name.split('_')[0]}")
        tags.unlink(missing_ok=True)
    write_text(tags, "\n".join(lines) + "\n")
