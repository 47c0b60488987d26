"""Photographs' files without what is noted beside the pixels, for those whose notes their decoder does not get past.

A camera, an editor or a transfer may write metadata that make a decoder give up before it comes to sound pixels. What
is returned here has the same pixels, and is used only where the whole file cannot be read.
"""

import re
import struct
import zlib

# A JPEG's resolution, looked for in EXIF where it is not here; the other mark says that colours are not as here
_JFIF, _ADOBE = b"\xff\xe0\0\x10JFIF\0\1\1\1\0H\0H\0\0", b"\xff\xee\0\x0eAdobe"
_PNG = b"\x89PNG\r\n\x1a\n"
_PNG_KEPT = (b"IHDR", b"PLTE", b"tRNS", b"IDAT", b"IEND")
# Up to its type, the entry of an item in a file of boxes: version, number (of 2 or 4 bytes), protection
_EXIF_ITEM = re.compile(rb"(infe.{4}(?:..|....)\0\0)Exif", re.DOTALL)


def without_notes(content: bytes) -> bytes:
    """A JPEG, PNG, AVIF or HEIC file of which less is looked at; empty for another, or where that is all there is."""
    if content.startswith(b"\xff\xd8\xff"):
        bare = content if _ADOBE in content else content[:2] + _JFIF + content[2:]
    elif content.startswith(_PNG):
        bare = _png(content)
    elif content[4:8] == b"ftyp":
        bare = _EXIF_ITEM.sub(rb"\1free", content)  # of the same length: what follows is found by its place
    else:
        bare = b""
    return b"" if bare == content else bare


def _png(content: bytes) -> bytes:
    """With the chunks of the pixels alone, and an eXIf chunk that is whole, for its orientation."""
    kept, at = [_PNG], len(_PNG)
    while at + 12 <= len(content):
        (length,) = struct.unpack_from(">I", content, at)
        chunk = content[at : at + 12 + length]
        name, body, end = chunk[4:8], chunk[4:-4], chunk[-4:]
        if name in _PNG_KEPT or (name == b"eXIf" and zlib.crc32(body) == int.from_bytes(end)):
            kept.append(chunk)
        at += len(chunk)
    return b"".join(kept)
