"""Prepare the frozen trunk: its models for onnxruntime, and where the maps of all photographs go."""

import logging
import math
import shutil
from collections.abc import Sequence
from pathlib import Path

import torch

from tagseg.config.arguments import Output, Tags, Threads
from tagseg.config.networks import BackboneSettings, FeatureDisk, InferenceMachine, ViewSettings
from tagseg.datasets.index import ImageRecord, read_index
from tagseg.errors import TagsegError
from tagseg.networks.backbones import load_backbone
from tagseg.networks.frozen import KeptMaps
from tagseg.networks.views import view_size
from tagseg.runtime.device import Device, prepare
from tagseg.runtime.engines import exported
from tagseg.runtime.frozen_trunk import trunk_stride
from tagseg.runtime.stamps import network_facts
from tagseg.runtime.trunk_file import TrunkFacts, TrunkFile, write_trunk

log = logging.getLogger(__name__)

_SIDE = 128  # pixels of the image that channels and strides are read off
_SPARE = 0.1  # of the free disk is left for all that the run writes besides


def run(
    tags: Tags,
    output: Output,
    network: BackboneSettings,
    views: ViewSettings,
    disk: FeatureDisk,
    machine: InferenceMachine,
    *,
    threads: Threads = 1,
) -> None:
    """Prepare the frozen trunk for all stages that run it, or read what it found.

    The file holds the trunk as ONNX models if onnxruntime gives what PyTorch gives, and says whether the maps of all
    photographs are to be stored: they are if they take at most `features_gb`, and the disk has that much. Raises
    TagsegError if the network cannot be had, or `machine.engine` demands onnxruntime and it cannot be exported.
    """
    device = prepare(machine.model_copy(update={"device": "cpu"}), threads)  # a job without a GPU does this
    stride = trunk_stride(views.stride)
    backbone = load_backbone(network.backbone, network.weights, network.preprocessing, stride=stride)
    maps = KeptMaps(backbone.trunk).eval()
    size = _bytes_of_all(maps, read_index(tags), views)
    models, engine = _models(maps, machine, device)
    facts = TrunkFacts(
        network=network_facts(network),
        views=views,
        statistics=backbone.statistics,
        names=maps.names,
        has_tail=maps.tail is not None,
        engine=engine,
        stored=_fits(size, disk.features_gb, output),
        bytes=size,
    )
    write_trunk(output, TrunkFile(facts, *models))


def _models(maps: KeptMaps, machine: InferenceMachine, device: Device) -> tuple[tuple[bytes | None, bytes | None], str]:
    """The trunk's two parts as ONNX models, if this machine can use them, and a line that says why, or why not."""
    if machine.engine == "torch" or machine.device != "cpu":
        return (None, None), "torch, as set" if machine.engine == "torch" else "torch, on a GPU"
    tail = None
    content, verdict = exported(maps, maps.names, device.threads)
    if content is not None and maps.tail is not None:
        channels = maps(torch.zeros(1, 3, _SIDE, _SIDE))[1].shape[1]
        tail, of_tail = exported(maps.tail, ["features"], device.threads, channels=channels)
        if tail is None:
            content, verdict = None, of_tail
    if content is None and machine.engine == "onnxruntime":
        raise TagsegError(f"engine onnxruntime: {verdict}; set engine: auto or torch")
    engine = "torch" if content is None else "onnxruntime"
    log.log(logging.WARNING if content is None else logging.INFO, "engine %s: %s", engine, verdict)
    return (content, tail), f"{engine}: {verdict}"


@torch.inference_mode()
def _bytes_of_all(maps: KeptMaps, records: Sequence[ImageRecord], views: ViewSettings) -> int:
    """Bytes that the maps of all images take in float16; a little more for strides that do not divide 128."""
    found = dict(zip(maps.names, maps(torch.zeros(1, 3, _SIDE, _SIDE)), strict=True))
    both = {"conv5": 2} if maps.tail is not None and views.mirror else {}  # of the image and its mirror image
    layers = [(both.get(name, 1) * own.shape[1], _SIDE / own.shape[3]) for name, own in found.items()]
    sizes = [view_size((record.height, record.width), scale) for record in records for scale in views.scales]
    positions = (
        channels * math.ceil(height / stride) * math.ceil(width / stride)
        for height, width in sizes
        for channels, stride in layers
    )
    return 2 * sum(positions)


def _fits(size: int, limit: float, output: Path) -> bool:
    """Whether maps of `size` bytes are to be stored: within the limit (GB), and on the disk of `output`."""
    folder = next(parent for parent in output.absolute().parents if parent.is_dir())
    free = int(shutil.disk_usage(folder).free * (1 - _SPARE))
    fits = size <= min(limit * 1e9, free)
    log.info(
        "the trunk's maps of all photographs take %.1f GB; limit (features_gb) %g GB, free disk %.1f GB: %s",
        size / 1e9,
        limit,
        free / 1e9,
        "they are stored" if fits else "they are not stored, and the trunk runs again in each stage that needs them",
    )
    return fits
