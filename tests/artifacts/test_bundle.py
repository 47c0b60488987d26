"""Model bundles: all that prediction needs, read without running code."""

import time
from pathlib import Path

import pytest
import torch
from torch import nn
from trees import names_in, refused

from tagseg import __version__
from tagseg.artifacts.bundle import load_bundle, save_bundle


def network() -> nn.Module:
    torch.manual_seed(3)
    return nn.Linear(3, 2)


def save(path: Path, kind: str = "segmentation", **facts: object) -> Path:
    save_bundle(path, kind, network(), **{"classes": ["background", "cat"], "stride": 8, **facts})
    return path


def test_a_bundle_gives_back_weights_and_facts(tmp_path: Path) -> None:
    content = load_bundle(save(tmp_path / "model.pt"), "segmentation")
    assert content["classes"] == ["background", "cat"] and content["stride"] == 8
    assert content["versions"] == {"tagseg": __version__, "torch": torch.__version__.split("+")[0]}
    for name, value in network().state_dict().items():
        torch.testing.assert_close(content["state_dict"][name], value, rtol=0, atol=0)


def test_equal_bundles_have_equal_bytes_under_any_name(tmp_path: Path) -> None:
    first = save(tmp_path / "first.pt").read_bytes()
    time.sleep(1.1)
    assert save(tmp_path / "folder" / "second.pt").read_bytes() == first
    assert save(tmp_path / "third.pt", stride=16).read_bytes() != first
    assert names_in(tmp_path) == ["first.pt", "folder", "third.pt"]


def test_a_bundle_of_the_wrong_kind_is_refused(tmp_path: Path) -> None:
    path = save(tmp_path / "model.pt", "localization")
    with refused(path, "holds localization", "a segmentation model is needed"):
        load_bundle(path, "segmentation")


def test_a_missing_bundle_says_how_to_make_it(tmp_path: Path) -> None:
    with refused(tmp_path / "model.pt", "no such model", "train it first"):
        load_bundle(tmp_path / "model.pt", "segmentation")


@pytest.mark.parametrize("content", [b"", b"\x80\x02foreign", b"PK\x03\x04 a zip that is none"])
def test_a_foreign_file_is_no_bundle(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "model.pt"
    path.write_bytes(content)
    with refused(path, "not a tagseg model", "train it again"):
        load_bundle(path, "segmentation")


def test_a_bundle_cut_short_is_no_bundle(tmp_path: Path) -> None:
    path = save(tmp_path / "model.pt")
    path.write_bytes(path.read_bytes()[:-200])
    with refused(path, "not a tagseg model"):
        load_bundle(path, "segmentation")


@pytest.mark.parametrize(("content", "found"), [([1, 2], "holds list"), ({"weight": 1}, "holds None")])
def test_other_torch_files_are_no_bundles(tmp_path: Path, content: object, found: str) -> None:
    path = tmp_path / "model.pt"
    torch.save(content, path)
    with refused(path, found):
        load_bundle(path, "segmentation")


def test_a_bundle_that_would_run_code_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "model.pt"
    torch.save({"kind": "segmentation", "network": network()}, path)
    with refused(path, "not a tagseg model"):
        load_bundle(path, "segmentation")
