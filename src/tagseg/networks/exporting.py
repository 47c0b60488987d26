"""Export of networks to ONNX: graphs that take images of any size, and how far they are from PyTorch."""

import io
import json
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor, nn

from tagseg.images.marks import NAME
from tagseg.networks.segmentation import ScoreNetwork, upsample

InputType = Literal["uint8", "float32"]
OPSET = 17
INPUT, OUTPUTS = "image", ("scores", "scores_full")
TOLERANCE = 1e-4  # `largest_difference` of an export that gives what PyTorch gives
_TRACED = (96, 128)  # height and width of the tracing input; batch and image size stay dynamic
_IMAGE_AXES = {0: "batch", 2: "height", 3: "width"}


class Exported(nn.Module):
    """The exported graph: RGB (N, 3, H, W), 0..255 -> scores (N, C, h, w) and scores (N, C, H, W).

    Pre-processing is included. Scores are float32 before the softmax, background first: `scores` at the network's
    stride, `scores_full` upsampled bilinearly to the input's size. A pixel's class is the argmax of `scores_full`.
    """

    def __init__(self, network: ScoreNetwork):
        super().__init__()
        self.network = network

    def forward(self, image: Tensor) -> tuple[Tensor, Tensor]:
        scores = self.network(image)
        return scores, upsample(scores, (image.shape[2], image.shape[3]))


def onnx_bytes(network: ScoreNetwork, input_type: InputType, metadata: Mapping[str, Any]) -> bytes:
    """Serialise `network` as an ONNX model, that of `Exported`, with dynamic N, H and W.

    Exceptions of torch's exporter, for trunks that it does not support, are passed on.
    """
    map_axes = {0: "batch", 2: "map_height", 3: "map_width"}
    outputs = {OUTPUTS[0]: map_axes, OUTPUTS[1]: _IMAGE_AXES}
    return graph_bytes(Exported(network).eval(), getattr(torch, input_type), outputs, metadata)


# neither: weights that were loaded for inference alone could not be traced in the latter
@torch.inference_mode(mode=False)
@torch.no_grad()
def graph_bytes(
    module: nn.Module,
    dtype: torch.dtype,
    outputs: Mapping[str, Mapping[int, str]],
    metadata: Mapping[str, Any] | None = None,
    channels: int = 3,
) -> bytes:
    """Serialise a module in evaluation mode, on the CPU, as an ONNX model; the same module gives the same bytes.

    Args:
        module: takes images (N, 3, H, W) of any size and returns a tensor, or a tuple of them.
        dtype: of the images.
        outputs: by the name of each returned tensor, its dynamic axes and the names of their lengths.
        metadata: stored in metadata_props, its values as JSON.
        channels: of the input, if that is a map and not an image.

    Exceptions of torch's exporter, for operations that ONNX does not have, are passed on.
    """
    import onnx

    content = io.BytesIO()
    with warnings.catch_warnings(), _no_graph_on_stdout():
        warnings.simplefilter("ignore")  # tracing warns about every size; `largest_difference` verifies
        torch.onnx.export(
            module,
            (torch.zeros(1, channels, *_TRACED, dtype=dtype),),
            content,  # type: ignore[arg-type]  # (a file object is allowed, according to the documentation)
            dynamo=False,  # the dynamo exporter would require onnxscript
            opset_version=OPSET,
            input_names=[INPUT],
            output_names=list(outputs),
            dynamic_axes={INPUT: _IMAGE_AXES, **outputs},
        )
    model = onnx.load_from_string(content.getvalue())
    onnx.helper.set_model_props(model, {name: json.dumps(value) for name, value in (metadata or {}).items()})
    model.producer_name = NAME
    onnx.checker.check_model(model)
    return bytes(model.SerializeToString())


@contextmanager
def _no_graph_on_stdout() -> Iterator[None]:
    """Keep torch's exporter from writing a graph that it fails on to standard output, hundreds of lines.

    It asks whether that is wanted, but takes the function to ask with for the answer, which so is always yes.
    """
    name = "_jit_is_onnx_log_enabled"
    function = getattr(torch._C, name)
    setattr(torch._C, name, None)
    try:
        yield
    finally:
        setattr(torch._C, name, function)


def largest_difference(
    wanted: Callable[[Tensor], Sequence[Tensor]], got: Callable[[Tensor], Sequence[Tensor]], images: Iterable[Tensor]
) -> float:
    """Largest difference between two functions of images (1, 3, H, W), over all tensors that they return.

    Differences are relative to the largest absolute value that is `wanted` of an image, or to 1 if that is larger,
    since float32 has about seven digits. Infinite if shapes differ or a value is not finite.
    """
    pairs = (pair for image in images for pair in zip(wanted(image), got(image), strict=True))
    return max((_relative_difference(one.numpy(), other.numpy()) for one, other in pairs), default=0.0)


def _relative_difference(wanted: np.ndarray, got: np.ndarray) -> float:
    if wanted.shape != got.shape:
        return float("inf")
    found = float(np.abs(wanted - got).max() / max(1.0, np.abs(wanted).max()))
    return found if np.isfinite(found) else float("inf")
