"""Tell by their names which files of a folder are photographs, which may be but are not read, and which are neither.

The real format of a file is found when it is decoded, whatever its suffix says.
"""

import os
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path

from tagseg.errors import TagsegError, first_of

SUFFIXES = (
    ".jpg", ".jpeg", ".jpe", ".jfif", ".mpo", ".png", ".apng", ".bmp", ".dib", ".tif", ".tiff", ".webp", ".gif",
    ".avif", ".avifs", ".heic", ".heif", ".hif", ".jp2", ".j2k", ".j2c", ".jpc", ".jpf", ".jpx",
    ".ppm", ".pgm", ".pbm", ".pnm", ".qoi", ".tga",
)  # fmt: skip
# Files that commonly lie beside photographs: texts, tables, annotations, a system's own. Any other file that is not
# read is reported: a raw photograph, a drawing, a video or a file without suffix may be one that the user counts on.
_COMPANIONS = frozenset({
    ".txt", ".text", ".md", ".rst", ".log", ".csv", ".tsv", ".json", ".jsonl", ".ndjson", ".geojson", ".xml",
    ".yaml", ".yml", ".toml", ".ini", ".cfg", ".conf", ".html", ".htm", ".css", ".js", ".py", ".pyc", ".ipynb",
    ".sh", ".bat", ".r", ".tex", ".bib", ".doc", ".docx", ".odt", ".rtf", ".xls", ".xlsx", ".ods", ".ppt",
    ".pptx", ".sql", ".db", ".sqlite", ".mat", ".npy", ".npz", ".h5", ".hdf5", ".pkl", ".pickle", ".parquet",
    ".arrow", ".pt", ".pth", ".onnx", ".names", ".xmp", ".aae", ".thm", ".url", ".webloc", ".lnk", ".lock",
    ".md5", ".sha1", ".sha256",
})  # fmt: skip
_TEXTS = frozenset({"readme", "license", "licence", "copying", "authors", "changelog", "makefile", "icon\r"})
# Folders that systems create among photographs: archives (macOS), network storage (Synology, QNAP), Windows, Linux
_SYSTEM = frozenset({"__macosx", "@eadir", "#recycle", "@recycle", "$recycle.bin", "system volume information"})
COPIES = "working_copies"  # a project's folder of reduced photographs, and their table:
ORIGINALS = "originals.csv"
ORIGINALS_HEADER = "id,original,width,height[,digest]"  # all of the original; earlier versions wrote no digest
_THUMBNAILS = "thumbs"  # a folder that galleries create; it may also be the user's, so it is reported
REMEDY = "convert them to JPEG or PNG if they are photographs"  # for several files that are not read


def is_photograph(name: str) -> bool:
    """Whether a file with this name counts as a photograph: by its suffix, in any case, unless it is hidden."""
    return _suffix(name) in SUFFIXES and not name.startswith(".")


def is_unread(name: str) -> bool:
    """Whether a file with this name is not read although it may be a photograph; a folder's name ends in `/`."""
    suffix = _suffix(name)
    known = suffix in SUFFIXES or suffix in _COMPANIONS or name.casefold() in _TEXTS
    return not known and not name.startswith(".")


def format_name(name: str) -> str:
    """What to call the format of a file that is not read: its suffix, if it has one."""
    return "folder of thumbnails" if name.endswith("/") else _suffix(name) or "without a suffix"


def reason_and_remedy(name: str) -> tuple[str, str]:
    """Why a file with this name is not read, and what to do."""
    if name.endswith("/"):
        return "passed over as a folder of thumbnails", "rename it if it holds photographs"
    return f"in a format that is not read ({format_name(name)})", "convert it to JPEG or PNG if it is a photograph"


def not_read(files: Sequence[str]) -> str:
    """How many files (one or more) are not read, in which formats, and the first of them."""
    formats = Counter(map(format_name, files)).most_common()
    are = "file is" if len(files) == 1 else "files are"
    return f"{len(files)} {are} not read: {', '.join(f'{count} {what}' for what, count in formats)} ({first_of(files)})"


def unread_line(files: Sequence[str]) -> str:
    """The same, with the remedy."""
    return f"{not_read(files)}; {REMEDY}"


def are_copies(folder: Path) -> bool:
    """Whether a folder holds a project's working copies, whose originals lie elsewhere and are the ones to read."""
    if folder.name != COPIES:
        return False
    try:
        with (folder / ORIGINALS).open(encoding="utf-8") as file:
            return file.readline().startswith(ORIGINALS_HEADER.partition("[")[0])
    except (OSError, ValueError):
        return False


def walk(folder: Path) -> Iterator[tuple[str, str, list[str], list[str]]]:
    """Walk `folder`: the path of each folder, its path below `folder` (`a/b/`), and names of its folders and files.

    Hidden folders, those of systems and a project's working copies are left out; a folder of thumbnails is listed among
    the files, as `Thumbs/`. Links are followed, except in a cycle. Raises TagsegError for a folder without permission
    to read.
    """
    ways: dict[str, set[Path]] = {}  # for each folder to come, the real folders above it, by the path that led there
    for base, folders, files in os.walk(folder, followlinks=True, onerror=_refuse):
        thumbnails = [name for name in folders if name.casefold() == _THUMBNAILS]
        folders[:] = sorted(
            name for name in folders if name[0] != "." and name.casefold() not in _SYSTEM and name not in thumbnails
        )
        folders[:] = [name for name in folders if name != COPIES or not are_copies(Path(base) / name)]
        real = Path(base).resolve()
        above = {real, *real.parents, *ways.pop(base, ())}  # a link to one of these is a cycle
        folders[:] = [name for name in folders if (Path(base) / name).resolve() not in above]
        ways |= {f"{base}/{name}": above for name in folders}
        below = "".join(f"{part}/" for part in Path(base).relative_to(folder).parts)
        yield base, below, folders, files + [f"{name}/" for name in thumbnails]


def _refuse(error: OSError) -> None:
    raise TagsegError(
        f"{error.filename}: {error.strerror}; give permission to read this folder, or move it away"
    ) from None


def _suffix(name: str) -> str:
    """The suffix in lower case; without Path, which is slow for a hundred thousand names."""
    return os.path.splitext(name)[1].lower()  # noqa: PTH122
