"""The command line: help, one-line errors, and every stage by hand on a folder of six images."""

import json
import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pandas as pd
import pytest
import torch
import typer.main
from PIL import Image
from typer.testing import CliRunner

from tagseg import cli
from tagseg.artifacts.shards import Shard, ShardWriter, write_shard
from tagseg.cli.signatures import docstring
from tagseg.crf import CrfParameters, dense_crf, softmax_unary
from tagseg.datasets.index import read_classes, read_index
from tagseg.evaluation.result import Result
from tagseg.images.files import read_image, read_labels, write_labels
from tagseg.images.palette import voc_palette
from tagseg.networks.backbones.base import normalise
from tagseg.runtime.restore import load_localization

NETWORK = "--backbone shapes --weights random"
LOOKS = "--scales 1 --no-mirror --stride 0"
MORE_LOOKS = "--scales 0.8 --scales 1 --mirror --stride 8"
KEPT = "--features features.h5 --trunk trunk-more.h5"
PRIORS = ("fgbg", "localization", "multiclass")
EXPERIMENTS = ("none", "fgbg", "multiclass")
TAGS, CLASSES = "--tags tags.csv", "--classes classes.txt"


def steps() -> list[str]:
    """The commands of a whole run, in order, in a folder that holds `own/`."""
    lines = [
        "index folder --root own --output tags.csv --classes-file classes.txt",
        "ground-truth folder --root own --index tags.csv --output ground_truth.csv",
        f"prepare-trunk {TAGS} {NETWORK} {LOOKS} --output trunk.h5",
        f"extract {TAGS} --trunk trunk.h5 --output activations.h5",
        f"prepare-trunk {TAGS} {NETWORK} {MORE_LOOKS} --output trunk-more.h5",
        f"extract {TAGS} --trunk trunk-more.h5 --features features.h5 --output activations-more.h5",
        f"train-localization {TAGS} {CLASSES} {NETWORK} --hidden 4 --stride 8 --size 40 --batch 2 --iterations 2 "
        "--learning-rate 0.01 --seed 3 --output localization.pt --log localization.csv",
        f"train-localization {TAGS} {CLASSES} {NETWORK} --mode head --hidden 0 --iterations 20 "
        "--features features.h5 --output head.pt --log head.csv",
        f"cams {TAGS} --model localization.pt {LOOKS} --output cams.h5",
        f"cams {TAGS} --model head.pt {KEPT} --output cams-more.h5",
    ]
    for prior in PRIORS:
        lines += [
            f"fuse --prior {prior} {TAGS} {CLASSES} --activations activations.h5 --cams cams.h5 --grid 2 "
            "--normalise "
            f"--output {prior}.h5",
            f"smooth --crf pairwise {TAGS} --maps {prior}.h5 --bilateral-width 33 --output masks-{prior}.h5",
        ]
    lines += [
        f"second-round sample {TAGS} --maps multiclass.h5 {KEPT} --pixels 30 --confidence 0.4 --seed 2 "
        "--output samples.h5",
        f"second-round fit {TAGS} {CLASSES} --samples samples.h5 --output pixels.h5",
        f"second-round apply {TAGS} --maps multiclass.h5 --model pixels.h5 {KEPT} --weight 0.25 --output second.h5",
        f"smooth --crf none {TAGS} --maps second.h5 --output masks-second.h5",
    ]
    for experiment in EXPERIMENTS:
        masks = "" if experiment == "none" else f"--masks masks-{experiment}.h5"
        fov = "large" if experiment == "multiclass" else "small"
        facts = f"--fact experiment={experiment} --fact mask={experiment} --fact crf=pairwise --fact fov={fov}"
        lines += [
            f"train-segmentation {TAGS} {CLASSES} {NETWORK} --mask {experiment} {masks} --fov {fov} --batch 2 "
            f"--iterations 2 --learning-rate 0.01 --seed 3 --output {experiment}.pt --log {experiment}.csv",
            f"score {TAGS} --model {experiment}.pt --split val --output scores-{experiment}.h5",
        ]
        for crf in ("none", "pairwise"):
            name = f"{experiment}-{crf}"
            lines += [
                f"smooth --crf {crf} {TAGS} --maps scores-{experiment}.h5 --split val --output labels-{name}.h5",
                f"evaluate --labels labels-{name}.h5 {TAGS} --ground-truth ground_truth.csv {CLASSES} "
                f"{facts} --fact smoothing={crf} --output {name}.json",
            ]
    results = " ".join(f"{experiment}-{crf}.json" for experiment in EXPERIMENTS for crf in ("none", "pairwise"))
    predictions = " ".join(f"--prediction {name}=labels-{name}-none.h5" for name in EXPERIMENTS)
    return [
        *lines,
        f"evaluate --labels masks-fgbg.h5 {TAGS} --ground-truth ground_truth.csv {CLASSES} --protocol foreground "
        "--fact prior=fgbg --fact crf=pairwise --output masks-fgbg.json",
        f"tabulate --table miou {results} --output miou.csv",
        f"tabulate --table ablation {results} --published voc --output ablation.csv",
        "tabulate --table masks masks-fgbg.json --output masks.csv",
        "figure experiments --table ablation.csv --output ablation.png --title mine",
        "figure experiments --table miou.csv --output miou.png",
        f"panels {TAGS} {CLASSES} --ground-truth ground_truth.csv --priors fgbg.h5 --cams cams.h5 "
        f"--masks masks-multiclass.h5 {predictions} --count 2 --output panels.png",
        f"recipe-panels {TAGS} {CLASSES} --ground-truth ground_truth.csv --run first=masks-multiclass.h5 "
        "--run second=masks-second.h5 --count 2 --output recipes.png",
        f"export-png --labels labels-none-none.h5 {TAGS} --split val --output png",
        "show .",
    ]


def own_folder(root: Path) -> Path:
    """Six images of 44 x 36 pixels: bright boxes of two classes on noise; the last two are for evaluation."""
    rng = np.random.default_rng(0)
    (root / "images").mkdir(parents=True)
    rows = ["image,tags,split"]
    for i, tags in enumerate([(1,), (2,), (1, 2), (), (1,), (1, 2)]):
        pixels, labels = rng.integers(0, 80, (36, 44, 3)), np.zeros((36, 44), dtype=np.uint8)
        for tag in tags:
            box = slice(6, 26), slice(20 * (tag - 1) + 3, 20 * (tag - 1) + 19)
            pixels[(*box, slice(None))] += np.array([[160, 0, 0], [0, 0, 160]])[tag - 1]
            labels[box] = tag
        labels[:2] = 255
        Image.fromarray(pixels.astype(np.uint8)).save(root / "images" / f"{i}.png")
        names = ";".join(("apple", "berry")[tag - 1] for tag in tags)
        rows.append(f"{i},{names},{'val' if i > 3 else 'train'}")
        if i > 3:
            write_labels(root / "masks" / f"{i}.png", labels)
    (root / "tags.csv").write_text("\n".join(rows) + "\n")
    return root


def invoke(line: str) -> str:
    outcome = CliRunner().invoke(cli.app, line.split(), catch_exceptions=False)
    assert outcome.exit_code == 0, f"{line}\n{outcome.output}"
    return outcome.output


@pytest.fixture(scope="module")
def chain(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a whole run."""
    folder = tmp_path_factory.mktemp("chain")
    own_folder(folder / "own")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        for line in steps():
            invoke(line)
    return folder


# help


def commands(group: Any, above: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    yield above
    for name, command in group.commands.items():
        if hasattr(command, "commands"):
            yield from commands(command, (*above, name))
        else:
            yield (*above, name)


ALL = list(commands(typer.main.get_command(cli.app)))


@pytest.mark.parametrize("words", ALL, ids=" ".join)
def test_every_command_has_help(words: tuple[str, ...]) -> None:
    assert "Usage:" in invoke(" ".join([*words, "--help"]))


def test_the_commands_are_the_files_of_stages_and_commands() -> None:
    package = Path(cli.__file__).parents[1]
    files = [file for room in ("stages", "commands") for file in (package / room).rglob("*.py") if docstring(file)]
    named = {f"{file.parent.name} {file.stem}" if file.parent.name == "second_round" else file.stem for file in files}
    # of figures the beginning of the name is a word of its own; a stage that knows kinds of data has a command for each
    kinds = ("index", "ground-truth", "render-truth")
    found = {" ".join(words[:1] if words[0] in kinds else words).replace("-", "_") for words in ALL if words}
    found -= {"figure", "second_round"}
    assert {name.replace("figure ", "figure_") for name in found} == named


def test_the_module_runs_and_help_needs_no_torch() -> None:
    code = (
        "import sys\n"
        "sys.argv = ['tagseg', '--help']\n"
        "from tagseg.cli.app import main\n"
        "try:\n    main()\nexcept SystemExit as end:\n    print('status', end.code, 'torch' in sys.modules)\n"
    )
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert "From image tags to pixel labels" in out and "status 0 False" in out


# errors


def test_a_missing_table_of_tags_is_one_line(fails: Callable[[str], str], chain: Path, tmp_path: Path) -> None:
    path = tmp_path / "tags.csv"
    wanted = f"{path}: no such file; index the data set first (tagseg index --help)"
    assert fails(f"extract --tags {path} --trunk {chain}/trunk.h5 --output {tmp_path / 'a.h5'}") == wanted
    assert list(tmp_path.iterdir()) == []


def test_a_user_s_error_from_the_shell_is_one_line(tmp_path: Path) -> None:
    words = ["index", "folder", "--root", "nowhere", "--output", "t.csv", "--classes-file", "c.txt"]
    done = subprocess.run([sys.executable, "-m", "tagseg", *words], capture_output=True, text=True, cwd=tmp_path)
    assert done.returncode == 2 and done.stdout == ""
    assert re.fullmatch(r"tagseg: nowhere/tags\.csv: no such file; [^\n]+\n", done.stderr)


def test_a_broken_shard_is_one_line(fails: Callable[[str], str], chain: Path, tmp_path: Path) -> None:
    broken = tmp_path / "broken.h5"
    broken.write_bytes((chain / "activations.h5").read_bytes()[:700])
    line = fails(
        f"fuse --prior fgbg --tags {chain}/tags.csv --classes {chain}/classes.txt --activations {broken} "
        f"--output {tmp_path}/out.h5"
    )
    assert line.startswith(f"{broken}: not a whole tagseg HDF5 file (truncated file); make it again")
    assert [path.name for path in tmp_path.iterdir()] == ["broken.h5"]


SHARD_STAGES = ("extract", "cams", "fuse", "smooth", "second-round sample", "second-round apply", "score")


@pytest.mark.parametrize(
    "line", [line for line in steps() if line.startswith(SHARD_STAGES)], ids=lambda line: line[:24] + line[-16:]
)
def test_a_stage_that_was_broken_off_goes_on_to_the_same_bytes(
    chain: Path, monkeypatch: pytest.MonkeyPatch, line: str
) -> None:
    monkeypatch.chdir(chain)
    _, _, output = line.rpartition("--output ")
    put, calls = ShardWriter.put, []

    def broken(self: ShardWriter, image_id: str, arrays: dict[str, np.ndarray], **options: bool) -> None:
        if calls and image_id not in calls:  # the second image
            raise KeyboardInterrupt
        calls.append(image_id)
        put(self, image_id, arrays, **options)

    again = line.replace(output, "again.h5")
    monkeypatch.setattr(ShardWriter, "put", broken)
    outcome = CliRunner().invoke(cli.app, again.split())
    assert outcome.exit_code == 130 and len(set(calls)) == 1 and not Path("again.h5").exists()
    made: list[str] = []
    monkeypatch.setattr(ShardWriter, "put", lambda self, i, *a, **o: (made.append(i), put(self, i, *a, **o)))
    invoke(again)
    assert calls[0] not in made and made
    assert Path("again.h5").read_bytes() == Path(output).read_bytes()
    Path("again.h5").unlink()
    assert list(Path().glob(".again*")) == []


@pytest.mark.parametrize(
    "command",
    [
        "extract",
        "train-localization",
        "cams",
        "train-segmentation",
        "score",
    ],
)
def test_cuda_that_is_absent_is_one_line(
    fails: Callable[[str], str], chain: Path, tmp_path: Path, command: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    more = {
        "extract": f"--trunk {chain}/trunk.h5",
        "train-localization": f"--classes {chain}/classes.txt --log {tmp_path}/log.csv",
        "cams": f"--model {chain}/localization.pt",
        "train-segmentation": f"--classes {chain}/classes.txt --log {tmp_path}/log.csv --mask none",
        "score": f"--model {chain}/none.pt",
    }[command]
    line = fails(f"{command} --tags {chain}/tags.csv --output {tmp_path}/out --device cuda {more}")
    assert line.startswith("device cuda: no usable GPU") and "set device: cpu" in line
    assert list(tmp_path.iterdir()) == []


ERRORS = {
    "unknown backbone": (f"prepare-trunk {TAGS} --backbone vgg17 --output out", "backbone 'vgg17': unknown"),
    "value out of range": (
        f"fuse --prior fgbg {TAGS} {CLASSES} --activations activations.h5 --alpha 2 --output out",
        "--alpha: ",
    ),
    "map that is needed": (f"fuse --prior fgbg {TAGS} {CLASSES} --cams cams.h5 --output out", "give --activations"),
    "shard of another kind": (f"smooth --crf none {TAGS} --maps cams.h5 --output out", "cams.h5: holds cams"),
    "masks that are needed": (
        f"train-segmentation {TAGS} {CLASSES} --mask fgbg --output out --log log",
        "--mask fgbg: ",
    ),
    "masks that are not": (
        f"train-segmentation {TAGS} {CLASSES} --mask none --masks masks-fgbg.h5 --output out --log log",
        "--mask none: ",
    ),
    "model of another kind": (f"cams {TAGS} --model none.pt --output out", "none.pt: holds segmentation"),
    "file that is no model": (f"score {TAGS} --model tags.csv --output out", "tags.csv: not a tagseg model"),
    "split without truth": (
        f"evaluate --labels labels-none-none.h5 {TAGS} --ground-truth ground_truth.csv {CLASSES} --split train "
        "--output out",
        "ground_truth.csv: no image of split train",
    ),
    "panels without truth": (
        f"panels {TAGS} {CLASSES} --ground-truth ground_truth.csv --priors fgbg.h5 --cams cams.h5 "
        "--masks masks-fgbg.h5 --prediction a=labels-none-none.h5 --split train --output out",
        "ground_truth.csv",
    ),
    "images of no shard": (
        f"evaluate --labels labels-none-none.h5 {TAGS} --ground-truth all.csv {CLASSES} --split train --output out",
        "image '0' is in none of labels-none-none.h5",
    ),
    "fact without a value": (
        f"evaluate --labels labels-none-none.h5 {TAGS} --ground-truth ground_truth.csv {CLASSES} --fact crf "
        "--output out",
        "crf",
    ),
    "result that is missing": ("tabulate --table miou missing.json --output out", "missing.json"),
    "result that is none": ("tabulate --table miou tags.csv --output out", "tags.csv"),
    "result without the facts": ("tabulate --table miou masks-fgbg.json --output out", "masks-fgbg.json"),
    "table that is missing": ("figure experiments --table missing.csv --output out", "missing.csv"),
    "table that is none": ("figure experiments --table tags.csv --output out", "tags.csv"),
    "folder without tables": ("show own", "own: no miou.csv"),
    "image too small": ("extract --tags small.csv --trunk trunk.h5 --output out", "small"),
    "head without features": (
        f"train-localization {TAGS} {CLASSES} {NETWORK} --mode head --hidden 0 --output out --log log",
        "mode head fits a head to what was extracted: give --features",
    ),
    "cams of a head without features": (f"cams {TAGS} --model head.pt --output out", "give --features and --trunk"),
    "trunk that is none": (f"extract {TAGS} --trunk cams.h5 --output out", "cams.h5: holds cams, but trunk is needed"),
    "onnxruntime on a GPU": (
        f"extract {TAGS} --trunk trunk.h5 --engine onnxruntime --device cuda --output out",
        "no usable GPU",
    ),
    "nothing to train on": (
        f"train-segmentation --tags untrained.csv {CLASSES} --mask none --output out --log log",
        "untrained.csv: no image of split train",
    ),
    "no tag to train on": (
        f"train-localization {TAGS} --classes background.txt {NETWORK} --output out --log log",
        "tags.csv: no training image with a tag",
    ),
}


@pytest.mark.parametrize("name", ERRORS)
def test_a_user_s_error_is_one_line(
    name: str, fails: Callable[[str], str], chain: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(chain)
    put = {
        "untrained.csv": "id,split,path,width,height,tags\n4,val,own/images/4.png,44,36,apple\n",
        "small.csv": "id,split,path,width,height,tags\nsmall,train,small.png,20,20,apple\n",
        "all.csv": "id,mask\n" + "".join(f"{i},own/masks/4.png\n" for i in range(6)),
        "background.txt": "background\n",
    }
    before = {path.name for path in chain.iterdir()}
    try:
        for file, text in put.items():
            Path(file).write_text(text)
        Image.new("RGB", (20, 20)).save("small.png")
        line, told = ERRORS[name]
        assert told in fails(line)
        assert not Path("out").exists()
    finally:
        for path in chain.iterdir():
            if path.name not in before:
                path.unlink()


@pytest.mark.parametrize(
    ("line", "told"),
    [
        (f"smooth --crf triple {TAGS} --maps fgbg.h5 --output out", "--crf"),
        (f"prepare-trunk {TAGS} --output out --backbonne shapes", "--backbonne"),
        (f"extract {TAGS} --trunk trunk.h5 --output out --shard -1", "--shard"),
        (f"prepare-trunk {TAGS}", "--output"),
        ("extrct", "extrct"),
    ],
)
def test_a_wrong_option_ends_with_status_2_and_names_it(line: str, told: str) -> None:
    outcome = CliRunner().invoke(cli.app, line.split(), env={"TERM": "dumb", "COLUMNS": "200"})
    assert outcome.exit_code == 2 and told in outcome.output and "Traceback" not in outcome.output


# the chain


def test_two_runs_in_different_processes_are_equal_byte_for_byte(chain: Path, tmp_path: Path) -> None:
    own_folder(tmp_path / "own")
    code = (
        "import json, sys\n"
        "from typer.testing import CliRunner\n"
        "from tagseg.cli.app import app\n"
        "for line in json.load(sys.stdin):\n"
        "    outcome = CliRunner().invoke(app, line.split(), catch_exceptions=False)\n"
        "    assert outcome.exit_code == 0, outcome.output\n"
    )
    environment = os.environ | {"PYTHONHASHSEED": "7", "OMP_NUM_THREADS": "1", "OMP_WAIT_POLICY": "passive"}
    subprocess.run(
        [sys.executable, "-c", code],
        input=json.dumps(steps()),
        text=True,
        check=True,
        cwd=tmp_path,
        env=environment,
        capture_output=True,
    )
    names = sorted(str(path.relative_to(chain)) for path in chain.rglob("*") if path.is_file())
    assert names == sorted(str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*") if path.is_file())
    assert len(names) > 40
    differing = [name for name in names if (chain / name).read_bytes() != (tmp_path / name).read_bytes()]
    assert differing == []


def test_every_output_of_the_chain_exists_and_nothing_half_written(chain: Path) -> None:
    outputs = re.findall(r"--output (\S+)", "\n".join(steps()))
    assert len(outputs) == len(set(outputs)) == len(steps()) - 1
    assert all((chain / name).exists() for name in outputs)
    assert not [path for path in chain.rglob(".*") if path.name.endswith(".part")]


def test_the_index_of_the_chain(chain: Path) -> None:
    records = read_index(chain / "tags.csv")
    assert [(r.id, r.split, r.tags) for r in records] == [
        ("0", "train", ("apple",)),
        ("1", "train", ("berry",)),
        ("2", "train", ("apple", "berry")),
        ("3", "train", ()),
        ("4", "val", ("apple",)),
        ("5", "val", ("apple", "berry")),
    ]
    assert read_classes(chain / "classes.txt") == ["background", "apple", "berry"]
    assert pd.read_csv(chain / "ground_truth.csv")["mask"].tolist() == ["own/masks/4.png", "own/masks/5.png"]


TAGGED = {"0": [1], "1": [2], "2": [1, 2], "3": [], "4": [1], "5": [1, 2]}


def test_cams_are_of_the_image_s_own_tags(chain: Path) -> None:
    with Shard(chain / "cams.h5", "cams") as shard:
        for image_id, labels in TAGGED.items():
            assert shard.get(image_id, "labels").tolist() == labels
            cams = shard.get(image_id, "cams")
            assert cams.shape == (len(labels), 4, 5) and cams.dtype == np.float16  # 36 x 44 at stride 8
            assert all(cam.min() >= 0 and cam.max() in (0, 1) for cam in cams)


def test_cams_of_several_views_lie_on_the_finest_grid(chain: Path) -> None:
    with Shard(chain / "cams-more.h5", "cams") as shard, Shard(chain / "cams.h5", "cams") as plain:
        for record in read_index(chain / "tags.csv"):
            cams = shard.get(record.id, "cams")
            assert cams.shape == (len(record.tags), record.height // 8, record.width // 8)
            assert all(cam.max() in (0, 1) for cam in cams)
            assert cams.shape == plain.get(record.id, "cams").shape


def test_activations_of_several_views_are_kept_for_each_scale(chain: Path) -> None:
    with Shard(chain / "activations-more.h5", "activations") as shard:
        for record in read_index(chain / "tags.csv"):
            assert shard.names(record.id) == ["conv4-0", "conv4-1", "conv5-0", "conv5-1"]
            assert shard.get(record.id, "conv5-1").shape == (record.height // 8, record.width // 8)
            small = shard.get(record.id, "conv5-0").shape
            assert small == tuple(max(32, round(0.8 * side)) // 8 for side in (record.height, record.width))


def test_the_second_round_learns_from_training_images_and_changes_all_maps(chain: Path) -> None:
    records = read_index(chain / "tags.csv")
    learned = [record for record in records if record.split == "train" and record.tags]
    with Shard(chain / "samples.h5", "samples") as shard, h5py.File(chain / "samples.h5") as file:
        assert set(file) == {record.id for record in learned}
        for record in learned:
            marginals, features = shard.get(record.id, "marginals"), shard.get(record.id, "features")
            assert 0 < len(features) <= 30 and len(features) == len(marginals)
            np.testing.assert_allclose(marginals.sum(axis=1), 1, atol=1e-5)
            assert marginals.max(axis=1).min() > 0.4
    with (
        Shard(chain / "second.h5", "probabilities") as second,
        Shard(chain / "multiclass.h5", "probabilities") as first,
    ):
        for record in records:
            after, before = second.get(record.id, "maps"), first.get(record.id, "maps")
            np.testing.assert_array_equal(second.get(record.id, "labels"), first.get(record.id, "labels"))
            own = (after.astype(np.float32) - 0.75 * before) / 0.25
            np.testing.assert_allclose(own.sum(axis=0), 1, atol=0.02)
            assert own.min() > -0.01 and (len(own) == 1 or own.std() > 0)


def test_no_confident_pixel_is_one_line(fails: Callable[[str], str], chain: Path, tmp_path: Path) -> None:
    with write_shard(tmp_path / "empty.h5", "samples", {}) as writer:
        for record in read_index(chain / "tags.csv"):
            nothing = {"features": np.zeros((0, 3)), "marginals": np.zeros((0, 1)), "labels": np.zeros(1, np.uint8)}
            writer.put(record.id, nothing)
    line = fails(
        f"second-round fit --tags {chain}/tags.csv --classes {chain}/classes.txt --samples {tmp_path}/empty.h5 "
        f"--output {tmp_path}/out.pt"
    )
    assert "no confident pixel in any photograph; lower second_round.confidence" in line


def test_cams_are_the_network_s_weights_on_its_features(chain: Path) -> None:
    network, classes = load_localization(chain / "localization.pt")
    image = torch.tensor(read_image(chain / "own" / "images" / "5.png")).permute(2, 0, 1)[None]
    with torch.no_grad():
        features = network.feature_map(normalise(image, network.statistics))[0]
    with Shard(chain / "cams.h5", "cams") as shard:
        cams = shard.get("5", "cams").astype(np.float32)
    assert classes == ["apple", "berry"]
    for weights, cam in zip(network.linear.weight, cams, strict=True):
        raw = sum(weights[k].item() * features[k].numpy() for k in range(len(features))).clip(min=0)
        np.testing.assert_allclose(cam, raw / raw.max() if raw.max() > 0 else raw, atol=2e-3)
    assert np.abs(cams[0] - cams[1]).max() > 0.1


@pytest.mark.parametrize("prior", PRIORS)
def test_maps_of_each_prior_sum_to_one(chain: Path, prior: str) -> None:
    with Shard(chain / f"{prior}.h5", "probabilities") as shard:
        for image_id, labels in TAGGED.items():
            maps = shard.get(image_id, "maps").astype(np.float32)
            wanted = [0, 1] if prior == "fgbg" else [0, *labels]
            assert shard.get(image_id, "labels").tolist() == wanted
            assert maps.shape == (len(wanted), 18, 22)
            np.testing.assert_allclose(maps.sum(axis=0), 1, atol=2e-3)


@pytest.mark.parametrize("prior", PRIORS)
def test_masks_hold_the_image_s_own_labels_at_its_size(chain: Path, prior: str) -> None:
    with Shard(chain / f"masks-{prior}.h5", "labels") as shard:
        for image_id, labels in TAGGED.items():
            mask = shard.get(image_id, "labels")
            assert mask.shape == (36, 44) and mask.dtype == np.uint8
            assert set(np.unique(mask)) <= ({0, 1} if prior == "fgbg" else {0, *labels})


def test_predictions_are_of_the_split_alone_and_see_every_class(chain: Path) -> None:
    with Shard(chain / "scores-none.h5", "scores") as shard:
        assert [image_id in shard for image_id in TAGGED] == [False] * 4 + [True] * 2
        assert shard.get("4", "labels").tolist() == [0, 1, 2]
        assert shard.get("4", "maps").shape == (3, 4, 5)


def test_smoothing_without_a_crf_takes_the_largest_score(chain: Path) -> None:
    with Shard(chain / "scores-none.h5", "scores") as scores, Shard(chain / "labels-none-none.h5", "labels") as labels:
        for image_id in ("4", "5"):
            maps = scores.get(image_id, "maps").astype(np.float32)
            layers = [np.asarray(Image.fromarray(m).resize((44, 36), Image.Resampling.BILINEAR)) for m in maps]
            np.testing.assert_array_equal(labels.get(image_id, "labels"), np.argmax(layers, axis=0))


@pytest.mark.parametrize(
    ("source", "smoothed", "gain"),
    [("multiclass.h5", "gained-masks.h5", "mask_gain"), ("scores-none.h5", "gained-scores.h5", "score_gain")],
)
def test_smoothing_with_a_crf_uses_the_gain_of_what_it_smooths(
    chain: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, source: str, smoothed: str, gain: str
) -> None:
    monkeypatch.chdir(chain)
    output = tmp_path / smoothed
    invoke(
        f"smooth --crf pairwise --tags {chain}/tags.csv --split val --maps {chain}/{source} --output {output} "
        "--mask-gain 9 --score-gain 0.3 --bilateral-width 9 --iterations 2"
    )
    factor = {"mask_gain": 9, "score_gain": 0.3}[gain]
    with Shard(chain / source, ("probabilities", "scores")) as maps, Shard(output, "labels") as labels:
        values = maps.get("5", "maps").astype(np.float32)
        large = np.stack([np.asarray(Image.fromarray(m).resize((44, 36), Image.Resampling.BILINEAR)) for m in values])
        image = read_image(chain / "own" / "images" / "5.png")
        marginals = dense_crf(image, softmax_unary(large, factor), parameters=CrfParameters(2, bilateral_width=9))
        np.testing.assert_array_equal(labels.get("5", "labels"), maps.get("5", "labels")[marginals.argmax(axis=0)])


def test_evaluation_counts_each_pixel_that_has_truth(chain: Path) -> None:
    result = Result.from_json((chain / "none-none.json").read_text())
    truth = [read_labels(chain / "own" / "masks" / f"{i}.png") for i in (4, 5)]
    assert result.images == 2 and result.classes == ["background", "apple", "berry"]
    wanted = [sum(int((mask == k).sum()) for mask in truth) for k in range(3)]
    assert result.matrix.counts.sum(axis=1).tolist() == wanted
    assert result.facts == {
        "experiment": "none", "mask": "none", "crf": "pairwise", "fov": "small", "smoothing": "none", "split": "val",
    }  # fmt: skip
    foreground = Result.from_json((chain / "masks-fgbg.json").read_text())
    assert foreground.classes == ["background", "foreground"]
    assert foreground.matrix.counts.sum(axis=1).tolist() == [wanted[0], wanted[1] + wanted[2]]


def test_tables_of_the_chain(chain: Path) -> None:
    miou = pd.read_csv(chain / "miou.csv")
    assert miou["method"].tolist() == ["none", "none", "fgbg", "fgbg", "multiclass", "multiclass"]
    figures = ["method", "crf", "source", "miou", "classes", "pixel_accuracy"]
    assert list(miou.columns) == [
        *figures, "background", "apple", "berry", "mean_accuracy", "frequency_weighted_iou",
    ]  # fmt: skip
    ablation = pd.read_csv(chain / "ablation.csv").set_index("experiment")
    assert ablation["published_miou"].tolist()[:2] == [31.0, 47.3]
    assert ablation["source"].tolist() == 3 * ["measured"] + 8 * ["published"]
    assert np.isnan(ablation.loc["multiclass", "published_miou"])  # the paper has no such row with a large view
    result = Result.from_json((chain / "fgbg-pairwise.json").read_text())
    assert ablation.loc["fgbg", "miou"] == round(100 * result.matrix.mean_iou(), 2)
    assert pd.read_csv(chain / "masks.csv")["prior"].tolist() == ["fgbg"]


def test_exported_png_are_indexed_with_the_voc_palette(chain: Path) -> None:
    assert sorted(path.name for path in (chain / "png").iterdir()) == ["4.png", "5.png"]
    with Shard(chain / "labels-none-none.h5", "labels") as shard:
        np.testing.assert_array_equal(read_labels(chain / "png" / "4.png"), shard.get("4", "labels"))
    with Image.open(chain / "png" / "4.png") as image:
        assert image.mode == "P" and image.getpalette() == voc_palette().ravel().tolist()


@pytest.mark.parametrize("name", ["ablation.png", "miou.png", "panels.png", "recipes.png"])
def test_pictures_are_pictures(chain: Path, name: str) -> None:
    pixels = read_image(chain / name)
    assert min(pixels.shape[:2]) > 200 and pixels.std() > 10


@pytest.mark.parametrize("name", ["localization.csv", "none.csv", "fgbg.csv", "multiclass.csv"])
def test_logs_have_a_row_a_step(chain: Path, name: str) -> None:
    log = pd.read_csv(chain / name)
    assert list(log.columns) == ["step", "learning_rate", "loss"]
    assert log["step"].tolist() == [0, 1] and (log["loss"] > 0).all()


def test_show_prints_the_tables(chain: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(chain)
    text = invoke("show .")
    assert "miou.csv" in text and "ablation.csv" in text and "picture: panels.png" in text


def test_another_seed_gives_another_network(chain: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(chain)
    line = next(line for line in steps() if line.startswith("train-localization"))
    for seed, equal in ((3, True), (4, False)):
        output = tmp_path / f"{seed}.pt"
        changed = line.replace("--seed 3", f"--seed {seed}").replace("--output localization.pt", f"--output {output}")
        invoke(changed.replace("--log localization.csv", f"--log {tmp_path}/log.csv"))
        assert (output.read_bytes() == (chain / "localization.pt").read_bytes()) == equal


def test_shards_of_a_stage_are_parts_of_the_whole(chain: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(chain)
    for shard in range(4):
        invoke(f"extract {TAGS} --trunk trunk.h5 --shard {shard} --shards 4 --output {tmp_path}/{shard}.h5")
    with Shard(chain / "activations.h5", "activations") as whole:
        for i in range(6):
            with Shard(tmp_path / f"{i % 4}.h5", "activations") as part:
                for name in ("conv4-0", "conv5-0"):
                    np.testing.assert_array_equal(part.get(str(i), name), whole.get(str(i), name))
                assert str((i + 1) % 6) not in part


def test_trained_networks_read_no_truth(chain: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The same run without any mask on disk ends in the same network."""
    own_folder(tmp_path / "own")
    for path in (tmp_path / "own" / "masks").iterdir():
        path.unlink()
    monkeypatch.chdir(tmp_path)
    lines = steps()
    for line in lines[: next(i for i, line in enumerate(lines) if "--mask fgbg" in line) + 1]:
        if not line.startswith(("evaluate", "score ", "ground-truth")) and "scores" not in line:
            invoke(line)
    assert (tmp_path / "fgbg.pt").read_bytes() == (chain / "fgbg.pt").read_bytes()


def test_a_result_carries_what_made_it(chain: Path) -> None:
    with h5py.File(chain / "masks-fgbg.h5") as file:
        parameters = json.loads(file.attrs["parameters"])
        assert parameters["crf"] == "pairwise" and parameters["bilateral_width"] == 33
        assert "mask_gain" in parameters and "score_gain" not in parameters
    with h5py.File(chain / "labels-none-pairwise.h5") as file:
        parameters = json.loads(file.attrs["parameters"])
        assert "score_gain" in parameters and "mask_gain" not in parameters
    with h5py.File(chain / "labels-none-none.h5") as file:
        assert json.loads(file.attrs["parameters"]) == {"crf": "none"}
    with h5py.File(chain / "fgbg.h5") as file:
        assert json.loads(file.attrs["parameters"]) == {
            "prior": "fgbg", "layers": "scale_each", "scaling": "otsu", "grid": 2, "fgbg_centre": 0.7,
        }  # fmt: skip


def test_a_mask_of_another_size_is_named(chain: Path, tmp_path: Path, fails: Callable[[str], str]) -> None:
    with write_shard(tmp_path / "labels.h5", "labels", {}) as writer:
        for image_id in ("4", "5"):
            writer.put(image_id, {"labels": np.zeros((10, 10), dtype=np.uint8)})
    truth = tmp_path / "truth.csv"
    truth.write_text(f"id,mask\n4,{chain}/own/masks/4.png\n")
    line = fails(
        f"evaluate --labels {tmp_path}/labels.h5 --tags {chain}/tags.csv --ground-truth {truth} "
        f"--classes {chain}/classes.txt --output {tmp_path}/out.json"
    )
    assert line.startswith(f"{chain}/own/masks/4.png: truth is (36, 44), prediction (10, 10)")
