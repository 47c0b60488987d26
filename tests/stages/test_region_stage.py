"""The region stage and its picture: what lies in the files, and what goes wrong in one line."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from scipy import ndimage

from tagseg.artifacts.shards import Shard
from tagseg.config.masks import CrispSettings, RegionSettings
from tagseg.figures.panels import paint_regions
from tagseg.images.files import read_image
from tagseg.regions import MODES, crisp_boundaries
from tagseg.stages import region_panels, regions


@pytest.fixture
def photographs(tmp_path: Path) -> Path:
    """An index of three images of two textured halves, the second one grey."""
    rng = np.random.default_rng(0)
    lines = ["id,split,path,width,height,tags"]
    for i, mode in enumerate(("RGB", "L", "RGB")):
        pixels = rng.integers(0, 40, (40, 64 + i, 3))
        pixels[:, 30:, i] += 180
        path = tmp_path / f"p{i}.png"
        Image.fromarray(pixels.astype(np.uint8)).convert(mode).save(path)
        lines.append(f"p{i},{'val' if i == 2 else 'train'},{path},{64 + i},40,")
    index = tmp_path / "tags.csv"
    index.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return index


def test_a_shard_holds_the_regions_of_its_images(photographs: Path) -> None:
    output = photographs.with_name("regions.h5")
    settings = RegionSettings(threshold=0.01, longest_side=50)
    regions.run(photographs, output, settings, shard=0, shards=2)
    with Shard(output, "regions") as shard:
        assert "p0" in shard and "p2" in shard and "p1" not in shard
        labels = shard.get("p2", "regions")
    assert (labels.dtype, labels.shape) == (np.uint16, (40, 66))
    parameters = MODES["speedy"].__class__(longest_side=50)
    wanted = crisp_boundaries(read_image(photographs.with_name("p2.png")), parameters=parameters)
    np.testing.assert_array_equal(labels, wanted.regions(0.01))
    assert 1 < labels.max() + 1 < 40
    assert all(ndimage.label(labels == region)[1] == 1 for region in range(labels.max() + 1))


def test_the_threshold_decides_how_many_regions_are_left(photographs: Path) -> None:
    counts = []
    for threshold in (0.0, 1.0):
        regions.run(photographs, photographs.with_name("r.h5"), RegionSettings(threshold=threshold), shard=0, shards=1)
        with Shard(photographs.with_name("r.h5"), "regions") as shard:
            counts.append(int(shard.get("p0", "regions").max()) + 1)
    assert counts[0] > 4 and counts[1] == 1


def test_two_runs_give_equal_bytes_and_another_seed_others(photographs: Path) -> None:
    files = []
    for name, seed in (("a", 0), ("b", 0), ("c", 1)):
        output = photographs.with_name(f"{name}.h5")
        regions.run(photographs, output, RegionSettings(seed=seed), shard=0, shards=1)
        files.append(output.read_bytes())
    assert files[0] == files[1] != files[2]


def test_more_regions_than_sixteen_bits_count_are_refused(photographs: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Many:
        ucm = np.zeros((1, 70_000), np.float32)

        def regions(self, threshold: float) -> np.ndarray:
            return np.arange(70_000, dtype=np.int32)[None]

    monkeypatch.setattr(regions, "find_boundaries", lambda *_, **__: Many())
    output = photographs.with_name("r.h5")
    with pytest.raises(Exception, match=r"p0\.png: 70000 regions; raise the regions' threshold"):
        regions.run(photographs, output, RegionSettings(), shard=0, shards=1)
    assert not output.exists()


def test_a_broken_photograph_is_named(photographs: Path, fails: Callable[[str], str]) -> None:
    photographs.with_name("p1.png").write_bytes(b"no image")
    output = photographs.with_name("r.h5")
    assert "p1.png: not a readable image" in fails(f"regions --tags {photographs} --output {output}")
    assert not output.exists()


def test_the_picture_has_a_row_an_image(photographs: Path, fails: Callable[[str], str]) -> None:
    sizes = []
    for count in (1, 3):
        output = photographs.with_name("regions.png")
        region_panels.run(photographs, output, CrispSettings(), split=None, count=count)
        sizes.append(Image.open(output).size)
    assert sizes[0][0] == sizes[1][0] and sizes[1][1] > 1.5 * sizes[0][1]
    line = f"region-panels --tags {photographs} --output {photographs.with_name('x.png')} --split test"
    assert "no image of split test" in fails(line)


def test_a_painted_region_has_its_mean_colour_and_lines_around() -> None:
    image = np.zeros((4, 6, 3), np.uint8)
    image[:, :3, 0], image[:, 3:, 1] = 100, np.arange(4)[:, None] * 10 + 100
    painted = paint_regions(image, np.repeat([0, 0, 0, 7, 7, 7], 4).reshape(6, 4).T)
    assert painted[1, 0].tolist() == [100, 0, 0] and painted[1, 4].tolist() == [0, 115, 0]
    assert not painted[:, 2].any() and painted[:, 3].any()
