"""`tagseg init`: what it finds in photographs and tags, and the configuration that it writes."""

import csv
from pathlib import Path

import numpy as np
import pytest
import yaml
from PIL import Image
from typer.testing import CliRunner

from tagseg.cli.app import app
from tagseg.commands.project import NAME, Survey, iterations_for, settings_for, shards_for
from tagseg.config import DatasetConfig
from tagseg.config.parsing import parse_config
from tagseg.datasets import folder
from tagseg.datasets.digests import content_digest
from tagseg.datasets.index import ImageRecord
from tagseg.errors import TagsegError


def record(name: str, *tags: str, split: str = "train", size: tuple[int, int] = (500, 375)) -> ImageRecord:
    return ImageRecord(name, split, Path(f"{name}.jpg"), *size, tags)


def photograph(path: Path, size: tuple[int, int] = (64, 48), seed: int = 0) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    values = np.random.default_rng(seed).integers(0, 255, (size[1], size[0], 3), dtype=np.uint8)
    Image.fromarray(values).save(path)


def mask(path: Path, size: tuple[int, int], label: int = 1) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    labels = np.zeros((size[1], size[0]), np.uint8)
    labels[: size[1] // 2] = label
    Image.fromarray(labels).save(path)


@pytest.fixture
def pets(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Six photographs and their table, in the folder that commands run in."""
    monkeypatch.chdir(tmp_path)
    for i in range(6):
        photograph(tmp_path / "photos" / ("old" if i > 3 else "") / f"pet {i}.jpg", seed=i)
    rows = ["dog", "cat", "dog;gizmo", "cat;gizmo", "dog", ""]
    names = [f"pet {i}.jpg" if i < 4 else f"old/pet {i}.jpg" for i in range(6)]
    lines = [f"{name},{tags}" for name, tags in zip(names, rows, strict=True)]
    Path("tags.csv").write_text("\n".join(["image,tags", *lines]) + "\n", encoding="utf-8")
    return tmp_path


def init(*words: str) -> str:
    """What the command prints. Errors of a user come out as they are."""
    done = CliRunner().invoke(app, ["init", *words, "--device", "cpu"])
    if done.exception and not isinstance(done.exception, SystemExit):
        raise done.exception
    assert done.exit_code == 0, done.output
    return done.output


def dataset(project: str) -> DatasetConfig:
    return parse_config(yaml.safe_load(Path(project, "config.yaml").read_text(encoding="utf-8"))).datasets[NAME]


def rows(file: str) -> list[dict[str, str]]:
    return list(csv.DictReader(Path(file).read_text(encoding="utf-8").splitlines()))


def indexed(project: str, monkeypatch: pytest.MonkeyPatch) -> tuple[list[str], list[ImageRecord]]:
    """The data set as the workflow will read it, which runs in the project's folder."""
    data = dataset(project).data
    monkeypatch.chdir(project)
    assert data.kind == "folder"
    return folder.index(data)


def test_the_configuration_names_the_photographs_where_they_lie(pets: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    init("project", "--images", "photos", "--tags", "tags.csv")
    classes, records = indexed("project", monkeypatch)
    assert classes == ["cat", "dog", "gizmo"]
    assert [r.id for r in records][3:] == ["pet 3", "old__pet 4", "old__pet 5"]
    assert [r.tags for r in records] == [("dog",), ("cat",), ("dog", "gizmo"), ("cat", "gizmo"), ("dog",), ()]
    assert {r.split for r in records} == {"train"}
    assert not (pets / "project/working_copies").exists()


def test_what_it_says_of_them(pets: Path) -> None:
    said = init("project", "--images", "photos", "--tags", "tags.csv", "--cores", "3")
    assert "6 photographs (64 x 48 pixels in the median), 6 to train on" in said
    assert "dog        3\n" in said
    assert "gizmo      2   not in ILSVRC" in said
    assert "note: all classes have fewer than 10" in said
    assert "note: 1 without a tag" in said
    assert "snakemake --snakefile" in said
    assert "--cores 3 --directory project" in said


def test_in_the_repository_s_root_the_line_is_short(pets: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(Path(__file__).parents[2])
    said = init(str(pets / "project"), "--images", str(pets / "photos"), "--tags", str(pets / "tags.csv"))
    assert f"\n  snakemake --cores {__import__('os').cpu_count()} --directory {pets}/project\n" in said


def test_class_folders_and_json(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for i, name in enumerate(["cat/a.png", "cat/b.png", "dog/a.png"]):
        photograph(tmp_path / "photos" / name, seed=i)
    init("one", "--images", "photos", "--tags", "folders")
    Path("tags.json").write_text('{"cat/a.png": ["cat"], "cat/b.png": ["cat", "sofa"]}', encoding="utf-8")
    said = init("two", "--images", "photos", "--tags", "tags.json")
    assert "1 photographs have no tags and are not used: a.png" in said
    assert rows("one/tags.csv")[2] == {"image": "dog/a.png", "tags": "dog", "split": "train"}
    assert [r["tags"] for r in rows("two/tags.csv")] == ["cat", "cat;sofa"]
    _, records = indexed("one", monkeypatch)
    assert [r.id for r in records] == ["cat__a", "cat__b", "dog__a"]


def test_long_photographs_get_working_copies(pets: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    photograph(pets / "photos" / "pet 1.jpg", (900, 600))
    mask(pets / "truth" / "pet 1.png", (900, 600), label=2)
    before = (pets / "photos" / "pet 1.jpg").read_bytes()
    said = init("project", "--images", "photos", "--tags", "tags.csv", "--masks", "truth", "--classes", "cat,dog,gizmo")
    assert "working copies" in said
    assert "1 kept apart" in said
    assert (pets / "photos" / "pet 1.jpg").read_bytes() == before
    assert rows("project/working_copies/originals.csv")[1] == {
        "id": "pet 1", "original": "../photos/pet 1.jpg", "width": "900", "height": "600",
        "digest": content_digest(Path("photos/pet 1.jpg")),
    }  # fmt: skip
    with Image.open("project/working_copies/masks/pet 1.png") as copy:
        assert copy.size == (640, 427)
        assert set(np.unique(np.asarray(copy))) == {0, 2}
    data = dataset("project").data
    _, records = indexed("project", monkeypatch)
    assert {r.id: (r.width, r.height) for r in records}["pet 1"] == (640, 427)
    assert {r.id: (r.width, r.height) for r in records}["old__pet 4"] == (64, 48)
    assert {r.split for r in records if r.id == "pet 1"} == {"val"}
    assert data.kind == "folder"
    assert list(folder.truth(data, records)) == ["pet 1"]


def test_without_a_limit_none_does(pets: Path) -> None:
    photograph(pets / "photos" / "pet 1.jpg", (900, 600))
    init("project", "--images", "photos", "--tags", "tags.csv", "--longest-side", "0")
    assert not Path("project/working_copies").exists()


def test_splits_of_the_table_stand(pets: Path) -> None:
    Path("tags.csv").write_text("image,tags,split\npet 0,dog,train\npet 1,cat,val\npet 2,dog,train\n", encoding="utf-8")
    mask(pets / "truth" / "pet 2.png", (64, 48))
    said = init("project", "--images", "photos", "--tags", "tags.csv", "--masks", "truth", "--classes", "cat,dog,gizmo")
    assert [r["split"] for r in rows("project/tags.csv")] == ["train", "val", "train"]
    assert "2 to train on, 1 kept apart" in said


def test_faults_are_listed_together(pets: Path) -> None:
    (pets / "photos" / "pet 1.jpg").write_bytes(b"no image")
    with Path("tags.csv").open("a", encoding="utf-8") as table:
        table.write("missing.jpg,dog\n")
    with pytest.raises(
        TagsegError, match=r"(?s)tags.csv:8: no image 'missing.jpg'.*pet 1.jpg: not a readable.*2 faults"
    ):
        init("project", "--images", "photos", "--tags", "tags.csv")
    assert not Path("project/config.yaml").exists()
    assert [r["image"] for r in rows("project/faults.csv")] == ["missing.jpg", "pet 1"]
    said = init("project", "--images", "photos", "--tags", "tags.csv", "--leave-out-faulty")
    assert "left out: 2, with reasons in project/faults.csv" in said
    assert len(rows("project/tags.csv")) == 5


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--images", "nowhere", "--tags", "tags.csv"], "nowhere: no such folder"),
        (["--images", "photos", "--tags", "nothing.csv"], "nothing.csv: no such file"),
        (
            ["--images", "photos", "--tags", "tags.csv", "--masks", "nowhere", "--classes", "a"],
            "nowhere: no such folder; give the one",
        ),
        (["--images", "photos", "--tags", "tags.csv", "--masks", "photos"], "say with --classes which class is 1"),
        (["--images", "photos", "--tags", "tags.csv", "--classes", "dog,dog"], "'dog' is listed twice"),
        (["--images", "photos", "--tags", "tags.csv", "--backbone", "resnet"], "resnet"),
    ],
)
def test_wrong_use_is_one_line(pets: Path, words: list[str], message: str) -> None:
    with pytest.raises(TagsegError, match=message):
        init("project", *words)
    assert not Path("project").exists()


def test_a_project_is_not_written_over(pets: Path) -> None:
    init("project", "--images", "photos", "--tags", "tags.csv")
    with pytest.raises(TagsegError, match=r"project: has a config.yaml already"):
        init("project", "--images", "photos", "--tags", "tags.csv")


@pytest.mark.parametrize("given", ["gizmo,dog,cat", "classes.txt"])
def test_labels_have_the_order_of_the_classes_given(pets: Path, given: str) -> None:
    Path("classes.txt").write_text("background\ngizmo\ndog\ncat\n", encoding="utf-8")
    init("project", "--images", "photos", "--tags", "tags.csv", "--classes", given)
    data = dataset("project").data
    assert data.kind == "folder"
    assert data.classes == ["gizmo", "dog", "cat"]


def test_doubts() -> None:
    training = [record(f"a{i}", "dog", "leash", "room") for i in range(12)] + [record("b", "dog", "room")]
    found = Survey(["dog", "leash", "room"], training, frozenset({"dog"})).doubts()
    assert found == [
        "on every photograph: room; add some without, or the network cannot learn it",
        "never without another class: dog (room), leash (dog), room (dog); tags cannot tell the two apart: "
        "add photographs of one alone",
    ]
    assert not Survey(["dog"], [record(f"{i}", *["dog"] * (i % 2)) for i in range(20)], frozenset()).doubts()[1:]


def test_photographs_kept_apart_are_not_counted() -> None:
    survey = Survey(["dog"], [record("a", "dog"), record("b", "dog", split="val")], frozenset())
    assert survey.counts() == {"dog": 1}


@pytest.mark.parametrize(
    ("images", "cores", "shards"),
    [(5, 2, 2), (1, 8, 1), (97, 2, 2), (1000, 2, 4), (123_000, 8, 492), (300_000, 8, 999)],
)
def test_shards(images: int, cores: int, shards: int) -> None:
    assert shards_for(images, cores) == shards


def test_more_photographs_more_steps() -> None:
    steps = [iterations_for(n, "cpu") for n in (5, 200, 400, 100_000)]
    assert steps == sorted(set(steps))
    assert iterations_for(100, "cuda") > iterations_for(100, "cpu")


@pytest.mark.parametrize("backbone", ["shapes", "timm/tf_efficientnet_lite0", "vgg16"])
@pytest.mark.parametrize("device", ["cpu", "cuda"])
def test_settings_are_those_of_a_configuration(backbone: str, device: str) -> None:
    survey = Survey(["dog"], [record(str(i), "dog") for i in range(5)], frozenset())
    values = settings_for(survey, backbone, device, 2)  # type: ignore[arg-type]
    config = DatasetConfig.model_validate({"data": {"kind": "folder", "root": "."}, **values})
    assert config.headline == ["multiclass"]
    assert config.experiments["multiclass"].crf == "higher_order"
