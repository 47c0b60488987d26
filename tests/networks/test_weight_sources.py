"""Where weights come from: no file is run, what is missing off line is named, timm's families are had or refused."""

import math
import os
import pickle
import urllib.error
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file
from trees import refused

from tagseg.networks.backbones import load_backbone
from tagseg.networks.backbones.weights import imagenet_wordnet_ids

# no code is run


class Trap:
    """Unpickled, it makes a folder."""

    def __init__(self, folder: Path):
        self.folder = folder

    def __reduce__(self) -> tuple[Any, tuple[str]]:
        return os.mkdir, (str(self.folder),)


@pytest.mark.parametrize("name", ["vgg16", "shapes", "timm/resnet10t"])
@pytest.mark.parametrize("zipped", [False, True])
def test_a_file_that_holds_code_is_refused_unrun(tmp_path: Path, name: str, zipped: bool) -> None:
    path, content = tmp_path / "weights.pth", {"features.0.weight": Trap(tmp_path / "trapped")}
    if zipped:
        torch.save(content, path)
    else:
        path.write_bytes(pickle.dumps(content, protocol=2))
    with refused("", str(path)):
        load_backbone(name, str(path))
    assert not (tmp_path / "trapped").exists()


# off line


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """torch.hub's folder of weights, empty, and no way to any server."""

    def no_way(*_: object, **__: object) -> None:
        raise urllib.error.URLError("no route\nto host")

    monkeypatch.setattr("torch.hub.download_url_to_file", no_way)
    monkeypatch.setattr("timm.models._hub.hf_hub_download", no_way)
    monkeypatch.setattr("torch.hub.get_dir", lambda: str(tmp_path / "hub"))
    return tmp_path / "hub" / "checkpoints"


@pytest.mark.parametrize(
    ("weights", "file"),
    [
        ("default", "vgg16-397923af.pth"),
        ("IMAGENET1K_V1", "vgg16-397923af.pth"),
        ("IMAGENET1K_FEATURES", "vgg16_features-amdegroot-88682ab5.pth"),
    ],
)
def test_off_line_vgg16_names_the_file_and_its_place(
    cache: Path, weights: str, file: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tagseg.networks.backbones.VGG16_BLOCKS", ((2, 2), (2, 2), (2, 3), (2, 3), (2, 3)))
    with refused("", "vgg16", "no route to host", f"as {cache / file}", "network.weights"):
        load_backbone("vgg16", weights)
    state = dict(load_backbone("vgg16", "random").trunk.state_dict())
    torch.save(state | {"classifier.0.weight": torch.full((1,), math.nan)}, cache / file)  # what the error asks for
    loaded = load_backbone("vgg16", weights).trunk.state_dict()
    assert all(torch.equal(loaded[key], value) for key, value in state.items())


def test_a_spoilt_file_in_the_cache_is_named_and_not_run(cache: Path, tmp_path: Path) -> None:
    cache.mkdir(parents=True)
    path = cache / "vgg16-397923af.pth"
    torch.save({"features.0.weight": Trap(tmp_path / "trapped")}, path)
    with refused("", str(path), "not torchvision's file", "in its place"):
        load_backbone("vgg16", "default")
    assert not (tmp_path / "trapped").exists()


def test_off_line_timm_says_which_file_to_bring(cache: Path) -> None:
    with refused(
        "", "timm/resnet10t", "no route to host", "model.safetensors of timm/resnet10t.c3_in1k", "network.weights"
    ):
        load_backbone("timm/resnet10t", "default")


# timm's families


def test_timm_takes_a_local_file_in_either_format(tmp_path: Path) -> None:
    torch.manual_seed(2)
    state = load_backbone("timm/resnet10t", "random").trunk.model.state_dict()
    save_file(state, tmp_path / "model.safetensors")
    torch.save({"state_dict": {f"module.{key}": v for key, v in state.items()}}, tmp_path / "model.pth")
    for name in ("model.safetensors", "model.pth"):
        backbone = load_backbone("timm/resnet10t", str(tmp_path / name))
        assert all(torch.equal(v, state[key]) for key, v in backbone.trunk.model.state_dict().items())
        assert backbone.classifier is not None and backbone.classifier.names == imagenet_wordnet_ids()


def test_a_family_without_a_stride_names_the_one_it_has() -> None:
    for name, stride, own in (("vit_tiny_patch16_224", 8, 16), ("mobilenetv3_small_050", 16, 32)):
        with refused("", f"timm/{name}", f"at stride {stride}", f"its own stride, {own}"):
            load_backbone(f"timm/{name}", "random", stride=stride)


@torch.no_grad()
def test_a_transformer_is_had_at_its_own_stride() -> None:
    backbone = load_backbone("timm/vit_tiny_patch16_224", "random", stride=16)
    assert backbone.trunk(torch.zeros(1, 3, 64, 96)).features.shape == (1, backbone.channels, 4, 6)


@pytest.mark.parametrize("name", ["mixer_s32_224", "swin_tiny_patch4_window7_224"])
def test_models_of_one_image_size_are_refused(name: str) -> None:
    with refused("", f"timm/{name}", "images of any size", "choose another name"):
        load_backbone(f"timm/{name}", "random", stride=32)
