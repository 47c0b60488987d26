"""What a frozen trunk finds in photographs."""

import pytest
import torch

from tagseg.config.networks import BackboneSettings, InferenceMachine, ViewSettings
from tagseg.networks.backbones.taps import LAYERS
from tagseg.runtime.device import prepare
from tagseg.runtime.frozen_trunk import FrozenTrunk


@pytest.mark.parametrize("every_layer", [False, True])
@torch.inference_mode()
def test_activations_of_a_mirror_image_are_the_mirror_image_of_its_activations(every_layer: bool) -> None:
    """So it is once both are looked at; of the image alone it is not."""
    images = torch.randn(2, 3, 64, 96, generator=torch.Generator().manual_seed(0))
    for mirror in (True, False):
        looks = ViewSettings(scales=[0.5, 1], mirror=mirror, stride=8)
        frozen = FrozenTrunk(BackboneSettings(backbone="shapes"), looks, prepare(InferenceMachine(), 1))
        straight, turned = (
            list(frozen.activations(view, every_layer=every_layer)) for view in (images, images.flip(3))
        )
        assert [set(maps) for maps in straight] == 2 * [set(LAYERS) if every_layer else {"conv4", "conv5"}]
        assert [maps["conv4"].shape for maps in straight] == [(2, 4, 6), (2, 8, 12)]
        same = [
            torch.allclose(maps[k], other[k].flip(2), atol=1e-5)
            for maps, other in zip(straight, turned, strict=True)
            for k in maps
        ]
        assert all(same) if mirror else not any(same)
