"""Train a network on batches that threads prefetch."""

from collections.abc import Callable, Iterator, Sequence
from typing import TypeVar

from torch import Tensor

from tagseg.artifacts.checkpoints import Checkpoints
from tagseg.config.networks import SgdSettings
from tagseg.networks.localization import LocalizationNetwork
from tagseg.networks.segmentation import ScoreNetwork
from tagseg.networks.training import Schedule, train
from tagseg.runtime.prefetch import prefetch, shuffled

Batch = TypeVar("Batch")


def train_prefetched(
    network: LocalizationNetwork | ScoreNetwork,
    load: Callable[[list[tuple[int, bool]]], Batch],
    loss_of: Callable[[Batch], Tensor],
    ids_of: Callable[[Batch], Sequence[str]],
    settings: SgdSettings,
    checkpoints: Checkpoints,
    *,
    images: int,
    flip: bool,
    seed: int,
    loaders: int,
) -> str:
    """Train `network` in place on a number of `images`; return the log as CSV text: step, learning_rate, loss.

    `load` makes a batch of the images with these indices (0..images-1), each mirrored or not; `loss_of` gives its loss,
    a scalar, and `ids_of` the ids of its images, for messages. Raises TagsegError if a loss is not finite.
    """

    def batches(first: int) -> Iterator[Batch]:
        order = shuffled(images, settings.batch, seed, flip=flip, first=first)
        return prefetch(order, load, loaders)

    return train(
        network,
        network.parameter_groups(settings.learning_rate, settings.head_factor),
        batches,
        loss_of,
        Schedule(settings.iterations, settings.schedule, settings.momentum, settings.weight_decay),
        lambda batch: f"images {', '.join(ids_of(batch))}",
        precision=settings.precision,
        keeper=checkpoints,
    )
