"""Recognise the files that tagseg wrote, and their types, by content alone."""

import json
import re
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path

from tagseg.images.formats import ORIGINALS_HEADER
from tagseg.images.marks import HEAD, NAME, kind_of

ARCHIVE = "tagseg.tar"  # the name that a submission's gzip header bears
_KEY = b"X\x06\0\0\0tagseg"  # the key of the version in all that torch saves for tagseg, as pickle writes it
SCORES = b"tagseg scores"  # the comment of an .npz
LISTS = ("list", "sums")  # plain text that bears no mark: others may have written it

# The headers of all tables that tagseg writes. An ellipsis stands for any columns; one in brackets may be missing.
_TABLES = {
    "index": "id,split,path,width,height,tags,digest",
    "ground truth": "id,mask,digest,foreground",
    "report": "status,image,file,line,what,remedy",
    "faults": "file,line,image,what,remedy",
    "originals": ORIGINALS_HEADER,
    "predictions": "image,file,classes,failure",
    "training": "step,learning_rate,loss",
    "miou": "method,crf,source[,recipe],miou,classes,pixel_accuracy,...",
    "ablation": "experiment,source[,recipe],mask,crf,fov,...",
    "masks": "prior,crf,split,images,mean_iou,...",
    "trimap": "method,crf,source,width,pixels,pixel_accuracy,miou",
    "images": "id,miou,pixel_accuracy",
    "search": "crf,...,mean_iou,pixel_accuracy",
    "bsds": "images,thresholds,ods,ods_threshold,...",
    "bsds images": "image,threshold,f,precision,recall,covering_threshold,...",
}


def _pattern(header: str) -> re.Pattern[str]:
    optional = re.sub(r"\\\[(.*?)\\\]", r"(\1)?", re.escape(header))
    return re.compile(optional.replace(r",\.\.\.", r"(,[^\n]*)?"))


_HEADERS = {name: _pattern(header) for name, header in _TABLES.items()}
_SCENES = re.compile(r"image,tags,split\n(train|val)_00000,")  # of the embedded demo, not of anybody's photographs
_SUMS = re.compile(r"([0-9a-f]{32}  \S+\n)+")


def file_type(path: Path, suffix: str | None = None) -> str | None:
    """The type of a file that tagseg wrote: the kind of a picture, or another name; None for any other file.

    A list has the type `list`, whoever wrote it: a .txt file, or classes under another name. Anything but a regular
    file has none. `suffix` is that of the file's final name, if this one is temporary.
    """
    if not path.is_file():
        return None
    try:
        with path.open("rb") as file:
            head = file.read(HEAD)
    except OSError:
        return None
    for begins, recognise in _BINARY.items():
        if head.startswith(begins):
            return recognise(path, head)
    try:
        return _text(path, head.decode("utf-8", "ignore"), path.suffix if suffix is None else suffix)
    except (OSError, ValueError):
        return None


def lines_of(path: Path) -> list[str]:
    """The lines of a list."""
    return path.read_text(encoding="utf-8", errors="surrogateescape").splitlines()


def _text(path: Path, head: str, suffix: str) -> str | None:
    first = head.partition("\n")[0].rstrip("\r")
    for name, header in _HEADERS.items():
        if header.fullmatch(first):
            return name
    if _SCENES.match(head):
        return "scenes"
    if head.startswith("{") and '"facts"' in head:
        content = json.loads(path.read_text(encoding="utf-8"))
        return "result" if {"facts", "classes", "images", "counts"} <= set(content) else None
    if "<svg" in head and "<dc:title>tagseg</dc:title>" in head:
        return "drawing"
    if head.startswith("<!doctype html>") and "<style>.tagseg " in head:
        return "page"
    if _SUMS.fullmatch(head):
        return "sums"
    return "list" if suffix == ".txt" or first == "background" else None


def _shard(path: Path, head: bytes) -> str | None:
    import h5py  # here: it takes a while to load, and most files are of other types

    try:
        with h5py.File(path, "r") as file:
            return f"shard of {file.attrs['kind']}" if "tagseg" in file.attrs else None
    except (OSError, KeyError):
        return None


def _zip(path: Path, head: bytes) -> str | None:
    """A model as torch saves it, or the scores of a photograph."""
    try:
        with zipfile.ZipFile(path) as file:
            if file.comment == SCORES:
                return "scores"
            found = [name for name in file.namelist() if name.endswith("/data.pkl")]
            ours = any(_KEY in file.read(name) for name in found)
            return "model" if ours else None
    except (OSError, zipfile.BadZipFile, zlib.error, RuntimeError):
        return None


def _gzip(path: Path, head: bytes) -> str | None:
    # a header with a name: ten bytes, the name, a zero byte
    return "archive" if head[10:].startswith(ARCHIVE.encode() + b"\0") else None


def _onnx(path: Path, head: bytes) -> str | None:
    return "graph" if NAME.encode() in head[:64] else None


_BINARY: dict[bytes, Callable[[Path, bytes], str | None]] = {
    b"\x89PNG": lambda path, head: kind_of(head),
    b"\xff\xd8": lambda path, head: kind_of(head),
    b"\x89HDF": _shard,
    b"PK": _zip,
    b"\x1f\x8b": _gzip,
    b"\x08": _onnx,
}
