"""Backbones by name: the demo's small network, VGG-16, and any of timm's."""

from importlib import resources
from pathlib import Path

import torch
from torch import Tensor

from tagseg.errors import TagsegError
from tagseg.networks.backbone import PREPROCESSING, Backbone, Classifier, FullyConnected
from tagseg.networks.timm_backbone import timm_backbone
from tagseg.networks.vgg import SHAPES_BLOCKS, VGG16_BLOCKS, VggTrunk
from tagseg.networks.weights import imagenet_wordnet_ids, load_dict, load_state, read_weights


def load_backbone(
    name: str,
    weights: str = "default",
    preprocessing: str = "default",
    *,
    stride: int = 16,
    pool5: bool = False,
) -> Backbone:
    """Build a trunk whose last features have `stride`: 8, 16, or 32 for the trunk's own (16 without a fifth pooling).

    `weights`: `default` (shipped, or the library's), `random`, a name of the library's, or a file. `pool5` asks VGG
    trunks for the pooling that fc6 stands on. Raises TagsegError naming the backbone, the file and the remedy.
    """
    if name == "shapes":
        backbone = _shapes(weights, stride)
    elif name == "vgg16":
        backbone = _vgg16(weights, stride, pool5)
    elif name.startswith("timm/"):
        backbone = timm_backbone(name, weights, stride)
    else:
        raise TagsegError(f"backbone {name!r}: unknown; use shapes, vgg16 or timm/NAME (timm.list_models() lists them)")
    if preprocessing != "default":
        backbone = Backbone(**{**backbone.__dict__, "statistics": PREPROCESSING[preprocessing]})
    return backbone


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


def _vgg16(weights: str, stride: int, pool5: bool) -> Backbone:
    trunk = VggTrunk(VGG16_BLOCKS, output_stride=stride, pool5=pool5 or stride == 32)
    if weights == "random":
        return Backbone("vgg16", trunk.eval(), trunk.channels, PREPROCESSING["imagenet"])
    statistics = PREPROCESSING["caffe" if weights == "IMAGENET1K_FEATURES" else "imagenet"]
    if weights in ("default", "IMAGENET1K_V1", "IMAGENET1K_FEATURES"):
        state = _torchvision_vgg16("IMAGENET1K_V1" if weights == "default" else weights)
    else:
        state = read_weights(Path(weights))
    # torchvision's IMAGENET1K_FEATURES carries a classifier filled with NaN: a trunk without a classifier
    rest = {key: state.pop(key) for key in list(state) if key.startswith("classifier.")}
    load_state(trunk, state, weights)
    if not rest or not all(bool(torch.isfinite(value).all()) for value in rest.values()):
        return Backbone("vgg16", trunk.eval(), trunk.channels, statistics)
    layers = FullyConnected(*(rest[f"classifier.{i}.{part}"] for i in (0, 3) for part in ("weight", "bias")))
    head = Classifier(rest["classifier.6.weight"], rest["classifier.6.bias"], imagenet_wordnet_ids())
    return Backbone("vgg16", trunk.eval(), trunk.channels, statistics, head, layers)


def _torchvision_vgg16(weights: str) -> dict[str, Tensor]:
    from torchvision.models import VGG16_Weights

    source = VGG16_Weights[weights]
    try:
        return dict(source.get_state_dict(progress=False, check_hash=True))
    except OSError as error:
        cache_folder = Path(torch.hub.get_dir()) / "checkpoints"
        raise TagsegError(
            f"vgg16: cannot download {source.url} ({error}); put that file into {cache_folder}, or set "
            "network.weights to a local file"
        ) from None
