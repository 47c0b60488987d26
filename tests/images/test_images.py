"""Photographs and label maps as files: turned upright, whole, of the right mode, or named in one line."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageCms
from trees import put_image, put_text, refused

from tagseg.errors import TagsegError
from tagseg.images import decoding
from tagseg.images.files import image_size, read_image, read_labels, write_labels
from tagseg.images.palette import voc_palette

EXIF_ORIENTATION = 0x0112


def cut_short(path: Path, part: float = 0.6) -> Path:
    content = path.read_bytes()
    path.write_bytes(content[: int(part * len(content))])
    return path


def test_photographs_of_other_modes_are_read_as_rgb(tmp_path: Path) -> None:
    colours = read_image(put_image(tmp_path / "rgb.png"))
    for mode in ("RGBA", "L", "P", "CMYK", "1", "LA"):
        suffix = "tif" if mode == "CMYK" else "png"
        pixels = read_image(put_image(tmp_path / f"{mode}.{suffix}", mode=mode))
        assert pixels.shape == (12, 20, 3) and pixels.dtype == np.uint8
    np.testing.assert_array_equal(read_image(tmp_path / "RGBA.png"), colours)
    grey = read_image(tmp_path / "L.png")
    assert (grey == grey[..., :1]).all() and grey.std() > 10


@pytest.mark.parametrize(
    ("name", "dtype"), [("a.png", np.uint16), ("a.tif", np.uint16), ("a.tif", np.int32), ("a.tif", np.float32)]
)
def test_grey_of_more_than_8_bits_is_refused(tmp_path: Path, name: str, dtype: type) -> None:
    """Pillow cuts it off at 255: a photograph would be white."""
    path = tmp_path / name
    Image.fromarray(np.full((12, 20), 300, dtype)).save(path)
    for read in (read_image, image_size):
        with refused(path, "more than 8 bits of grey", "convert it to 8 bits"):
            read(path)


def test_cmyk_is_converted_by_its_profile(tmp_path: Path) -> None:
    plain = read_image(put_image(tmp_path / "plain.tif", mode="CMYK"))
    broken = put_image(tmp_path / "broken.tif", mode="CMYK", icc_profile=b"no profile")
    for read in (read_image, image_size):
        with refused(broken, "not a readable image"):
            read(broken)
    # of another colour space than the pixels', but a profile that is used
    other = ImageCms.ImageCmsProfile(ImageCms.createProfile("LAB")).tobytes()
    path = put_image(tmp_path / "other.tif", mode="CMYK", icc_profile=other)
    with refused(path, "not a readable image"):
        read_image(path)
    assert plain.std() > 10


@pytest.mark.parametrize(("orientation", "turns"), [(1, 0), (3, 2), (6, 3), (8, 1)])
def test_photographs_stand_upright(tmp_path: Path, orientation: int, turns: int) -> None:
    exif = Image.Exif()
    exif[EXIF_ORIENTATION] = orientation
    stored = read_image(put_image(tmp_path / "plain.png"))
    upright = np.rot90(stored, turns)
    path = put_image(tmp_path / "turned.png", exif=exif)
    np.testing.assert_array_equal(read_image(path), upright)
    assert image_size(path) == (upright.shape[1], upright.shape[0])


def test_a_missing_photograph_is_named(tmp_path: Path) -> None:
    with refused(tmp_path / "a.jpg", "no such image", "take it out of the index"):
        read_image(tmp_path / "a.jpg")


@pytest.mark.parametrize("name", ["a.jpg", "a.png"])
@pytest.mark.parametrize("part", [0.0, 0.01, 0.6])
def test_a_photograph_cut_short_is_named(tmp_path: Path, name: str, part: float) -> None:
    path = cut_short(put_image(tmp_path / name, 200, 150), part)
    for read in (read_image, image_size):
        with refused(path, "not a readable image", "replace it"):
            read(path)


def test_a_folder_in_a_photograph_s_place_is_named(tmp_path: Path) -> None:
    (tmp_path / "a.jpg").mkdir()
    with refused(tmp_path / "a.jpg", "not a readable image (a folder)"):
        read_image(tmp_path / "a.jpg")


def test_a_photograph_too_large_to_be_one_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = put_image(tmp_path / "a.png")
    monkeypatch.setattr(decoding, "MOST_PIXELS", 100)
    with refused(path, "not a readable image", "scale it down"):
        read_image(path)
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 100)  # Pillow's own, at twice as many
    with refused(path, "not a readable image", "scale it down"):
        image_size(path)


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", ["a.jpg", "a.png", "a.tif", "a.webp", "a.bmp"])
def test_a_spoilt_photograph_is_read_or_named(tmp_path: Path, name: str) -> None:
    """Whatever bytes a disk or a download spoils: an image, or one line."""
    exif = Image.Exif()
    exif[EXIF_ORIENTATION] = 6
    whole = put_image(tmp_path / name, 64, 48, exif=exif).read_bytes()
    rng = np.random.default_rng(0)
    path, named = tmp_path / f"spoilt-{name}", 0
    for _ in range(150):
        content = bytearray(whole)
        for place in rng.integers(0, min(len(whole), 400), 4):
            content[place] = rng.integers(256)
        path.write_bytes(content)
        for way in (image_size, read_image):
            try:
                way(path)
            except TagsegError as error:
                assert str(error).startswith(f"{path}: ")
                named += 1
    assert named


# label maps


def test_label_maps_survive_their_file(tmp_path: Path) -> None:
    labels = np.arange(256, dtype=np.uint8).reshape(8, 32)
    write_labels(tmp_path / "new" / "a.png", labels)
    np.testing.assert_array_equal(read_labels(tmp_path / "new" / "a.png"), labels)
    with Image.open(tmp_path / "new" / "a.png") as image:
        assert image.mode == "P" and image.format == "PNG"
        assert image.getpalette() == voc_palette().ravel().tolist()
        np.testing.assert_array_equal(np.asarray(image.convert("RGB")), voc_palette()[labels])
    assert [path.name for path in (tmp_path / "new").iterdir()] == ["a.png"]


def test_a_label_map_of_few_labels_keeps_them(tmp_path: Path) -> None:
    labels = np.array([[0, 255, 7], [7, 0, 0]], dtype=np.uint8)
    write_labels(tmp_path / "a.png", labels)
    np.testing.assert_array_equal(read_labels(tmp_path / "a.png"), labels)


def test_a_grey_mask_is_read_by_value(tmp_path: Path) -> None:
    Image.fromarray(np.array([[0, 3], [255, 1]], dtype=np.uint8)).save(tmp_path / "a.png")
    assert read_labels(tmp_path / "a.png").tolist() == [[0, 3], [255, 1]]


@pytest.mark.parametrize("mode", ["RGB", "RGBA"])
def test_a_mask_in_colours_is_refused(tmp_path: Path, mode: str) -> None:
    path = tmp_path / "a.png"
    Image.new(mode, (3, 2), (128, 0, 0)).save(path)
    with refused(path, f"mode {mode}, with colours (128, 0, 0)", "indexed or 8-bit grey PNG"):
        read_labels(path)


def test_a_missing_or_broken_mask_is_named(tmp_path: Path) -> None:
    with refused(tmp_path / "a.png", "no such mask", "ground_truth.csv"):
        read_labels(tmp_path / "a.png")
    with refused(cut_short(put_image(tmp_path / "b.png", 200, 150, "L")), "not a readable mask", "replace it"):
        read_labels(tmp_path / "b.png")
    with refused(put_text(tmp_path / "c.png", "text"), "not a readable mask"):
        read_labels(tmp_path / "c.png")


def test_the_palette_is_the_devkit_s() -> None:
    palette = voc_palette()
    assert palette.shape == (256, 3) and palette.dtype == np.uint8
    known = [(0, 0, 0), (128, 0, 0), (0, 128, 0), (128, 128, 0), (0, 0, 128)]
    assert [tuple(colour) for colour in palette[:5].tolist()] == known
    assert palette[15].tolist() == [192, 128, 128] and palette[20].tolist() == [0, 64, 128]  # person, tvmonitor
    assert palette[255].tolist() == [224, 224, 192]
    assert len({tuple(colour) for colour in palette.tolist()}) == 256
