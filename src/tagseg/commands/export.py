"""Export a trained model to an ONNX file, and check it against PyTorch."""

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any, Literal

import numpy as np
import torch
from PIL import Image
from pydantic import Field

from tagseg.artifacts.atomic import atomic
from tagseg.artifacts.bundle import load_bundle
from tagseg.config.arguments import WRITTEN, Model, Named, Threads
from tagseg.config.networks import InferenceMachine
from tagseg.errors import TagsegError, one_line
from tagseg.images.files import read_image, require_size
from tagseg.images.resize import SMALLEST_SIDE, resized
from tagseg.networks.exporting import TOLERANCE, Exported, largest_difference, onnx_bytes
from tagseg.runtime.device import prepare
from tagseg.runtime.engines import onnx_engine
from tagseg.runtime.prefetch import image_tensor
from tagseg.runtime.restore import load_segmentation

_SIZES = ((96, 128), (131, 77), (65, 210))  # heights and widths of the images that are generated for the check


def run(
    model: Model,
    output: Annotated[Path, WRITTEN, Named("onnx"), Field(description="ONNX file to write")],
    checks: Annotated[
        Sequence[Path],
        Named("check"),
        Field(description="Photograph to check the file with; repeatable; default: three generated images"),
    ] = (),
    *,
    input_type: Annotated[
        Literal["uint8", "float32"],
        Named("input"),
        Field(description="Type of the graph's input; RGB from 0 to 255 either way"),
    ] = "uint8",
    threads: Threads = 1,
) -> str:
    """Export a trained model to an ONNX file, checked against PyTorch.

    The file is written if onnxruntime gives what PyTorch gives on the images `checks`, or on three generated ones.

    Returns a line for the terminal. Raises TagsegError, and leaves no file, if the scores differ by more than
    `TOLERANCE`, or if the network cannot be exported.
    """
    images = [_photograph(path) for path in checks]
    device = prepare(InferenceMachine(), threads)
    network, classes, side = load_segmentation(model)
    bundle = load_bundle(model, "segmentation")
    metadata = _metadata(bundle, classes, side, input_type)
    try:
        content = onnx_bytes(network, input_type, metadata)
    except Exception as error:  # torch raises many kinds for an operation that ONNX does not have
        raise TagsegError(
            f"{model}: {bundle['backbone']} cannot be exported to ONNX ({one_line(error)}); train with another backbone"
        ) from None
    given = [image_tensor(np.asarray(resized(Image.fromarray(image), side))) for image in images]
    tried = [image[None].to(getattr(torch, input_type)) for image in given or _generated()]
    with torch.no_grad():
        difference = largest_difference(Exported(network).eval(), onnx_engine(content, device.threads).run, tried)
    if difference > TOLERANCE:
        raise TagsegError(
            f"{output}: not written: onnxruntime and PyTorch differ by {difference:.1e} of the largest score, over "
            f"{TOLERANCE:g}; {bundle['backbone']} does not export as it is: train with another backbone"
        )
    with atomic(output) as temporary:
        temporary.write_bytes(content)
    return (
        f"{output}: {len(content) / 1e6:.1f} MB, {len(classes)} classes; onnxruntime differs from PyTorch by "
        f"{difference:.1e} at most, on {len(given) or len(_SIZES)} images"
    )


def _metadata(bundle: dict[str, Any], classes: list[str], side: int, input_type: str) -> dict[str, Any]:
    """All that a program needs to run the ONNX file: classes, palette, preprocessing, and which network it is."""
    mean, deviation = bundle["statistics"]
    return {
        "classes": classes,
        "palette": bundle["palette"],
        "preprocessing": {
            "colours": "RGB",
            "range": [0, 255],
            "layout": "NCHW",
            "type": input_type,
            "inside_the_graph": {"divide_by": 255, "mean": mean, "deviation": deviation},
            "longer_side": side,
            "smallest_side": SMALLEST_SIDE,
        },
        "network": {name: bundle[name] for name in ("backbone", "fov", "stride", "versions")},
    }


def _photograph(path: Path) -> np.ndarray:
    image = read_image(path)
    require_size(path, image.shape[1], image.shape[0])
    return image


def _generated() -> list[torch.Tensor]:
    """Images of noise, (3, H, W) uint8, of several sizes."""
    generator = torch.Generator().manual_seed(0)
    return [torch.randint(0, 256, (3, *size), generator=generator, dtype=torch.uint8) for size in _SIZES]
