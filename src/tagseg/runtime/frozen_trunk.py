"""The frozen trunk on photographs, each of which goes through it once."""

import logging
from collections.abc import Callable, Container, Iterator, Sequence
from functools import cached_property
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from tagseg.config.networks import InferenceMachine
from tagseg.datasets.index import ImageRecord
from tagseg.errors import TagsegError
from tagseg.networks.backbones import load_backbone
from tagseg.networks.backbones.base import normalise
from tagseg.networks.frozen import KeptMaps, kept
from tagseg.networks.views import views as image_views
from tagseg.priors.foreground import mean_activation
from tagseg.runtime.device import prepare
from tagseg.runtime.engines import Engine, onnx_engine, torch_engine
from tagseg.runtime.prefetch import copy_to_cpu, image_batches
from tagseg.runtime.trunk_file import TrunkFile, read_trunk

log = logging.getLogger(__name__)

Found = dict[str, Tensor]


class FrozenTrunk:
    """The trunk of a file that `tagseg prepare-trunk` wrote, run by this machine's engine.

    That is onnxruntime on a CPU if the file has the trunk's models and `machine.engine` allows it, PyTorch otherwise.
    Raises TagsegError if onnxruntime is demanded and cannot be had, or the file is not one of a trunk.
    """

    def __init__(self, file: Path, machine: InferenceMachine, threads: int):
        self._device = prepare(machine, threads)
        self._images_at_once = machine.images_at_once
        self._file = read_trunk(file)
        self.facts = self._file.facts
        scales = self.facts.views.scales
        self._pooled_scale = min(range(len(scales)), key=lambda i: abs(np.log(scales[i])))
        self._in_onnx = _uses_onnx(file, self._file, machine)
        self.engine_name = "onnxruntime" if self._in_onnx else "torch"
        log.info("the trunk runs in %s (%s was prepared for %s)", self.engine_name, file, self.facts.engine)

    def passes(
        self, records: Sequence[ImageRecord], done: Container[str] = ()
    ) -> Iterator[tuple[list[ImageRecord], Callable[[], dict[str, np.ndarray]]]]:
        """Batches of images of one size that are not all `done`, and a function that waits for what is found in them.

        Arrays are of all images of a batch. `MAP-S` (N, V, C, h, w) float16 is map MAP of the facts' `names` at the
        S-th scale, averaged over the mirror image (V = 1); a conv5 that a tail follows is kept of both (V = 2), as the
        tail of a mean is no mean of tails. `mean-MAP-S` (N, h, w) float16 is the mean over channels of absolute
        values, of conv4 and conv5; `pooled` (N, V, K) float32 has for each view of the scale closest to 1, the image
        and its mirror image, the average of the classifier's input over all positions.
        """
        views, statistics = self.facts.views, self.facts.statistics
        for group, images in image_batches(records, self._images_at_once, self._device.loaders, done=done):
            sent = normalise(images.to(self._device.torch_device, non_blocking=True), statistics)
            found: Found = {}
            for number, of_scale in enumerate(image_views(sent, views.scales, views.mirror)):
                maps = [self.engine(view) for view in of_scale]
                for name in self.facts.names:
                    each = [own[name] for own in maps]
                    found[f"{name}-{number}"] = kept(each, apart=name == "conv5" and self.facts.has_tail)
                    if name != "features":
                        means = [mean_activation(own)[:, None] for own in each]
                        found[f"mean-{name}-{number}"] = kept(means)[:, 0, 0]
                if number == self._pooled_scale:
                    pooled = [self._behind_conv5(own).mean(dim=(2, 3)) for own in maps]
                    found["pooled"] = torch.stack(pooled, dim=1)
            yield group, copy_to_cpu(found)

    def classifier_input(self, maps: Found) -> Tensor:
        """`Taps.features` (K, h, w) float32 of one image, averaged over its views, from its maps (V, C, h, w)."""
        return self._behind_conv5(maps).mean(dim=0)

    def _behind_conv5(self, maps: Found) -> Tensor:
        """`Taps.features` (N, K, h, w) float32, from the maps (N, C, h, w) of a view by their names."""
        if "features" in maps:
            return maps["features"].float()
        conv5 = maps["conv5"].float()
        return conv5 if self._tail is None else self._tail(conv5)["features"]

    @cached_property
    def engine(self) -> Engine:
        """What runs the trunk on normalised views (N, 3, H, W) float32; its outputs are the facts' `names`."""
        if self._in_onnx:
            assert self._file.maps is not None
            return onnx_engine(self._file.maps, self._device.threads)
        return torch_engine(KeptMaps(self._trunk).eval(), self.facts.names, self._device)

    @cached_property
    def _tail(self) -> Engine | None:
        if self._in_onnx:
            return onnx_engine(self._file.tail, self._device.threads) if self._file.tail else None
        tail = self._trunk.tail
        return torch_engine(tail, ["features"], self._device) if isinstance(tail, nn.Module) else None

    @cached_property
    def _trunk(self) -> nn.Module:
        network = self.facts.backbone()
        return load_backbone(
            network.backbone, network.weights, network.preprocessing, stride=trunk_stride(self.facts.views.stride)
        ).trunk


def trunk_stride(stride: int) -> int:
    """The stride that a frozen trunk runs at: `stride`, or if that is 0 its own, which is 32 or as close as it gets."""
    return stride or 32


def _uses_onnx(path: Path, file: TrunkFile, machine: InferenceMachine) -> bool:
    possible = file.maps is not None and machine.device == "cpu"
    if machine.engine == "onnxruntime" and not possible:
        why = "runs on a CPU alone" if machine.device != "cpu" else f"{path} has no model for it ({file.facts.engine})"
        raise TagsegError(f"engine onnxruntime: {why}; set engine: auto or torch")
    return possible and machine.engine != "torch"
