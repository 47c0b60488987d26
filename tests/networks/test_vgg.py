"""The VGG trunk: torchvision's network under torchvision's names, at every stride the same function."""

import pytest
import torch
import torch.nn.functional as F
from torch import nn
from torchvision.models import vgg16

from tagseg.networks.backbones.taps import LAYERS
from tagseg.networks.backbones.vgg import SHAPES_BLOCKS, VGG16_BLOCKS, VggTrunk, fold_batch_norm


def twins(**first_and_second: dict) -> tuple[VggTrunk, VggTrunk]:
    """Two small trunks that share their weights."""
    torch.manual_seed(1)
    first = VggTrunk(SHAPES_BLOCKS, **first_and_second["first"]).eval()
    second = VggTrunk(SHAPES_BLOCKS, **first_and_second["second"]).eval()
    second.load_state_dict(first.state_dict())
    return first, second


@torch.no_grad()
def test_equals_torchvision() -> None:
    torch.manual_seed(0)
    reference = vgg16(weights=None).features.eval()
    trunk = VggTrunk(VGG16_BLOCKS, output_stride=32, pool5=True).eval()
    trunk.load_state_dict({f"features.{name}": value for name, value in reference.state_dict().items()})
    x = torch.randn(1, 3, 70, 49)
    taps = trunk(x)
    torch.testing.assert_close(taps.conv4, reference[:23](x), rtol=1e-5, atol=1e-5)
    torch.testing.assert_close(taps.conv5, reference[:30](x), rtol=1e-5, atol=1e-5)
    torch.testing.assert_close(taps.features, reference(x), rtol=1e-5, atol=1e-5)
    assert list(trunk.state_dict())[-1] == "features.28.bias"
    assert trunk.channels == 512


@torch.no_grad()
@pytest.mark.parametrize("pool5", [False, True])
@pytest.mark.parametrize("size", [(96, 64), (97, 83), (120, 71)])
def test_stride_8_sampled_is_stride_16(size: tuple[int, int], pool5: bool) -> None:
    dense, sparse = twins(first={"output_stride": 8, "pool5": pool5}, second={"output_stride": 16, "pool5": pool5})
    x = torch.randn(2, 3, *size, dtype=torch.float64)
    fine, coarse = dense.double()(x), sparse.double()(x)
    torch.testing.assert_close(fine.conv4, coarse.conv4)
    # With an odd number of rows at stride 8, the stride-2 pool drops the last: only then do the ends differ.
    away = 0 if not any(side // 8 % 2 for side in size) else sum(count for _, count in SHAPES_BLOCKS[4:]) + 1
    rows, columns = coarse.conv5.shape[-2] - away, coarse.conv5.shape[-1] - away
    assert rows > 0 and columns > 0
    for name in ("conv5", "features"):
        sampled = getattr(fine, name)[..., ::2, ::2][..., :rows, :columns]
        torch.testing.assert_close(sampled, getattr(coarse, name)[..., :rows, :columns])


@torch.no_grad()
def test_stride_16_sampled_is_stride_32() -> None:
    dense, sparse = twins(first={"output_stride": 16, "pool5": True}, second={"output_stride": 32, "pool5": True})
    x = torch.randn(1, 3, 96, 128)
    torch.testing.assert_close(dense(x).features[..., ::2, ::2], sparse(x).features)


@torch.no_grad()
@pytest.mark.parametrize("stride", [8, 16])
def test_sizes(stride: int) -> None:
    trunk = VggTrunk(SHAPES_BLOCKS, output_stride=stride)
    taps = trunk(torch.zeros(1, 3, 48, 80))
    assert taps.conv4.shape == (1, 96, 6, 10)
    assert taps.conv5.shape == (1, 128, 48 // stride, 80 // stride)
    assert taps.features is taps.conv5 or torch.equal(taps.features, taps.conv5)
    assert trunk(torch.zeros(1, 3, 32, 33)).features.shape[-1] == 32 // stride


@torch.no_grad()
@pytest.mark.parametrize("stride", [8, 16])
def test_the_five_layers_are_those_that_the_next_is_made_of(stride: int) -> None:
    torch.manual_seed(3)
    trunk = VggTrunk(SHAPES_BLOCKS, output_stride=stride, pool5=True).eval()
    x = torch.randn(2, 3, 48, 64)
    layers, taps = trunk.layers(x), trunk(x)
    assert list(layers) == list(LAYERS)
    assert [values.shape[1] for values in layers.values()] == [channels for channels, _ in SHAPES_BLOCKS]
    assert [48 // values.shape[2] for values in layers.values()] == [1, 2, 4, 8, stride]
    assert all((values >= 0).all() and values.std() > 0 for values in layers.values())
    assert torch.equal(layers["conv4"], taps.conv4) and torch.equal(layers["conv5"], taps.conv5)
    torch.testing.assert_close(trunk.features[3:5](F.max_pool2d(layers["conv1"], 2)), layers["conv2"])


@torch.no_grad()
@pytest.mark.parametrize("stride", [8, 16])
def test_folding_keeps_the_function(stride: int) -> None:
    torch.manual_seed(2)
    trunk = VggTrunk(SHAPES_BLOCKS, output_stride=stride, batch_norm=True)
    for module in trunk.features:
        if isinstance(module, nn.BatchNorm2d):
            nn.init.uniform_(module.weight, 0.5, 1.5)
            nn.init.normal_(module.bias)
    trunk(torch.randn(4, 3, 64, 64))
    trunk.eval()
    folded = fold_batch_norm(trunk)
    assert not any(isinstance(module, nn.BatchNorm2d) for module in folded.features)
    x = torch.randn(2, 3, 50, 64)
    for before, after in zip(trunk(x), folded(x), strict=True):
        torch.testing.assert_close(after, before, rtol=1e-4, atol=1e-4)


def test_refusals() -> None:
    trunk = VggTrunk(SHAPES_BLOCKS)
    with pytest.raises(ValueError, match="31 x 64"):
        trunk(torch.zeros(1, 3, 31, 64))
    with pytest.raises(ValueError, match="output_stride"):
        VggTrunk(SHAPES_BLOCKS, output_stride=4)
    with pytest.raises(ValueError, match="pool5"):
        VggTrunk(SHAPES_BLOCKS, output_stride=32)
    with pytest.raises(ValueError, match="5 blocks"):
        VggTrunk(SHAPES_BLOCKS[:4])
