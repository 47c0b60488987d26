"""A command made of a function's signature: a parameter is an option, a settings class an option for each of its keys.

So a function, its command and, through `config.parsing.flags`, the rule that calls it cannot drift apart.
"""

import inspect
import re
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Annotated, Any, get_args, get_origin

import typer
from annotated_types import Ge, Le
from pydantic import BaseModel, TypeAdapter, ValidationError
from pydantic.fields import FieldInfo
from typer.core import TyperCommand

from tagseg.artifacts.outputs import reading, refuse
from tagseg.cli.paths import paths_of
from tagseg.config.arguments import POSITIONAL, Named
from tagseg.config.parsing import checked
from tagseg.errors import TagsegError


def make_command(name: str, signature: inspect.Signature, call: Callable[..., Any]) -> TyperCommand:
    """The command `name` with the options of `signature`; `call` gets what a user gave, by parameter.

    Parameters are annotated with a type, with `Annotated[type, Field(...)]` (see `config.arguments`), or with a
    settings class. `dict` stands for an option NAME=VALUE, given once for each. A text that is returned is printed.
    Before the call, its paths are looked at: none that is written may be one that is read, or somebody's file.
    """
    parameters = list(signature.parameters.values())

    def run(**values: Any) -> None:
        given = {parameter.name: _value(parameter, values) for parameter in parameters}
        written, read = paths_of(
            (option_of(parameter), parameter.annotation, given[parameter.name]) for parameter in parameters
        )
        refuse(written, read)
        with reading(read):
            text = call(**given)
        if isinstance(text, str):
            typer.echo(text)

    options = [option for parameter in parameters for option in options_of(parameter)]
    setattr(run, "__signature__", inspect.Signature(options))  # noqa: B010 (the attribute is the protocol of inspect)
    app = typer.Typer(add_completion=False)
    app.command(name)(run)
    made = typer.main.get_command(app)
    assert isinstance(made, TyperCommand)
    return made


def is_settings(annotation: Any) -> bool:
    """Whether a parameter is a group of keys."""
    return inspect.isclass(annotation) and issubclass(annotation, BaseModel)


def option_of(parameter: inspect.Parameter) -> str:
    """How a parameter is called on the command line: `--tags`, or `IMAGES` where it has its place."""
    field = FieldInfo.from_annotation(parameter.annotation)
    spelt = _spelt(parameter.name, field)
    return spelt.upper() if POSITIONAL in field.metadata else "--" + spelt.replace("_", "-")


def options_of(parameter: inspect.Parameter) -> Iterator[inspect.Parameter]:
    """What typer is told of a parameter: an option, or of a settings class one for each key."""
    settings = parameter.annotation
    if is_settings(settings):
        panel = re.sub("(?<=[a-z])(?=[A-Z])", " ", settings.__name__).capitalize()
        for key, field in settings.model_fields.items():
            if key != "kind":
                yield _option(key, field, inspect.Parameter.empty if field.is_required() else field.default, panel)
    else:
        field = FieldInfo.from_annotation(parameter.annotation)
        default = field.get_default(call_default_factory=True) if field.default_factory else parameter.default
        yield _option(parameter.name, field, default, None)


def _option(name: str, field: FieldInfo, default: Any, panel: str | None) -> inspect.Parameter:
    kind: Any = field.annotation
    if get_origin(kind) is dict:
        kind = list[str]
    elif get_origin(kind) is Sequence:
        kind = list[get_args(kind)[0]]  # type: ignore[misc]  # typer knows lists alone
    if isinstance(default, tuple | dict):
        default = list(default)
    spelt = _spelt(name, field)
    option: Any
    if POSITIONAL in field.metadata:
        option = typer.Argument(help=field.description)
    else:
        names = ["--output", "-o"] if spelt == "output" else []
        counts = (
            field.metadata if kind is int and panel is None else []
        )  # of settings and parts, pydantic says what is wrong
        least: Any = next((limit.ge for limit in counts if isinstance(limit, Ge)), None)
        most: Any = next((limit.le for limit in counts if isinstance(limit, Le)), None)
        option = typer.Option(*names, help=field.description, rich_help_panel=panel, min=least, max=most)
    return inspect.Parameter(spelt, inspect.Parameter.KEYWORD_ONLY, default=default, annotation=Annotated[kind, option])


def _spelt(name: str, field: FieldInfo) -> str:
    """A parameter's name on the command line, with `_`: its own, unless it is `Named`."""
    named = next((told.name for told in field.metadata if isinstance(told, Named)), name)
    return named.replace("-", "_")


def _value(parameter: inspect.Parameter, values: dict[str, Any]) -> Any:
    """What a parameter is handed. Raises TagsegError naming the option that has a wrong value."""
    settings = parameter.annotation
    if is_settings(settings):
        return checked(settings, {key: values[key] for key in settings.model_fields if key in values})
    field, option = FieldInfo.from_annotation(parameter.annotation), option_of(parameter)
    value = values[_spelt(parameter.name, field)]
    if get_origin(field.annotation) is dict:
        return _by_name(value or [], option, get_args(field.annotation)[1])
    try:
        return TypeAdapter(parameter.annotation).validate_python(value)
    except ValidationError as error:
        raise TagsegError(f"{option}: {error.errors()[0]['msg']} (got {value!r})") from None


def _by_name(items: list[str], option: str, kind: Any) -> dict[str, Any]:
    """Values of an option that is given as NAME=VALUE, by name; where `kind` is a list, all that have one name."""
    found: dict[str, Any] = {}
    for item in items:
        name, equals, value = item.partition("=")
        if not equals:
            raise TagsegError(f"{option} {item}: write it as NAME=VALUE")
        if kind == list[Path]:
            found.setdefault(name, []).append(Path(value))
        else:
            found[name] = kind(value)
    return found
