"""Command-line options made of the configuration's own keys, so that a flag and a key cannot drift apart."""

import functools
import inspect
import re
from collections.abc import Callable, Collection, Iterator, Sequence
from pathlib import Path
from typing import Annotated, Any, Optional, TypeVar, get_args

import typer
from pydantic import BaseModel
from pydantic.fields import FieldInfo
from typer.models import ArgumentInfo, OptionInfo

from tagseg.artifacts.outputs import Given, reading, refuse
from tagseg.artifacts.shard_sets import shard_paths
from tagseg.config.parsing import checked
from tagseg.errors import TagsegError

S = TypeVar("S", bound=BaseModel)

# Under which heading of `tagseg --help` a command stands.
STAGES = "Stages"
OWN = "Your own photographs"

Tags = Annotated[Path, typer.Option(help="tags.csv of the data set")]
GroundTruth = Annotated[Path, typer.Option(help="ground_truth.csv of the data set; only evaluation reads it")]
Classes = Annotated[Path, typer.Option(help="classes.txt of the data set")]
# Stands behind a path that a command writes, a file or a folder. Every other path is one that it reads, and writing to
# that is refused: so a command that forgets the word cannot write at all.
WRITTEN = object()

Output = Annotated[Path, typer.Option("--output", "-o", help="File to write"), WRITTEN]
Files = Annotated[list[Path], typer.Option(help="Shard files; repeat the option for each")]
ShardNumber = Annotated[int, typer.Option(min=0, help="Which piece of the data set, from 0")]
Shards = Annotated[int, typer.Option(min=1, help="Into how many pieces the data set is cut")]
Threads = Annotated[
    int, typer.Option(min=1, help="CPU threads, loaders among them; the bytes of a result depend on the others")
]
Seed = Annotated[int, typer.Option(min=0, help="Seed of training and initialisation")]
CheckpointFolder = Annotated[
    Optional[Path],  # noqa: UP045 (typer)
    typer.Option(help="Folder for what a training that is killed goes on from"),
    WRITTEN,
]
TrainingLog = Annotated[Path, typer.Option("--log", help="CSV of the training to write: step, rate, loss"), WRITTEN]
OneSplit = Annotated[Optional[str], typer.Option(help="Only images of this split")]  # noqa: UP045 (typer)


def command(
    group: typer.Typer, name: str | None = None, *, panel: str = STAGES
) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Register a function as a subcommand under the heading `panel`.

    A parameter whose type is a settings class becomes an option a key; `Annotated[Class, keys]` has only some of them.

    Before the function runs, its paths are looked at: none that is `WRITTEN` may be one that is read, or
    somebody's file (`tagseg.artifacts.outputs`).
    """

    def decorate(function: Callable[..., None]) -> Callable[..., None]:
        parameters = list(inspect.signature(function).parameters.values())
        groups = {p.name: found for p in parameters if (found := _settings(p.annotation))}

        @functools.wraps(function)
        def wrapper(**values: Any) -> None:
            for parameter, (settings, keys) in groups.items():
                given = {key: values.pop(key) for key in keys if key in values}
                values[parameter] = checked(settings, given)
            written, read = _paths(parameters, values)
            refuse(written, read)
            with reading(read):
                function(**values)

        plain = [p.replace(kind=inspect.Parameter.KEYWORD_ONLY) for p in parameters if p.name not in groups]
        options = [
            _option(key, field, settings)
            for settings, keys in groups.values()
            for key, field in settings.model_fields.items()
            if key in keys
        ]
        signature = inspect.Signature([*plain, *(option for option in options if option.name != "kind")])
        setattr(wrapper, "__signature__", signature)  # noqa: B010 (the attribute is the protocol of inspect)
        group.command(name or function.__name__.replace("_", "-"), rich_help_panel=panel)(wrapper)
        return function

    return decorate


def _paths(parameters: Sequence[inspect.Parameter], values: dict[str, Any]) -> tuple[list[Given], list[Given]]:
    """What a command was given to write, and all else that it was given and that may be a file."""
    written: list[Given] = []
    read: list[Given] = []
    for parameter in parameters:
        declared = WRITTEN in getattr(parameter.annotation, "__metadata__", ())
        for path in _candidates(values[parameter.name], declared):
            (written if declared else read).append(Given(path, _option_of(parameter)))
    return written, read


def _candidates(value: Any, declared: bool) -> Iterator[Path]:
    """The paths in a value: itself, those of a list, FILE of NAME=FILE, the keys of settings, also below their root."""
    if isinstance(value, BaseModel):
        root = getattr(value, "root", Path())  # what else the settings name is seen from there
        for inner in dict(value).values():
            named = isinstance(inner, str | Path) and bool(str(inner)) and inner is not root
            yield from _candidates(str(root / inner) if named else inner, declared)
    elif isinstance(value, list | tuple):
        for inner in value:
            yield from _candidates(inner, declared)
    elif isinstance(value, Path):
        yield from [value] if declared else shard_paths([value])
    elif isinstance(value, str):
        for text in {value, value.partition("=")[2]}:
            yield from (path for path in shard_paths([Path(text)]) if text and _is_file(path))


def _is_file(path: Path) -> bool:
    try:
        return path.is_file()
    except (OSError, ValueError):  # no name that a file can have
        return False


def _option_of(parameter: inspect.Parameter) -> str:
    """How a parameter is called on the command line."""
    for told in getattr(parameter.annotation, "__metadata__", ()):
        if isinstance(told, ArgumentInfo):
            return parameter.name.upper()
        if isinstance(told, OptionInfo):
            # typer takes the first name for a default, and so does whoever looks
            names = [name for name in (told.default, *(told.param_decls or ())) if isinstance(name, str)]
            return next(iter(names), "--" + parameter.name.replace("_", "-"))
    return "--" + parameter.name.replace("_", "-")


def pair(item: str, option: str) -> tuple[str, str]:
    """Name and value of an option given as NAME=VALUE. Raises TagsegError without a `=`."""
    name, equals, value = item.partition("=")
    if not equals:
        raise TagsegError(f"{option} {item}: write it as NAME=VALUE")
    return name, value


def grouped(items: list[str], option: str) -> dict[str, list[Path]]:
    """Files by name, of an option given as NAME=FILE for each."""
    files: dict[str, list[Path]] = {}
    for item in items:
        name, path = pair(item, option)
        files.setdefault(name, []).append(Path(path))
    return files


def _settings(annotation: Any) -> tuple[type[BaseModel], Collection[str]] | None:
    """The settings class that a parameter is annotated with, and those of its keys that become options."""
    inner, *keys = get_args(annotation) or (annotation,)
    if not (inspect.isclass(inner) and issubclass(inner, BaseModel)):
        return None
    return inner, keys[0] if keys else inner.model_fields


def _option(name: str, field: FieldInfo, settings: type[BaseModel]) -> inspect.Parameter:
    """One key of a settings class as a typer option with the same type, default and description."""
    panel = re.sub("(?<=[a-z])(?=[A-Z])", " ", settings.__name__).capitalize()
    annotation: Any = Annotated[field.annotation, typer.Option(help=field.description, rich_help_panel=panel)]
    default = inspect.Parameter.empty if field.is_required() else field.default
    return inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=default, annotation=annotation)
