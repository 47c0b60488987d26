"""Decode text that other programs wrote, in the encodings that can be recognised with certainty."""

import codecs
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tagseg.errors import TagsegError

_MARKS = {
    codecs.BOM_UTF8: "utf-8",
    codecs.BOM_UTF32_LE: "utf-32-le",  # before UTF-16, whose mark is its beginning
    codecs.BOM_UTF32_BE: "utf-32-be",
    codecs.BOM_UTF16_LE: "utf-16-le",
    codecs.BOM_UTF16_BE: "utf-16-be",
}
_PROBE = 200  # bytes in which zeros are counted


def unique_keys(where: Path | str) -> Callable[[list[tuple[str, Any]]], dict[str, Any]]:
    """An `object_pairs_hook` for `json.loads` that raises TagsegError for a key that an object has twice.

    JSON takes the last, so that what stands under the first would be lost without a word.
    """

    def hook(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        found = dict(pairs)
        if len(found) < len(pairs):
            key = next(key for i, (key, _) in enumerate(pairs) if key in dict(pairs[:i]))
            raise TagsegError(f"{where}: key {key!r} is there twice in one object; keep one, with the values of both")
        return found

    return hook


def encodable(text: str) -> str:
    """A text in which bytes of file names that are not UTF-8 are written as `\\xff`."""
    return text.encode("utf-8", "backslashreplace").decode()


def read_text(path: Path) -> str:
    """The text of a file. Raises TagsegError as `decoded` does, or if the file is missing."""
    if not path.is_file():
        raise TagsegError(f"{path}: no such file; correct the path")
    return decoded(path.read_bytes(), path)


def decoded(content: bytes, where: Path | str) -> str:
    """Decode UTF-8, or UTF-16 and UTF-32 if a byte order mark or the zeros between Latin letters show it.

    The mark is not part of the text. Raises TagsegError, beginning with `where` and the line, for bytes in another
    encoding: which 8-bit encoding it is cannot be recognised.
    """
    for mark, encoding in _MARKS.items():
        if content.startswith(mark):
            return _as(encoding, content[len(mark) :], where)
    start = content[:_PROBE]
    if start.count(0) > len(start) // 3:
        return _as("utf-16-le" if start[1::2].count(0) > start[::2].count(0) else "utf-16-be", content, where)
    return _as("utf-8", content, where)


def _as(encoding: str, content: bytes, where: Path | str) -> str:
    try:
        return content.decode(encoding)
    except UnicodeDecodeError as error:
        at = error.start
    line = content.count(b"\n", 0, at) + 1
    if encoding != "utf-8":
        raise TagsegError(f"{where}:{line}: not {encoding.upper()} text from here on; save it as UTF-8")
    windows = content[at : at + 1].decode("cp1252", "replace")
    guess = f", {windows!r} in Windows-1252" if windows.isprintable() and windows != "\ufffd" else ""
    raise TagsegError(
        f"{where}:{line}: not UTF-8 text (byte 0x{content[at]:02X}{guess}); save it as UTF-8 (in Excel: CSV UTF-8)"
    )
