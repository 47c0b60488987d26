"""Photographs decoded: whatever a camera, a telephone or the web made, upright and in RGB, or one line that says why.

Formats are told by content, not by suffix. Of an EXIF block the number of the orientation counts alone: what else a
camera or an editor has written there, however wrong, is not looked at, and never written anew.
"""

import io
import logging
import warnings
from contextlib import suppress
from functools import cache
from pathlib import Path

from PIL import ExifTags, Image, ImageCms, TiffTags

from tagseg.errors import TagsegError, barred
from tagseg.images.bare import without_notes

MOST_PIXELS = 300_000_000  # telephones make 200 million; what claims more may be a file made to fill the memory
_MANY_PIXELS, _PIXELS_A_BYTE = 100_000_000, 500  # of so many, none that was ever photographed is packed so densely
_FORMATS = ("JPEG", "PNG", "WEBP", "GIF", "BMP", "DIB", "TIFF", "AVIF", "JPEG2000", "PPM", "QOI")
_BY_SUFFIX = {".tga": "TGA"}  # it has no mark to be told by
_TURNED = ("TIFF", "HEIF")  # formats that their decoders turn upright
_REDUCED = ("JPEG", "MPO")  # formats that can be decoded at an eighth of the size, in a third of the time
_DEEP = ("I", "F")  # first letters of modes with more than 8 bits a pixel
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
_LYING = (5, 6, 7, 8)  # EXIF orientations that exchange width and height

# Pillow's own limit lies below what telephones make, and at half of it a warning goes to the screen. Its other warnings
# and log lines are of metadata, or followed by an error.
Image.MAX_IMAGE_PIXELS = MOST_PIXELS
warnings.filterwarnings("ignore", module=r"(PIL|pillow_heif)\.")
logging.getLogger("PIL").setLevel(logging.CRITICAL)


def decoded(path: Path, *, reduced: bool = False) -> tuple[Image.Image, tuple[int, int]]:
    """A photograph in RGB, upright by its EXIF orientation, and its width and height; of several pictures, the first.

    What is transparent is white, as a browser shows it, unless everything is. CMYK is converted by the profile in the
    file, or plainly. `reduced` decodes a JPEG at an eighth of its size: every byte is read, and the width and height
    are those of the whole. Raises TagsegError naming the file, whatever is wrong with it.
    """
    try:
        if path.exists() and not path.is_file():  # a pipe would be waited for
            what = "a folder" if path.is_dir() else "no regular file"
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
    except Exception as error:  # decoders raise any kind
        if isinstance(error, OSError) and error.errno and (held := barred(error, path)):
            raise held from None
        with suppress(Exception):  # the first error tells more
            bare = without_notes(path.read_bytes())
            if bare:
                return _decoded(path, io.BytesIO(bare), reduced)
        raise TagsegError(f"{path}: not a readable image ({reason(error)}); {_REMEDY}") from None


def is_upright_jpeg(path: Path) -> bool:
    """Whether a file is a JPEG of one picture, RGB or grey, that is shown as it is stored. It need not be whole."""
    with suppress(Exception), Image.open(path, formats=["JPEG"]) as image:
        return image.format == "JPEG" and image.mode in ("RGB", "L") and _orientation(image) == 1
    return False


def reason(error: Exception) -> str:
    """What a decoder has to say, in one line that does not name the file."""
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    text = " ".join(str(error).split())
    if isinstance(error, OSError | SyntaxError | ValueError | ImageCms.PyCMSError) and text:
        return text
    return f"{type(error).__name__}: {text}" if text else type(error).__name__


def _decoded(path: Path, file: Path | io.BytesIO, reduced: bool) -> tuple[Image.Image, tuple[int, int]]:
    with Image.open(file, formats=_formats(path)) as image:
        _refuse_bomb(path, image.width * image.height)
        if image.mode.startswith(_DEEP):
            raise TagsegError(
                f"{path}: mode {image.mode}, more than 8 bits of grey in a range that nothing tells; "
                "convert it to 8 bits"
            )
        whole = image.size
        reduced = reduced and image.format in _REDUCED
        if reduced:
            image.draft(None, (1, 1))
        if image.format == "TIFF":
            _forget_folders(image)
        image.load()
        orientation = _orientation(image)
        upright = _rgb(image)
    if orientation in _TURNS:
        upright = upright.transpose(_TURNS[orientation])
    if reduced:
        return upright, whole[::-1] if orientation in _LYING else whole
    return upright, upright.size


def _refuse_bomb(path: Path, pixels: int) -> None:
    if pixels > MOST_PIXELS:
        raise Image.DecompressionBombError
    size = path.stat().st_size
    if pixels > max(_MANY_PIXELS, size * _PIXELS_A_BYTE):
        raise TagsegError(
            f"{path}: not a readable image ({pixels // 1_000_000} million pixels in {size} bytes are no photograph); "
            "scale it down"
        )


def _formats(path: Path) -> list[str]:
    """Formats to try: of a file in boxes (`ftyp`) HEIF as well, whose library is loaded for these alone."""
    with path.open("rb") as file:
        head = file.read(12)
    if head[4:8] == b"ftyp":
        _register_heif()
        return ["AVIF", "HEIF"]  # AVIF leaves to HEIF what may be either
    also = _BY_SUFFIX.get(path.suffix.lower())
    return [*_FORMATS, also] if also else list(_FORMATS)


@cache
def _register_heif() -> None:
    from pillow_heif import register_heif_opener  # a tenth of a second, for those who need it

    register_heif_opener()


def _forget_folders(image: Image.Image) -> None:
    """Keep Pillow from looking at the EXIF and GPS of a TIFF when it is loaded: nonsense in it would be an error."""
    with suppress(Exception):
        exif = image.getexif()
        for tag in TiffTags.TAGS_V2_GROUPS:
            if tag in exif:
                del exif[tag]


def _orientation(image: Image.Image) -> int:
    """How an image is to be turned, 1 to 8, by its EXIF (or XMP): 1 where that is broken, or it has been turned."""
    if image.format in _TURNED:
        return 1
    try:
        number = image.getexif().get(ExifTags.Base.Orientation)
    except Exception:  # of whatever is wrong with the block
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
    """The image as a browser shows it. Where nothing is opaque at all, transparency is a slip of some program."""
    colours = image.convert("RGBA")
    least, most = colours.getchannel("A").getextrema()
    if least != 255 and most != 0:
        colours = Image.alpha_composite(Image.new("RGBA", colours.size, "white"), colours)
    return colours.convert("RGB")
