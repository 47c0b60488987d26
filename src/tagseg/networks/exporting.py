"""Export of score networks to ONNX: one graph from RGB to scores, for images of any size."""

import io
import json
import warnings
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor, nn

from tagseg.images.marks import NAME
from tagseg.networks.segmentation import ScoreNetwork, upsample

InputType = Literal["uint8", "float32"]
OPSET = 17
INPUT, OUTPUTS = "image", ("scores", "scores_full")
_TRACED = (1, 3, 96, 128)  # shape of the tracing input; batch and image size stay dynamic


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


@torch.no_grad()
def onnx_bytes(network: ScoreNetwork, input_type: InputType, metadata: dict[str, Any]) -> bytes:
    """Serialise `network` as an ONNX model with dynamic N, H and W.

    Values of `metadata` are stored in metadata_props as JSON. Exceptions of torch's exporter, for trunks that it does
    not support, are passed on.
    """
    import onnx

    example = torch.zeros(_TRACED, dtype=getattr(torch, input_type))
    dynamic_axes = {
        INPUT: {0: "batch", 2: "height", 3: "width"},
        OUTPUTS[0]: {0: "batch", 2: "map_height", 3: "map_width"},
        OUTPUTS[1]: {0: "batch", 2: "height", 3: "width"},
    }
    content = io.BytesIO()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # tracing warns about every size; `largest_difference` verifies
        torch.onnx.export(
            Exported(network).eval(),
            (example,),
            content,  # type: ignore[arg-type]  # (a file object is allowed, according to the documentation)
            dynamo=False,  # the dynamo exporter would require onnxscript
            opset_version=OPSET,
            input_names=[INPUT],
            output_names=list(OUTPUTS),
            dynamic_axes=dynamic_axes,
        )
    model = onnx.load_from_string(content.getvalue())
    onnx.helper.set_model_props(model, {name: json.dumps(value) for name, value in metadata.items()})
    model.producer_name = NAME
    onnx.checker.check_model(model)
    return bytes(model.SerializeToString())


@torch.no_grad()
def largest_difference(content: bytes, network: ScoreNetwork, images: list[np.ndarray], input_type: InputType) -> float:
    """Largest difference between onnxruntime's and PyTorch's scores, over both outputs of all images (3, H, W) uint8.

    Differences are relative to the largest absolute score of an image, or to 1 if that is larger, since float32 has
    about seven digits. Infinite if shapes differ or a value is not finite. `content` is that of `onnx_bytes`.
    """
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    session = onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])
    reference, worst = Exported(network).eval(), 0.0
    for image in images:
        given = image[None].astype(input_type)
        for wanted, got in zip(
            reference(torch.from_numpy(given)), session.run(list(OUTPUTS), {INPUT: given}), strict=True
        ):
            worst = max(worst, _relative_difference(wanted.numpy(), got))
    return worst


def _relative_difference(wanted: np.ndarray, got: np.ndarray) -> float:
    if wanted.shape != got.shape:
        return float("inf")
    found = float(np.abs(wanted - got).max() / max(1.0, np.abs(wanted).max()))
    return found if np.isfinite(found) else float("inf")
