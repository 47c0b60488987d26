"""What a user sees of bad input: one line with the file, what is wrong and what to do, status 2, and nothing lost.

Each case spoils a folder that holds a small run from its photographs to its predictions, and calls a command of that
run again, on the same files. The line must be the one that stands here; whatever had been made must be as it was.
"""

import hashlib
import io
import os
import pickle
import re
import resource
import shutil
import subprocess
import sys
import tarfile
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
import torch
import yaml
from PIL import Image
from snakemake_runs import ENVIRONMENT, REPOSITORY, prepare, snakemake
from trees import put_image, put_text
from typer.testing import CliRunner

from tagseg import cli
from tagseg.artifacts.checkpoints import Checkpoints
from tagseg.artifacts.shards import write_shard
from tagseg.datasets.index import read_index
from tagseg.images.files import write_labels

TAGS, NETWORK = "--tags tags.csv", "--backbone shapes --weights random"
LOOKS = "--scales 1 --no-mirror --stride 0"
INDEX = "index folder --root own --output tags.csv --classes-file classes.txt"
TRUTH = "ground-truth folder --root own --index tags.csv --output ground_truth.csv"
PREPARE = f"prepare-trunk {TAGS} {NETWORK} {LOOKS} --output trunk.h5"
EXTRACT = f"extract {TAGS} --trunk trunk.h5 --features features.h5 --output activations.h5"
LOCALIZE = (
    f"train-localization {TAGS} --classes classes.txt {NETWORK} --mode head --hidden 0 --iterations 5 "
    "--features features.h5 --log head.csv"
)
FUSE = f"fuse --prior fgbg {TAGS} --classes classes.txt --activations activations.h5 --output fgbg.h5"
SMOOTH = f"smooth --crf none {TAGS} --maps fgbg.h5 --output masks.h5"
SMOOTH_CRF = f"smooth --crf pairwise {TAGS} --maps fgbg.h5 --output masks.h5"
TRAIN = (
    f"train-segmentation {TAGS} --classes classes.txt {NETWORK} --mask fgbg --masks masks.h5 --batch 2 --iterations 2 "
    "--checkpoint-every 1 --checkpoints kept --output model.pt --log model.csv"
)
SCORE = f"score {TAGS} --model model.pt --output scores.h5"
LABELS = f"smooth --crf none {TAGS} --maps scores.h5 --split val --output labels.h5"
EVALUATE = f"evaluate --labels labels.h5 {TAGS} --ground-truth ground_truth.csv --classes classes.txt --output all.json"
COCO = INDEX.replace("folder --root own", "coco --root coco --train instances.json --train-images . --val=")
RUN = [INDEX, TRUTH, PREPARE, EXTRACT, f"{LOCALIZE} --output head.pt", FUSE, SMOOTH, TRAIN, SCORE, LABELS, EVALUATE]


def invoke(line: str) -> None:
    outcome = CliRunner().invoke(cli.app, line.split(), catch_exceptions=False)
    assert outcome.exit_code == 0, f"{line}\n{outcome.output}"


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Five photographs of 44 x 36 pixels, the last with a mask, and a run on them."""
    folder = tmp_path_factory.mktemp("whole")
    for name in "abcde":
        put_image(folder / "own" / "images" / f"{name}.png", 44, 36)
    put_text(folder / "own" / "tags.csv", "image,tags,split\na,cat,\nb,dog,\nc,cat;dog,\nd,,\ne,dog,val\n")
    write_labels(folder / "own" / "masks" / "e.png", np.ones((36, 44), dtype=np.uint8))
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        for line in RUN:
            invoke(line)
    return folder


@pytest.fixture
def run(whole: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of that run, in which the test is."""
    folder = tmp_path / "run"
    shutil.copytree(whole, folder)
    monkeypatch.chdir(folder)
    return folder


def state(folder: Path) -> dict[str, str]:
    """Every file, by its path, and a digest of it.

    But the report of an index, which says what is wrong today, and the journals of images that were done before.
    """
    passing = {"index_report.csv", ".journal"}
    files = (path for path in folder.rglob("*") if path.is_file() and not {path.name, path.suffix} & passing)
    return {str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


# how the folder is spoilt


def table(text: str | bytes) -> Callable[[], None]:
    return lambda: void(put_text(Path("own/tags.csv"), text))


def file(name: str, content: str | bytes) -> Callable[[], None]:
    return lambda: void(put_text(Path(name), content))


def photograph(**options: Any) -> Callable[[], None]:
    return lambda: void(put_image(Path("own/images/b.png"), **options))


def picture(name: str, pixels: np.ndarray) -> Callable[[], None]:
    return lambda: Image.fromarray(pixels).save(name)


def cut(name: str, part: float) -> Callable[[], None]:
    def spoil() -> None:
        content = Path(name).read_bytes()
        Path(name).write_bytes(content[: int(part * len(content))])

    return spoil


def changed(name: str, image: str, array: str, values: Any) -> Callable[[], None]:
    """One array of a shard replaced; with None, the image is taken out."""

    def spoil() -> None:
        with h5py.File(name, "r+") as shard:
            if values is None:
                del shard[image]
            else:
                kept = shard[image][array][()]
                del shard[image][array]
                shard[image][array] = values(kept)

    return spoil


def weights(content: Any) -> Callable[[], None]:
    return lambda: torch.save(content, "weights.pt")


def each(*spoils: Callable[[], None]) -> Callable[[], None]:
    return lambda: [spoil() for spoil in spoils] and None


def void(_: object) -> None:
    pass


def nothing() -> None:
    """The command itself is wrong."""


class Code:
    """What a malicious weight file holds: loading it in the plain way runs a command."""

    def __reduce__(self) -> tuple[Any, ...]:
        return os.system, ("touch was_run",)


def jpeg(part: float) -> Callable[[], None]:
    def spoil() -> None:
        Path("own/images/b.png").unlink()
        put_image(Path("own/images/b.jpg"), 200, 150)
        cut("own/images/b.jpg", part)()

    return spoil


def cmyk() -> None:
    """For print, with a profile that is none."""
    Path("own/images/b.png").unlink()
    put_image(Path("own/images/b.tif"), 44, 36, "CMYK", icc_profile=b"x")


def several() -> None:
    put_text(Path("own/images/b.png"), "")
    put_text(Path("own/images/c.png"), "no picture")
    put_text(Path("own/tags.csv"), "image,tags\na,cat\nb,dog\nc,cat\nz,dog\n")


def empty_class() -> None:
    put_image(Path("own/images/cat/a.png"), 44, 36)
    Path("own/images/dog").mkdir()


def foreign_hdf5(name: str) -> Callable[[], None]:
    def spoil() -> None:
        with h5py.File(name, "w") as other:
            other["measurement"] = np.arange(5)

    return spoil


def archive(name: str) -> Callable[[], None]:
    def spoil() -> None:
        with tarfile.open("archive.tar.gz", "w:gz") as packed:
            member = tarfile.TarInfo(name)
            packed.addfile(member, io.BytesIO())

    return spoil


def broken_checkpoint() -> None:
    """A checkpoint of the very training that comes, cut short."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Checkpoints, "clear", lambda self: None)
        invoke(TRAIN)
    for path in Path("kept").glob("*.pt"):
        cut(str(path), 0.5)()


NAN = changed("scores.h5", "e", "maps", lambda maps: maps * np.float16("nan"))
HEADER = "image,tags\n"
FORM = '{"beach.jpg": ["dog", "person"]} or [{"image": "beach.jpg", "tags": ["dog"], "split": "val"}]'
CSV = "write image,tags[,split], with the tags of an image in one cell, separated by ;"
NO_IMAGE = "replace it or take it out of the index"
ANEW = "make it again (snakemake --force activations.h5)"
SUBMIT = "check-submission archive.tar.gz --tags tags.csv --split val"
LONG, KEPT = 300 * "x", "kept/CHECKPOINT.pt"
STATE = {"features.0.weight": torch.zeros(3, 3)}

# name: how the folder is spoilt, the command, the line
CASES: dict[str, tuple[Callable[[], None], str, str]] = {
    "no root": (
        nothing,
        INDEX.replace("--root own", "--root nowhere"),
        "nowhere/tags.csv: no such file; a folder data set needs images/ and tags.csv (image,tags); set data.tags"
        " to another table, or to folders where the photographs lie in folders of classes",
    ),
    "empty table": (
        table(""),
        INDEX,
        "own/tags.csv:1: the header lacks image, tags; it needs image,tags",
    ),
    "table without the columns": (
        table("file,labels\na,cat\n"),
        INDEX,
        "own/tags.csv:1: the header lacks image, tags; it needs image,tags; rename file to image, labels to tags",
    ),
    "row of a table of semicolons": (
        table("image;tags\na;cat\nb;cat;dog\n"),
        INDEX,
        f"own/tags.csv:3: 3 cells, but the header has 2; {CSV}",
    ),
    "table in Latin-1": (
        table("image,tags\na,cat\nb,käfer\n".encode("latin-1")),
        INDEX,
        "own/tags.csv:3: not UTF-8 text (byte 0xE4, 'ä' in Windows-1252); save it as UTF-8 (in Excel: CSV UTF-8)",
    ),
    "table in UTF-16 that is cut short": (
        table("image,tags\na,cat\n".encode("utf-16")[:-1]),
        INDEX,
        "own/tags.csv:2: not UTF-16-LE text from here on; save it as UTF-8",
    ),
    "table without rows": (
        table(HEADER),
        INDEX,
        "own/tags.csv: no images; add a line image,tags for each photograph",
    ),
    "table that is a folder": (
        each(lambda: Path("own/tags.csv").unlink(), lambda: Path("own/tags.csv").mkdir()),
        INDEX,
        "own/tags.csv: no such file; a folder data set needs images/ and tags.csv (image,tags); set data.tags to "
        "another table, or to folders where the photographs lie in folders of classes",
    ),
    "ragged row": (
        table(HEADER + "a,cat\nb,cat,dog\n"),
        INDEX,
        f"own/tags.csv:3: 3 cells, but the header has 2; {CSV}",
    ),
    "row without tags": (
        table(HEADER + "a,cat\nb\n"),
        INDEX,
        f"own/tags.csv:3: 1 cell, but the header has 2; {CSV}",
    ),
    "unclosed quote": (
        table(HEADER + 'a,"cat' + 140_000 * "x"),
        INDEX,
        "own/tags.csv:2: not CSV from here on (field larger than field limit (131072)); close the quote, or save anew",
    ),
    "unknown class": (
        table(HEADER + "a,cat\nb,Dgo\n"),
        INDEX + " --classes cat --classes dog",
        "own/tags.csv:3: tag 'Dgo' is not among the classes: cat, dog; fix the tag, or add it to data.classes",
    ),
    "background as a tag": (
        table(HEADER + "a,background\n"),
        INDEX,
        "own/tags.csv:2: tag 'background' is the class of every image; take it out of the tags",
    ),
    "image twice": (
        table(HEADER + "a,cat\nb,cat\na.png,dog\n"),
        INDEX,
        "own/tags.csv:4: image 'a' was named before, in line 2; keep one line for each image",
    ),
    "image that leads out": (
        table(HEADER + "../../a.png,cat\n"),
        INDEX,
        "own/tags.csv:2: image '../../a.png' leads out of the folder of photographs; write its path below that folder",
    ),
    "absolute image": (
        table(HEADER + "/etc/passwd,cat\n"),
        INDEX,
        "own/tags.csv:2: image '/etc/passwd' leads out of the folder of photographs; write its path below that folder",
    ),
    "image that is not there": (
        table(HEADER + "a,cat\nz.png,cat\n"),
        INDEX,
        "own/tags.csv:3: no image 'z.png' under own/images; add it or drop the line",
    ),
    "image without a name": (
        table(HEADER + ",cat\n"),
        INDEX,
        "own/tags.csv:2: no image ''; add its name or drop the line",
    ),
    "split that is a path": (
        table("image,tags,split\na,cat,../x\n"),
        INDEX,
        "own/tags.csv:2: split '../x' is not a word; use train, val, test",
    ),
    "tag with a line break": (
        table(HEADER + 'a,"c\nat"\n'),
        INDEX,
        "own/tags.csv:3: tag 'c\\nat' has a line break or another character that no name has; rename it",
    ),
    "JSON that breaks off": (
        file("own/t.json", '{"a": ["cat"],\n"b": '),
        INDEX + " --tags t.json",
        f"own/t.json:2: not JSON (Expecting value); write {FORM}",
    ),
    "JSON of another form": (
        file("own/t.json", '{"a": "cat"}'),
        INDEX + " --tags t.json",
        f"own/t.json:1: tags of 'a' are not a list of names; write {FORM}",
    ),
    "no class folders": (
        nothing,
        INDEX + " --tags folders",
        "own/images: no folder of photographs in it; put them there as CLASS/NAME.jpg",
    ),
    "empty class folder": (
        empty_class,
        INDEX + " --tags folders",
        "own/images/dog: no photograph in this class folder; add some or remove it",
    ),
    "class twice": (
        nothing,
        INDEX + " --classes cat --classes dog --classes cat",
        "options: class 'cat' is listed twice; name each class once",
    ),
    "images that are a file": (
        each(lambda: shutil.rmtree("own/images"), file("own/images", "")),
        INDEX,
        "own/images: no such folder; put the photographs there",
    ),
    "empty image": (
        file("own/images/b.png", ""),
        INDEX,
        f"own/images/b.png: not a readable image (cannot identify image file 'own/images/b.png'); {NO_IMAGE}",
    ),
    "image cut short": (
        jpeg(0.6),
        INDEX,
        f"own/images/b.jpg: not a readable image (image file is truncated (103 bytes not processed)); {NO_IMAGE}",
    ),
    "text called .png": (
        file("own/images/b.png", "<html>Not found</html>"),
        INDEX,
        f"own/images/b.png: not a readable image (cannot identify image file 'own/images/b.png'); {NO_IMAGE}",
    ),
    "image of 16 bits": (
        picture("own/images/b.png", np.full((36, 44), 300, np.uint16)),
        INDEX,
        "own/images/b.png: mode I;16, more than 8 bits of grey in an unknown range; convert it to 8 bits",
    ),
    "CMYK with a broken profile": (
        cmyk,
        INDEX,
        f"own/images/b.tif: not a readable image (cannot open profile from string); {NO_IMAGE}",
    ),
    "decompression bomb": (
        lambda: Image.new("1", (20_000, 20_000)).save("own/images/b.png"),
        INDEX,
        "own/images/b.png: not a readable image (more than 300 million pixels); scale it down",
    ),
    "image of one pixel": (
        photograph(width=1, height=1),
        INDEX,
        "own/images/b.png: 1 x 1 pixels; a network needs 32 each way; enlarge it, or take it out",
    ),
    "image that is a folder": (
        each(lambda: Path("own/images/b.png").unlink(), lambda: Path("own/images/b.png").mkdir()),
        INDEX,
        "own/tags.csv:3: no image 'b' under own/images; add it or drop the line",
    ),
    "several at once": (
        several,
        INDEX,
        "index_report.csv: 3 faults, each with its file and line; fix them, or set data.leave_out: [z, b, c]",
    ),
    "left out and not there": (
        nothing,
        INDEX + " --leave-out f",
        "data.leave_out: 'f' is no image of the data set; write its id, or take it out",
    ),
    "all left out": (
        table(HEADER + "a,cat\n"),
        INDEX + " --leave-out a",
        "own: no image is left; take some out of data.leave_out",
    ),
    "photograph gone since": (
        lambda: Path("own/images/b.png").unlink(),
        EXTRACT,
        "own/images/b.png: no such image; put it there or take it out of the index",
    ),
    "index edited by hand": (
        file("tags.csv", "id,split,path\na,train,own/images/a.png\n"),
        EXTRACT,
        "tags.csv:1: the header lacks width, height, tags; it needs id,split,path,width,height,tags",
    ),
    "classes of another index": (
        file("classes.txt", "background\nbird\n"),
        TRAIN,
        "tag 'cat' is not among the classes: background, bird; use the classes.txt that was written together "
        "with tags.csv",
    ),
    "classes missing": (
        lambda: Path("classes.txt").unlink(),
        TRAIN,
        "classes.txt: no such file; index the data set first (tagseg index --help)",
    ),
    "mask of another size": (
        picture("own/masks/e.png", np.ones((30, 44), np.uint8)),
        EVALUATE,
        "own/masks/e.png: 44 x 30 pixels, but its photograph own/images/e.png has 44 x 36; use the mask of this "
        "photograph at its size",
    ),
    "mask in RGB": (
        picture("own/masks/e.png", np.full((36, 44, 3), (128, 0, 0), np.uint8)),
        EVALUATE,
        "own/masks/e.png: mode RGB, with colours (128, 0, 0); a mask must be an indexed or 8-bit grey PNG, "
        "with the number of its class in each pixel, 0 for background "
        "(docs/photographs.md says how to convert it)",
    ),
    "mask beyond the classes": (
        picture("own/masks/e.png", np.full((36, 44), 7, np.uint8)),
        EVALUATE,
        "own/masks/e.png: truth holds label 7, but there are 3 classes; fix the mask, or take it out",
    ),
    "masks of photographs without a row": (
        table("image,tags,split\na,cat,\nb,dog,\nc,cat;dog,\nd,,val\n"),
        INDEX,
        "own/masks: none of its 1 masks is of a photograph that has tags: e.png is of e.png, which no row names; add "
        "rows for such photographs, or set data.masks to ''",
    ),
    "masks in black and white": (
        each(*(picture(f"own/masks/{name}.png", np.eye(36, 44, dtype=np.uint8) * 255) for name in "de")),
        INDEX,
        "own/masks: all its 2 masks hold 255 and 0 alone, and 255 is ignored: there is nothing to compare; "
        "if white shows what a photograph's tag says, set data.foreground to 255 (tagseg init: --foreground 255)",
    ),
    "mask cut short": (
        cut("own/masks/e.png", 0.5),
        EVALUATE,
        "own/masks/e.png: not a readable mask (Truncated File Read); replace it",
    ),
    "no masks": (
        each(lambda: shutil.rmtree("own/masks"), lambda: invoke(TRUTH)),
        EVALUATE,
        "ground_truth.csv: no image of split val has a truth mask; add masks to evaluate",
    ),
    "HDF5 cut short": (
        cut("activations.h5", 0.7),
        FUSE,
        f"activations.h5: not a whole tagseg HDF5 file (truncated file); {ANEW}",
    ),
    "HDF5 of somebody else": (
        foreign_hdf5("activations.h5"),
        FUSE,
        "activations.h5: not a tagseg HDF5 file (it does not say its kind); give the right file",
    ),
    "text called .h5": (
        file("activations.h5", "x"),
        FUSE,
        f"activations.h5: not a whole tagseg HDF5 file (file signature not found); {ANEW}",
    ),
    "HDF5 of another kind": (
        lambda: void(shutil.copy("masks.h5", "activations.h5")),
        FUSE,
        "activations.h5: holds labels, but activations is needed; give the right file",
    ),
    "HDF5 of other images": (
        changed("activations.h5", "b", "", None),
        FUSE,
        f"activations.h5: no image 'b'; {ANEW}",
    ),
    "HDF5 missing": (
        lambda: Path("activations.h5").unlink(),
        FUSE,
        "activations.h5: no such file; make it first (snakemake activations.h5)",
    ),
    "activations that are no numbers": (
        changed("activations.h5", "b", "conv5-0", lambda m: m * np.float16("nan")),
        FUSE,
        "activations.h5: conv5-0 of image 'b' has NaN values; make its inputs again",
    ),
    "maps that are no numbers": (
        changed("fgbg.h5", "b", "maps", lambda m: m * np.float16("nan")),
        SMOOTH_CRF,
        "fgbg.h5: maps of image 'b' has NaN values; make its inputs again",
    ),
    "scores that are no numbers": (
        NAN,
        LABELS,
        "scores.h5: maps of image 'e' has NaN values; make its inputs again",
    ),
    "weights of another architecture": (
        weights(STATE),
        PREPARE.replace("random", "weights.pt"),
        "weights.pt: not a network of shapes; give weights made by `tagseg pretrain-shapes`, or set "
        "network.weights to default",
    ),
    "weights that run code": (
        weights(Code()),
        PREPARE.replace("random", "weights.pt"),
        "weights.pt: not a network of shapes (UnpicklingError); give weights made by `tagseg "
        "pretrain-shapes`, or set network.weights to default",
    ),
    "weights as a plain pickle": (
        lambda: void(Path("weights.pt").write_bytes(pickle.dumps(Code()))),
        PREPARE.replace("random", "weights.pt"),
        "weights.pt: not a network of shapes (UnpicklingError); give weights made by `tagseg "
        "pretrain-shapes`, or set network.weights to default",
    ),
    "weights that are empty": (
        file("weights.pt", ""),
        PREPARE.replace("random", "weights.pt"),
        "weights.pt: not a network of shapes (EOFError); give weights made by `tagseg pretrain-shapes`, or "
        "set network.weights to default",
    ),
    "weights missing": (
        nothing,
        PREPARE.replace("random", "weights.pt"),
        "weights.pt: no such weight file; give weights made by `tagseg pretrain-shapes`, or set "
        "network.weights to default",
    ),
    "unknown backbone": (
        nothing,
        PREPARE.replace("shapes", "vgg17"),
        "backbone 'vgg17': unknown; use shapes, vgg16 or timm/NAME (timm.list_models() lists them)",
    ),
    "model of another kind": (
        lambda: void(shutil.copy("head.pt", "model.pt")),
        SCORE,
        "model.pt: holds localization, but a segmentation model is needed; give the right file",
    ),
    "model that is text": (
        file("model.pt", "x"),
        SCORE,
        "model.pt: not a tagseg model (UnpicklingError); give the right file, or train it again",
    ),
    "model cut short": (
        cut("model.pt", 0.5),
        SCORE,
        "model.pt: not a tagseg model (RuntimeError); give the right file, or train it again",
    ),
    "model missing": (
        lambda: Path("model.pt").unlink(),
        SCORE,
        "model.pt: no such model; train it first (snakemake model.pt)",
    ),
    "checkpoint that is broken": (
        broken_checkpoint,
        TRAIN,
        f"{KEPT}: not a tagseg checkpoint (RuntimeError); move it away to train from the start",
    ),
    "archive with ../": (
        archive("../e.png"),
        SUBMIT,
        "archive.tar.gz: ../e.png is not in results/VOC2012/Segmentation/comp6_test_cls; put all masks there,"
        " and nothing else",
    ),
    "archive that is none": (
        file("archive.tar.gz", "x"),
        SUBMIT,
        "archive.tar.gz: not a whole tar archive (file could not be opened successfully); make it again",
    ),
    "output that is a folder": (
        each(lambda: Path("activations.h5").unlink(), lambda: Path("activations.h5").mkdir()),
        EXTRACT,
        "activations.h5: Is a directory; move away what is in its place, or choose another name",
    ),
    "output below a file": (
        nothing,
        EXTRACT.replace("activations.h5", "tags.csv/a.h5"),
        "tags.csv/a.h5: File exists; one of its folders is a file; move that away, or choose another folder",
    ),
    "output of an impossible name": (
        nothing,
        EXTRACT.replace("activations.h5", 300 * "x"),
        f"{LONG}: File name too long; choose a shorter name",
    ),
    "GPU that is not there": (
        nothing,
        EXTRACT + " --device cuda",
        "device cuda: no usable GPU on this machine; set device: cpu, or run where nvidia-smi works",
    ),
    "option out of range": (
        nothing,
        FUSE + " --alpha 2",
        "--alpha: Input should be less than or equal to 1 (got 2.0)",
    ),
    "results of another program": (
        file("all.json", "{}"),
        "tabulate --table miou all.json --output miou.csv",
        "all.json: not a result of tagseg evaluate (no evaluation result); evaluate again",
    ),
    "tags that are gone": (
        lambda: Path("tags.csv").unlink(),
        EXTRACT,
        "tags.csv: no such file; index the data set first (tagseg index --help)",
    ),
    "COCO file cut short": (
        file("coco/instances.json", '{"images": ['),
        COCO,
        "coco/instances.json: not a readable JSON file (Expecting value: line 1 column 13 (char 12)); replace it",
    ),
    "COCO file of another form": (
        file("coco/instances.json", '{"images": []}'),
        COCO,
        "coco/instances.json: not an instances_*.json file of COCO ('categories' is missing); it needs"
        " images, categories, and annotations with an image_id and a category_id",
    ),
    "no VOC tree": (
        nothing,
        "index voc --root own --output tags.csv --classes-file classes.txt",
        "own: no JPEGImages in it; set data.root to the devkit's VOC2012 folder",
    ),
    "no YouTube-Objects tree": (
        nothing,
        "index youtube_objects --root own --output tags.csv --classes-file classes.txt",
        "own/aeroplane: no such folder; data.root needs a folder for each of aeroplane, bird, boat, car, cat,"
        " cow, dog, horse, motorbike, train",
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_the_line_a_user_sees(name: str, run: Path, fails: Callable[[str], str]) -> None:
    spoil, command, line = CASES[name]
    spoil()
    before = state(run)
    assert re.sub(r"kept/\w+\.pt", KEPT, fails(command)) == line
    assert state(run) == before
    assert not Path("was_run").exists()


def test_the_run_itself_is_sound(run: Path) -> None:
    """Otherwise a case could be refused for another reason than its own."""
    before = state(run)
    for line in RUN:
        invoke(line)
    assert state(run) == before


@pytest.mark.parametrize(
    ("words", "told"),
    [
        ("fuse --prior foreground", "'foreground' is not one of 'fgbg', 'localization', 'multiclass'"),
        ("smooth --crf triple", "'triple' is not one of"),
        (f"{INDEX} --threads 0", "--threads"),
        (f"{INDEX} --imges x", "No such option: --imges"),
    ],
)
def test_a_wrong_option_is_named(run: Path, words: str, told: str) -> None:
    outcome = CliRunner().invoke(cli.app, words.split(), env={"TERM": "dumb", "COLUMNS": "300"})
    assert outcome.exit_code == 2 and told in outcome.output and "Traceback" not in outcome.output


def test_a_checkpoint_of_other_settings_is_told_and_kept(run: Path, caplog: pytest.LogCaptureFixture) -> None:
    broken_checkpoint()
    kept = state(Path("kept"))
    invoke(TRAIN.replace("--iterations 2", "--iterations 3"))
    assert "not used, it is of another training: " in caplog.text and "iterations" in caplog.text
    assert state(Path("kept")) == kept


def test_names_of_classes_are_no_html(run: Path) -> None:
    evil = "<script>alert(1)</script>"
    columns = ["method", "crf", "source", "miou", "classes", "pixel_accuracy", "background", evil]
    put_text(Path("miou.csv"), ",".join(columns) + f"\n{evil},none,measured,1,2,3,4,5\n")
    invoke(f"summary --miou miou.csv --output summary.html --title {evil}")
    text = Path("summary.html").read_text(encoding="utf-8")
    assert evil not in text and text.count("&lt;script&gt;") >= 3


def test_photographs_in_cmyk_are_taken(run: Path) -> None:
    put_image(Path("own/images/f.tif"), 44, 36, "CMYK")
    put_text(Path("own/tags.csv"), "image,tags\na,cat\nf,cat\n")
    invoke(f"{INDEX} --masks=")
    assert [record.id for record in read_index(Path("tags.csv"))] == ["a", "f"]


# the disk


def tagseg(words: str, **options: Any) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "tagseg", *words.split()], env=ENVIRONMENT, capture_output=True, text=True, **options
    )


def only_line(done: subprocess.CompletedProcess[str]) -> str:
    """The last line, which must be the only one that is no log."""
    assert done.returncode == 2, done.stderr
    assert "Traceback" not in done.stderr and "ignored" not in done.stderr
    lines = [line for line in done.stderr.splitlines() if line.startswith("tagseg: ")]
    assert len(lines) == 1 and done.stderr.endswith(lines[0] + "\n")
    return lines[0].removeprefix("tagseg: ")


@pytest.mark.parametrize(("command", "limit"), [(EXTRACT, 50), (EXTRACT, 3000), (INDEX, 50)])
def test_a_limit_on_the_size_of_files_is_one_line(run: Path, command: str, limit: int) -> None:
    before = state(run)
    done = tagseg(command, preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit)))
    line = only_line(done)
    assert line.endswith(": File too large; raise the limit on the size of files (ulimit -f), then run again")
    assert state(run) == before


@pytest.fixture
def small_disk(run: Path) -> Iterator[Path]:
    """A disk of 16 KB; only root can make one."""
    disk = run / "disk"
    disk.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=16k", "tmpfs", disk], capture_output=True).returncode:
        pytest.skip("a small disk cannot be mounted here")
    try:
        yield disk
    finally:
        subprocess.run(["umount", disk], check=True)


@pytest.mark.parametrize("command", [EXTRACT, TRAIN])
def test_a_full_disk_is_one_line(small_disk: Path, command: str) -> None:
    output = "activations.h5" if command is EXTRACT else "model.pt"
    before = state(small_disk.parent)
    command = command.replace(f"--output {output}", f"--output disk/{output}").replace("--checkpoints kept", "")
    line = only_line(tagseg(command))
    assert line.startswith(f"disk/{output}: No space left on device; free some space, then run again")
    assert state(small_disk.parent) == before
    assert [path.suffix for path in small_disk.iterdir()] in ([], [".journal"])  # images that were done may wait


def test_a_read_only_disk_is_one_line(small_disk: Path) -> None:
    with write_shard(small_disk / "a.h5", "activations", {}):
        pass
    old = (small_disk / "a.h5").read_bytes()
    subprocess.run(["mount", "-o", "remount,ro", small_disk], check=True)
    line = only_line(tagseg(EXTRACT.replace("activations.h5", "disk/a.h5")))
    assert line == "disk/a.h5: Read-only file system; give write permission, or choose another folder"
    assert (small_disk / "a.h5").read_bytes() == old


def test_a_folder_without_permission_is_one_line(run: Path, fails: Callable[[str], str]) -> None:
    """Of root nothing is withheld, so root is somebody else for a moment."""
    root = os.geteuid() == 0
    folder = Path(tempfile.mkdtemp())  # those of tests are closed to others
    folder.chmod(0o777)
    shutil.copytree(run, folder / "run")
    before = state(folder)
    (folder / "run").chmod(0o555)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder / "run")
        try:
            if root:
                os.seteuid(65534)
            line = fails(EXTRACT)
        finally:
            if root:
                os.seteuid(0)
    assert line == "activations.h5: Permission denied; give write permission, or choose another folder"
    assert state(folder) == before
    (folder / "run").chmod(0o755)
    shutil.rmtree(folder)


# the configuration, through the workflow

CONFIGURATIONS: dict[str, tuple[dict[str, Any], str, str]] = {
    "unknown key": ({"data": {"imgs": "x"}}, "", "config: datasets.own.data.imgs: unknown key; did you mean 'images'?"),
    "wrong type": ({"shards": "many"}, "", "config: datasets.own.shards: Input should be a valid integer"),
    "unknown experiment": (
        {},
        "results/own/segmentation/tagz/model.pt",
        "'tagz' is not an experiment of own: tags, fgbg",
    ),
    "unknown prior": ({}, "results/own/priors/fgbgg/000.h5", "results/own/priors/fgbgg/000.h5"),
    "no root": ({"data": {"root": "nowhere"}}, "results/own/tags.csv", "nowhere/tags.csv: no such file"),
}


@pytest.mark.slow
@pytest.mark.parametrize("name", CONFIGURATIONS)
def test_the_workflow_stops_and_says_why(run: Path, name: str) -> None:
    keys, target, told = CONFIGURATIONS[name]
    prepare(run)
    block = {**keys, "data": {"kind": "folder", "root": "own", **keys.get("data", {})}}
    put_text(Path("own.yaml"), yaml.safe_dump({"default": "own", "datasets": {"own": block}}))
    done = snakemake(run, *([target] if target else []), "--show-failed-logs", configs=[run / "own.yaml"])
    assert done.returncode != 0
    # of an error in an input function Snakemake says where, below the line that says what
    assert told in done.stdout + done.stderr and "Traceback (most recent" not in done.stdout + done.stderr


@pytest.mark.slow
def test_a_broken_image_is_left_out_on_request(run: Path) -> None:
    prepare(run)
    put_text(Path("own/images/b.png"), "")
    block: dict[str, Any] = {"data": {"kind": "folder", "root": "own"}}
    put_text(Path("own.yaml"), yaml.safe_dump({"default": "own", "datasets": {"own": block}}))
    failed = snakemake(run, "results/own/tags.csv", "--show-failed-logs", configs=[run / "own.yaml"])
    assert failed.returncode != 0
    assert "tagseg: own/images/b.png: not a readable image" in failed.stdout + failed.stderr
    report = Path("results/own/index_report.csv")
    assert "fault,b,own/images/b.png" in report.read_text(encoding="utf-8")
    assert not Path("results/own/tags.csv").exists()
    block["data"]["leave_out"] = ["b"]
    put_text(Path("own.yaml"), yaml.safe_dump({"default": "own", "datasets": {"own": block}}))
    assert snakemake(run, "results/own/tags.csv", configs=[run / "own.yaml"]).returncode == 0
    assert [record.id for record in read_index(Path("results/own/tags.csv"))] == ["a", "c", "d", "e"]
    assert "left out,b,,,named in data.leave_out," in report.read_text(encoding="utf-8")
    assert "left out, as data.leave_out says: b" in Path("logs/own/index.log").read_text(encoding="utf-8")


def test_the_page_s_messages_are_those_that_a_user_sees() -> None:
    """docs/photographs.md lists messages and what to do; one that is no longer said would lead astray."""
    page = (REPOSITORY / "docs" / "photographs.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| `([^`]+)` \|", page.partition("## Messages")[2], flags=re.MULTILINE)
    said = [line for _, _, line in CASES.values()]
    sources = [path.read_text(encoding="utf-8") for path in (REPOSITORY / "src" / "tagseg").rglob("*.py")]
    disk = ("No space left on device", "Permission denied")  # the system's words; the tests of disks have them
    assert len(rows) > 30
    for row in rows:
        pattern = re.escape(row).replace("…", ".*")
        assert row in disk or any(re.search(pattern, text) for text in [*said, *sources]), row
