"""The paper's values: what `recipe: paper` fills in for keys that are not given.

Every key that the paper states a value for is here, whether or not the default differs today; `docs/method.md` says
where. The others (the CRF's weights, its iterations, the threshold of regions, `localization.hidden` and `stride`,
mirrored training images) keep their defaults under every recipe.
"""

from typing import Any, Literal

Recipe = Literal["best", "paper"]

# 4.2.1: SGD for the score networks, "the same values" for the localization network (4.2.2); one rate for all layers.
_SGD = {
    "iterations": 60_000,
    "learning_rate": 1e-4,
    "head_factor": 1.0,
    "schedule": "step",
    "momentum": 0.9,
    "weight_decay": 5e-4,
}

PAPER: dict[str, dict[str, Any]] = {
    "network": {"backbone": "vgg16"},  # 4.2.1
    "views": {"scales": [1.0], "mirror": False, "stride": 0},  # 3.1.1: the photograph, once, at its own size
    "localization": {
        **_SGD,
        "mode": "finetune",
        "size": 224,
        "batch": 15,
        # a "cross entropy loss" in Caffe: its layer for several tags sums over classes and divides by the batch alone
        "reduction": "sum",
        "rows": "trained",
    },
    "priors": {
        "layers": "raw_sum",  # 3.1.1: an "elementwise summation"
        "scaling": "min_max",
        "fgbg_centre": 0,
        "cam_threshold": 0.2,
        "alpha": 0.5,
        "background": "mean",  # Eq. 4
        "background_power": 1,
        "normalise": True,
        "grid": 1,  # maps of the image's size
    },
    "second_round": {"priors": []},
    "crf": {
        "mask_gain": 1,  # Eq. 7
        "score_gain": 1,
        "higher_order": "pn_potts",
        "region_probability": "map",  # Eq. 8
        "higher_order_weight": 1,  # Eq. 6
    },
    "regions": {"mode": "speedy_public"},  # 4.4.2: "the speedy version of the public Matlab implementation"
    "segmentation": {**_SGD, "stride": 8, "size": 0, "batch": 1, "lse_r": 5},
}


def filled(block: dict[str, Any]) -> dict[str, Any]:
    """A block with `recipe: paper` as read from YAML, completed with the paper's values."""
    groups = {name: block.get(name) or {} for name in PAPER}
    return block | {name: {**PAPER[name], **given} for name, given in groups.items() if isinstance(given, dict)}


def departures(groups: dict[str, dict[str, Any]]) -> list[str]:
    """The keys, as GROUP.KEY, that a block sets to other values than the paper's."""
    return [
        f"{name}.{key}" for name, keys in PAPER.items() for key, value in keys.items() if groups[name][key] != value
    ]
