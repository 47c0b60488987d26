"""The frozen trunk on images: it gives the activations, and the features of the second round."""

from collections.abc import Container, Iterator, Sequence
from typing import Any

from torch import Tensor, nn

from tagseg.config.networks import BackboneSettings, ViewSettings
from tagseg.datasets.digests import content_digest
from tagseg.datasets.index import ImageRecord
from tagseg.errors import TagsegError
from tagseg.networks.backbones import load_backbone
from tagseg.networks.backbones.base import normalise
from tagseg.networks.sources import no_such_file
from tagseg.networks.views import mean_over_mirror, pixel_features
from tagseg.networks.views import views as image_views
from tagseg.priors.foreground import mean_activation
from tagseg.priors.second_round import pixel_grid
from tagseg.runtime.device import Device
from tagseg.runtime.prefetch import image_batches


def network_facts(network: BackboneSettings) -> dict[str, Any]:
    """The network that a result was computed with, to store beside it: its keys, and the digest of a weight file.

    The name of published weights identifies them, while a user's file can be replaced by another of the same name.
    Raises TagsegError if that file is missing.
    """
    file = network.weight_file
    if file is None:
        return network.model_dump()
    if not file.is_file():
        raise TagsegError(no_such_file(file))
    return network.model_dump() | {"weights_digest": content_digest(file)}


class FrozenTrunk:
    """A backbone's pre-trained trunk at the stride of `views`, and images as it takes them."""

    def __init__(self, network: BackboneSettings, views: ViewSettings, device: Device):
        stride = views.stride or 32  # 0: the trunk's own, which is 32 or the one that comes closest
        backbone = load_backbone(network.backbone, network.weights, network.preprocessing, stride=stride)
        self.trunk: nn.Module = device.move(backbone.trunk)
        self._statistics = backbone.statistics
        self._views = views
        self._device = device

    def batches(
        self, records: Sequence[ImageRecord], images_at_once: int, done: Container[str] = ()
    ) -> Iterator[tuple[list[ImageRecord], Tensor]]:
        """Images that are not `done`, in batches of `image_batches`: records, and (N, 3, H, W) normalised."""
        for group, images in image_batches(records, images_at_once, self._device.loaders, done=done):
            yield group, normalise(images.to(self._device.torch_device, non_blocking=True), self._statistics)

    def activations(self, images: Tensor, *, every_layer: bool = False) -> Iterator[dict[str, Tensor]]:
        """At each scale, the mean activations (N, h, w) float32 of conv4 and conv5, or of every layer of the trunk.

        `images` are (N, 3, H, W), normalised. Activations of mirror images are flipped back and averaged with those of
        the image itself.
        """
        for of_scale in image_views(images, self._views.scales, self._views.mirror):
            layers = [self._layers(view, every_layer) for view in of_scale]
            yield {name: mean_over_mirror([maps[name][:, None] for maps in layers])[:, 0] for name in layers[0]}

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
        """Each image that is not `done`, and its features (K, h, w) on the second round's grid of pixels."""
        for group, images in self.batches(records, images_at_once, done):
            grid = pixel_grid(group[0].height, group[0].width)
            features = pixel_features(self.trunk, images, grid, scales=self._views.scales, mirror=self._views.mirror)
            yield from zip(group, features, strict=True)
