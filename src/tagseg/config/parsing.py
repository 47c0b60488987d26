"""From YAML to settings and on to command-line options, with one line for each fault of a configuration."""

import difflib
import json
import shlex
import types
from pathlib import Path
from typing import Any, TypeVar, Union, get_args, get_origin

import yaml
from pydantic import BaseModel, ValidationError

from tagseg.config import Config
from tagseg.config.data import Settings
from tagseg.errors import TagsegError

S = TypeVar("S", bound=BaseModel)


def parse_config(data: dict[str, Any]) -> Config:
    """Check a configuration as read from YAML.

    Raises TagsegError with one line for each fault: the key's path, what is wrong, how to fix it.
    """
    try:
        return Config.model_validate(data)
    except ValidationError as error:
        raise TagsegError("\n".join(_explain(fault) for fault in error.errors())) from None


def require_unique_keys(file: Path) -> None:
    """Raise TagsegError naming file and line if a key of a YAML file is there twice: YAML takes the last, silently."""
    try:
        _require_unique(file, yaml.compose(file.read_text(encoding="utf-8")))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise TagsegError(f"{file}: not YAML ({' '.join(str(error).split())}); fix it") from None


def _require_unique(file: Path, node: yaml.Node | None) -> None:
    seen: dict[str, int] = {}
    for key, value in node.value if isinstance(node, yaml.MappingNode) else []:
        line = key.start_mark.line + 1
        if str(key.value) in seen:
            raise TagsegError(f"{file}:{line}: key {key.value!r} was given before, in line {seen[key.value]}; keep one")
        seen[str(key.value)] = line
        _require_unique(file, value)
    for value in node.value if isinstance(node, yaml.SequenceNode) else []:
        _require_unique(file, value)


def flags(settings: Settings) -> str:
    """The command-line options, shell-quoted, that pass `settings` to a stage."""
    words: list[str] = []
    for name, value in settings.model_dump(mode="json").items():
        if name == "kind":
            continue
        option = "--" + name.replace("_", "-")
        if isinstance(value, bool):
            words.append(option if value else "--no-" + option[2:])
        else:
            for item in value if isinstance(value, list) else [value]:
                words += [option, str(item)]
    return shlex.join(words)


def schema() -> str:
    """JSON schema of the configuration, for editors and the workflow catalog."""
    return json.dumps(Config.model_json_schema(), indent=2, sort_keys=True) + "\n"


_RENAMED = {"refit": "second_round"}  # keys of earlier versions


def _explain(fault: Any) -> str:
    loc = fault["loc"]
    # datasets.NAME.data.KIND.key: pydantic adds the kind, which is not a key of the file
    union = len(loc) > 3 and loc[0] == "datasets" and loc[2] == "data"
    where = ".".join(str(part) for i, part in enumerate(loc) if not (union and i == 3)) or "the top level"
    if fault["type"] == "extra_forbidden":
        known = _siblings(loc)
        close = difflib.get_close_matches(str(loc[-1]), known, n=1, cutoff=0.5)
        if _RENAMED.get(loc[-1]) in known:
            return f"config: {where}: this key is called {_RENAMED[loc[-1]]} now; rename it"
        hint = f"did you mean {close[0]!r}?" if close else f"known here: {', '.join(known)}"
        return f"config: {where}: unknown key; {hint}"
    if fault["type"] == "missing":
        return f"config: {where}: this key is required and missing"
    message = fault["msg"].removeprefix("Value error, ")
    given = f" (got {fault['input']!r})" if isinstance(fault["input"], str | int | float | None) else ""
    return f"config: {where}: {message}{given}"


def _siblings(loc: tuple[Any, ...]) -> list[str]:
    """Known keys of the group that the last part of `loc` is in, found by walking the classes along `loc`."""
    here: Any = Config
    for part in loc[:-1]:
        if isinstance(here, type) and issubclass(here, BaseModel):
            here = here.model_fields[part].annotation
        elif get_origin(here) is dict:
            here = get_args(here)[1]
        elif get_origin(here) in (Union, types.UnionType):
            here = next(kind for kind in get_args(here) if part in get_args(kind.model_fields["kind"].annotation))
    return list(here.model_fields) if isinstance(here, type) and issubclass(here, BaseModel) else []


def checked(settings: type[S], values: dict[str, Any]) -> S:
    """Settings with these values. Raises TagsegError naming the option that has a wrong one."""
    try:
        return settings.model_validate(values)
    except ValidationError as error:
        fault = error.errors()[0]
        message = fault["msg"].removeprefix("Value error, ")
        if not fault["loc"]:  # of several options together
            raise TagsegError(f"options: {message}") from None
        option = "--" + str(fault["loc"][-1]).replace("_", "-")
        raise TagsegError(f"{option}: {message} (got {fault['input']!r})") from None
