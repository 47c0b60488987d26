"""Photographs as people have them: every form of file is read, or counted and named, by all that look into folders."""

import csv
import io
import os
import struct
import subprocess
import sys
import zlib
from pathlib import Path

import numpy as np
import pillow_heif
import pytest
from models import save_model
from PIL import Image, ImageCms
from trees import put_text, refused
from typer.testing import CliRunner, Result

from tagseg import cli
from tagseg.commands.gathering import gather
from tagseg.config.data import FolderData
from tagseg.datasets.folder_names import Photographs
from tagseg.errors import TagsegError
from tagseg.images import decoding
from tagseg.images.decoding import is_upright_jpeg
from tagseg.images.files import image_size, read_image
from tagseg.images.formats import is_photograph, is_unread
from tagseg.images.metadata import without_metadata
from tagseg.images.resize import resized
from tagseg.stages import index

# A form of file for each suffix that Pillow writes; HEIC is written by its own library.
FORMS = {
    ".jpg": "JPEG", ".jpe": "JPEG", ".JFIF": "JPEG", ".mpo": "MPO", ".png": "PNG", ".apng": "PNG", ".gif": "GIF",
    ".webp": "WEBP", ".avif": "AVIF", ".HEIC": "HEIF", ".heif": "HEIF", ".jp2": "JPEG2000", ".tif": "TIFF",
    ".bmp": "BMP", ".ppm": "PPM", ".qoi": "QOI", ".tga": "TGA",
}  # fmt: skip
UNREAD = ("film.psd", "draw.svg", "RAW.CR2", "clip.mp4", "scan.pdf", "IMG_0001", "b.jpg.part", "a.jpg~")
UNNAMED = ("notes.txt", "tags.csv", "b.xml", "Thumbs.db", ".DS_Store", "._a.jpg", "README", "IMG_1.AAE", "c.xmp")


def colours(width: int = 48, height: int = 36) -> Image.Image:
    y, x = np.mgrid[:height, :width]
    planes = (x * 255 // width, y * 255 // height, (x + y) * 255 // (width + height))
    return Image.fromarray(np.stack(planes, axis=2).astype(np.uint8))


def put(path: Path, form: str = "", picture: Image.Image | None = None, **options: object) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    picture = picture or colours()
    if (form or FORMS[path.suffix]) == "HEIF":
        pillow_heif.from_pillow(picture).save(path, quality=90, **options)
    else:
        picture.save(path, form or FORMS[path.suffix], **options)
    return path


def differs(path: Path, wanted: Image.Image) -> float:
    """Mean difference to an RGB image, of 255."""
    image = read_image(path)
    assert image_size(path) == wanted.size == (image.shape[1], image.shape[0])
    return float(np.abs(image.astype(int) - np.asarray(wanted.convert("RGB"), dtype=int)).mean())


@pytest.mark.parametrize("suffix", FORMS)
def test_each_form_is_read(suffix: str, tmp_path: Path) -> None:
    assert differs(put(tmp_path / f"a{suffix}"), colours()) < 6  # GIF has 256 colours
    assert is_photograph(f"a{suffix}")


@pytest.mark.parametrize("form", ["HEIF", "AVIF", "PNG", "WEBP"])
def test_what_is_in_a_file_counts_and_not_its_suffix(form: str, tmp_path: Path) -> None:
    assert differs(put(tmp_path / "a.jpg", form), colours()) < 4


@pytest.mark.parametrize("form", ["GIF", "WEBP", "AVIF", "PNG", "MPO", "TIFF"])
def test_the_first_of_several_pictures_is_taken(form: str, tmp_path: Path) -> None:
    more = {"save_all": True, "append_images": [colours().rotate(180), colours().rotate(180)]}
    assert differs(put(tmp_path / "a.png", form, **more), colours()) < 6


@pytest.mark.parametrize("form", ["JPEG", "PNG", "WEBP", "AVIF", "HEIF", "TIFF"])
def test_each_form_is_turned_once(form: str, tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    options = {"tiffinfo": {0x0112: 6}} if form == "TIFF" else {"exif": exif.tobytes()}
    assert differs(put(tmp_path / "a.jpg", form, **options), colours().rotate(-90, expand=True)) < 4


def exif(kind: int, count: int, value: bytes, more: bytes = b"") -> bytes:
    """A block with one entry for the orientation, and perhaps one more."""
    entries = struct.pack("<HHL4s", 0x0112, kind, count, value) + more
    return b"Exif\0\0" + struct.pack("<2sHLH", b"II", 42, 8, len(entries) // 12) + entries + bytes(4)


A_BYTE = struct.pack("<HHLLHHLHH", 0x011A, 1, 1, 60, 0x0128, 3, 1, 2, 0)  # Pillow opens no such file


@pytest.mark.parametrize(
    ("block", "turns"),
    {
        "whole": (exif(3, 1, b"\6\0\0\0"), True),
        "long": (exif(4, 1, b"\6\0\0\0"), True),
        "none": (exif(3, 1, b"\0\0\0\0"), False),
        "nine": (exif(3, 1, b"\x09\0\0\0"), False),
        "text": (exif(2, 2, b"6\0\0\0"), False),
        "bytes": (exif(7, 4, b"\6\0\0\0"), False),
        "several": (exif(3, 2, b"\6\0\3\0"), True),
        "a real number": (exif(11, 1, struct.pack("<f", 6.0)), False),
        "software that is a number": (exif(3, 1, b"\6\0\0\0", struct.pack("<HHLf", 0x0131, 11, 1, 1.5)), True),
        "a resolution of one byte": (exif(3, 1, b"\6\0\0\0", A_BYTE), True),
        "cut short": (exif(3, 1, b"\6\0\0\0")[:17], False),
        "no block": (b"Exif\0\0nothing of the kind", False),
    }.values(),
)
def test_the_number_of_the_orientation_counts_alone(block: bytes, turns: bool, tmp_path: Path) -> None:
    path = put(tmp_path / "a.jpg", exif=block)
    assert differs(path, colours().rotate(-90, expand=True) if turns else colours()) < 4
    assert is_upright_jpeg(path) != turns


def png_with(*chunks: bytes, crc: int | None = None) -> bytes:
    file = io.BytesIO()
    colours().save(file, "PNG")
    whole = file.getvalue()
    made = b""
    for chunk in chunks:
        made += struct.pack(">L", len(chunk) - 4) + chunk + struct.pack(">L", zlib.crc32(chunk) if crc is None else crc)
    return whole[:33] + made + whole[33:]


@pytest.mark.parametrize(
    "content",
    {
        "a long text": png_with(b"zTXtprompt\0\0" + zlib.compress(bytes(9_000_000))),
        "a wrong checksum": png_with(b"tEXtAuthor\0me", crc=1),
        "an eXIf chunk with a wrong checksum": png_with(b"eXIf" + exif(3, 1, b"\6\0\0\0")[6:], crc=1),
    }.values(),
)
def test_notes_in_a_png_do_not_keep_it_from_being_read(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(content)
    with pytest.raises(Exception), Image.open(tmp_path / "a.png") as image:  # noqa: B017
        image.load()
    assert differs(tmp_path / "a.png", colours()) == 0


def test_what_has_no_notes_is_not_tried_twice() -> None:
    assert without_metadata(png_with()) == without_metadata(b"text") == without_metadata(b"") == b""


# transparency and modes


def half(mode: str) -> Image.Image:
    """Colours on the left, and on the right what nobody sees."""
    image = colours().convert(mode)
    alpha = Image.new("L", image.size, 255)
    alpha.paste(0, (24, 0, 48, 36))
    image.putalpha(alpha)
    return image


@pytest.mark.parametrize(("mode", "name"), [("RGB", "a.png"), ("L", "a.png"), ("RGB", "a.webp"), ("RGB", "a.HEIC")])
def test_what_is_transparent_is_white(mode: str, name: str, tmp_path: Path) -> None:
    image = read_image(put(tmp_path / name, picture=half(mode), **({"lossless": True} if "webp" in name else {})))
    assert (image[:, 26:] > 250).all()
    wanted = np.asarray(colours().convert(mode).convert("RGB"), dtype=int)
    assert np.abs(image[:, :22].astype(int) - wanted[:, :22]).mean() < 3


def test_transparent_colours_of_a_palette_are_white(tmp_path: Path) -> None:
    picture = colours().quantize(4)
    path = put(tmp_path / "a.png", picture=picture, transparency=bytes([0, 255, 255, 255]))
    indices, image = np.asarray(picture), read_image(path)
    assert (image[indices == 0] == 255).all()
    opaque = np.asarray(picture.convert("RGB"))
    np.testing.assert_array_equal(image[indices != 0], opaque[indices != 0])


def test_where_nothing_is_opaque_transparency_is_a_slip(tmp_path: Path) -> None:
    picture = colours()
    picture.putalpha(0)
    assert differs(put(tmp_path / "a.png", picture=picture), colours()) == 0


def put_png(path: Path, values: np.ndarray, colour_type: int) -> Path:
    """A PNG of 16 bits a sample: `values` (H, W, C) uint16."""
    height, width = values.shape[:2]
    lines = b"".join(b"\0" + line.tobytes() for line in values.astype(">u2"))
    header = struct.pack(">LLBBBBB", width, height, 16, colour_type, 0, 0, 0)
    content = b"\x89PNG\r\n\x1a\n"
    for chunk in (b"IHDR" + header, b"IDAT" + zlib.compress(lines), b"IEND"):
        content += struct.pack(">L", len(chunk) - 4) + chunk + struct.pack(">L", zlib.crc32(chunk))
    return put_text(path, content)


def test_of_16_bits_a_colour_the_higher_byte_is_read(tmp_path: Path) -> None:
    values = np.asarray(colours()).astype(np.uint16) * 256 + 17
    assert differs(put_png(tmp_path / "a.png", values, 2), colours()) == 0


def test_16_bits_of_grey_are_refused_with_transparency_too(tmp_path: Path) -> None:
    grey = np.stack([np.arange(48 * 36).reshape(36, 48), np.full((36, 48), 65535)], axis=2)
    path = put_png(tmp_path / "a.png", grey, 4)
    with refused(path, "more than 8 bits of grey in an unknown range", "convert it to 8 bits"):
        read_image(path)


def test_cmyk_keeps_its_colours(tmp_path: Path) -> None:
    assert differs(put(tmp_path / "a.jpg", picture=colours().convert("CMYK")), colours()) < 6
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    with refused(put(tmp_path / "b.jpg", picture=colours().convert("CMYK"), icc_profile=profile), "not a readable"):
        read_image(tmp_path / "b.jpg")


# large, long, and no photographs at all


def test_two_hundred_million_pixels_pass_and_bombs_do_not(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert decoding.MOST_PIXELS > 16_320 * 12_240 and Image.MAX_IMAGE_PIXELS == decoding.MOST_PIXELS
    flat = put(tmp_path / "flat.png", picture=Image.new("1", (12_000, 9_000)))
    with refused(flat, "108 million pixels in", "cannot be a photograph", "scale it down"):
        image_size(flat)
    monkeypatch.setattr(decoding, "MOST_PIXELS", 1000)
    with refused(put(tmp_path / "a.png"), "not a readable image (more than", "scale it down"):
        image_size(tmp_path / "a.png")


@pytest.mark.parametrize("error", [KeyError(3), TypeError("a"), zlib.error("b"), OverflowError(), MemoryError()])
def test_whatever_a_decoder_raises_is_that_file_s_fault(
    error: Exception, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise error

    path = put(tmp_path / "a.png")
    monkeypatch.setattr(decoding.Image, "open", fail)
    for look in (read_image, image_size):
        with refused(path, "not a readable image ("):
            look(path)


def test_a_pipe_is_no_photograph(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "a.jpg")
    with refused(tmp_path / "a.jpg", "not a readable image (not a regular file)"):
        image_size(tmp_path / "a.jpg")


def test_a_panorama_keeps_its_shape_and_a_side_that_networks_take() -> None:
    assert resized(Image.new("L", (20_000, 300)), 320).size == (2133, 32)
    assert resized(Image.new("L", (40, 500)), 320).size == (32, 400)
    assert resized(Image.new("L", (640, 480)), 320).size == (320, 240)
    assert resized(Image.new("L", (3200, 320)), 320).size == (320, 32)


def test_working_copies_of_a_panorama_can_be_trained_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    put(Path("photos/wide.jpg"), picture=colours(4000, 60))
    put(Path("photos/a.jpg"))
    put_text(Path("tags.csv"), "image,tags\nwide,dog\na,cat\n")
    command("init project --images photos --tags tags.csv --backbone shapes --device cpu")
    assert image_size(Path("project/working_copies/images/wide.jpg")) == (2133, 32)
    monkeypatch.chdir("project")
    index.run(
        FolderData(root=Path(), images="working_copies/images", classes=["cat", "dog"]),
        Path("o/t.csv"),
        Path("o/c.txt"),
    )


# folders


def command(line: str, status: int = 0) -> Result:
    outcome = CliRunner().invoke(cli.app, line.split())
    assert outcome.exit_code == status, (outcome.output, outcome.exception)
    return outcome


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Two classes of photographs, among files that are not read and files that are nobody's photograph."""
    monkeypatch.chdir(tmp_path)
    for i, suffix in enumerate(FORMS):
        put(Path("cls") / ("disc" if i % 2 else "ring") / f"{i}{suffix}")
    for name in (*UNREAD, *UNNAMED):
        put_text(Path("cls/ring") / name, "")
    for name in ("@eaDir/disc/a.jpg", "__MACOSX/ring/a.jpg", ".thumbnails/a.png", "ring/@eaDir/b.jpg", "Thumbs/a.jpg"):
        put(Path("cls") / name)
    return Path("cls")


def csv_rows(path: str) -> list[dict[str, str]]:
    return list(csv.DictReader(Path(path).read_text(encoding="utf-8").splitlines()))


NOT_READ = {f"cls/ring/{name}" for name in UNREAD} | {"cls/Thumbs/"}


def test_one_rule_says_what_a_photograph_is() -> None:
    assert all(is_unread(name) and not is_photograph(name) for name in UNREAD)
    assert not any(is_unread(name) or is_photograph(name) for name in UNNAMED)


def test_an_index_has_every_form_and_names_what_is_not_read(folder: Path, caplog: pytest.LogCaptureFixture) -> None:
    data = FolderData(root=Path(), images=str(folder), tags="folders")
    index.run(data, Path("o/tags.csv"), Path("o/classes.txt"))
    assert len(csv_rows("o/tags.csv")) == len(FORMS)
    report = csv_rows("o/index_report.csv")
    assert {row["status"] for row in report} == {"not read"} and {row["file"] for row in report} == NOT_READ
    assert all(row["what"] and row["remedy"] for row in report)
    assert "9 files are not read: " in caplog.text and "1 .psd" in caplog.text and "o/index_report.csv" in caplog.text


def test_init_says_how_many_are_not_read(folder: Path) -> None:
    said = command(f"init p --images {folder} --tags folders --backbone shapes --device cpu").output
    assert f"{len(FORMS)} photographs" in said and "  disc" in said and "Thumbs" not in said.split("note: 9")[0]
    assert "note: 9 files are not read: " in said and "1 .mp4" in said and "1 without a suffix" in said
    assert {row["file"].removeprefix(f"{Path.cwd()}/") for row in csv_rows("p/faults.csv")} == NOT_READ
    assert len(csv_rows("p/tags.csv")) == len(FORMS)


def test_predict_does_every_form_and_names_what_is_not_read(folder: Path) -> None:
    save_model(Path("model.pt"), size=80)
    put_text(folder / "ring" / "broken.avif", "no photograph")
    (folder / "ring" / "gone.jpg").symlink_to("nowhere")
    outcome = command(f"predict model.pt {folder} -o out --no-overlay", status=1)
    assert f"{len(FORMS)} done, 0 skipped, 2 failed, 9 not read; in out" in outcome.stdout
    assert "tagseg: cls/ring/broken.avif: not a readable image" in outcome.stderr
    assert "tagseg: cls/ring/gone.jpg: No such file or directory" in outcome.stderr
    assert "tagseg: 9 files are not read: " in outcome.stderr
    rows = csv_rows("out/summary.csv")
    assert {row["image"] for row in rows if "not read" in row["failure"] or "passed over" in row["failure"]} == NOT_READ
    assert len(list(Path("out").rglob("*.png"))) == len(FORMS) == sum(bool(row["file"]) for row in rows)


def test_no_photograph_s_failure_stops_the_others(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    save_model(Path("model.pt"), size=80)
    for name in "abc":
        put(Path(f"photos/{name}.png"))
    from tagseg.commands import labelling as stage

    def read(path: Path) -> np.ndarray:
        if path.stem == "b":
            raise KeyError("nobody thought of this")
        return read_image(path)

    monkeypatch.setattr(stage, "read_image", read)
    outcome = command("predict model.pt photos -o out", status=1)
    assert "2 done, 0 skipped, 1 failed" in outcome.stdout and "photos/b.png: 'nobody thought" in outcome.stderr


def test_a_folder_of_nothing_that_is_read_says_so(tmp_path: Path) -> None:
    put_text(tmp_path / "raw" / "a.CR2", "")
    put_text(tmp_path / "raw" / "b.cr2", "")
    with refused(tmp_path, "no photograph in it or below it, but 2 files are not read: 2 .cr2", "convert them"):
        gather([str(tmp_path)], [])
    put(tmp_path / "dog" / "a.png")
    data = FolderData(root=tmp_path, images=".", tags="folders")
    with refused(tmp_path / "raw", "no photograph in this class folder, but 2 files are not read: 2 .cr2"):
        index.run(data, tmp_path / "o" / "tags.csv", tmp_path / "o" / "classes.txt")


def test_a_row_for_what_is_passed_over_says_why(folder: Path) -> None:
    found = Photographs(folder)
    for written, why in {
        "ring/film.psd": "not read (.psd)",
        "Thumbs/a.jpg": "passed over as a folder of thumb",
    }.items():
        with pytest.raises(TagsegError, match=why.replace("(", r"\(").replace(")", r"\)")):
            found.find(written)


def test_all_walkers_follow_links_and_not_in_a_circle(tmp_path: Path) -> None:
    put(tmp_path / "disk" / "a.png")
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos" / "linked").symlink_to(tmp_path / "disk")
    (tmp_path / "disk" / "round").symlink_to(tmp_path / "photos")
    assert [p.below for p in gather([str(tmp_path / "photos")], [])] == ["linked/a.png"]
    assert list(Photographs(tmp_path / "photos").paths) == ["linked/a.png"]


def test_nothing_of_pillow_s_own_reaches_the_screen(tmp_path: Path) -> None:
    """As from the shell: pytest has warnings of its own."""
    put(
        tmp_path / "images" / "a.jpg", exif=b"Exif\0\0II*\0\x08\0\0\0\x05\0" + b"\x0f\x01\x02\0\xff\xff\0\0\xff\xff\0\0"
    )
    put_text(tmp_path / "tags.csv", "image,tags\na,dog\n")
    call = f"index folder --root {tmp_path} --output {tmp_path}/o.csv --classes-file {tmp_path}/c.txt"
    done = subprocess.run(
        [sys.executable, "-m", "tagseg", *call.split()], capture_output=True, text=True, check=True, timeout=120
    )
    assert "Warning" not in done.stderr and "warn(" not in done.stderr
    plain = "import sys; from PIL import Image; Image.open(sys.argv[1]).getexif()"
    warned = subprocess.run(
        [sys.executable, "-c", plain, str(tmp_path / "images" / "a.jpg")], capture_output=True, text=True, check=True
    )
    assert "Warning" in warned.stderr  # else this test could not fail


def test_the_command_line_starts_without_the_library_of_heic() -> None:
    code = "import sys, tagseg.cli; sys.exit('pillow_heif' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
