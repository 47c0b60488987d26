"""Decode photographs, whatever a camera, a phone or the web made: upright and in RGB, or one line that says why not.

Formats are recognised by content, not by suffix. Of EXIF, only the orientation is used: whatever else a camera or an
editor has written there, however wrong, is neither read nor copied.
"""

import io
import logging
import warnings
from contextlib import suppress
from functools import cache
from pathlib import Path

from PIL import ExifTags, Image, ImageCms, TiffTags

from tagseg.errors import TagsegError, read_error
from tagseg.images.metadata import without_metadata

MOST_PIXELS = 300_000_000  # phones make 200 million; a file that claims more may be a decompression bomb
_MANY_PIXELS, _PIXELS_A_BYTE = 100_000_000, 500  # no real photograph of so many pixels compresses so well
_FORMATS = ("JPEG", "PNG", "WEBP", "GIF", "BMP", "DIB", "TIFF", "AVIF", "JPEG2000", "PPM", "QOI")
_BY_SUFFIX = {".tga": "TGA"}  # it has no signature
_TURNED = ("TIFF", "HEIF")  # formats whose decoders turn the image upright
_REDUCED = ("JPEG", "MPO")  # formats that can be decoded at an eighth of the size, in a third of the time
_DEEP = ("I", "F")  # first letters of modes with more than 8 bits a pixel
_DEEP_TRANSPARENT = "LA;16B"  # how Pillow reads a PNG of 16 bits of grey with transparency, whose mode it calls RGBA
_TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
_REMEDY = "replace it or take it out of the index"
_TRANSPOSED = (5, 6, 7, 8)  # EXIF orientations that exchange width and height

# Pillow's own limit is below what phones make, and it warns at half of it. Its other warnings and log lines are about
# metadata, or followed by an error.
Image.MAX_IMAGE_PIXELS = MOST_PIXELS
warnings.filterwarnings("ignore", module=r"(PIL|pillow_heif)\.")
logging.getLogger("PIL").setLevel(logging.CRITICAL)


def decoded(path: Path, *, reduced: bool = False) -> tuple[Image.Image, tuple[int, int]]:
    """A photograph in RGB, turned upright by its EXIF orientation, and its (width, height) in pixels.

    If a file holds several pictures, this is the first. Transparent pixels become white, as in a browser, unless all
    are transparent. CMYK is converted by the colour profile in the file, if there is one. `reduced` decodes a JPEG at
    an eighth of its size: every byte is read, and the width and height are those of the full image. Raises TagsegError
    naming the file, whatever is wrong with it.
    """
    try:
        if path.exists() and not path.is_file():  # reading a pipe would block
            what = "a folder" if path.is_dir() else "not a regular file"
            raise TagsegError(f"{path}: not a readable image ({what}); {_REMEDY}")
        return _decoded(path, path, reduced)
    except TagsegError:
        raise
    except FileNotFoundError:
        raise TagsegError(f"{path}: no such image; put it there or take it out of the index") from None
    except Image.DecompressionBombError:
        most = f"more than {MOST_PIXELS // 1_000_000} million pixels"
        raise TagsegError(f"{path}: not a readable image ({most}); scale it down") from None
    except MemoryError:
        raise TagsegError(f"{path}: not a readable image (it does not fit in memory); scale it down") from None
    except Exception as error:  # decoders raise any type
        if isinstance(error, OSError) and error.errno and (held := read_error(error, path)):
            raise held from None
        with suppress(Exception):  # the first error says more
            bare = without_metadata(path.read_bytes())
            if bare:
                return _decoded(path, io.BytesIO(bare), reduced)
        raise TagsegError(f"{path}: not a readable image ({reason(error)}); {_REMEDY}") from None


def is_upright_jpeg(path: Path) -> bool:
    """Whether a file is a JPEG of one picture, RGB or grey, stored upright. Its pixels are not checked."""
    with suppress(Exception), Image.open(path, formats=["JPEG"]) as image:
        return image.format == "JPEG" and image.mode in ("RGB", "L") and _orientation(image) == 1
    return False


def reason(error: Exception) -> str:
    """A decoder's error in one line, without the file's name."""
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    text = " ".join(str(error).split())
    if isinstance(error, OSError | SyntaxError | ValueError | ImageCms.PyCMSError) and text:
        return text
    return f"{type(error).__name__}: {text}" if text else type(error).__name__


def _decoded(path: Path, file: Path | io.BytesIO, reduced: bool) -> tuple[Image.Image, tuple[int, int]]:
    with Image.open(file, formats=_formats(path)) as image:
        _refuse_bomb(path, image.width * image.height)
        if image.mode.startswith(_DEEP) or any(tile.args == _DEEP_TRANSPARENT for tile in image.tile):
            raise TagsegError(
                f"{path}: mode {image.mode}, more than 8 bits of grey in an unknown range; convert it to 8 bits"
            )
        whole = image.size
        reduced = reduced and image.format in _REDUCED
        if reduced:
            image.draft(None, (1, 1))
        if image.format == "TIFF":
            _drop_exif_folders(image)
        image.load()
        orientation = _orientation(image)
        upright = _rgb(image)
    if orientation in _TURNS:
        upright = upright.transpose(_TURNS[orientation])
    if reduced:
        return upright, whole[::-1] if orientation in _TRANSPOSED else whole
    return upright, upright.size


def _refuse_bomb(path: Path, pixels: int) -> None:
    if pixels > MOST_PIXELS:
        raise Image.DecompressionBombError
    size = path.stat().st_size
    if pixels > max(_MANY_PIXELS, size * _PIXELS_A_BYTE):
        raise TagsegError(
            f"{path}: not a readable image ({pixels // 1_000_000} million pixels in {size} bytes cannot be a "
            "photograph); scale it down"
        )


def _formats(path: Path) -> list[str]:
    """Formats to try. HEIF is among them for ISO media files (`ftyp`) alone, since its library takes time to load."""
    with path.open("rb") as file:
        head = file.read(12)
    if head[4:8] == b"ftyp":
        _register_heif()
        return ["AVIF", "HEIF"]  # Pillow's AVIF plugin leaves files that may be either to HEIF
    also = _BY_SUFFIX.get(path.suffix.lower())
    return [*_FORMATS, also] if also else list(_FORMATS)


@cache
def _register_heif() -> None:
    from pillow_heif import register_heif_opener  # here: it takes a tenth of a second

    register_heif_opener()


def _drop_exif_folders(image: Image.Image) -> None:
    """Keep Pillow from parsing the EXIF and GPS of a TIFF when it loads the pixels: an error in them would stop it."""
    with suppress(Exception):
        exif = image.getexif()
        for tag in TiffTags.TAGS_V2_GROUPS:
            if tag in exif:
                del exif[tag]


def _orientation(image: Image.Image) -> int:
    """The EXIF (or XMP) orientation, 1 to 8; 1 (upright) if it is broken, or if the decoder has applied it."""
    if image.format in _TURNED:
        return 1
    try:
        number = image.getexif().get(ExifTags.Base.Orientation)
    except Exception:  # whatever is wrong with the block
        return 1
    return number if isinstance(number, int) and number in _TURNS else 1


def _rgb(image: Image.Image) -> Image.Image:
    if image.has_transparency_data:
        return _on_white(image)
    profile = image.info.get("icc_profile")
    if image.mode != "CMYK" or not profile:
        return image.convert("RGB")
    standard = ImageCms.createProfile("sRGB")
    converted = ImageCms.profileToProfile(
        image, ImageCms.ImageCmsProfile(io.BytesIO(profile)), standard, outputMode="RGB"
    )
    assert converted is not None  # only in-place conversion gives None
    return converted


def _on_white(image: Image.Image) -> Image.Image:
    """The image on white, as a browser shows it; fully transparent images are taken as opaque, a program's mistake."""
    colours = image.convert("RGBA")
    least, most = colours.getchannel("A").getextrema()
    if least != 255 and most != 0:
        colours = Image.alpha_composite(Image.new("RGBA", colours.size, "white"), colours)
    return colours.convert("RGB")
