"""Score networks in the paper's figures, and heads that see through the taps that the classifier was learned with."""

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from tagseg.networks.backbones import load_backbone
from tagseg.networks.backbones.base import FullyConnected
from tagseg.networks.backbones.vgg import VggTrunk
from tagseg.networks.segmentation import Description, ScoreNetwork, VggHead, describe, kept_taps, upsample

CLASSES = ["background", *(f"class {i}" for i in range(20))]
BLOCKS = ((3, 1), (4, 1), (5, 1), (6, 2), (6, 2))
FILTERS = 16


def network(name: str, fov: str, stride: int, classes: list[str] = CLASSES) -> ScoreNetwork:
    return ScoreNetwork(load_backbone(name, "random", stride=stride, pool5=True), classes, fov)


# the paper's figures


@pytest.mark.parametrize(
    ("fov", "field_of_view", "parameters"),
    [
        # trunk 14 714 688; fc6 512 * 4096 * 16 + 4096; fc7 4096² + 4096; classifier 4096 * 21 + 21
        ("small", 128, 14_714_688 + 33_558_528 + 16_781_312 + 86_037),
        # fc6 512 * 1024 * 9 + 1024; fc7 1024² + 1024; classifier 1024 * 21 + 21: DeepLab v1 says 20.5 million
        ("large", 224, 20_505_429),
    ],
)
def test_vgg16_has_the_paper_s_stride_fields_and_sizes(fov: str, field_of_view: int, parameters: int) -> None:
    assert describe(network("vgg16", fov, 8)) == Description(8, field_of_view, parameters)


@pytest.mark.parametrize(
    ("name", "fov", "stride", "field_of_view"),
    [
        ("vgg16", "small", 16, 128),
        ("vgg16", "large", 16, 224),
        ("shapes", "small", 8, 16),
        ("shapes", "large", 8, 2 * 6 * 8 + 16),
        ("timm/resnet10t", "small", 16, 32),
        ("timm/resnet10t", "large", 16, 2 * 6 * 16 + 32),
        ("timm/vit_tiny_patch16_224", "small", 16, 16),
    ],
)
def test_facts_of_other_networks(
    name: str, fov: str, stride: int, field_of_view: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tagseg.networks.backbones.VGG16_BLOCKS", BLOCKS)
    monkeypatch.setattr("tagseg.networks.segmentation.FILTERS", FILTERS)
    facts = describe(network(name, fov, stride))
    assert (facts.stride, facts.field_of_view) == (stride, field_of_view)


def test_describing_a_network_leaves_it_as_it_was() -> None:
    model = network("timm/resnet10t", "small", 16).train()
    before = {key: value.clone() for key, value in model.state_dict().items()}
    describe(model)
    assert all(module.training for module in model.modules())
    assert all(torch.equal(value, before[key]) for key, value in model.state_dict().items())


@torch.no_grad()
@pytest.mark.parametrize("size", [(64, 96), (61, 75), (33, 47), (70, 32)])
@pytest.mark.parametrize("fov", ["small", "large"])
def test_scores_come_back_to_any_size(size: tuple[int, int], fov: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tagseg.networks.backbones.VGG16_BLOCKS", BLOCKS)
    monkeypatch.setattr("tagseg.networks.segmentation.FILTERS", FILTERS)
    scores = network("vgg16", fov, 8).eval()(torch.zeros(1, 3, *size, dtype=torch.uint8))
    assert scores.shape == (1, 21, size[0] // 8, size[1] // 8)
    assert upsample(scores, size).shape == (1, 21, *size)


# decimation


def test_taps_are_in_the_middle_and_as_far_apart_as_the_dilation_says() -> None:
    assert list(kept_taps(4, 4 * 8 // 32)) == [1, 2, 3, 4]
    assert list(kept_taps(3, 12 * 8 // 32)) == [0, 3, 6]
    assert list(kept_taps(7, 1)) == list(range(7))


def classifier() -> FullyConnected:
    """fc6 and fc7 of random values, in float64 but such as float32 can hold."""
    generator = torch.Generator().manual_seed(5)

    def values(*shape: int) -> Tensor:
        return torch.randn(*shape, generator=generator).double()

    fc6, fc7 = values(FILTERS, BLOCKS[4][0] * 49), values(FILTERS, FILTERS)
    return FullyConnected(fc6, values(FILTERS), fc7, values(FILTERS))


def undecimated(pool5: Tensor, layers: FullyConnected, taps: list[int], share: int) -> Tensor:
    """What fc6 and fc7 say on pool5 at stride 32, all taps and filters that are not kept set to zero."""
    fc6 = layers.fc6_weight.view(FILTERS, -1, 7, 7)
    kept = torch.zeros_like(fc6)
    for y in taps:
        for x in taps:
            kept[:, :, y, x] = fc6[:, :, y, x]
    hidden = F.relu(F.conv2d(pool5, kept, layers.fc6_bias, padding=3))
    hidden = hidden * (torch.arange(FILTERS) % share == 0).view(1, -1, 1, 1)
    return F.relu(F.conv2d(hidden, layers.fc7_weight[:, :, None, None], layers.fc7_bias))[:, ::share]


@torch.no_grad()
@pytest.mark.parametrize("stride", [8, 16])
@pytest.mark.parametrize(("fov", "taps", "share"), [("small", [1, 2, 3, 4], 1), ("large", [0, 3, 6], 4)])
# of 32 everywhere; else the pools at stride 32 drop what is left over on the right and at the bottom, and what
# sees the ends differs: three cells of the trunk's convolutions, three of the 7 x 7 kernel
@pytest.mark.parametrize(("size", "away"), [((256, 320), 0), ((279, 331), 6)])
def test_a_decimated_head_is_the_classifier_through_the_taps_that_are_kept(
    stride: int, fov: str, taps: list[int], share: int, size: tuple[int, int], away: int
) -> None:
    torch.manual_seed(4)
    dense = VggTrunk(BLOCKS, output_stride=stride, pool5=True).eval().double()
    coarse = VggTrunk(BLOCKS, output_stride=32, pool5=True).eval().double()
    coarse.load_state_dict(dense.state_dict())
    layers = classifier()
    head = VggHead(BLOCKS[4][0], fov, layers, stride=stride).eval().double()
    x = torch.randn(2, 3, *size, dtype=torch.float64)
    wanted = undecimated(coarse(x).features, layers, taps, share)
    got = head(dense(x).features)
    assert got.shape[1] == FILTERS // share
    assert got.shape[2:] == (size[0] // stride, size[1] // stride)
    rows, columns = wanted.shape[2] - away, wanted.shape[3] - away
    assert min(rows, columns) > 0 and float(wanted.std()) > 0.1
    sampled = got[:, :, :: 32 // stride, :: 32 // stride]
    torch.testing.assert_close(sampled[:, :, :rows, :columns], wanted[:, :, :rows, :columns])


@torch.no_grad()
def test_pool5_at_stride_8_looks_ahead_as_the_head_s_docstring_says() -> None:
    """The pixels that a position of pool5 sees, on both sides: its middle is 12 right of where `upsample` puts it."""
    trunk = VggTrunk(BLOCKS, output_stride=8, pool5=True).eval().double()
    for parameter in trunk.parameters():  # no sign, no bias: whatever a position sees makes it larger
        parameter.fill_(0.01 if parameter.ndim == 4 else 0)
    position, seen = 20, []
    for column in range(320):
        x = torch.zeros(1, 3, 32, 320, dtype=torch.float64)
        x[..., column] = 1
        if float(trunk(x).features[0, 0, 2, position]) > 0:
            seen.append(column)
    assert (seen[0] + seen[-1]) / 2 - (8 * position + 3.5) == 12
