"""Download archives, resuming after interruptions, verify them, and unpack them safely."""

import hashlib
import http.client
import os
import shutil
import tarfile
import urllib.error
import urllib.request
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from tagseg.artifacts.atomic import atomic
from tagseg.artifacts.disk import explained
from tagseg.errors import TagsegError

_BLOCK = 1 << 20
_TIMEOUT = 60  # seconds without a byte


@dataclass(frozen=True)
class Archive:
    """A tar file on the network, and its published MD5 sum."""

    url: str
    md5: str

    @property
    def name(self) -> str:
        """The file name."""
        return self.url.rsplit("/", 1)[-1]


VOC = Archive(
    "https://thor.robots.ox.ac.uk/pascal/VOC/voc2012/VOCtrainval_11-May-2012.tar", "6cd6e144f989b92b3379bac3b3de84fd"
)
SBD = Archive(
    "https://www2.eecs.berkeley.edu/Research/Projects/CS/vision/grouping/semantic_contours/benchmark.tgz",
    "82b4d87ceb2ed10f6038a1cba92111cb",
)


def fetch(archive: Archive, folder: Path, progress: Callable[..., Any]) -> Path:
    """The archive as a file in `folder`, downloaded if it is missing.

    An interrupted download is kept as `NAME.part`, from which the next call resumes. `progress(total=, initial=)`, in
    bytes, gives a bar with `update` and `close`. Raises TagsegError naming the URL of a failed download, or the file
    with a wrong sum.
    """
    path, part = folder / archive.name, folder / f"{archive.name}.part"
    if not path.is_file():
        folder.mkdir(parents=True, exist_ok=True)
        if part.is_symlink():
            raise TagsegError(f"{part}: is a link, and is where the download goes; move it away")
        _download(archive.url, part, progress)
        found = _md5(part)
        if found != archive.md5:
            part.unlink()
            raise TagsegError(
                f"{archive.url}: its MD5 sum is {found}, not {archive.md5}; removed; run again, or get it elsewhere"
            )
        part.replace(path)
    elif (found := _md5(path)) != archive.md5:
        raise TagsegError(f"{path}: its MD5 sum is {found}, not {archive.md5}; delete it and run again")
    return path


def unpack(path: Path, folder: Path) -> None:
    """Unpack a tar file of files and folders into `folder`. Files that are there already with equal content stay.

    Raises TagsegError for a broken archive, and, before anything is written, for one that holds anything else (a link,
    a device) or a path that leads out of the folder, and for a file that is there with other content: somebody's own.
    """
    try:
        with tarfile.open(path) as archive:
            members = archive.getmembers()
            missing = [member for member in members if not _is_there(path, folder, archive, member)]
            for member in missing:
                _write(archive, member, folder / member.name)
    except (tarfile.TarError, zlib.error, EOFError, OSError) as error:
        if isinstance(error, OSError) and error.errno is not None:  # of reading, or of writing what is in it
            raise explained(error, error.filename or folder) or error from None
        reason = str(error).partition("\n")[0].rstrip(":")  # more lines may follow, one for each compression tried
        raise TagsegError(f"{path}: cannot be unpacked ({reason}); delete it and run again") from None


def _is_there(path: Path, folder: Path, archive: tarfile.TarFile, member: tarfile.TarInfo) -> bool:
    """Whether a file of the archive `path` is in `folder` already. Raises TagsegError as `unpack` says."""
    target = folder / member.name
    if not target.resolve().is_relative_to(folder.resolve()) or not (member.isfile() or member.isdir()):
        raise TagsegError(f"{path}: not unpacked, it would write outside {folder} ({member.name}); do not use it")
    if member.isdir() or not os.path.lexists(target):
        return False
    content = archive.extractfile(member)
    if content is None or not target.is_file() or not _holds(target, content):
        raise TagsegError(
            f"{target}: is there already, with other content than in {path}; move it away, or give another folder"
        )
    return True


def _holds(path: Path, content: IO[bytes]) -> bool:
    with path.open("rb") as file:
        while block := content.read(_BLOCK):
            if file.read(len(block)) != block:
                return False
        return not file.read(1)


def _write(archive: tarfile.TarFile, member: tarfile.TarInfo, target: Path) -> None:
    content = archive.extractfile(member)
    if content is None:  # of a folder
        target.mkdir(parents=True, exist_ok=True)
        return
    with atomic(target, tidy=False) as temporary, temporary.open("wb") as file:
        shutil.copyfileobj(content, file, _BLOCK)


def _download(url: str, part: Path, progress: Callable[..., Any]) -> None:
    """Download what `part` lacks."""
    have = part.stat().st_size if part.exists() else 0
    request = urllib.request.Request(url, headers={"Range": f"bytes={have}-"} if have else {})
    try:
        with urllib.request.urlopen(request, timeout=_TIMEOUT) as answer:
            resumed = answer.status == http.client.PARTIAL_CONTENT
            have = have if resumed else 0  # a server that cannot resume sends the whole file
            length = answer.headers.get("Content-Length")
            total = have + int(length) if length else None
            bar = progress(total=total, initial=have)
            with part.open("ab" if resumed else "wb") as file:
                while block := answer.read(_BLOCK):
                    file.write(block)
                    bar.update(len(block))
            bar.close()
    except urllib.error.HTTPError as error:
        if error.code == http.client.REQUESTED_RANGE_NOT_SATISFIABLE:
            return  # nothing is lacking; the MD5 sum tells whether it is right
        raise TagsegError(
            f"{url}: the server says {error.code} {error.reason}; try later, or get it elsewhere"
        ) from None
    except (OSError, http.client.HTTPException) as error:
        reason = getattr(error, "reason", error)
        raise TagsegError(f"{url}: not downloaded ({reason}); run again to go on from {part}") from None
    if total is not None and part.stat().st_size < total:
        raise TagsegError(f"{url}: the connection broke off; run again to go on from {part}")


def _md5(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "md5").hexdigest()
