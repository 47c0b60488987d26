"""Facts that an unfinished file bears: all that its content depends on, as JSON, to tell whether it can be resumed."""

import json
from collections.abc import Mapping
from typing import Any


def as_json(facts: Mapping[str, Any]) -> dict[str, Any]:
    """Facts as they come back from a file: tuples as lists, paths and other objects as text."""
    plain: dict[str, Any] = json.loads(json.dumps(dict(facts), sort_keys=True, default=str))
    return plain


def difference(theirs: Mapping[str, Any], ours: Mapping[str, Any]) -> str:
    """The keys in which two sets of facts differ, with both values, in one line."""
    keys = [key for key in sorted({*theirs, *ours}) if theirs.get(key) != ours.get(key)]
    return ", ".join(f"{key} {theirs.get(key)!r} there and {ours.get(key)!r} here" for key in keys)
