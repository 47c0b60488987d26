"""Pre-train the embedded demo's network to recognise single shapes, as VGG-16 was pre-trained on ImageNet.

The result ships with the package as `resources/shapes_network.pt`; this stage makes it again.
"""

import logging
import time
from typing import Annotated

import numpy as np
import torch
import torch.nn.functional as F
from pydantic import Field
from torch import Tensor, nn
from tqdm import tqdm

from tagseg.artifacts.bundle import write_torch
from tagseg.config.arguments import Output, Seed, Threads
from tagseg.datasets.shapes import CLASSES, recognition_image
from tagseg.errors import TagsegError
from tagseg.networks.backbones.base import normalise
from tagseg.networks.backbones.vgg import SHAPES_BLOCKS, VggTrunk, fold_batch_norm

log = logging.getLogger(__name__)

MEAN = (0.5, 0.5, 0.5)
STD = (0.25, 0.25, 0.25)
BATCH = 32
LEARNING_RATE = 2e-3
WEIGHT_DECAY = 1e-2
POOL_IMAGES = 12_000
"""Distinct training images at most: drawing one takes about as long as learning from it."""
HELD_OUT_IMAGES = 1_400
_FIRST_HELD_OUT = 10_000_000
"""Index of the first held-out image, past any that training draws."""
_LARGEST_SHIFT = 4


def run(
    output: Output,
    *,
    seed: Seed = 0,
    steps: Annotated[int, Field(ge=1, description="Steps of 32 images")] = 1900,
    threads: Threads = 1,
) -> None:
    """Pre-train the demo's small network on single shapes (its result ships with the package).

    It is trained for `steps` of 32 images; 1,900 give what the package ships. `seed` sets the images and the initial
    weights. The file holds `state_dict` (float16, batch norm folded in: `features.N.weight` and `.bias` of
    `VggTrunk(SHAPES_BLOCKS)`, `classifier.weight` (14, 128) and `.bias` (14,) on the globally averaged conv5),
    `classes` (names in the classifier's order), `mean` and `std` (of RGB in [0, 1], to normalise with), and `accuracy`
    on held-out images, measured after rounding to float16. It loads with `torch.load(weights_only=True)`. One seed, one
    thread and one machine give the same bytes. Raises TagsegError if the loss is not finite.
    """
    torch.set_num_threads(threads)
    torch.manual_seed(seed)
    generator = torch.Generator().manual_seed(seed)
    trunk = VggTrunk(SHAPES_BLOCKS, batch_norm=True)
    classifier = nn.Linear(trunk.channels, len(CLASSES))
    _train(trunk, classifier, generator, steps, seed)

    trunk.eval()
    folded = fold_batch_norm(trunk).half().float()
    classifier.half().float()
    accuracy = _accuracy(folded, classifier, seed)
    log.info("accuracy on %d held-out images: %.3f", HELD_OUT_IMAGES, accuracy)
    state = folded.state_dict() | {f"classifier.{name}": value for name, value in classifier.state_dict().items()}
    network = {
        "state_dict": {name: value.half() for name, value in state.items()},
        "classes": list(CLASSES),
        "mean": list(MEAN),
        "std": list(STD),
        "accuracy": accuracy,
    }
    write_torch(output, network)


def _train(trunk: VggTrunk, classifier: nn.Linear, generator: torch.Generator, steps: int, seed: int) -> None:
    """Train trunk and classifier in place, with AdamW and a cosine schedule."""
    pool = min(POOL_IMAGES, steps * BATCH)
    images, labels = _draw(seed, range(pool))
    parameters = [*trunk.parameters(), *classifier.parameters()]
    optimiser = torch.optim.AdamW(parameters, lr=LEARNING_RATE, weight_decay=WEIGHT_DECAY)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, steps)

    started = time.perf_counter()
    order = torch.empty(0, dtype=torch.long)
    for step in tqdm(range(steps), desc="pre-training", unit="step", disable=None):
        if len(order) < BATCH:
            order = torch.cat([order, torch.randperm(pool, generator=generator)])
        chosen, order = order[:BATCH], order[BATCH:]
        scores = classifier(trunk(_augment(images[chosen], generator)).features.mean(dim=(2, 3)))
        loss = F.cross_entropy(scores, labels[chosen])
        if not torch.isfinite(loss):
            raise TagsegError(f"the loss of pre-training is {loss.item()} at step {step}; try another seed")
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        schedule.step()
        if (step + 1) % 100 == 0:
            speed = (step + 1) / (time.perf_counter() - started)
            log.info("step %d of %d: loss %.3f, %.1f steps a second", step + 1, steps, loss.item(), speed)


def _draw(seed: int, indices: range) -> tuple[Tensor, Tensor]:
    """(N, 3, 48, 48) uint8 recognition images and (N,) long labels."""
    drawn = [recognition_image(seed, index) for index in tqdm(indices, desc="drawing", unit="image", disable=None)]
    images = torch.from_numpy(np.stack([image for image, _ in drawn])).permute(0, 3, 1, 2)
    return images.contiguous(), torch.tensor([label for _, label in drawn])


def _augment(images: Tensor, generator: torch.Generator) -> Tensor:
    """Normalised images, each mirrored at random, all shifted by the same up to 4 pixels with edges repeated."""
    x = normalise(images, (MEAN, STD))
    mirror = torch.rand(len(x), generator=generator) < 0.5
    x[mirror] = x[mirror].flip(-1)
    top, left = torch.randint(0, 2 * _LARGEST_SHIFT + 1, (2,), generator=generator).tolist()
    height, width = x.shape[-2:]
    return F.pad(x, (_LARGEST_SHIFT,) * 4, mode="replicate")[..., top : top + height, left : left + width]


@torch.no_grad()
def _accuracy(trunk: VggTrunk, classifier: nn.Linear, seed: int) -> float:
    """Share of the held-out images that the network classifies correctly."""
    images, labels = _draw(seed, range(_FIRST_HELD_OUT, _FIRST_HELD_OUT + HELD_OUT_IMAGES))
    correct = 0
    for batch, wanted in zip(images.split(200), labels.split(200), strict=True):
        scores = classifier(trunk(normalise(batch, (MEAN, STD))).features.mean(dim=(2, 3)))
        correct += int((scores.argmax(dim=1) == wanted).sum())
    return correct / len(labels)
