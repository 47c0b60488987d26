"""Every table that tagseg writes is known for one: what writes a column that the header lacks is noticed here."""

import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from models import CLASSES, save_model
from trees import put_image, put_text
from typer.testing import CliRunner

from tagseg.artifacts.file_types import _TABLES, file_type
from tagseg.artifacts.outputs import require_replaceable
from tagseg.artifacts.shards import write_shard
from tagseg.cli.app import app
from tagseg.errors import TagsegError
from tagseg.evaluation.confusion import ConfusionMatrix
from tagseg.evaluation.result import Result
from tagseg.images.files import write_labels

TAGS, TRUTH, NAMES = "--tags tags.csv", "--ground-truth ground_truth.csv", "--classes classes.txt"
OWN = "--root own --classes cat --classes dog --classes sheep"
NETWORK = "--backbone shapes --weights random"
INIT = "init project --images own/images --tags own/tags.csv --backbone shapes --device cpu"


def invoke(line: str) -> None:
    outcome = CliRunner().invoke(app, line.split())
    assert outcome.exit_code == 0, (line, outcome.output, outcome.exception)


def put_result(name: str, **facts: str) -> str:
    classes = CLASSES[:2] if facts.get("prior") == "fgbg" else CLASSES
    matrix = ConfusionMatrix(len(classes), np.ones((len(classes), len(classes)), dtype=np.int64))
    put_text(Path(name), Result({"split": "val", **facts}, classes, 2, matrix).to_json())
    return name


def put_experiments(*, recipe: bool) -> str:
    """Results of an experiment with a CRF and of one without; a recipe is named by the workflow alone."""
    more = {"recipe": "best"} if recipe else {}
    kinds = {"tags": ("none", "none", ["none"]), "paper": ("multiclass", "higher_order", ["none", "higher_order"])}
    return " ".join(
        put_result(
            f"{name}-{used}-{recipe}.json", experiment=name, mask=mask, crf=crf, fov="small", smoothing=used, **more
        )
        for name, (mask, crf, smoothing) in kinds.items()
        for used in smoothing
    )


@pytest.fixture(scope="module")
def tables(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with every table: its form is the name before the first dash, _ standing for a space."""
    folder = tmp_path_factory.mktemp("tables")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        make_tables()
    return folder


def make_tables() -> None:
    for name in "abcd":
        put_image(Path(f"own/images/{name}.png"), 44, 36)
    put_text(Path("own/tags.csv"), "image,tags,split\na,cat,\nb,dog;sheep,\nc,dog,val\nd,cat,val\n")
    labels = np.repeat(np.arange(4, dtype=np.uint8), 9)[:, None].repeat(44, axis=1)
    write_labels(Path("own/masks/c.png"), labels)
    invoke(f"index folder {OWN} --output tags.csv --classes-file classes.txt")
    invoke(f"ground-truth folder {OWN} --index tags.csv --output ground_truth.csv")
    with write_shard(Path("labels.h5"), "labels", {}) as writer:
        writer.put("c", {"labels": labels})
    with write_shard(Path("maps.h5"), "probabilities", {}) as writer:
        writer.put("c", {"maps": np.full((4, 36, 44), 0.25, np.float16), "labels": np.arange(4, dtype=np.uint8)})

    given = f"{TAGS} {TRUTH} {NAMES}"
    invoke(f"evaluate --labels labels.h5 {given} --output all.json --per-image images.csv")
    invoke(f"trimap {given} --prediction tags/none=labels.h5 --width 2 --output trimap.csv")
    for crf in ("none", "none,pairwise"):
        invoke(f"search-crf {given} --maps maps.h5 --split val --crf {crf} --output search-{len(crf)}.csv")
    invoke(f"prepare-trunk {TAGS} {NETWORK} --output trunk.h5")
    invoke(f"extract {TAGS} --trunk trunk.h5 --features features.h5 --output activations.h5")
    for mode, name in (("head", "training-head"), ("finetune", "training")):
        invoke(
            f"train-localization {TAGS} {NAMES} {NETWORK} --mode {mode} --features features.h5 --hidden 0 --stride 8 "
            f"--size 40 --batch 2 --iterations 2 --output {name}.pt --log {name}.csv"
        )
    masks = [put_result(f"masks-{prior}.json", prior=prior, crf="none") for prior in ("fgbg", "multiclass")]
    for published in ("none", "voc"):
        for recipe in (True, False):
            results = put_experiments(recipe=recipe)
            for table, files in (("miou", results), ("ablation", results), ("masks", " ".join(masks))):
                output = f"{table}-{published}-{recipe}.csv"
                invoke(f"tabulate --table {table} {files} --published {published} --output {output}")

    save_model(Path("model.pt"), size=40)
    invoke("predict model.pt own/images -o predicted --no-overlay")
    shutil.move("predicted/summary.csv", "predictions.csv")
    invoke(f"{INIT} --longest-side 40")
    shutil.move("project/working_copies/originals.csv", "originals.csv")
    shutil.rmtree("project")
    put_text(Path("own/tags.csv"), "image,tags\na,cat\nb,dog\ngone,dog\n")
    invoke(f"{INIT} --leave-out-faulty")
    shutil.move("project/faults.csv", "faults.csv")
    shutil.move("tags.csv", "index.csv")
    shutil.move("index_report.csv", "report.csv")


def form(path: Path) -> str:
    """The form that a table of the folder has by its name."""
    return path.stem.partition("-")[0].replace("_", " ")


def test_every_table_is_known(tables: Path) -> None:
    found = {path.name: file_type(path) for path in sorted(tables.glob("*.csv"))}
    assert found == {path.name: form(path) for path in tables.glob("*.csv")}
    elsewhere = {"bsds", "bsds images"}  # tests/benchmarks/test_bsds.py has these
    assert set(found.values()) | elsewhere == set(_TABLES)


def test_a_table_takes_the_place_of_its_own_kind_alone(tables: Path, tmp_path: Path) -> None:
    """With or without a recipe, or published rows: the workflow makes each where another configuration made it."""
    paths = list(tables.glob("*.csv"))
    for old in paths:
        there = shutil.copy(old, tmp_path / "table.csv")
        for new in paths:
            if form(new) == form(old):
                require_replaceable(new, there)
            else:
                with pytest.raises(TagsegError, match="is not what tagseg would write there"):
                    require_replaceable(new, there)


@pytest.mark.parametrize("change", [lambda line: f"{line},mine", lambda line: f"my_{line}"], ids=["behind", "before"])
def test_a_table_with_a_column_of_somebody_s_own_is_not(
    tables: Path, tmp_path: Path, change: Callable[[str], str]
) -> None:
    open_ended = {"miou", "ablation", "masks"}  # columns of classes, and of published rows
    for path in tables.glob("*.csv"):
        header, _, rest = path.read_text(encoding="utf-8").partition("\n")
        mine = put_text(tmp_path / path.name, f"{change(header)}\n{rest}")
        if form(path) not in open_ended or not change(header).endswith(",mine"):
            assert file_type(mine) is None, path.name
