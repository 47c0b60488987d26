"""The frozen trunk in two parts: from an image to the maps that are kept, and from conv5 to the classifier's input.

All that depends on tags lies behind these maps. So a photograph goes through the trunk once, and class activation maps
and the second round are linear algebra on what is kept of it.
"""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from tagseg.networks.views import mean_over_mirror

_LARGEST = torch.finfo(torch.float16).max


class KeptMaps(nn.Module):
    """A trunk up to conv5: normalised images (N, 3, H, W) float32 -> the maps that `names` lists, each (N, C, h, w).

    They are conv4 and conv5 and, for a trunk whose `tail` is not known, `features`, the input of its classifier.
    `tail` are the layers that are known to lie between conv5 and that input, None if there are none.
    """

    def __init__(self, trunk: nn.Module):
        super().__init__()
        self.trunk = trunk
        self.names = ("conv4", "conv5") if trunk.tail is not None else ("conv4", "conv5", "features")
        self.tail = trunk.tail if isinstance(trunk.tail, nn.Sequential) and len(trunk.tail) else None

    def forward(self, images: Tensor) -> tuple[Tensor, ...]:
        if len(self.names) == 3:
            found: tuple[Tensor, ...] = self.trunk(images)
        else:
            found = self.trunk.maps(images)  # type: ignore[operator]  # (a method of all trunks)
        return tuple(found)


def kept(views: Sequence[Tensor], *, apart: bool = False) -> Tensor:
    """What is kept of a map (N, C, h, w) of an image and, if there are two, its mirror image: (N, V, C, h, w) float16.

    That is their mean, or if they are to be kept `apart` both, the mirror image flipped back. Values beyond the range
    of float16, which no trunk is known to have, are cut to its ends.
    """
    maps = [views[0], *(view.flip(3) for view in views[1:])] if apart else [mean_over_mirror(views)]
    return torch.stack(maps, dim=1).clamp(-_LARGEST, _LARGEST).half()
