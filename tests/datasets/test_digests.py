"""A replaced photograph or mask is noticed, one that was only touched or copied is not."""

import os
import shutil
from pathlib import Path

import numpy as np
import pytest
import yaml
from snakemake_runs import plan, prepare, succeed
from trees import put_image, put_text

from tagseg.config.data import CocoData, FolderData, VocData
from tagseg.datasets import coco, folder, voc
from tagseg.datasets.digests import files_below, size_digest
from tagseg.datasets.index import read_index
from tagseg.images.files import write_labels
from tagseg.stages import index


def own(root: Path) -> FolderData:
    for name in ("a", "b", "unnamed"):
        put_image(root / "images" / f"{name}.png", 44, 36)
    write_labels(root / "masks" / "b.png", np.ones((36, 44), dtype=np.uint8))
    put_text(root / "tags.csv", "image,tags,split\na,cat,train\nb,cat,val\n")
    return FolderData(root=root)


def test_names_and_sizes_count_and_times_do_not(tmp_path: Path) -> None:
    files = [put_text(tmp_path / name, "1234") for name in ("a", "b")]
    first = size_digest(files)
    os.utime(files[0], (1, 1))
    assert size_digest(files) == first != size_digest(files[:1]) != size_digest([])
    put_text(files[1], "12345")
    longer = size_digest(files)
    files[1].unlink()
    assert len({first, longer, size_digest(files)}) == 3
    assert size_digest([]) == ""


def test_files_below_a_folder(tmp_path: Path) -> None:
    for name in ("b", "a/c", ".hidden", ".git/d"):
        put_text(tmp_path / name, "")
    assert files_below(tmp_path) == [tmp_path / "a/c", tmp_path / "b"]
    assert files_below(tmp_path / "none") == []


def test_what_is_watched_of_an_own_folder(tmp_path: Path) -> None:
    data = own(tmp_path)
    assert folder.photographs(data) == [tmp_path / "images" / "a.png", tmp_path / "images" / "b.png"]
    assert folder.masks(data) == [tmp_path / "masks" / "b.png"]
    put_text(tmp_path / "tags.csv", "nonsense")
    assert folder.photographs(data) == []
    assert folder.photographs(FolderData(root=tmp_path / "none")) == []


def test_what_is_watched_of_voc_and_coco(tmp_path: Path) -> None:
    lists = tmp_path / "ImageSets" / "Segmentation"
    assert voc.photographs(VocData(root=tmp_path)) == voc.masks(VocData(root=tmp_path)) == []
    put_text(lists / "train.txt", "1\n")
    put_text(lists / "val.txt", "2\n")
    data = VocData(root=tmp_path, train="train", tags="annotations")
    photographs = [tmp_path / "JPEGImages" / f"{i}.jpg" for i in (1, 2)]
    assert voc.photographs(data) == [*photographs, *(tmp_path / "Annotations" / f"{i}.xml" for i in (1, 2))]
    masks = [tmp_path / "SegmentationClassAug" / f"{i}.png" for i in (1, 2)]
    assert voc.masks(data) == masks
    assert voc.photographs(data.model_copy(update={"tags": "masks"})) == [*photographs, *masks]
    put_image(tmp_path / "train2014" / "x.jpg")
    assert coco.photographs(CocoData(root=tmp_path)) == [tmp_path / "train2014" / "x.jpg"]


def test_an_index_differs_where_the_content_does(tmp_path: Path) -> None:
    data, table = own(tmp_path), tmp_path / "out" / "tags.csv"
    index.run(data, table, tmp_path / "out" / "classes.txt")
    first, digests = table.read_bytes(), [record.digest for record in read_index(table)]
    assert len(digests[0]) == 16 and digests[0] == digests[1]  # the same picture
    put_image(tmp_path / "images" / "b.png", 44, 36, "L")
    index.run(data, table, tmp_path / "out" / "classes.txt")
    assert table.read_bytes() != first and read_index(table)[1].digest != digests[1]


@pytest.mark.slow
def test_the_workflow_notices_a_replaced_file(tmp_path: Path) -> None:
    data, run = own(tmp_path / "run" / "own"), prepare(tmp_path / "run")
    block = {"data": {"kind": "folder", "root": "own"}, "network": {"backbone": "shapes"}}
    config = put_text(tmp_path / "own.yaml", yaml.safe_dump({"default": "own", "datasets": {"own": block}}))
    wanted = [f"results/own/{name}" for name in ("ground_truth.csv", "tags.csv")]
    succeed(run, *wanted, configs=[config])

    def planned(where: Path = run) -> set[str]:
        return {job.message.removeprefix("own: ") for job in plan(where, *wanted, configs=[config])}

    assert planned() == set()
    for path in data.root.rglob("*.png"):
        os.utime(path)
    put_image(data.root / "images" / "another.png")
    assert planned() == set()
    moved = shutil.copytree(run, tmp_path / "moved", copy_function=shutil.copy)  # with times of its own
    assert planned(moved) == set()
    write_labels(data.root / "masks" / "b.png", np.zeros((36, 44), dtype=np.uint8))
    assert planned() == {"list the truth masks, for evaluation only"}
    put_image(data.root / "images" / "a.png", 50, 40)
    assert planned() == {"index images and tags", "list the truth masks, for evaluation only"}
    succeed(run, *wanted, configs=[config])
    assert planned() == set()
