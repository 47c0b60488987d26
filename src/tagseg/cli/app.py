"""The command line: the `run` of each file in `stages/` and `commands/` is a command, named after its file.

Signatures and docstrings are read from the source, and a file is imported only when its command is called: `tagseg
--help` and `tagseg extract --help` need not wait for torch.
"""

import inspect
import io
import logging
import sys
from collections.abc import Callable
from functools import cached_property, partial
from importlib import import_module
from pathlib import Path
from typing import Any, get_args

import typer
from typer.core import TyperCommand, TyperGroup

from tagseg.artifacts.disk import explained
from tagseg.cli.options import is_settings, make_command
from tagseg.cli.orphans import end_with_master
from tagseg.cli.signatures import docstring, read_signature
from tagseg.config.data import DISK_KINDS
from tagseg.errors import TagsegError
from tagseg.runtime.progress import log_usage

_PACKAGE = Path(__file__).parents[1]
# Folders of commands, and their headings in `tagseg --help`: what people type comes last, where a terminal shows it.
_PANELS = {"stages": "Stages", "commands": "Your own photographs"}
# Groups of commands (`tagseg figure cams`): of files whose names begin with the group's, or that lie in its folder.
_FAMILIES = {
    "figure": "Draw one of the paper's figures; PNG and SVG by suffix.",
    "second_round": "The second round: a pixel classifier, learned from the first round's masks of all images.",
}
BY_KIND = ("index", "ground_truth", "render_truth")  # groups with a command for each kind of data set


class LazyCommand(TyperCommand):
    """The command of a file, whose options are made when they are needed."""

    def __init__(self, name: str, text: str, make: Callable[[], TyperCommand], panel: str | None = None):
        super().__init__(name, help=text, rich_help_panel=panel)
        self._make = make
        del self.params, self.callback  # set by click; the properties below replace them

    @cached_property
    def _made(self) -> TyperCommand:
        return self._make()

    @cached_property
    def params(self) -> Any:  # type: ignore[override]
        return self._made.params

    @cached_property
    def callback(self) -> Any:  # type: ignore[override]
        return self._made.callback


class LazyGroup(TyperGroup):
    """A group of commands, which are found when they are needed."""

    def __init__(self, *, find: Callable[[], dict[str, Any]], **facts: Any):
        super().__init__(no_args_is_help=True, **facts)
        self._find = find
        del self.commands

    @cached_property
    def commands(self) -> Any:  # type: ignore[override]
        return self._find()


def _all_commands() -> dict[str, Any]:
    """Commands and groups of commands, by name."""
    found: dict[str, Any] = {}
    for folder, panel in _PANELS.items():
        families: dict[str, dict[str, Any]] = {}
        for file in sorted((_PACKAGE / folder).rglob("*.py")):
            text = docstring(file)
            if text is None:
                continue  # a module that commands share
            text = text.partition("Raises ")[0].strip()  # exceptions concern callers from Python only
            family, name = family_of(file)
            if name in BY_KIND:
                found[_spelt(name)] = LazyGroup(
                    find=partial(_commands_by_kind, file), name=_spelt(name), help=text, rich_help_panel=panel
                )
            elif family:
                families.setdefault(family, {})[_spelt(name)] = _command(_spelt(name), text, file)
            else:
                found[_spelt(name)] = _command(_spelt(name), text, file, panel)
        for family, members in families.items():
            found[_spelt(family)] = LazyGroup(
                find=partial(dict, members),
                name=_spelt(family),
                help=_FAMILIES[family],
                rich_help_panel=panel,
            )
    return found


def family_of(file: Path) -> tuple[str, str]:
    """The group that a file's command belongs to ('' for none), and its name in it."""
    for family in _FAMILIES:
        if file.parent.name == family:
            return family, file.stem
        if file.stem.startswith(f"{family}_"):
            return family, file.stem.removeprefix(f"{family}_")
    return "", file.stem


def _command(name: str, text: str, file: Path, panel: str | None = None) -> LazyCommand:
    return LazyCommand(name, text, lambda: make_command(name, read_signature(file), _caller(file)), panel)


def _commands_by_kind(file: Path) -> dict[str, Any]:
    """A command for each kind of data set, with the keys of that kind as options."""
    made = {}
    for kind, signature in by_kind(read_signature(file)).items():
        made[kind] = make_command(kind, signature, _caller(file))
        made[kind].help = inspect.getdoc(DISK_KINDS[kind])
    return made


def by_kind(signature: inspect.Signature) -> dict[str, inspect.Signature]:
    """Signatures by kind of data set, from one whose parameter may be of several kinds."""
    union = next(p for p in signature.parameters.values() if any(map(is_settings, get_args(p.annotation))))
    found = {}
    for settings in get_args(union.annotation):
        others = [p.replace(annotation=settings) if p is union else p for p in signature.parameters.values()]
        found[settings.model_fields["kind"].default] = signature.replace(parameters=others)
    return found


def _caller(file: Path) -> Callable[..., Any]:
    """A function that imports a file and calls its `run`; the log of a stage ends with what it took."""
    parts = file.relative_to(_PACKAGE).with_suffix("").parts

    def call(**values: Any) -> Any:
        said = import_module(".".join(("tagseg", *parts))).run(**values)
        if parts[0] == "stages":
            log_usage()
        return said

    return call


def _spelt(name: str) -> str:
    return name.replace("_", "-")


class _Root(LazyGroup):
    def __init__(self, **facts: Any):
        facts.pop("no_args_is_help", None)
        facts.pop("commands", None)
        super().__init__(find=_all_commands, **facts)


app = typer.Typer(cls=_Root, add_completion=False, pretty_exceptions_enable=False)


@app.callback()
def tagseg() -> None:
    """From image tags to pixel labels. Snakemake runs the stages; you can also run each by hand."""


def main() -> None:
    """Entry point: errors of the user print one line without a traceback, and end with status 2."""
    logging.basicConfig(level=logging.WARNING, format="%(asctime)s %(name)s: %(message)s", datefmt="%H:%M:%S")
    logging.getLogger("tagseg").setLevel(logging.INFO)  # other libraries log warnings only
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")  # as on standard error: names of files may be in any encoding
    try:
        end_with_master()
        app()
    except (TagsegError, OSError) as error:
        line = explained(error) if isinstance(error, OSError) else error
        if line is None:
            raise
        print(f"tagseg: {line}", file=sys.stderr)
        sys.exit(2)
