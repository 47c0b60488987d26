"""Odd EXIF and files cut short: a photograph whose pixels are sound is read, any other is named; nothing else happens.

All mutations are seeded. An error that is no TagsegError fails these tests by itself.
"""

import io
import struct
import zlib
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pillow_heif
import pytest
from PIL import Image

from tagseg.errors import TagsegError
from tagseg.images import decoding
from tagseg.images.files import image_size, read_image

WIDTH, HEIGHT = 48, 36
MUTATIONS, CUTS = 3000, 1000
ROOM = 300  # bytes of the block that is replaced in a file
decoding._register_heif()  # for the plain decoder
_TAGS = (0x010E, 0x010F, 0x0110, 0x0112, 0x011A, 0x011B, 0x0128, 0x0131, 0x0132, 0x8769, 0x8825, 0xA005, 0x9286, 0xC4A5)
_COUNTS = (0, 1, 1, 1, 2, 3, 7, 1000, 2**31, 2**32 - 1)
_VALUES = (0, 1, 3, 6, 8, 9, 26, 60, 6 << 16, 0x7FC00000, 2**32 - 1)


def picture() -> Image.Image:
    """Soft colours, of which no two corners are alike."""
    y, x = np.mgrid[:HEIGHT, :WIDTH]
    planes = (x * 255 // WIDTH, y * 255 // HEIGHT, (x + y) * 255 // (WIDTH + HEIGHT))
    return Image.fromarray(np.stack(planes, axis=2).astype(np.uint8))


def encoded(form: str, **options: object) -> bytes:
    file = io.BytesIO()
    if form == "QOI":  # whose decoder takes its time
        picture().resize((16, 12)).save(file, form)
        return file.getvalue()
    if form == "HEIF":
        pillow_heif.from_pillow(picture()).save(file, quality=80, **options)
    else:
        picture().save(file, form, **options)
    return file.getvalue()


def odd_block(rng: np.random.Generator) -> bytes:
    """An EXIF block as it should not be: entries of any tag, type, count and place, bytes spoilt, or cut short."""
    order = "<" if rng.random() < 0.5 else ">"
    entries = []
    for _ in range(rng.integers(0, 8)):
        tag = int(rng.choice(_TAGS)) if rng.random() < 0.9 else int(rng.integers(65536))
        kind = int(rng.integers(1, 14)) if rng.random() < 0.9 else int(rng.integers(65536))
        value = int(rng.choice(_VALUES)) if rng.random() < 0.8 else int(rng.integers(2**32))
        entries.append(struct.pack(f"{order}HHLL", tag, kind, int(rng.choice(_COUNTS)), value))
    stated = len(entries) if rng.random() < 0.9 else int(rng.choice([0, 1, 99, 65535]))
    first = 8 if rng.random() < 0.9 else int(rng.choice([0, 4, 9, 2**31, 2**32 - 1]))
    block = bytearray(struct.pack(f"{order}2sHLH", b"II" if order == "<" else b"MM", 42, first, stated))
    block += b"".join(entries) + bytes(4) + rng.integers(0, 256, rng.integers(0, 60), dtype=np.uint8).tobytes()
    if rng.random() < 0.3:
        for place in rng.integers(0, len(block), 3):
            block[place] = rng.integers(256)
    return bytes(block[: rng.integers(0, len(block))] if rng.random() < 0.1 else block)


def in_jpeg() -> Callable[[bytes], bytes]:
    whole = encoded("JPEG")

    def put(block: bytes) -> bytes:
        return whole[:2] + struct.pack(">HH", 0xFFE1, len(block) + 8) + b"Exif\0\0" + block + whole[2:]

    return put


def in_png() -> Callable[[bytes], bytes]:
    whole = encoded("PNG")
    end = 8 + 25  # of the signature and IHDR

    def put(block: bytes) -> bytes:
        chunk = b"eXIf" + block
        return whole[:end] + struct.pack(">L", len(block)) + chunk + struct.pack(">L", zlib.crc32(chunk)) + whole[end:]

    return put


def in_tiff() -> Callable[[bytes], bytes]:
    """A TIFF's own directory is what its pixels are found by; odd are its directories of EXIF and GPS."""
    whole = encoded("TIFF")
    (first,) = struct.unpack_from("<L", whole, 4)
    (count,) = struct.unpack_from("<H", whole, first)
    own = whole[first + 2 : first + 2 + 12 * count]
    here = len(whole) + 2 + 12 * (count + 2) + 4

    def put(block: bytes) -> bytes:
        more = struct.pack("<HHLLHHLL", 0x8769, 4, 1, here, 0x8825, 4, 1, here + 4)
        directory = struct.pack("<H", count + 2) + own + more + bytes(4)
        return whole[:4] + struct.pack("<L", len(whole)) + whole[8:] + directory + block[8:]

    return put


def in_place(form: str) -> Callable[[bytes], bytes]:
    """A file that holds a block of ROOM bytes, which is replaced by another."""
    start = b"Exif\0\0" if form in ("HEIF", "WEBP") else b""
    mark = b"II*\0\x08\0\0\0" + bytes(ROOM - 8)
    whole = encoded(form, exif=start + mark)
    assert whole.count(mark) == 1

    def put(block: bytes) -> bytes:
        return whole.replace(mark, block[:ROOM].ljust(ROOM, b"\0"))

    return put


def looked_at(path: Path) -> np.ndarray | None:
    """What `read_image` reads, or nothing if it names the file; `image_size` must say the same before."""
    try:
        size = image_size(path)
    except TagsegError as error:
        assert str(error).startswith(f"{path}: ") and "\n" not in str(error)
        size = None
    try:
        image = read_image(path)
    except TagsegError as error:
        assert size is None, f"passes the look, and then: {error}"
        return None
    assert size == (image.shape[1], image.shape[0])
    return image


def turned(image: np.ndarray) -> list[bytes]:
    """The image in the eight ways that an orientation may turn it."""
    return [np.rot90(side, k).tobytes() for side in (image, image[:, ::-1]) for k in range(4)]


PLACES = {
    "JPEG": in_jpeg,
    "PNG": in_png,
    "TIFF": in_tiff,
    "WEBP": lambda: in_place("WEBP"),
    "AVIF": lambda: in_place("AVIF"),
    "HEIF": lambda: in_place("HEIF"),
}


@pytest.mark.parametrize("form", PLACES)
def test_no_exif_block_keeps_sound_pixels_from_being_read(form: str, tmp_path: Path, capfd: object) -> None:
    put = PLACES[form]()
    rng = np.random.default_rng(list(PLACES).index(form))
    path = tmp_path / "a.jpg"  # of whatever form
    path.write_bytes(encoded(form))
    sound = looked_at(path)
    assert sound is not None and sound.shape == (HEIGHT, WIDTH, 3)
    ways, seen = turned(sound), set()
    for _ in range(MUTATIONS // len(PLACES)):
        path.write_bytes(put(odd_block(rng)))
        image = looked_at(path)
        assert image is not None
        seen.add(ways.index(image.tobytes()))
    assert len(seen) > 1 or form in ("TIFF", "AVIF", "HEIF")  # whose orientation stands elsewhere
    assert capfd.readouterr() == ("", "")  # type: ignore[attr-defined]


def plainly(path: Path) -> np.ndarray | None:
    """What Pillow reads, if it reads the file."""
    try:
        with Image.open(path) as image:
            return np.asarray(image.convert("RGB"))
    except Exception:
        return None


def whole_files() -> dict[str, bytes]:
    second = {"save_all": True, "append_images": [picture().rotate(180)]}
    forms = ("JPEG", "PNG", "TIFF", "WEBP", "AVIF", "HEIF", "GIF", "BMP", "JPEG2000", "PPM", "QOI")
    files = {form: encoded(form) for form in forms}
    files["TGA"] = encoded("TGA")
    files |= {f"{form} of two": encoded(form, **second) for form in ("MPO", "GIF", "WEBP", "PNG", "AVIF")}
    files["progressive"] = encoded("JPEG", progressive=True, quality=98, subsampling=0)
    files["restarts"] = encoded("JPEG", restart_marker_rows=1, quality=98)
    files["TIFF, LZW"] = encoded("TIFF", compression="tiff_lzw")
    files["TIFF, JPEG"] = encoded("TIFF", compression="jpeg")
    grey = io.BytesIO()
    picture().convert("CMYK").save(grey, "JPEG")
    return files | {"CMYK": grey.getvalue()}


@pytest.mark.filterwarnings("ignore")  # those of the plain decoder
def test_a_file_cut_short_is_read_or_named(tmp_path: Path) -> None:
    """Half of the cuts are in the last bytes, where a decoder may have all pixels or all but one."""
    files = whole_files()
    rng = np.random.default_rng(7)
    outcomes: Counter[bool] = Counter()
    for name, content in files.items():
        path = tmp_path / ("a.tga" if name == "TGA" else "a.jpg")
        each = -(-CUTS // len(files) // 2)
        last = min(len(content) // 2, 3 * each)
        cuts = [*rng.integers(0, len(content), each), *(len(content) - rng.integers(1, last, each))]
        for cut in [*cuts, len(content)]:
            path.write_bytes(content[:cut])
            image, plain = looked_at(path), plainly(path)
            assert (image is None) == (plain is None), (name, cut, len(content))
            if image is not None and plain is not None:
                np.testing.assert_array_equal(image, plain)
            outcomes[image is None] += 1
        assert image is not None  # the whole
    assert sum(outcomes.values()) >= CUTS and min(outcomes.values()) > 100


@pytest.mark.filterwarnings("ignore")
def test_a_file_with_spoilt_bytes_is_read_or_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for place, name in ((decoding, "MOST_PIXELS"), (Image, "MAX_IMAGE_PIXELS")):
        monkeypatch.setattr(place, name, 1_000_000)  # a spoilt width should not cost this machine its memory
    rng = np.random.default_rng(8)
    for name, content in whole_files().items():
        path = tmp_path / ("a.tga" if name == "TGA" else "a.jpg")
        for _ in range(20):
            spoilt = bytearray(content)
            for place in rng.integers(0, len(content), 4):
                spoilt[place] = rng.integers(256)
            path.write_bytes(spoilt)
            image, plain = looked_at(path), plainly(path)
            assert image is not None or plain is None, name
