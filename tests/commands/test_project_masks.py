"""`tagseg masks`: the copy of a project's masks, and the sheet of them. The workflow itself is run by the tutorial."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from PIL import Image
from trees import put_image, put_text, refused

from tagseg.artifacts.atomic import write_text
from tagseg.artifacts.shards import write_shard
from tagseg.commands import masks
from tagseg.commands.project import NAME
from tagseg.commands.run_workflow import make
from tagseg.config import Crf
from tagseg.config.data import FolderData
from tagseg.datasets import folder
from tagseg.datasets.digests import content_digest, size_digest
from tagseg.datasets.index import ImageRecord, write_classes, write_index
from tagseg.errors import TagsegError
from tagseg.figures.panels import Panel
from tagseg.images.files import read_image, write_labels
from tagseg.images.formats import COPIES, ORIGINALS
from tagseg.images.palette import voc_palette
from tagseg.stages import mask_preview

CRF: Crf = "higher_order"


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project whose workflow has run: a JPEG, a PNG with a working copy, an untagged and an evaluation photograph."""
    monkeypatch.chdir(tmp_path)
    home = tmp_path / "project"
    text = yaml.safe_dump(
        {"default": NAME, "datasets": {NAME: {"data": {"kind": "folder", "root": ".", "images": f"{COPIES}/images"}}}}
    )
    write_text(home / "config.yaml", text)
    values = np.random.default_rng(0).integers(0, 255, (40, 60, 3), dtype=np.uint8)
    Path("photos").mkdir()
    Image.fromarray(values).save("photos/small.jpg", exif=Image.Exif())
    Image.fromarray(values).resize((120, 80)).save("photos/large.png")
    records = [
        ImageRecord("small", "train", Path("../photos/small.jpg"), 60, 40, ("dog",)),
        ImageRecord("large", "train", Path(f"{COPIES}/images/large.jpg"), 60, 40, ("cat",)),
        ImageRecord("untagged", "train", Path("../photos/small.jpg"), 60, 40, ()),
        ImageRecord("kept", "val", Path("../photos/small.jpg"), 60, 40, ("dog",)),
    ]
    write_text(home / COPIES / ORIGINALS, "id,original,width,height\nlarge,../photos/large.png,120,80\n")
    results = home / "results" / NAME
    write_index(results / "tags.csv", records)
    write_classes(results / "classes.txt", ["cat", "dog"])
    for record in records:
        labels = np.zeros((40, 60), np.uint8)
        labels[10:, 30:] = 2
        write_labels(results / f"masks/multiclass-{CRF}-png" / f"{record.id}.png", labels)
    monkeypatch.setattr(masks, "make", lambda folder, targets, cores: None)
    return home


def run(project: Path, output: Path | None, layout: masks.Layout = "plain") -> str:
    return masks.run(project, output, prior="multiclass", crf=CRF, layout=layout, cores=1)


def files(folder: Path) -> list[str]:
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())


def test_an_original_that_has_changed_is_named(project: Path) -> None:
    table = project / COPIES / ORIGINALS
    digest = content_digest(Path("photos/large.png"))
    put_text(table, f"id,original,width,height,digest\nlarge,../photos/large.png,120,80,{digest}\n")
    run(project, Path("out"))
    put_image(project / COPIES / "images" / "large.jpg", 60, 40)
    put_text(project / "tags.csv", "image,tags\nlarge,cat\n")
    data = FolderData(root=project, images=f"{COPIES}/images")
    before = size_digest(folder.photographs(data))
    folder.index(data)
    put_image(Path("photos/large.png"), 120, 80)
    assert size_digest(folder.photographs(data)) != before
    for work in (lambda: run(project, Path("new")), lambda: folder.index(data)):
        with refused(project / ".." / "photos" / "large.png", "has changed since its working copy was made"):
            work()
    Path("photos/large.png").unlink()
    folder.index(data)  # the copy is there


def test_masks_of_tagged_training_photographs_at_their_original_size(project: Path) -> None:
    said = run(project, Path("out"))
    assert "2 masks at their photographs' size: out" in said
    assert files(Path("out")) == ["classes.txt", "large.png", "small.png"]
    with Image.open("out/large.png") as image:
        assert image.size == (120, 80)
        labels = np.asarray(image)
        assert bytes(image.getpalette() or [])[:768] == voc_palette().tobytes()
    assert labels[20, 60] == 2
    assert labels[19, 60] == labels[20, 59] == 0
    assert Path("out/classes.txt").read_text(encoding="utf-8").split() == ["background", "cat", "dog"]


def test_the_devkit_s_layout(project: Path) -> None:
    run(project, Path("out"), "voc")
    assert files(Path("out")) == [
        "ImageSets/Segmentation/train.txt", "JPEGImages/large.jpg", "JPEGImages/small.jpg",
        "SegmentationClass/large.png", "SegmentationClass/small.png", "classes.txt",
    ]  # fmt: skip
    assert Path("out/ImageSets/Segmentation/train.txt").read_text(encoding="utf-8") == "small\nlarge\n"
    assert Path("out/JPEGImages/small.jpg").read_bytes() == Path("photos/small.jpg").read_bytes()
    with Image.open("out/JPEGImages/large.jpg") as image:
        assert (image.format, image.size) == ("JPEG", (120, 80))


def test_torchvision_reads_it(project: Path) -> None:
    datasets = pytest.importorskip("torchvision.datasets")
    run(project, Path("root/VOCdevkit/VOC2012"), "voc")
    image, mask = datasets.VOCSegmentation("root", year="2012", image_set="train")[1]
    assert image.size == mask.size == (120, 80)
    assert set(np.unique(np.asarray(mask))) == {0, 2}


def test_a_photograph_on_its_side_is_copied_upright(project: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.fromarray(np.zeros((60, 40, 3), np.uint8)).save("photos/small.jpg", exif=exif)
    assert read_image(Path("photos/small.jpg")).shape == (40, 60, 3)
    run(project, Path("out"), "voc")
    with Image.open("out/JPEGImages/small.jpg") as image:
        assert image.size == (60, 40)
        assert image.getexif().get(0x0112, 1) == 1


def test_without_a_project(tmp_path: Path) -> None:
    with pytest.raises(TagsegError, match=r"config.yaml: no such file; make a project first \(tagseg init"):
        run(tmp_path, None)
    (tmp_path / "config.yaml").write_text("default: [", encoding="utf-8")
    with pytest.raises(TagsegError, match="not YAML"):
        run(tmp_path, None)


def test_a_file_in_the_way(project: Path) -> None:
    Path("out").write_text("mine", encoding="utf-8")
    with pytest.raises(TagsegError, match="out: is a file"):
        run(project, Path("out"))


def test_a_workflow_that_fails_is_an_error(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "config.yaml").write_text("default: nothing\n", encoding="utf-8")
    with pytest.raises(TagsegError, match="not everything could be made"):
        make(tmp_path, ["nothing"], 1)
    assert "config: " in capfd.readouterr().err


def test_without_the_repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tagseg.commands.run_workflow._SNAKEFILE", tmp_path / "Snakefile")
    with pytest.raises(TagsegError, match="install from a clone"):
        make(tmp_path, ["nothing"], 1)


def test_the_sheet_shows_tagged_training_photographs(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(project)
    shown: list[list[str]] = []

    def figure(rows: list[tuple[str, list[tuple[str, Panel]]]], classes: list[str], **sizes: Any) -> object:
        shown.append([title for title, _ in rows[0][1]])
        assert all(panel.labels == {1} for _, panel in rows[0][1])
        return real(rows, classes, **sizes)

    real = mask_preview.image_grid
    monkeypatch.setattr(mask_preview, "image_grid", figure)
    results = Path("results") / NAME
    (project / COPIES / "images").mkdir()
    Image.fromarray(np.zeros((40, 60, 3), np.uint8)).save(f"{COPIES}/images/large.jpg")
    with write_shard(Path("labels.h5"), "labels", {}) as writer:
        for name in ("small", "large"):
            writer.put(name, {"labels": np.ones((40, 60), np.uint8)})
    mask_preview.run([Path("labels.h5")], results / "tags.csv", results / "classes.txt", Path("sheet.png"), count=9)
    assert shown == [["small\ndog", "large\ncat"]]
    assert Path("sheet.png").read_bytes().startswith(b"\x89PNG")


def test_without_tags_there_is_no_sheet(project: Path) -> None:
    write_index(Path("tags.csv"), [ImageRecord("a", "train", Path("a.jpg"), 60, 40, ())])
    write_classes(Path("classes.txt"), ["cat"])
    with pytest.raises(TagsegError, match="no training photograph has a tag"):
        mask_preview.run([], Path("tags.csv"), Path("classes.txt"), Path("sheet.png"), count=3)
