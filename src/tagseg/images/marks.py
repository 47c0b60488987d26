"""The mark that tagseg leaves in every picture it writes, so that no later command takes one for a photograph.

A PNG has a text chunk `tagseg`, a JPEG a comment that begins with it. The picture's kind follows.
"""

import re
import struct
from pathlib import Path

NAME = "tagseg"
PHOTOGRAPH = "photograph"  # a working copy or a scene of the demo: written by tagseg, and a photograph all the same
TRUTH = "truth"  # a mask for evaluation, drawn or reduced
LABELS = "labels"
OVERLAY = "overlay"
FIGURE = "figure"
SOURCES = (PHOTOGRAPH, TRUTH)  # inputs of a run: even if tagseg wrote them, other outputs do not replace them
HEAD = 4096  # bytes at the start of a file that hold its mark

_PNG = re.compile(rb"(.{4})tEXttagseg\0", re.DOTALL)
_JPEG = re.compile(rb"\xff\xfe(..)tagseg ", re.DOTALL)


def jpeg_comment(kind: str) -> bytes:
    """The comment that marks a JPEG of this kind."""
    return f"{NAME} {kind}".encode()


def kind_of(head: bytes) -> str | None:
    """The kind of a picture by its first `HEAD` bytes; None if there is no mark."""
    if head.startswith(b"\x89PNG"):
        found, width, form = _PNG.search(head), len(NAME) + 1, ">I"
    elif head.startswith(b"\xff\xd8"):
        found, width, form = _JPEG.search(head), len(NAME) + 3, ">H"  # a segment's length counts its own two bytes
    else:
        return None
    if found is None:
        return None
    size = struct.unpack(form, found[1])[0] - width
    text = head[found.end() : found.end() + size].decode("latin-1")
    return text if text in (*SOURCES, OVERLAY, FIGURE) else LABELS  # the text of a label map says what it was made from


def picture_of(path: Path) -> str | None:
    """The kind of a picture that tagseg wrote; None for any other file, or one that cannot be read."""
    try:
        with path.open("rb") as file:
            return kind_of(file.read(HEAD))
    except OSError:
        return None
