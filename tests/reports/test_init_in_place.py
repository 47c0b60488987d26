"""A project in the folder that holds the photographs, their table or other files: all stay as they were."""

import os
import shlex
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import yaml
from PIL import Image
from trees import put_image, put_text
from typer.testing import CliRunner, Result

from tagseg import cli
from tagseg.commands import masks
from tagseg.commands.project import NAME
from tagseg.config.data import FolderData
from tagseg.config.parsing import parse_config
from tagseg.datasets import folder
from tagseg.datasets.index import write_classes, write_index
from tagseg.stages import index

TABLE = "image,tags,photographer\np0.jpg,cat,Anna\np1,dog,Ben\np2.jpg,cat;dog,\n"


def content(home: Path) -> dict[str, bytes]:
    return {str(path.relative_to(home)): path.read_bytes() for path in home.rglob("*") if path.is_file()}


@pytest.fixture
def pets(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Photographs in images/, masks of one in masks/, a table, and other files that a project has, too."""
    monkeypatch.chdir(tmp_path)
    home = tmp_path / "my pets"
    for i in range(3):
        put_image(home / "images" / f"p{i}.jpg", 70, 50)
    (home / "masks").mkdir()
    Image.fromarray(np.ones((50, 70), np.uint8)).save(home / "masks" / "p1.png")
    put_text(home / "tags.csv", TABLE)
    put_text(home / "faults.csv", "whose,what\nmine,all\n")
    put_text(home / "originals.csv", "negative,shelf\n7,2\n")
    return home


def init(home: Path, *words: str) -> Result:
    call = ["init", str(home), "--images", str(home / "images"), "--tags", str(home / "tags.csv"), "--device", "cpu"]
    return CliRunner().invoke(cli.app, [*call, "--longest-side", "40", *words])


def test_every_file_stays_and_the_project_reads_its_own(pets: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = content(pets)
    done = init(pets, "--masks", str(pets / "masks"), "--classes", "cat,dog")
    assert done.exit_code == 0, done.exception
    assert before.items() <= content(pets).items()
    assert f"wrote {pets / 'config.yaml'} and {pets / 'tags-2.csv'}" in done.output
    data = parse_config(yaml.safe_load((pets / "config.yaml").read_text())).datasets[NAME].data
    monkeypatch.chdir(pets)
    assert data.kind == "folder" and data.tags == "tags-2.csv"
    _, records = folder.index(data)
    assert [(r.id, r.split, r.width, r.height) for r in records] == [
        ("p0", "train", 45, 32), ("p1", "val", 45, 32), ("p2", "train", 45, 32),  # no side below a network's least
    ]  # fmt: skip
    assert folder.truth(data, records) == {"p1": Path("working_copies/masks/p1.png")}


@pytest.mark.parametrize("reduced", [True, False])
def test_a_project_without_masks_can_be_indexed(pets: Path, reduced: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    assert init(pets, *([] if reduced else ["--longest-side", "0"])).exit_code == 0
    data = parse_config(yaml.safe_load((pets / "config.yaml").read_text())).datasets[NAME].data
    assert isinstance(data, FolderData) and data.masks == ("working_copies/masks" if reduced else "masks-2")
    monkeypatch.chdir(pets)
    index.run(data, Path("out/tags.csv"), Path("out/classes.txt"))
    assert Path("out/tags.csv").is_file()


def test_results_and_logs_of_others_are_not_replaced(pets: Path) -> None:
    (pets / ".snakemake").mkdir()
    mine = put_text(pets / "results" / NAME / "tags.csv", "mine")
    done = init(pets)
    assert done.exit_code and f"{mine}: is there already" in str(done.exception)
    mine.unlink()
    log = put_text(pets / "logs" / NAME / "index.log", "mine")
    done = init(pets)
    assert done.exit_code and f"{log.parent}: is there already" in str(done.exception)
    write_index(pets / "results" / NAME / "tags.csv", [])  # of an earlier project here, and so are the logs
    assert init(pets).exit_code == 0


def test_names_that_are_not_utf_8_are_reported(pets: Path) -> None:
    Path(os.fsdecode(os.fsencode(pets / "images") + b"/raw\xe9.cr2")).touch()
    words = ["init", "my pets", "--images", "my pets/images", "--tags", "my pets/tags.csv", "--device", "cpu"]
    done = subprocess.run([sys.executable, "-m", "tagseg", *words], capture_output=True, text=True, check=True)
    assert "raw\\udce9.cr2" in done.stdout
    assert "raw\\udce9.cr2" in (pets / "faults-2.csv").read_text()


def test_masks_have_the_originals_size_and_replace_none_of_them(pets: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert init(pets).exit_code == 0
    data = parse_config(yaml.safe_load((pets / "config.yaml").read_text())).datasets[NAME].data
    assert data.kind == "folder"
    with monkeypatch.context() as there:
        there.chdir(pets)
        classes, records = folder.index(data)
    results = pets / "results" / NAME
    write_index(results / "tags.csv", records)
    write_classes(results / "classes.txt", classes)
    for record in records:
        target = results / "masks" / "multiclass-none-png" / f"{record.id}.png"
        target.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(np.zeros((32, 45), np.uint8)).save(target)
    monkeypatch.setattr(masks, "make", lambda *words: None)
    before = content(pets)

    def copy(output: Path, layout: masks.Layout = "plain") -> str:
        return masks.run(pets, output, prior="multiclass", crf="none", layout=layout, cores=1)

    for _ in range(2):
        copy(pets.parent / "out", "voc")
        copy(pets.parent / "out")
    with Image.open(pets.parent / "out" / "p0.png") as mask:
        assert mask.size == (70, 50)
    copied = pets.parent / "out" / "JPEGImages" / "p0.jpg"
    assert copied.read_bytes() == (pets / "images" / "p0.jpg").read_bytes()
    for name in ("p2.png", "classes.txt"):
        mine = put_image(pets.parent / "photos" / name, 70, 50, format="png")
        with pytest.raises(Exception, match=f"{name}: is there already"):
            copy(mine.parent)
        assert list(mine.parent.iterdir()) == [mine]
        mine.unlink()
    with pytest.raises(Exception, match=r"p1\.png: is there already"):
        copy(pets / "masks")
    assert content(pets) == before


def test_what_a_killed_init_left_is_used_again_and_nothing_else(pets: Path) -> None:
    assert init(pets, "--masks", str(pets / "masks"), "--classes", "cat,dog").exit_code == 0
    for name in ("config.yaml", "tags-2.csv"):
        (pets / name).unlink()
    assert init(pets).exit_code == 0
    assert not list((pets / "working_copies" / "masks").iterdir())  # of the first attempt, which had truth
    (pets / "config.yaml").unlink()
    put_image(pets / "working_copies" / "images" / "p0.jpg", 64, 48)
    assert "p0.jpg: is there already" in str(init(pets).exception)


@pytest.mark.parametrize("name", ["working_copies", "results/photos"])
def test_a_folder_in_the_way(pets: Path, name: str) -> None:
    put_text(pets / name / "notes.txt", "mine")
    before = content(pets)
    said = str(init(pets).exception)
    assert said.startswith(str(pets / name)) and "is there already" in said
    assert content(pets) == before


def test_a_report_of_faults_has_a_name_of_its_own(pets: Path) -> None:
    put_text(pets / "tags.csv", TABLE + "missing.jpg,cat,\n")
    for _ in range(2):
        assert f"all in {pets / 'faults-2.csv'}" in str(init(pets).exception)
    assert (pets / "faults.csv").read_text() == "whose,what\nmine,all\n"
    assert sorted(path.name for path in pets.glob("faults*")) == ["faults-2.csv", "faults.csv"]


def test_what_is_printed_can_be_typed(pets: Path) -> None:
    said = init(pets).output
    assert f"  tagseg masks {shlex.quote(str(pets))}\n" in said
    assert f"--directory {shlex.quote(str(pets))}\n" in said
    done = CliRunner().invoke(cli.app, ["masks", str(pets / "none here")])
    assert f"(tagseg init {shlex.quote(str(pets / 'none here'))} --images" in str(done.exception)
