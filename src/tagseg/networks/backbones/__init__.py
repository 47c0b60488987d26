"""Loading backbones by name: the small network of the demo, VGG-16, and any timm model."""

import logging
from collections.abc import Callable
from dataclasses import replace
from importlib import resources
from pathlib import Path

import torch
from torch import Tensor

from tagseg.errors import TagsegError, one_line, read_error
from tagseg.networks.backbones.base import PREPROCESSING, Backbone, Classifier
from tagseg.networks.backbones.timm import timm_backbone
from tagseg.networks.backbones.vgg import SHAPES_BLOCKS, VGG16_BLOCKS, VggTrunk
from tagseg.networks.backbones.vgg_weights import parse_vgg16
from tagseg.networks.backbones.weights import load_dict, load_state, read_weights
from tagseg.networks.sources import weight_file

log = logging.getLogger(__name__)


def load_backbone(
    name: str,
    weights: str = "default",
    preprocessing: str = "default",
    *,
    stride: int = 16,
    pool5: bool = False,
) -> Backbone:
    """Load a backbone whose `Taps.features` have `stride`: 8, 16, or 32 for the trunk's own (16 for `shapes`).

    `name`: `vgg16`, one of `OTHERS` or `timm/NAME`. `weights`: `default` (shipped with the package, or the library's),
    `random`, a name the library knows, or a file. `preprocessing`: a key of `PREPROCESSING`, or `default` for that of
    the weights. `pool5` adds the fifth pooling layer, the input of fc6, to VGG-16. The trunk is in evaluation mode, on
    the CPU. Raises TagsegError naming the backbone or file and the remedy.
    """
    if name == "vgg16":
        return _vgg16(weights, stride, pool5, preprocessing)
    if name in OTHERS:
        backbone = OTHERS[name](weights, stride)
    elif name.startswith("timm/"):
        backbone = timm_backbone(name, weights, stride)
    else:
        raise _unknown(name)
    return backbone if preprocessing == "default" else replace(backbone, statistics=PREPROCESSING[preprocessing])


def require_known(name: str) -> None:
    """Raise TagsegError if there is no backbone of this name; the weights are not checked."""
    if name == "vgg16" or name in OTHERS:
        return
    import timm  # imported here: takes a second, and the built-in names do not need it

    if not name.startswith("timm/") or not timm.is_model(name.removeprefix("timm/").split(".")[0]):
        raise _unknown(name)


def _unknown(name: str) -> TagsegError:
    own = ", ".join([*OTHERS, "vgg16"])
    return TagsegError(f"backbone {name!r}: unknown; use {own} or timm/NAME (timm.list_models() lists them)")


def _shapes(weights: str, stride: int) -> Backbone:
    trunk = VggTrunk(SHAPES_BLOCKS, output_stride=min(stride, 16))
    imagenet = PREPROCESSING["imagenet"]
    if weights == "random":
        return Backbone("shapes", trunk.eval(), trunk.channels, imagenet)
    shipped = Path(str(resources.files("tagseg") / "resources" / "shapes_network.pt"))
    path = shipped if weights == "default" else Path(weights)
    remedy = "give weights made by `tagseg pretrain-shapes`, or set network.weights to default"
    if not path.is_file():
        raise TagsegError(f"{path}: no such weight file; {remedy}")
    bundle = load_dict(path, "a network of shapes", remedy)
    if not {"state_dict", "classes", "mean", "std"} <= set(bundle):
        raise TagsegError(f"{path}: not a network of shapes; {remedy}")
    state = {key: value.float() for key, value in bundle["state_dict"].items()}
    head = Classifier(state.pop("classifier.weight"), state.pop("classifier.bias"), tuple(bundle["classes"]))
    load_state(trunk, state, str(path))
    return Backbone("shapes", trunk.eval(), trunk.channels, (tuple(bundle["mean"]), tuple(bundle["std"])), head)


# Built-in backbones besides vgg16, which alone has a fifth pooling layer and several kinds of pre-processing.
OTHERS: dict[str, Callable[[str, int], Backbone]] = {"shapes": _shapes}


def _vgg16(weights: str, stride: int, pool5: bool, preprocessing: str) -> Backbone:
    trunk = VggTrunk(VGG16_BLOCKS, output_stride=stride, pool5=pool5 or stride == 32)
    if weights == "random":
        statistics = PREPROCESSING["imagenet" if preprocessing == "default" else preprocessing]
        return Backbone("vgg16", trunk.eval(), trunk.channels, statistics)
    file = weight_file("vgg16", weights)
    if file is None:
        state = _torchvision_vgg16("IMAGENET1K_V1" if weights == "default" else weights)
    else:
        state = read_weights(file)
    source = f"vgg16, weights {weights}"
    found = parse_vgg16(state, VGG16_BLOCKS, source)
    load_state(trunk, found.trunk, source)
    expected = found.preprocessing if preprocessing == "default" else preprocessing
    if expected is None:
        raise TagsegError(
            f"{source}: holds the trunk alone, which does not reveal its pre-processing; set network.preprocessing to "
            "imagenet (trained by torchvision), caffe (converted from Caffe, for RGB) or unit_symmetric"
        )
    log.info("%s: %s; pre-processing %s", source, found.summary(), expected)
    return Backbone(
        "vgg16", trunk.eval(), trunk.channels, PREPROCESSING[expected], found.classifier, found.fully_connected
    )


def _torchvision_vgg16(name: str) -> dict[str, Tensor]:
    from torchvision.models import VGG16_Weights

    source = VGG16_Weights[name]
    path = Path(torch.hub.get_dir()) / "checkpoints" / source.url.rpartition("/")[2]
    try:
        # weights_only: do not execute code from a file that someone placed in the cache
        return dict(source.get_state_dict(progress=False, check_hash=True, weights_only=True))
    except Exception as error:  # no network, a wrong hash, another file: the types vary
        if path.is_file():
            raise read_error(error, path) or TagsegError(
                f"{path}: not torchvision's file ({type(error).__name__}); put {source.url} in its place"
            ) from None
        raise TagsegError(
            f"vgg16: cannot fetch {source.url} ({one_line(error)}); download it elsewhere and save it as {path}, or "
            "set network.weights to its path"
        ) from None
