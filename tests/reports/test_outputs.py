"""Nobody's files are lost: no command writes to what it reads, or to a file that tagseg did not write."""

import inspect
import os
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Annotated, Any, Literal, get_args, get_origin

import h5py
import numpy as np
import pytest
import torch
import typer
from click.testing import CliRunner
from PIL import Image
from trees import put_image, put_text, refused
from typer.models import ArgumentInfo, OptionInfo

from tagseg import cli
from tagseg.artifacts.atomic import atomic, atomic_folder, write_text
from tagseg.artifacts.bundle import write_torch
from tagseg.artifacts.file_types import file_type
from tagseg.artifacts.shards import write_shard
from tagseg.cli.app import BY_KIND, by_kind, family_of
from tagseg.cli.options import make_command, options_of
from tagseg.cli.signatures import docstring, read_signature
from tagseg.config.arguments import POSITIONAL, WRITTEN
from tagseg.config.data import FolderData
from tagseg.datasets.shapes import write_scenes
from tagseg.errors import TagsegError
from tagseg.images.files import png_info, write_labels
from tagseg.images.marks import FIGURE, PHOTOGRAPH, TRUTH
from tagseg.stages import export_png
from tagseg.stages import index as stages_index

APP = typer.main.get_command(cli.app)
PACKAGE = Path(cli.__file__).parents[1]


def walk() -> Iterator[tuple[str, inspect.Signature]]:
    """Every command and its options; those of a settings class among them."""
    for file in sorted(file for room in ("stages", "commands") for file in (PACKAGE / room).rglob("*.py")):
        if docstring(file) is None:
            continue
        signature = read_signature(file)
        family, name = family_of(file)
        words = " ".join(filter(None, [family, name])).replace("_", "-")
        for kind, typed in by_kind(signature).items() if name in BY_KIND else [("", signature)]:
            yield (
                f"{words} {kind}".strip(),
                inspect.Signature(
                    [option for parameter in typed.parameters.values() for option in flattened(parameter)]
                ),
            )


def flattened(parameter: inspect.Parameter) -> Iterator[inspect.Parameter]:
    for option in options_of(parameter):
        marks = (WRITTEN,) if WRITTEN in get_args(parameter.annotation) else ()
        yield option.replace(annotation=Annotated[(*get_args(option.annotation), *marks)])


COMMANDS = dict(walk())


def written(parameter: inspect.Parameter) -> bool:
    return WRITTEN in getattr(parameter.annotation, "__metadata__", ())


def option(parameter: inspect.Parameter) -> list[str]:
    """What stands before a value; nothing before an argument's."""
    told = next(i for i in parameter.annotation.__metadata__ if isinstance(i, ArgumentInfo | OptionInfo))
    if isinstance(told, ArgumentInfo):
        return []
    names = [name for name in (told.default, *(told.param_decls or ())) if isinstance(name, str)]
    return [names[0] if names else f"--{parameter.name.replace('_', '-')}"]


def read_by(name: str, folder: Path) -> dict[str, Path]:
    """A file for each parameter of a command that must be given and can be a file."""
    plain = [p for p in COMMANDS[name].parameters.values() if p.default is inspect.Parameter.empty and not written(p)]
    kinds = {p.name: get_args(p.annotation)[0] for p in plain}
    return {n: put_text(folder / f"{n}.in", f"of {n}") for n, k in kinds.items() if k in (Path, list[Path], list[str])}


def call(name: str, home: Path, **given: Path) -> list[str]:
    """A call of a command with all that it must be given, each a file of its own, but for those of `given`."""
    inputs = read_by(name, home)
    words = name.split()
    for parameter in COMMANDS[name].parameters.values():
        kind: Any = get_args(parameter.annotation)[0]
        if parameter.name in given:
            value = str(given[parameter.name])
        elif parameter.default is not inspect.Parameter.empty:
            continue
        elif written(parameter):
            value = str(home / "new" / parameter.name)
        elif parameter.name in inputs:
            file = inputs[parameter.name]
            value = f"a/b={file}" if kind == list[str] and option(parameter) else str(file)
        elif get_origin(kind) is Literal:
            value = get_args(kind)[0]
        else:
            value = "folders"
        words += [*option(parameter), value]
    return words


def refusal(words: list[str]) -> str:
    done = CliRunner().invoke(APP, words)
    assert isinstance(done.exception, TagsegError), (words, done.exception, done.output)
    return str(done.exception)


OUTPUTS = [(name, p.name) for name, s in COMMANDS.items() for p in s.parameters.values() if written(p)]


def test_every_path_that_is_written_is_declared() -> None:
    for name, signature in COMMANDS.items():
        for parameter in signature.parameters.values():
            told = getattr(parameter.annotation, "__metadata__", (None,))[0]
            says = str(getattr(told, "help", ""))
            if "to write" in says or parameter.name in ("output", "onnx", "training_log", "checkpoints", "per_image"):
                assert written(parameter), f"{name}: {parameter.name}"


@pytest.mark.parametrize(("name", "output"), OUTPUTS)
def test_no_output_is_an_input(name: str, output: str, tmp_path: Path) -> None:
    for parameter, path in read_by(name, tmp_path).items():
        line = refusal(call(name, tmp_path, **{output: path}))
        assert line.startswith(f"{path}: is read by this command (") and "\n" not in line
        assert path.read_text() == f"of {parameter}"
    assert not (tmp_path / "new").exists()


@pytest.mark.parametrize(("name", "output"), OUTPUTS)
def test_no_output_replaces_somebody_s_file(name: str, output: str, tmp_path: Path) -> None:
    mine = put_text(tmp_path / "mine.png", "mine")
    assert refusal(call(name, tmp_path, **{output: mine})).startswith(f"{mine}: is there already")
    assert mine.read_text() == "mine" and not (tmp_path / "new").exists()


def test_links_and_other_spellings_are_the_same_file(tmp_path: Path) -> None:
    maps = put_text(tmp_path / "maps.in", "of maps")
    (tmp_path / "soft").symlink_to(maps)
    os.link(maps, tmp_path / "hard")
    (tmp_path / "folder").symlink_to(tmp_path, target_is_directory=True)
    for other in ("soft", "hard", "folder/maps.in", "MAPS.IN"):
        assert "is read by this command (--maps)" in refusal(call("smooth", tmp_path, output=tmp_path / other))
    assert maps.read_text() == "of maps" and (tmp_path / "soft").is_symlink()
    (tmp_path / "nowhere").symlink_to(tmp_path / "gone")
    assert "is there already" in refusal(call("smooth", tmp_path, output=tmp_path / "nowhere"))


def test_shards_in_braces_and_keys_of_settings_are_inputs(tmp_path: Path) -> None:
    shard = put_text(tmp_path / "001.h5", "of a shard")
    words = call("export-png", tmp_path, output=shard, labels=tmp_path / "{000..002}.h5")
    assert "is read by this command (--labels)" in refusal(words)
    table = put_text(tmp_path / "root" / "tags.csv", "image,tags\n")
    words = ["index", "folder", "--root", str(tmp_path / "root"), "--output", str(table), "--classes-file", "c.txt"]
    assert "is read by this command" in refusal(words)


def test_two_outputs_of_one_name(tmp_path: Path) -> None:
    line = refusal(call("train-localization", tmp_path, output=tmp_path / "a.pt", log=tmp_path / "A.pt"))
    assert "would be written twice (--output, --log)" in line


def test_a_command_that_does_not_declare_its_output_cannot_write(tmp_path: Path) -> None:
    def forgetful(result: Annotated[Path, POSITIONAL]) -> None:
        write_text(result, "all lost")

    mine = put_text(tmp_path / "t.csv", "id,mask,digest,foreground\n")
    done = CliRunner().invoke(make_command("forgetful", inspect.signature(forgetful), forgetful), [str(mine)])
    assert "is read by this command" in str(done.exception) and mine.read_text() == "id,mask,digest,foreground\n"


# what tagseg knows for its own


def write_all(folder: Path, seed: int) -> None:
    """Files of most forms, of other content for another seed."""
    from matplotlib.figure import Figure

    from tagseg.datasets.index import ImageRecord, write_ground_truth, write_index
    from tagseg.evaluation.confusion import ConfusionMatrix
    from tagseg.evaluation.result import Result
    from tagseg.runtime.pictures import write_figure

    write_figure(Figure(figsize=(1 + seed, 1)), folder / "f.png", folder / "f.svg")
    with atomic(folder / "labels.png") as temporary:
        write_labels(temporary, np.full((4, 4), seed, np.uint8))
    with write_shard(folder / "s.h5", "labels", {}) as writer:
        writer.put("a", {"labels": np.full((4, 4), seed, np.uint8)})
    write_torch(folder / "m.pt", {"kind": "pixel regression", "seed": seed})
    write_torch(folder / "b.pt", {"versions": {"tagseg": "1"}, "seed": seed})
    write_index(folder / "tags.csv", [ImageRecord("a", "train", Path(f"{seed}.jpg"), 4, 4, ())])
    write_ground_truth(folder / "truth.csv", {"a": Path(f"{seed}.png")})
    matrix = ConfusionMatrix(2, np.full((2, 2), seed + 1))
    write_text(folder / "r.json", Result({"split": "val"}, ["background", "x"], 1, matrix).to_json())
    write_text(folder / "classes.txt", "".join(f"{name}\n" for name in ["background", "cat", "dog"][: 2 + seed]))


def test_its_own_files_are_made_again(tmp_path: Path) -> None:
    write_all(tmp_path, 0)
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    assert all(file_type(path) for path in tmp_path.iterdir())
    write_all(tmp_path, 1)
    assert {name for name, content in before.items() if (tmp_path / name).read_bytes() != content} == set(before)


@pytest.mark.parametrize("name", ["f.png", "f.svg", "labels.png", "s.h5", "m.pt", "tags.csv", "r.json", "classes.txt"])
def test_others_of_the_same_suffix_are_not(name: str, tmp_path: Path) -> None:
    foreign = tmp_path / name
    if name.endswith(".png"):
        put_image(foreign)
    elif name.endswith(".h5"):
        with h5py.File(foreign, "w") as file:
            file["x"] = 1
    else:
        put_text(foreign, "image,tags\na,cat\n")
    content = foreign.read_bytes()
    with refused(foreign, "is not what tagseg would write there"):
        write_all(tmp_path, 0)
    assert foreign.read_bytes() == content


def test_a_file_of_another_form_is_not_replaced(tmp_path: Path) -> None:
    write_torch(tmp_path / "model.pt", {"versions": {"tagseg": "1"}})
    with refused(tmp_path / "model.pt", "is not what tagseg would write there"):
        write_text(tmp_path / "model.pt", "id,mask,digest,foreground\n")


def test_what_a_run_begins_with_is_not_replaced_by_its_results(tmp_path: Path) -> None:
    for kind in (PHOTOGRAPH, TRUTH):
        path = tmp_path / f"{kind}.png"
        Image.new("RGB", (40, 40)).save(path, pnginfo=png_info(kind))
        assert "is there already" in refusal(call("smooth", tmp_path, output=path))


def test_a_list_of_classes_is_replaced_beside_its_own_index_alone(tmp_path: Path) -> None:
    put_image(tmp_path / "images" / "a.png", 40, 36)
    put_text(tmp_path / "tags.csv", "image,tags\na,cat;dog\n")
    index = partial(stages_index.run, output=tmp_path / "out" / "tags.csv")
    own, mine = tmp_path / "out" / "classes.txt", put_text(tmp_path / "mine.txt", "background\nfox\n")
    index(FolderData(root=tmp_path), classes=own)
    with refused(mine, "is not what tagseg would write there"):
        index(FolderData(root=tmp_path), classes=mine)
    put_text(tmp_path / "tags.csv", "image,tags\na,cat\n")
    index(FolderData(root=tmp_path), classes=own)
    assert own.read_text() == "background\ncat\n"
    put_text(own, "background\nfox\n")  # somebody's, of other data
    with refused(own, "is not what tagseg would write there"):
        index(FolderData(root=tmp_path), classes=own)
    assert own.read_text() == mine.read_text() == "background\nfox\n"


def test_pages_and_drawings_that_mention_tagseg_are_not_its_own(tmp_path: Path) -> None:
    page = put_text(tmp_path / "p.html", "<!doctype html>\n<title>notes on tagseg</title>\n")
    drawing = put_text(tmp_path / "d.svg", '<svg xmlns="http://www.w3.org/2000/svg"><text>tagseg</text></svg>\n')
    assert file_type(page) is None and file_type(drawing) is None


def test_checkpoints_of_others_are_not_its_own(tmp_path: Path) -> None:
    torch.save({"model": {}, "optimiser": {}, "data": "/home/me/tagseg-data/x"}, tmp_path / "mine.pt")
    write_torch(tmp_path / "own.pt", {"kind": "pixel regression"})
    assert file_type(tmp_path / "mine.pt") is None and file_type(tmp_path / "own.pt") == "model"


def test_notes_beside_a_shard_are_no_journals(tmp_path: Path) -> None:
    mine = put_text(tmp_path / ".s.h5.notes.journal", "mine")
    with write_shard(tmp_path / "s.h5", "labels", {}) as writer:
        writer.put("a", {"labels": np.ones((4, 4), np.uint8)})
    assert sorted(tmp_path.iterdir()) == [mine, tmp_path / "s.h5"]


@pytest.mark.parametrize("name", [".", "..", "/"])
def test_an_output_needs_a_name(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with refused(Path(name), "needs a name of its own"):
        write_text(Path(name), "text")


# folders


def test_a_file_put_into_a_folder_while_it_is_written_stays(tmp_path: Path) -> None:
    folder = tmp_path / "out"
    for name in ("film.part", ".film.part", "notes.txt"):
        with atomic_folder(folder) as temporary:
            write_labels(temporary / "a.png", np.ones((4, 4), np.uint8))
        with (
            refused(folder / name, "in a folder that would be replaced"),
            atomic_folder(folder) as temporary,
        ):
            put_text(folder / name, "mine")
        assert sorted(path.name for path in folder.iterdir()) == sorted(["a.png", name])
        (folder / name).unlink()
    put_text(folder / ".a.png.host-1.77.part", "of a killed process")
    with atomic_folder(folder):
        pass
    assert list(folder.iterdir()) == [] and list(tmp_path.iterdir()) == [folder]


def test_a_folder_with_somebody_s_file_in_it_stays(tmp_path: Path) -> None:
    from tagseg.datasets.index import ImageRecord, write_index

    write_index(tmp_path / "tags.csv", [ImageRecord("a", "train", Path("a.jpg"), 4, 4, ())])
    with write_shard(tmp_path / "s.h5", "labels", {}) as writer:
        writer.put("a", {"labels": np.ones((4, 4), np.uint8)})
    for _ in range(2):
        export_png.run([tmp_path / "s.h5"], tmp_path / "tags.csv", tmp_path / "out", split=None)
    mine = put_text(tmp_path / "out" / "notes.txt", "mine")
    with refused(mine, "in a folder that would be replaced"):
        export_png.run([tmp_path / "s.h5"], tmp_path / "tags.csv", tmp_path / "out", split=None)
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["a.png", "notes.txt"]


def test_scenes_do_not_replace_photographs_or_tables(tmp_path: Path) -> None:
    def make(seed: int) -> None:
        write_scenes(tmp_path / "images", tmp_path / "masks", tmp_path / "t.csv", seed=seed, train=1, val=0, size=48)

    make(0)
    make(1)
    mine = put_image(tmp_path / "images" / "mine.png")
    with refused(mine, "in a folder that would be replaced"):
        make(2)
    mine.unlink()
    put_text(tmp_path / "t.csv", "image,tags,split\nmine,cat,train\n")
    with refused(tmp_path / "t.csv", "is there already"):
        make(2)
    assert mine.parent.is_dir() and (tmp_path / "t.csv").read_text().endswith("mine,cat,train\n")


def test_marks(tmp_path: Path) -> None:
    Image.new("RGB", (40, 40)).save(tmp_path / "f.png", pnginfo=png_info(FIGURE))
    assert file_type(tmp_path / "f.png") == FIGURE
    assert file_type(put_image(tmp_path / "p.jpg", comment=b"my tagseg photograph")) is None
    assert file_type(tmp_path / "none") is None and file_type(tmp_path) is None
