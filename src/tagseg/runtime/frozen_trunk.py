"""The frozen trunk on photographs: what activations and the second round are made of."""

from collections.abc import Container, Iterator, Sequence
from typing import Any

from torch import Tensor, nn

from tagseg.config.networks import BackboneSettings, ViewSettings
from tagseg.datasets.index import ImageRecord
from tagseg.datasets.watching import content
from tagseg.errors import TagsegError
from tagseg.networks.backbones import load_backbone
from tagseg.networks.backbones.base import normalise
from tagseg.networks.sources import no_such_file
from tagseg.networks.views import mean_over_mirror, pixel_features
from tagseg.networks.views import views as image_views
from tagseg.priors.foreground import mean_activation
from tagseg.priors.second_round import pixel_grid
from tagseg.runtime.device import Device
from tagseg.runtime.prefetch import batches_of


def network_facts(network: BackboneSettings) -> dict[str, Any]:
    """What a result says of the network that it was made with: its keys, and what is in a weight file of the user's.

    Of the library's own weights the name is enough; a file can be replaced by another of its name. Raises TagsegError
    if it is not there.
    """
    file = network.weight_file
    if file is None:
        return network.model_dump()
    if not file.is_file():
        raise TagsegError(no_such_file(file))
    return network.model_dump() | {"weights_digest": content(file)}


class FrozenTrunk:
    """A backbone's trunk at the stride of `views`, and photographs as it takes them."""

    def __init__(self, network: BackboneSettings, views: ViewSettings, device: Device):
        stride = views.stride or 32  # a trunk's own is 32, or what it has in its place
        backbone = load_backbone(network.backbone, network.weights, network.preprocessing, stride=stride)
        self.trunk: nn.Module = device.put(backbone.trunk)
        self._statistics = backbone.statistics
        self._views = views
        self._device = device

    def batches(
        self, records: Sequence[ImageRecord], images_at_once: int, done: Container[str] = ()
    ) -> Iterator[tuple[list[ImageRecord], Tensor]]:
        """Every photograph that is not `done`, in batches (see `batches_of`): the records, (N, 3, H, W), normalised."""
        for group, images in batches_of(records, images_at_once, self._device.loaders, done=done):
            yield group, normalise(images.to(self._device.torch_device, non_blocking=True), self._statistics)

    def activations(self, images: Tensor, *, every_layer: bool = False) -> Iterator[dict[str, Tensor]]:
        """At each scale, the mean activations (N, h, w) float32 of conv4 and conv5, or of every layer that there is.

        Those of mirror images are turned back and averaged with the image's own.
        """
        for same_size in image_views(images, self._views.scales, self._views.mirror):
            found = [self._layers(view, every_layer) for view in same_size]
            yield {name: mean_over_mirror([maps[name][:, None] for maps in found])[:, 0] for name in found[0]}

    def _layers(self, images: Tensor, every_layer: bool) -> dict[str, Tensor]:
        if every_layer:
            maps: dict[str, Tensor] = self.trunk.layers(images)  # type: ignore[operator]  # (a method of all trunks)
        else:
            taps = self.trunk(images)
            maps = {"conv4": taps.conv4, "conv5": taps.conv5}
        return {name: mean_activation(values) for name, values in maps.items()}

    def pixels(
        self, records: Sequence[ImageRecord], images_at_once: int, done: Container[str] = ()
    ) -> Iterator[tuple[ImageRecord, Tensor]]:
        """Each photograph that is not `done`, and its features (K, h, w) where the second round learns and reads."""
        for group, images in self.batches(records, images_at_once, done):
            grid = pixel_grid(group[0].height, group[0].width)
            found = pixel_features(self.trunk, images, grid, scales=self._views.scales, mirror=self._views.mirror)
            yield from zip(group, found, strict=True)
