"""Fonts for the text in pictures: which of them have its letters, and what is shown where none on this machine has."""

import logging
import unicodedata
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from functools import cache
from importlib.util import find_spec
from pathlib import Path

_EVERYWHERE = 0x250  # below it, letters of European languages: DejaVu Sans has all that can be seen
_UNSEEN = ("Cc", "Cf", "Zs", "Zl", "Zp")  # categories of characters that need no glyph
_PREFERRED = "Noto Sans"  # the family that has most of the world's scripts in one style


@cache
def base_font() -> str:
    """The file of DejaVu Sans, which comes with matplotlib. Found without an import, which takes a while."""
    found = find_spec("matplotlib")
    assert found is not None and found.origin is not None  # a dependency
    return str(Path(found.origin).parent / "mpl-data" / "fonts" / "ttf" / "DejaVuSans.ttf")


def in_pictures(classes: Sequence[str]) -> dict[str, str]:
    """What pictures show for each class, by its label: its name, or `class LABEL` if no font has all its letters."""
    lacking = undrawable("".join(classes))
    return {name: f"class {label}" if lacking & set(name) else name for label, name in enumerate(classes)}


def key_to(classes: Sequence[str]) -> str:
    """One line that says which names pictures show as numbers; empty if none."""
    numbered = [f"{shown} = {name}" for name, shown in in_pictures(classes).items() if shown != name]
    if not numbered:
        return ""
    return f"no font here has the letters of these names, so pictures say: {', '.join(numbered)} (install Noto Sans)"


def drawable(text: str) -> str:
    """A text with the code of each character that no font has in the character's place, such as `\\u732b`."""
    lacking = undrawable(text)
    return "".join(c.encode("ascii", "backslashreplace").decode() if c in lacking else c for c in text)


def undrawable(text: str) -> frozenset[str]:
    """The characters of a text that no font of this machine has."""
    needed = _rare(text)
    return needed - frozenset().union(*(_has(path, needed) for path in fonts_for(text)))


def fonts_for(text: str) -> list[str]:
    """Files of the fonts that a text needs, DejaVu Sans first; equal on one machine for equal characters."""
    return [base_font(), *(path for path, _ in _further(_rare(text)))]


def families_for(text: str) -> list[str]:
    """Names of the fonts that a text needs in place of DejaVu Sans for some characters."""
    return [family for _, family in _further(_rare(text))]


def in_runs(text: str) -> list[tuple[str, str]]:
    """A text in pieces of one font each: (font's file, piece). Marks and joiners stay with what they stand behind."""
    fonts = fonts_for(text)
    runs: list[tuple[str, str]] = []
    for character in text:
        behind = unicodedata.combining(character) or (_unseen(character) and not character.isspace())
        needed = frozenset(character)
        font = next((path for path in fonts if _has(path, needed)), fonts[0]) if _rare(character) else fonts[0]
        if runs and (behind or runs[-1][0] == font):
            runs[-1] = (runs[-1][0], runs[-1][1] + character)
        else:
            runs.append((font, character))
    return runs


def _unseen(character: str) -> bool:
    code = ord(character)
    return unicodedata.category(character) in _UNSEEN or 0xFE00 <= code <= 0xFE0F or 0xE0100 <= code <= 0xE01EF


def _rare(text: str) -> frozenset[str]:
    """The characters of a text that a font may lack."""
    return frozenset(c for c in set(text) if ord(c) >= _EVERYWHERE and not _unseen(c))


@cache
def _further(needed: frozenset[str]) -> tuple[tuple[str, str], ...]:
    """(file, family) of fonts that have, together, those of the characters that DejaVu Sans lacks, if any has."""
    lacking = needed - _has(base_font(), needed)
    found = []
    for path, family in _installed() if lacking else []:
        has = _has(path, lacking)
        if has:
            found.append((path, family))
            lacking -= has
        if not lacking:
            break
    return tuple(found)


@cache
def _installed() -> tuple[tuple[str, str], ...]:
    """(file, family) of the upright fonts of this machine, in an order that depends on their names alone."""
    from matplotlib import font_manager, get_data_path

    manager = font_manager.fontManager
    known = {entry.fname for entry in manager.ttflist}
    for path in sorted(set(font_manager.findSystemFonts()) - known):  # installed since matplotlib made its list
        _add(manager, path)
    own = Path(get_data_path())  # matplotlib's own: but DejaVu they are for formulas, or draw boxes for everything
    families = {
        entry.name for entry in manager.ttflist if not Path(entry.fname).is_relative_to(own) and entry.style == "normal"
    }
    ordered = sorted(families, key=lambda name: (not name.startswith(_PREFERRED), name))
    with quiet():
        return tuple((str(manager.findfont(font_manager.FontProperties(family=[name]))), name) for name in ordered)


@contextmanager
def quiet() -> Iterator[None]:
    """Silence matplotlib's messages about fonts that it looks for and does not find in the weight it wants."""
    log = logging.getLogger("matplotlib.font_manager")
    before = log.level
    log.setLevel(logging.ERROR)
    try:
        yield
    finally:
        log.setLevel(before)


def _add(manager: object, path: str) -> None:
    try:
        manager.addfont(path)  # type: ignore[attr-defined]
    except (OSError, RuntimeError, ValueError, NotImplementedError):
        return  # a file that is no font, or one that cannot be scaled


def _has(path: str, needed: Iterable[str]) -> frozenset[str]:
    """Those of the characters that a font has an outline for."""
    return frozenset(character for character in needed if _outlined(path, ord(character)))


@cache
def _outlined(path: str, code: int) -> bool:
    font = _opened(path)
    if font is None or code not in font.get_charmap():  # type: ignore[attr-defined]
        return False
    try:
        font.load_char(code)  # type: ignore[attr-defined]
    except RuntimeError:
        return False
    return bool(len(font.get_path()[0]))  # type: ignore[attr-defined]


@cache
def _opened(path: str) -> object | None:
    from matplotlib.ft2font import FT2Font

    try:
        font = FT2Font(path)
        font.set_size(12, 72)
    except (OSError, RuntimeError):
        return None
    return font
