"""Strip the metadata from a photograph's file, if they stop its decoder.

A camera, an editor or a transfer may write metadata that make a decoder fail before it reaches intact pixels. The
stripped file has the same pixels, and is used only if the whole file cannot be read.
"""

import re
import struct
import zlib

# A JFIF segment, which states the resolution: without it, decoders look into EXIF. Adobe's says that colours are CMYK.
_JFIF, _ADOBE = b"\xff\xe0\0\x10JFIF\0\1\1\1\0H\0H\0\0", b"\xff\xee\0\x0eAdobe"
_PNG = b"\x89PNG\r\n\x1a\n"
_PNG_KEPT = (b"IHDR", b"PLTE", b"tRNS", b"IDAT", b"IEND")
# An item's entry in an ISO media file up to its type: version, number (of 2 or 4 bytes), protection
_EXIF_ITEM = re.compile(rb"(infe.{4}(?:..|....)\0\0)Exif", re.DOTALL)


def without_metadata(content: bytes) -> bytes:
    """A JPEG, PNG, AVIF or HEIC file without its metadata; empty for other files, or if there are none to strip."""
    if content.startswith(b"\xff\xd8\xff"):
        bare = content if _ADOBE in content else content[:2] + _JFIF + content[2:]
    elif content.startswith(_PNG):
        bare = _png(content)
    elif content[4:8] == b"ftyp":
        bare = _EXIF_ITEM.sub(rb"\1free", content)  # of the same length: what follows is found by offset
    else:
        bare = b""
    return b"" if bare == content else bare


def _png(content: bytes) -> bytes:
    """A PNG with the chunks of the pixels alone, and an intact eXIf chunk, for its orientation."""
    kept, at = [_PNG], len(_PNG)
    while at + 12 <= len(content):
        (length,) = struct.unpack_from(">I", content, at)
        chunk = content[at : at + 12 + length]
        name, body, end = chunk[4:8], chunk[4:-4], chunk[-4:]
        if name in _PNG_KEPT or (name == b"eXIf" and zlib.crc32(body) == int.from_bytes(end)):
            kept.append(chunk)
        at += len(chunk)
    return b"".join(kept)
