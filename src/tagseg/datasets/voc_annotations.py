"""The objects that an XML file of VOC's form names, by whatever tool it was written."""

import difflib
import xml.etree.ElementTree as ElementTree
from collections.abc import Sequence
from pathlib import Path

from tagseg.config.names import plain
from tagseg.errors import TagsegError


def object_names(path: Path) -> list[str]:
    """Names of the objects in an annotation, each once, in its order; parts of objects are none.

    What `filename` says is not looked at: tools leave it as it was when a file is renamed. Raises TagsegError naming
    the file if it is missing, broken, no annotation, or has an object without a name.
    """
    try:
        root = ElementTree.parse(path).getroot()
    except FileNotFoundError:
        raise TagsegError(f"{path}: no such annotation; set data.tags to masks, or add the file") from None
    except (ElementTree.ParseError, ValueError, LookupError, OSError) as error:
        raise TagsegError(f"{path}: not a readable annotation ({error}); replace the file") from None
    kind = root.tag.rpartition("}")[2]
    if kind != "annotation":
        raise TagsegError(f"{path}: <{kind}> in the place of <annotation>; export the annotations in Pascal VOC's form")
    names = []
    for found in root.iterfind("{*}object"):
        name = plain(found.findtext("{*}name") or "")
        if not name:
            raise TagsegError(f"{path}: an object without a name; name it, or take it out")
        names.append(name)
    return list(dict.fromkeys(names))


def nearest(name: str, classes: Sequence[str]) -> str:
    """The class that a misspelt name may mean, or nothing."""
    folded = {other.casefold(): other for other in classes}
    close = difflib.get_close_matches(name.casefold(), folded, n=1, cutoff=0.75)
    return folded[close[0]] if close else ""
