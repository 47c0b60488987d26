"""Score networks as ONNX: one graph from RGB to scores, for images of any size."""

import io
import json
import warnings
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor, nn

from tagseg.networks.segmentation import ScoreNetwork, upsample

InputType = Literal["uint8", "float32"]
OPSET = 17
INPUT, OUTPUTS = "image", ("scores", "scores_full")
_TRACED = (1, 3, 96, 128)  # the size that the graph is made with, which leaves no trace in it


class Exported(nn.Module):
    """What the ONNX graph computes: RGB (N, 3, H, W), 0..255 -> scores (N, C, h, w), and those at (H, W).

    Pre-processing is inside. Scores are float32 before the softmax, background first; `scores` has the network's own
    stride, `scores_full` is its bilinear enlargement, whose largest value a pixel is the pixel's class.
    """

    def __init__(self, network: ScoreNetwork):
        super().__init__()
        self.network = network

    def forward(self, image: Tensor) -> tuple[Tensor, Tensor]:
        scores = self.network(image)
        return scores, upsample(scores, (image.shape[2], image.shape[3]))


@torch.no_grad()
def onnx_bytes(network: ScoreNetwork, input_type: InputType, metadata: dict[str, Any]) -> bytes:
    """The content of an ONNX file; N, H and W are free. Values of `metadata` become JSON texts of its metadata_props.

    Whatever torch's exporter raises for a trunk that it cannot express comes through.
    """
    import onnx

    example = torch.zeros(_TRACED, dtype=getattr(torch, input_type))
    free = {
        INPUT: {0: "batch", 2: "height", 3: "width"},
        OUTPUTS[0]: {0: "batch", 2: "map_height", 3: "map_width"},
        OUTPUTS[1]: {0: "batch", 2: "height", 3: "width"},
    }
    content = io.BytesIO()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it warns of every size that it reads; `largest_difference` tells at the end
        torch.onnx.export(
            Exported(network).eval(),
            (example,),
            content,  # type: ignore[arg-type]  # (a file too, says the documentation)
            dynamo=False,  # the other exporter wants a further library, onnxscript
            opset_version=OPSET,
            input_names=[INPUT],
            output_names=list(OUTPUTS),
            dynamic_axes=free,
        )
    model = onnx.load_from_string(content.getvalue())
    for node in model.graph.node:
        node.ClearField("doc_string")  # it says where on this machine each line of code lies
    onnx.helper.set_model_props(model, {name: json.dumps(value) for name, value in metadata.items()})
    onnx.checker.check_model(model)
    return bytes(model.SerializeToString())


@torch.no_grad()
def largest_difference(content: bytes, network: ScoreNetwork, images: list[np.ndarray], input_type: InputType) -> float:
    """How far the scores of onnxruntime and PyTorch lie apart at most, over both outputs of all images (3, H, W) uint8.

    It is a part of the largest score in absolute value, or of 1 if that is less: float32 has seven digits, whatever
    the size of the numbers. Infinite where sizes differ or a value is not a number.
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
            worst = max(worst, _apart(wanted.numpy(), got))
    return worst


def _apart(wanted: np.ndarray, got: np.ndarray) -> float:
    if wanted.shape != got.shape:
        return float("inf")
    found = float(np.abs(wanted - got).max() / max(1.0, np.abs(wanted).max()))
    return found if np.isfinite(found) else float("inf")
