"""Weight files of VGG-16: every usual naming gives the same network, and pre-processing travels along."""

import logging
import math
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor
from trees import refused

from tagseg.networks.backbones import load_backbone, vgg_weights
from tagseg.networks.backbones.base import PREPROCESSING, Backbone, normalise
from tagseg.networks.backbones.vgg import VGG16_BLOCKS
from tagseg.networks.backbones.weights import imagenet_wordnet_ids, read_weights
from tagseg.networks.segmentation import ScoreNetwork

BLOCKS = ((4, 2), (4, 2), (4, 3), (4, 3), (4, 3))
FILTERS = 8
State = dict[str, Tensor]


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """A VGG-16 of few channels and filters."""
    monkeypatch.setattr("tagseg.networks.backbones.VGG16_BLOCKS", BLOCKS)
    monkeypatch.setattr("tagseg.networks.backbones.vgg_weights.FILTERS", FILTERS)


@pytest.fixture
def torchvision(small: None) -> State:
    """A whole state dict under torchvision's names."""
    torch.manual_seed(3)
    state = dict(load_backbone("vgg16", "random").trunk.state_dict())
    for layer, shape in ((0, (FILTERS, 4 * 49)), (3, (FILTERS, FILTERS)), (6, (1000, FILTERS))):
        state |= {f"classifier.{layer}.weight": torch.randn(shape), f"classifier.{layer}.bias": torch.randn(shape[0])}
    return state


def trunk_of(state: State) -> State:
    return {key: value for key, value in state.items() if key.startswith("features.")}


def prefixed(state: State, prefix: str) -> State:
    return {prefix + key: value for key, value in state.items()}


def renamed(state: State, names: dict[str, str], separator: str = ".") -> State:
    """Layers under other names."""
    split = {key: key.rsplit(".", 1) for key in state}
    return {names[layer] + separator + part: state[key] for key, (layer, part) in split.items()}


CLASSIFIER = ("classifier.0", "classifier.3", "classifier.6")


def caffe(state: State, separator: str = ".", kernels: bool = False) -> State:
    """The same network under Caffe's names, for BGR."""
    names = {ours: theirs for theirs, ours in vgg_weights.caffe_convolutions(BLOCKS).items()}
    out = renamed(state, names | dict(zip(CLASSIFIER, ("fc6", "fc7", "fc8"), strict=True)), separator)
    out[f"conv1_1{separator}weight"] = out[f"conv1_1{separator}weight"][:, [2, 1, 0]]
    if kernels and f"fc6{separator}weight" in out:
        for layer, side in (("fc6", 7), ("fc7", 1), ("fc8", 1)):
            weight = out[f"{layer}{separator}weight"]
            out[f"{layer}{separator}weight"] = weight.reshape(len(weight), -1, side, side)
    return out


def timm_names(state: State) -> State:
    names = {key.rsplit(".", 1)[0]: key.rsplit(".", 1)[0] for key in state}
    layers = dict(zip(CLASSIFIER, ("pre_logits.fc1", "pre_logits.fc2", "head.fc"), strict=True))
    return renamed(state, names | layers)


def saved(path: Path, content: Any) -> str:
    torch.save(content, path)
    return str(path)


def same(backbone: Backbone, state: State) -> None:
    """The backbone is the one whose torchvision state dict is `state`, classifier and all."""
    for key, value in backbone.trunk.state_dict().items():
        assert torch.equal(value, state[key]), key
    layers, head = backbone.fully_connected, backbone.classifier
    assert layers is not None and head is not None
    of = (layers.fc6_weight, layers.fc6_bias, layers.fc7_weight, layers.fc7_bias, head.weight, head.bias)
    wanted = [state[f"classifier.{layer}.{part}"] for layer in (0, 3, 6) for part in ("weight", "bias")]
    assert all(torch.equal(got, value) for got, value in zip(of, wanted, strict=True))
    assert head.names == imagenet_wordnet_ids()


# names


@pytest.mark.parametrize(
    "form",
    [
        lambda state: state,
        lambda state: prefixed(state, "module."),
        lambda state: prefixed(state, "model."),
        lambda state: prefixed(state, "backbone."),
        lambda state: prefixed(state, "module.model.backbone."),
        lambda state: {key.replace("features.", "features.module."): value for key, value in state.items()},
        lambda state: {"state_dict": prefixed(state, "module."), "epoch": 3},
        lambda state: {"model": state, "optimizer": {}},
        timm_names,
    ],
)
def test_usual_names_give_the_same_network(tmp_path: Path, torchvision: State, form: Any) -> None:
    backbone = load_backbone("vgg16", saved(tmp_path / "vgg.pth", form(torchvision)))
    same(backbone, torchvision)
    assert backbone.statistics == PREPROCESSING["imagenet"]


@pytest.mark.parametrize(("separator", "kernels"), [(".", False), (".", True), ("_", False), ("_", True)])
@pytest.mark.parametrize("prefix", ["", "module."])
def test_caffe_s_names_give_the_same_network_for_rgb(
    tmp_path: Path, torchvision: State, separator: str, kernels: bool, prefix: str
) -> None:
    content = prefixed(caffe(torchvision, separator, kernels), prefix)
    backbone = load_backbone("vgg16", saved(tmp_path / "vgg.pth", content))
    same(backbone, torchvision)
    assert backbone.statistics == PREPROCESSING["caffe"]


@torch.no_grad()
def test_a_caffe_file_sees_what_caffe_saw(tmp_path: Path, torchvision: State) -> None:
    """Its own first layer, on BGR in 0..255 less Caffe's mean, equals ours on RGB."""
    content = caffe(torchvision)
    backbone = load_backbone("vgg16", saved(tmp_path / "vgg.pth", content))
    image = torch.randint(0, 256, (1, 3, 40, 40), dtype=torch.uint8)
    bgr = image.flip(1).float() - torch.tensor([103.939, 116.779, 123.68]).view(1, 3, 1, 1)
    wanted = torch.nn.functional.conv2d(bgr, content["conv1_1.weight"], content["conv1_1.bias"], padding=1)
    got = backbone.trunk.features[0](normalise(image, backbone.statistics))
    # torchvision writes the mean with five digits: 0.7 of 255 at most
    assert float((got - wanted).abs().max()) < 0.7 * float(content["conv1_1.weight"].abs().sum(dim=(1, 2, 3)).max())
    assert float(wanted.std()) > 20


def test_caffe_s_layers_stand_at_torchvision_s_places() -> None:
    names = vgg_weights.caffe_convolutions(VGG16_BLOCKS)
    assert len(names) == 13
    places = {"conv1_1": 0, "conv1_2": 2, "conv2_1": 5, "conv3_3": 14, "conv4_3": 21, "conv5_3": 28}
    assert {name: names[name] for name in places} == {name: f"features.{i}" for name, i in places.items()}


@pytest.mark.parametrize("half", [False, True])
def test_safetensors_files_are_read(tmp_path: Path, torchvision: State, half: bool) -> None:
    content = {key: value.half() if half else value.contiguous() for key, value in torchvision.items()}
    save_file(prefixed(content, "model."), tmp_path / "vgg.safetensors")
    same(load_backbone("vgg16", str(tmp_path / "vgg.safetensors")), {key: v.float() for key, v in content.items()})


# what is in a file


def test_a_file_with_a_classifier_starts_all_of_a_score_network(tmp_path: Path, torchvision: State) -> None:
    backbone = load_backbone("vgg16", saved(tmp_path / "vgg.pth", torchvision), stride=8, pool5=True)
    network = ScoreNetwork(backbone, ["background", "cow", "person"], "large")
    row = imagenet_wordnet_ids().index("n02403003")
    assert network.shared == ["cow"]
    assert torch.equal(network.classifier.weight[1, :, 0, 0], torchvision["classifier.6.weight"][row, ::4])
    assert torch.equal(network.head.fc7.weight[:, :, 0, 0], torchvision["classifier.3.weight"][::4, ::4])


@pytest.mark.parametrize(
    ("form", "said", "preprocessing"),
    [
        (lambda s: s, "trunk and classifier; fc6 and fc7 of a score network start from it, the last", "imagenet"),
        (caffe, "the last layer with ILSVRC's rows", "caffe"),
        (lambda s: caffe(trunk_of(s)), "the trunk alone; fc6, fc7 and the last layer", "caffe"),
        (lambda s: {k: v * math.nan if "classifier" in k else v for k, v in s.items()}, "the trunk alone", "caffe"),
        (lambda s: {k: v for k, v in s.items() if ".6." not in k}, "no rows of ILSVRC's classes", "imagenet"),
        (
            lambda s: s | {"classifier.6.weight": torch.ones(20, FILTERS), "classifier.6.bias": torch.ones(20)},
            "no rows of ILSVRC's classes",
            "imagenet",
        ),
    ],
)
def test_what_a_file_holds_is_said_and_tells_its_preprocessing(
    tmp_path: Path, torchvision: State, caplog: pytest.LogCaptureFixture, form: Any, said: str, preprocessing: str
) -> None:
    path = saved(tmp_path / "vgg.pth", form(torchvision))
    with caplog.at_level(logging.INFO, logger="tagseg"):
        backbone = load_backbone("vgg16", path)
    assert backbone.statistics == PREPROCESSING[preprocessing]
    assert (backbone.fully_connected is None) == ("trunk alone" in said)
    assert (backbone.classifier is None) == ("trunk alone" in said or "no rows" in said)
    line = caplog.messages[-1]
    assert path in line and said in line and line.endswith(f"pre-processing {preprocessing}")


def test_a_trunk_alone_does_not_tell_its_preprocessing(tmp_path: Path, torchvision: State) -> None:
    path = saved(tmp_path / "vgg.pth", trunk_of(torchvision))
    with refused("", path, "network.preprocessing", "imagenet", "caffe", "unit_symmetric"):
        load_backbone("vgg16", path)
    for name in ("imagenet", "caffe", "unit_symmetric"):
        backbone = load_backbone("vgg16", path, name)
        assert backbone.statistics == PREPROCESSING[name]
        assert backbone.classifier is None and backbone.fully_connected is None


def test_the_half_precision_trunk_beside_the_repository(vgg16_trunk: Path) -> None:
    backbone = load_backbone("vgg16", str(vgg16_trunk), "caffe")
    stored = torch.load(vgg16_trunk, weights_only=True)
    assert torch.equal(backbone.trunk.state_dict()["features.28.weight"], stored["features.28.weight"].float())
    assert all(value.dtype == torch.float32 for value in backbone.trunk.state_dict().values())


@pytest.mark.parametrize(
    ("form", "what"),
    [
        (lambda s: s | {"decoder.0.weight": torch.ones(2)}, "decoder.0.weight is no layer of VGG-16"),
        (lambda s: s | {"features.1.running_mean": torch.ones(2)}, "features.1.running_mean is no layer of VGG-16"),
        (lambda s: caffe(s) | {"fc8_voc.weight": torch.ones(2)}, "fc8_voc.weight is no layer of VGG-16"),
        (lambda s: {k: v for k, v in s.items() if k != "features.5.bias"}, "features.5.bias"),
        (lambda s: {k: v for k, v in s.items() if "classifier.3" not in k}, "a classifier without fc7"),
        (lambda s: {k: v for k, v in s.items() if k != "classifier.0.bias"}, "a classifier without fc6"),
        (lambda s: trunk_of(s) | {"classifier.0.bias": s["classifier.0.bias"]}, "a classifier without fc6"),
        (lambda s: s | {"classifier.0.weight": torch.ones(FILTERS, 4 * 9)}, f"fc6 has shape ({FILTERS}, 36), not"),
        (lambda s: s | {"features.0.weight": s["features.0.weight"] * math.nan}, "features.0.weight holds values"),
        (lambda s: s | {"classifier.3.bias": s["classifier.3.bias"] * math.inf}, "fc7.bias holds values"),
    ],
)
def test_a_file_that_is_not_vgg16_is_refused_by_what_is_wrong(
    tmp_path: Path, torchvision: State, form: Any, what: str
) -> None:
    path = saved(tmp_path / "vgg.pth", form(torchvision))
    with refused("", path, what):
        load_backbone("vgg16", path)


def test_files_without_weights_are_refused(tmp_path: Path) -> None:
    path = saved(tmp_path / "vgg.pth", {"epoch": 3, "loss": 0.1})
    with refused("", path, "holds no weights, only epoch, loss"):
        read_weights(Path(path))
    broken = tmp_path / "vgg.safetensors"
    broken.write_bytes(b"no weights at all")
    with refused("", str(broken), "not a safetensors file"):
        read_weights(broken)
