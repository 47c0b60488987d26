"""Names in pictures: as they stand, in fonts that have their letters, and as numbers where no font has."""

import warnings
from collections.abc import Iterator
from pathlib import Path

import matplotlib
import numpy as np
import pytest
from fontTools.fontBuilder import FontBuilder
from fontTools.pens.ttGlyphPen import TTGlyphPen
from matplotlib.figure import Figure
from matplotlib.font_manager import fontManager
from matplotlib.text import Text

from tagseg.figures import letters
from tagseg.figures.bars import class_bars, experiment_chart
from tagseg.figures.classes import average_figure, confusion_figure
from tagseg.figures.curves import loss_figure, trimap_figure
from tagseg.figures.encoding import figure_bytes
from tagseg.figures.grid import image_grid
from tagseg.figures.overlay import overlay
from tagseg.figures.panels import image_panel, label_overlay_panel, label_panel
from tagseg.runtime.pictures import display_names

IMAGE = np.full((40, 200, 3), 200, dtype=np.uint8)
LABELS = np.repeat(np.arange(4, dtype=np.uint8), 50)[None].repeat(40, axis=0)
CAT, DOG, MATH = "猫", "狗\U0001f436", "$x_1$ $y^{2"
CLASSES = ["background", CAT, DOG, MATH]
NOWHERE = "\U0003fffd"  # a code that is no letter, and so is in no font


@pytest.fixture(autouse=True)
def only_own_fonts(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A machine with the fonts that come with matplotlib, whatever else is installed here."""
    own = Path(matplotlib.get_data_path())
    monkeypatch.setattr(fontManager, "ttflist", [e for e in fontManager.ttflist if Path(e.fname).is_relative_to(own)])
    monkeypatch.setattr("matplotlib.font_manager.findSystemFonts", lambda: [])
    forget()
    yield
    monkeypatch.undo()
    forget()


def forget() -> None:
    letters._installed.cache_clear()
    letters._further.cache_clear()


def install(path: Path, text: str) -> None:
    """A font whose letters, those of `text`, are blocks of different heights."""
    names = {ord(character): f"g{i}" for i, character in enumerate(text)}
    builder = FontBuilder(1000, isTTF=True)
    builder.setupGlyphOrder([".notdef", *names.values()])
    builder.setupCharacterMap(names)
    glyphs = {}
    for i, name in enumerate([".notdef", *names.values()]):
        pen = TTGlyphPen(None)
        pen.moveTo((100, 0))
        for point in ((100, 300 + 150 * i), (900, 300 + 150 * i), (900, 0)):
            pen.lineTo(point)
        pen.closePath()
        glyphs[name] = pen.glyph()
    builder.setupGlyf(glyphs)
    builder.setupHorizontalMetrics(dict.fromkeys(glyphs, (1000, 100)))
    builder.setupHorizontalHeader(ascent=800, descent=-200)
    builder.setupNameTable({"familyName": path.stem, "styleName": "Regular"})
    builder.setupOS2(sTypoAscender=800, usWeightClass=300)  # of which matplotlib has something to say
    builder.setupPost()
    builder.save(path)
    fontManager.addfont(path)
    forget()


def texts(figure: Figure) -> list[str]:
    """What stands in a figure once it is drawn. Nothing may be said meanwhile."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        figure_bytes(figure, "png")
    found = [text for text in figure.findobj(Text) if isinstance(text, Text) and text.get_text()]
    assert not any(text.get_parse_math() for text in found)
    return [text.get_text() for text in found]


def preview(name: str, classes: list[str]) -> Figure:
    """A photograph under its mask, with its name above it."""
    return image_grid([("", [(name, label_overlay_panel(IMAGE, LABELS))])], classes, columns=4)


def figures(names: list[str], word: str) -> dict[str, Figure]:
    """Each kind of figure, with class names, and `word` for whatever else a user names."""
    maps, share, line = np.zeros((4, 8, 8)), np.eye(4), np.arange(3.0)
    return {
        "average": average_figure(names[:3], [1, 2, 3], maps[:3], maps[:3], names[3:]),
        "confusion": confusion_figure(names, share, word),
        "bars": class_bars(names, {word: line[[0, 1, 2, 0]]}, {f"_{word}": line[[0, 1, 2, 0]]}, word),
        "losses": loss_figure({word: (line, line)}, word),
        "trimap": trimap_figure({(word, "none"): (line, line, line)}, word),
        "grid": image_grid([(word, [(word, image_panel(IMAGE))])]),
        "panels": image_grid([(word, [(word, label_panel(LABELS))])], names),
        "sheet": image_grid([(word, [(word, label_panel(LABELS))])], names, columns=6),
        "chart": experiment_chart([word], [0.5], [1.0], word),
        "preview": preview(word, names),
    }


@pytest.mark.parametrize("kind", figures(CLASSES, "x"))
def test_dollar_signs_and_underscores_stand_as_they_are(kind: str) -> None:
    names, word = ["background", MATH, "_a$b$c", "$\\frac"], "5$ or $6"
    found = "\n".join(texts(figures(names, word)[kind]))
    assert word in found or kind == "average"  # which names classes alone
    if kind not in ("losses", "trimap", "grid", "chart"):
        assert all(name in found for name in names[1:])
    if kind == "bars":
        assert f"_{word}" in found


@pytest.mark.parametrize("kind", figures(CLASSES, "x"))
def test_letters_that_no_font_has_are_said_otherwise(kind: str) -> None:
    names = list(letters.in_pictures(CLASSES).values())
    assert names == ["background", "class 1", "class 2", MATH]
    found = "\n".join(texts(figures(names, f"照 {NOWHERE} שלום")[kind]))
    assert "照" not in found and ("\\u7167 \\U0003fffd שלום" in found or kind == "average")


def test_the_key_says_which_number_is_which_name(caplog: pytest.LogCaptureFixture) -> None:
    assert letters.key_to(["background", "cat", "ünïcode שלום"]) == ""
    with caplog.at_level("WARNING"):
        assert display_names(CLASSES) == letters.in_pictures(CLASSES)
    assert "pictures say: class 1 = 猫, class 2 = 狗\U0001f436 (install" in caplog.text


def test_an_installed_font_fills_in(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    before = figure_bytes(preview(CAT, CLASSES), "png")
    strip = overlay(IMAGE, LABELS, CLASSES)
    install(tmp_path / "Other.ttf", "狗")
    assert letters.in_pictures(CLASSES)[CAT] == "class 1"
    install(tmp_path / "Blocks.ttf", "猫狗\U0001f436")
    assert letters.in_pictures(CLASSES) == {name: name for name in CLASSES} and letters.key_to(CLASSES) == ""
    assert letters.families_for(f"{CAT} {DOG}") == ["Blocks"]
    figure = preview(CAT, CLASSES)
    assert {CAT, DOG} <= set(texts(figure))
    again = [figure_bytes(preview(CAT, CLASSES), "png") for _ in range(2)]
    assert again[0] == again[1] != before
    assert not np.array_equal(overlay(IMAGE, LABELS, CLASSES), strip)
    assert caplog.records == []


def test_an_overlay_tells_names_apart(tmp_path: Path) -> None:
    def strip(name: str) -> np.ndarray:
        return overlay(IMAGE, np.full((40, 200), 1, dtype=np.uint8), ["background", name])[40:]

    assert np.array_equal(strip(CAT), strip("class 1"))
    install(tmp_path / "Blocks.ttf", "猫狗")
    cat, dog = strip("my 猫"), strip("my 狗")
    assert cat.shape == dog.shape and not np.array_equal(cat, dog)
    assert not np.array_equal(cat, strip("my "))


@pytest.mark.parametrize(
    "name", ["שלום עולם", "كلب", "👩\u200d🚒", "e\u0301te\u0301", "a\u202eb", NOWHERE, "ไทย", "\ue000"]
)
def test_names_of_any_script_are_drawn_without_a_word(name: str, capfd: pytest.CaptureFixture[str]) -> None:
    classes = ["background", name, "cat", "dog"]
    picture = overlay(IMAGE, LABELS, classes)
    assert picture.shape[1] == 200 and picture.dtype == np.uint8
    texts(preview(name, list(letters.in_pictures(classes).values())))
    assert capfd.readouterr() == ("", "")


def test_runs_keep_marks_with_their_letter(tmp_path: Path) -> None:
    install(tmp_path / "Blocks.ttf", "猫")
    base, blocks = letters.base_font(), str(tmp_path / "Blocks.ttf")
    assert letters.in_runs("a 猫\u0301猫 b") == [(base, "a "), (blocks, "猫\u0301猫"), (base, " b")]
    assert "".join(piece for _, piece in letters.in_runs("猫a猫")) == "猫a猫"
