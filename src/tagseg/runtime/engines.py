"""What runs a trained network on images: PyTorch, or on a CPU onnxruntime, which is about twice as fast."""

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from tagseg.config.networks import EngineName
from tagseg.errors import TagsegError, one_line
from tagseg.networks.exporting import INPUT, TOLERANCE, graph_bytes, largest_difference
from tagseg.runtime.device import Device

log = logging.getLogger(__name__)

_TRIED = ((97, 131), (160, 75))  # heights and widths of the images that both engines must agree on
# Images that `auto` exports a network for. Of EfficientNet-Lite0 the export, its check and the import of onnx take .6
# seconds, and onnxruntime saves 16 ms on each image of 320 x 240 (32 -> 16 ms) and 70 on one of 500 x 375.
_WORTHWHILE = 40
# Pixels of a batch after which memory goes back to the system, or a few large photographs would hold gigabytes to the
# end. Smaller batches would be the slower for it.
_LARGE = 1 << 20


@dataclass(frozen=True)
class Engine:
    """A network ready to run: images (N, 3, H, W), on any device, -> its outputs by name, each (N, ...)."""

    name: str  # torch or onnxruntime
    outputs: tuple[str, ...]
    run: Callable[[Tensor], tuple[Tensor, ...]]

    def __call__(self, images: Tensor) -> dict[str, Tensor]:
        return dict(zip(self.outputs, self.run(images), strict=True))


def torch_engine(module: nn.Module, outputs: Sequence[str], device: Device) -> Engine:
    """A module in evaluation mode, moved to the device, which its outputs stay on; the images are moved there, too."""
    device.move(module)

    @torch.inference_mode()
    def run(images: Tensor) -> tuple[Tensor, ...]:
        return _tuple(module(images.to(device.torch_device, non_blocking=True)))

    return Engine("torch", tuple(outputs), run)


def onnx_engine(content: bytes, threads: int) -> Engine:
    """An ONNX model with one input, the images, run by onnxruntime on `threads` threads of the CPU.

    The same threads give the same bytes. Exceptions of onnxruntime, for operations that it does not have, are passed
    on.
    """
    import onnxruntime

    session = _session(content, threads)
    outputs = tuple(output.name for output in session.get_outputs())
    keep, release = onnxruntime.RunOptions(), onnxruntime.RunOptions()
    release.add_run_config_entry("memory.enable_memory_arena_shrinkage", "cpu:0")

    def run(images: Tensor) -> tuple[Tensor, ...]:
        pixels = images.shape[0] * images.shape[2] * images.shape[3]
        options = release if pixels > _LARGE else keep
        found = session.run(list(outputs), {INPUT: images.contiguous().numpy()}, options)
        return tuple(torch.from_numpy(values) for values in found)

    return Engine("onnxruntime", outputs, run)


def choose_engine(
    module: nn.Module,
    outputs: Sequence[str],
    device: Device,
    wanted: EngineName,
    passes: int,
    dtype: torch.dtype = torch.float32,
) -> Engine:
    """The engine that is `wanted` for a module; for `auto` the faster one that gives what PyTorch gives.

    That is onnxruntime on a CPU, if there are enough passes to pay for the export and the results agree to `TOLERANCE`
    on two images of noise; PyTorch otherwise. The log says which, and why.

    Args:
        module: in evaluation mode, on the CPU: images (N, 3, H, W) of any size -> a tensor, or a tuple of them, each
            (N, ..., h, w) float32. It is moved to the device if PyTorch runs it.
        outputs: the names of the tensors.
        device: where to run, and the number of threads that compute.
        wanted: auto, torch or onnxruntime.
        passes: how many images the module will run on, those of an interrupted run too: so that it resumes with the
            same engine.
        dtype: of the images: float32 (normalised) or uint8, as the module takes them.

    Raises TagsegError if onnxruntime is demanded and the device is a GPU, the module cannot be exported, or the results
    differ.
    """
    on_cpu = device.torch_device.type == "cpu"
    if wanted == "onnxruntime" and not on_cpu:
        raise TagsegError(f"engine onnxruntime: runs on a CPU alone, not on {device.torch_device}; set engine: auto")
    unless = {"torch": "as set", "onnxruntime": ""}.get(wanted, _against_export(on_cpu, passes))
    if unless:
        return _chosen(torch_engine(module, outputs, device), unless)
    content, verdict = exported(module, outputs, device.threads, dtype)
    if content is not None:
        return _chosen(onnx_engine(content, device.threads), verdict)
    if wanted == "onnxruntime":
        raise TagsegError(f"engine onnxruntime: {verdict}; set engine: auto or torch")
    return _chosen(torch_engine(module, outputs, device), verdict, level=logging.WARNING)


def _against_export(on_cpu: bool, passes: int) -> str:
    """Why `auto` does not even try to export; empty if it does."""
    if not on_cpu:
        return "on a GPU"
    return "" if passes >= _WORTHWHILE else f"{passes} images are too few to export the network for"


def exported(
    module: nn.Module, outputs: Sequence[str], threads: int, dtype: torch.dtype = torch.float32, channels: int = 3
) -> tuple[bytes | None, str]:
    """The module as an ONNX model, or None if onnxruntime does not give what PyTorch gives; and a line that says why.

    Arguments are those of `choose_engine`, and the input's `channels`, if it is a map and not an image.
    """
    images = _noise(dtype, channels)
    reference = torch.inference_mode()(lambda given: _tuple(module(given)))
    try:
        axes = {
            name: {0: "batch", values.ndim - 2: f"{name}_height", values.ndim - 1: f"{name}_width"}
            for name, values in zip(outputs, reference(images[0]), strict=True)
        }
        content = graph_bytes(module, dtype, axes, channels=channels)
        difference = largest_difference(reference, onnx_engine(content, threads).run, images)
    except Exception as error:  # torch and onnxruntime raise many kinds for an operation that one of them lacks
        return None, f"the network cannot be exported to ONNX ({one_line(error)})"
    if difference > TOLERANCE:
        return None, f"its results differ from PyTorch's by {difference:.1e} of the largest, over {TOLERANCE:g}"
    return content, f"within {difference:.1e} of PyTorch"


def _tuple(found: Tensor | tuple[Tensor, ...]) -> tuple[Tensor, ...]:
    return (found,) if isinstance(found, Tensor) else tuple(found)


def _chosen(engine: Engine, why: str, level: int = logging.INFO) -> Engine:
    log.log(level, "engine %s: %s", engine.name, why)
    return engine


def _noise(dtype: torch.dtype, channels: int) -> list[Tensor]:
    """Images (1, C, H, W) of several sizes, always the same: of any uint8, or normal as normalised ones are."""
    generator = torch.Generator().manual_seed(0)
    if dtype == torch.uint8:
        return [torch.randint(0, 256, (1, channels, *size), generator=generator, dtype=dtype) for size in _TRIED]
    return [torch.randn(1, channels, *size, generator=generator) for size in _TRIED]


def _session(content: bytes, threads: int) -> Any:
    """An onnxruntime session that computes on `threads` threads, none of which spins while it waits.

    Its arena keeps memory from image to image: without it, pages that the system clears anew each time make a pass half
    as slow again. A plan of memory for each size of image would be of no use. EfficientNet-Lite0 on 50 images of as
    many sizes up to 800 x 800 then peaks at 1.07 GB, where PyTorch does at 1.50.
    """
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.execution_mode = onnxruntime.ExecutionMode.ORT_SEQUENTIAL
    options.use_deterministic_compute = True
    options.enable_mem_pattern = False
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    return onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])
