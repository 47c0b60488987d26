"""The download against a server of this machine: broken off and resumed, a wrong sum, an archive that reaches out."""

import hashlib
import http.server
import io
import tarfile
import threading
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest
from tqdm import tqdm
from trees import put_text, refused

from tagseg.datasets import download
from tagseg.datasets.download import SBD, VOC, Archive, fetch, unpack
from tagseg.stages import download_voc

BAR = partial(tqdm, disable=True)


class Server(http.server.ThreadingHTTPServer):
    """Files by path. `cut`: bytes after which the next answer breaks off. `ranges`: whether it can go on from there."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.files: dict[str, bytes] = {}
        self.cut: int | None = None
        self.ranges = True
        self.asked: list[str | None] = []


class Handler(http.server.BaseHTTPRequestHandler):
    server: Server

    def do_GET(self) -> None:
        content = self.server.files.get(self.path)
        wanted = self.headers["Range"]
        self.server.asked.append(wanted)
        if content is None:
            self.send_error(404)
            return
        start = int(wanted.removeprefix("bytes=").rstrip("-")) if wanted and self.server.ranges else 0
        if start >= len(content):
            self.send_error(416)
            return
        self.send_response(206 if start else 200)
        self.send_header("Content-Length", str(len(content) - start))
        self.end_headers()
        cut, self.server.cut = self.server.cut, None
        self.wfile.write(content[start : len(content) if cut is None else start + cut])

    def log_message(self, *words: object) -> None:
        """Nothing."""


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    running = Server()
    thread = threading.Thread(target=running.serve_forever)
    thread.start()
    yield running
    running.shutdown()
    running.server_close()
    thread.join()


def tar_of(files: dict[str, bytes], link: str = "") -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as archive:
        for name, content in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
        if link:
            member = tarfile.TarInfo("out")
            member.type, member.linkname = tarfile.SYMTYPE, link
            archive.addfile(member)
    return buffer.getvalue()


CONTENT = hashlib.shake_256(b"tagseg").digest(300_000)  # does not compress


def put(server: Server, name: str, content: bytes, md5: str | None = None) -> Archive:
    server.files[f"/{name}"] = content
    return Archive(f"http://127.0.0.1:{server.server_port}/{name}", md5 or hashlib.md5(content).hexdigest())


def test_a_download_goes_on_after_a_break(server: Server, tmp_path: Path) -> None:
    archive = put(server, "a.tgz", tar_of({"inner/a.bin": CONTENT}))
    server.cut = 100_000
    with refused(archive.url, "broke off", f"run again to go on from {tmp_path / 'a.tgz.part'}"):
        fetch(archive, tmp_path, BAR)
    assert (tmp_path / "a.tgz.part").stat().st_size == 100_000 and not (tmp_path / "a.tgz").exists()
    path = fetch(archive, tmp_path, BAR)
    assert server.asked == [None, "bytes=100000-"]
    assert path.read_bytes() == server.files["/a.tgz"] and [p.name for p in tmp_path.iterdir()] == ["a.tgz"]
    unpack(path, tmp_path)
    assert (tmp_path / "inner" / "a.bin").read_bytes() == CONTENT
    assert fetch(archive, tmp_path, BAR) == path and len(server.asked) == 2  # what is there is not fetched again


def test_a_server_that_cannot_go_on_sends_all_of_it(server: Server, tmp_path: Path) -> None:
    archive = put(server, "a.tgz", CONTENT)
    server.ranges = False
    (tmp_path / "a.tgz.part").write_bytes(b"something else of the same start")
    assert fetch(archive, tmp_path, BAR).read_bytes() == CONTENT


def test_a_whole_part_is_only_checked(server: Server, tmp_path: Path) -> None:
    archive = put(server, "a.tgz", CONTENT)
    (tmp_path / "a.tgz.part").write_bytes(CONTENT)
    assert fetch(archive, tmp_path, BAR).read_bytes() == CONTENT


def test_a_wrong_sum_is_refused_and_nothing_of_it_kept(server: Server, tmp_path: Path) -> None:
    archive = put(server, "a.tgz", CONTENT, md5="0" * 32)
    with refused(archive.url, f"its MD5 sum is {hashlib.md5(CONTENT).hexdigest()}, not {'0' * 32}", "run again"):
        fetch(archive, tmp_path, BAR)
    assert list(tmp_path.iterdir()) == []
    (tmp_path / "a.tgz").write_bytes(CONTENT)
    with refused(tmp_path / "a.tgz", "MD5 sum", "delete it and run again"):
        fetch(archive, tmp_path, BAR)


def test_a_download_does_not_write_through_a_link(server: Server, tmp_path: Path) -> None:
    mine = put_text(tmp_path / "mine.txt", "mine")
    folder = tmp_path / "data"
    folder.mkdir()
    (folder / "a.tgz.part").symlink_to(mine)
    with refused(folder / "a.tgz.part", "is a link", "move it away"):
        fetch(put(server, "a.tgz", CONTENT), folder, BAR)
    assert mine.read_text() == "mine"


def test_faults_of_the_network_are_named(server: Server, tmp_path: Path) -> None:
    archive = put(server, "a.tgz", CONTENT)
    server.files.clear()
    with refused(archive.url, "the server says 404", "try later, or get it elsewhere"):
        fetch(archive, tmp_path, BAR)
    with refused("http://127.0.0.1:1/a.tgz", "not downloaded", "refused", "run again"):
        fetch(Archive("http://127.0.0.1:1/a.tgz", ""), tmp_path, BAR)


@pytest.mark.parametrize(
    "content",
    [
        tar_of({"a": b"fine", "../outside": b"not"}),
        tar_of({"a/../../outside": b"not"}),
        tar_of({}, link="../outside"),
        tar_of({}, link="/etc"),
    ],
    ids=["above", "above from within", "a link above", "a link elsewhere"],  # the bytes hold the time
)
def test_an_archive_that_reaches_out_is_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "a.tgz"
    path.write_bytes(content)
    with refused(path, "not unpacked, it would write outside", "do not use it"):
        unpack(path, tmp_path / "folder")
    assert not (tmp_path / "outside").exists() and not (tmp_path / "folder" / "out").is_symlink()


@pytest.mark.parametrize("content", [b"no archive", tar_of({"a": CONTENT})[:100_000], b""])
def test_a_broken_archive_is_named(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "a.tgz"
    path.write_bytes(content)
    with refused(path, "cannot be unpacked", "delete it and run again"):
        unpack(path, tmp_path / "folder")


def test_what_is_in_the_folder_already_stays(tmp_path: Path) -> None:
    path = tmp_path / "a.tgz"
    path.write_bytes(tar_of({"VOC/first.txt": b"new", "VOC/train.txt": b"one\ntwo\n", "VOC/a.bin": CONTENT}))
    mine = tmp_path / "VOC" / "train.txt"
    for text in ("one\nten\n", "one\n", "one\ntwo\nthree\n"):
        put_text(mine, text)
        with refused(mine, f"is there already, with other content than in {path}", "move it away"):
            unpack(path, tmp_path)
        assert mine.read_text() == text and [p.name for p in mine.parent.iterdir()] == ["train.txt"]
    put_text(mine, "one\ntwo\n")
    before = mine.stat()
    for _ in range(2):
        unpack(path, tmp_path)
    assert mine.stat().st_mtime_ns == before.st_mtime_ns and (tmp_path / "VOC" / "a.bin").read_bytes() == CONTENT
    assert sorted(p.name for p in mine.parent.iterdir()) == ["a.bin", "first.txt", "train.txt"]


def test_both_archives_are_fetched(server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    voc = put(server, "voc.tar", tar_of({"VOCdevkit/VOC2012/JPEGImages/a.jpg": b"a"}))
    sbd = put(server, "sbd.tgz", tar_of({"benchmark_RELEASE/dataset/train.txt": b"b"}))
    for name, archive in (("VOC", voc), ("SBD", sbd)):
        monkeypatch.setattr(download_voc, name, archive)
    download_voc.run(tmp_path, tmp_path / "done.md5")
    assert (tmp_path / "VOCdevkit/VOC2012/JPEGImages/a.jpg").read_bytes() == b"a"
    assert (tmp_path / "benchmark_RELEASE/dataset/train.txt").read_bytes() == b"b"
    assert (tmp_path / "done.md5").read_text(encoding="utf-8").splitlines() == [
        f"{voc.md5}  voc.tar",
        f"{sbd.md5}  sbd.tgz",
    ]


def test_the_archives_are_the_official_ones() -> None:
    assert VOC.name == "VOCtrainval_11-May-2012.tar" and VOC.md5 == "6cd6e144f989b92b3379bac3b3de84fd"
    assert SBD.name == "benchmark.tgz" and SBD.md5 == "82b4d87ceb2ed10f6038a1cba92111cb"
    assert VOC.url.startswith("https://") and SBD.url.startswith("https://")
    assert download.VOC is VOC
