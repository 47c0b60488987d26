"""Make a command from a function's signature: each parameter is an option, a settings class one for each of its keys.

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

from tagseg.artifacts.outputs import reading, refuse_outputs
from tagseg.cli.paths import paths_of
from tagseg.config.arguments import POSITIONAL, Named
from tagseg.config.parsing import checked
from tagseg.errors import TagsegError


def make_command(name: str, signature: inspect.Signature, call: Callable[..., Any]) -> TyperCommand:
    """The command `name` with the options of `signature`; it calls `call` with the user's values, by parameter.

    Parameters are annotated with a type, with `Annotated[type, Field(...)]` (see `config.arguments`), or with a
    settings class. A `dict` is an option NAME=VALUE that may be repeated. Text that `call` returns is printed. Before
    the call, paths are checked: an output must not be an input, or a file that tagseg did not write.
    """
    parameters = list(signature.parameters.values())

    def run(**values: Any) -> None:
        given = {parameter.name: _value(parameter, values) for parameter in parameters}
        written, read = paths_of(
            (option_of(parameter), parameter.annotation, given[parameter.name]) for parameter in parameters
        )
        refuse_outputs(written, read)
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
    """Whether a parameter's annotation is a settings class."""
    return inspect.isclass(annotation) and issubclass(annotation, BaseModel)


def option_of(parameter: inspect.Parameter) -> str:
    """A parameter's name on the command line: `--tags`, or `IMAGES` if it is positional."""
    field = FieldInfo.from_annotation(parameter.annotation)
    spelt = _spelt(parameter.name, field)
    return spelt.upper() if POSITIONAL in field.metadata else "--" + spelt.replace("_", "-")


def options_of(parameter: inspect.Parameter) -> Iterator[inspect.Parameter]:
    """The parameters that typer makes options from: one for a parameter, or one for each key of a settings class."""
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
        limits = field.metadata if kind is int and panel is None else []  # pydantic checks those of settings
        least: Any = next((limit.ge for limit in limits if isinstance(limit, Ge)), None)
        most: Any = next((limit.le for limit in limits if isinstance(limit, Le)), None)
        option = typer.Option(*names, help=field.description, rich_help_panel=panel, min=least, max=most)
    return inspect.Parameter(spelt, inspect.Parameter.KEYWORD_ONLY, default=default, annotation=Annotated[kind, option])


def _spelt(name: str, field: FieldInfo) -> str:
    """A parameter's name on the command line, with `_` for `-`: its own, unless it is `Named`."""
    named = next((told.name for told in field.metadata if isinstance(told, Named)), name)
    return named.replace("-", "_")


def _value(parameter: inspect.Parameter, values: dict[str, Any]) -> Any:
    """The value to pass for a parameter. Raises TagsegError naming the option that has an invalid value."""
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
    """Values of a repeated option NAME=VALUE, by name; if `kind` is a list, all values of a name."""
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
