"""Time of `tagseg predict` as a ratio to the bare forward passes of the same network in PyTorch in the same run.

    python benchmarks/prediction.py [--device cuda] [--backbone vgg16] [--size 320] [--images 100] [--repeats 3]

Made-up photographs of 500 x 375, the size of VOC's, lie on the disk as JPEG; 21 classes. `command` reads, decodes,
resizes to `--size` (0: not), runs the network, enlarges its scores, and writes label map, overlay and summary, once
with each engine; `bare` is the network alone in PyTorch on one batch that lies in memory, as many times. The network is
built, and for onnxruntime exported, once however many photographs there are: this set-up is measured by itself, and is
no part of the figures of an image. Weights are random, but for the last layer's bias, which makes nine in ten pixels
background.

All are taken in turn; a ratio is the median of those of a repeat. Seconds are wall-clock seconds. On a CPU one thread
computes in either, and the command writes on a second one: their ratio is that of two cores only where nothing else
uses these. So there are two more, in which what else runs counts little: of core-seconds; and of wall-clock seconds
less those that the computing thread queued for a core, as Linux counts them, which is what two idle cores would take.
"""

import argparse
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import torch

from scenes import HEIGHT, WIDTH, photographs, wait
from tagseg.artifacts.bundle import save_bundle
from tagseg.commands.gathering import gather
from tagseg.commands.label_files import Outputs
from tagseg.commands.labelling import Smoothing, label_photographs
from tagseg.config.masks import PredictionCrfSettings, RegionSettings
from tagseg.config.networks import EngineName, InferenceMachine
from tagseg.datasets.index import read_index
from tagseg.networks.backbones import load_backbone
from tagseg.networks.segmentation import ScoreNetwork
from tagseg.runtime.device import prepare
from tagseg.runtime.engines import choose_engine
from tagseg.runtime.prefetch import image_batches
from tagseg.runtime.restore import load_segmentation

CLASSES = ["background", *(f"class {i}" for i in range(1, 21))]
SMOOTHING = Smoothing("none", PredictionCrfSettings(), RegionSettings())


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n\n")[0])
    parser.add_argument("--device", choices=["cpu", "cuda"], default="cpu")
    parser.add_argument("--backbone", default="timm/tf_efficientnet_lite0")
    parser.add_argument("--size", type=int, default=0)
    parser.add_argument("--images", type=int, default=100)
    parser.add_argument("--repeats", type=int, default=3)
    arguments = parser.parse_args()
    gpu, count = arguments.device == "cuda", arguments.images
    engines: list[EngineName] = ["torch"] if gpu else ["torch", "onnxruntime"]
    machine = InferenceMachine(device=arguments.device, loaders=4 if gpu else 0, images_at_once=8 if gpu else 1)
    turns: list[dict[str, np.ndarray]] = []
    with TemporaryDirectory() as name:
        folder = Path(name)
        records, model = read_index(photographs(folder, count)), folder / "model.pt"
        save_random(model, arguments.backbone, arguments.size, next(image_batches(records, 4, 0, arguments.size))[1])
        _, batch = next(image_batches(records, machine.images_at_once, 0, arguments.size))
        for _ in range(arguments.repeats + 1):
            turn = {"bare": seconds_bare(model, machine, batch, count)}
            for engine in engines:
                own = machine.model_copy(update={"engine": engine})
                turn[engine], turn[f"{engine} set-up"] = seconds_of_command(model, folder, own, count)
            turns.append(turn)
    del turns[0]  # it warmed up
    where = torch.cuda.get_device_name() if gpu else "CPU, one thread computes"
    print(f"{arguments.backbone} on {where}, {WIDTH} x {HEIGHT}, network at {arguments.size or 'that size'}")
    middle = {name: np.median([turn[name] for turn in turns], axis=0) for name in turns[0]}
    print(f"bare {1000 * middle['bare'][0]:.1f} ms an image, {1000 * middle['bare'][1]:.1f} without queueing")
    for engine in engines:
        wall, idle, cores = np.median([turn[engine] / turn["bare"] for turn in turns], axis=0)
        print(
            f"command with {engine} {1000 * middle[engine][0]:.1f} ms an image, ratio {wall:.2f}; without queueing "
            f"{idle:.2f}, of core-seconds {cores:.2f}; set-up {middle[f'{engine} set-up'][1]:.1f} s"
        )


def seconds_of(work: Callable[[], object], device: str) -> np.ndarray:
    """Seconds that a call takes: on the clock, the same less what this thread queued for a core, and of all cores."""
    clocks = time.perf_counter, lambda: time.perf_counter() - seconds_queued(), time.process_time
    start = [clock() for clock in clocks]
    work()
    wait(torch.device(device))
    return np.subtract([clock() for clock in clocks], start)


def seconds_queued() -> float:
    """Seconds that this thread was ready to run and no core was free; 0 where the system does not count them."""
    counts = Path("/proc/thread-self/schedstat")
    return int(counts.read_text().split()[1]) / 1e9 if counts.exists() else 0.0


def seconds_bare(model: Path, machine: InferenceMachine, batch: torch.Tensor, count: int) -> np.ndarray:
    """Of each of `count` images, in forward passes on one batch in the device's memory."""
    device = prepare(machine, machine.loaders + 1)
    network, own = device.move(load_segmentation(model)[0]), batch.to(device.torch_device)

    @torch.inference_mode()
    def passes(images: int) -> None:
        for _ in range(images // len(own)):
            network(own)

    passes(2 * len(own))
    return seconds_of(partial(passes, count), machine.device) / count


def seconds_of_command(
    model: Path, folder: Path, machine: InferenceMachine, count: int
) -> tuple[np.ndarray, np.ndarray]:
    """Of each of `count` photographs in a folder; and of the set-up, once."""
    threads = machine.loaders + 1

    def set_up() -> None:
        device = prepare(machine, threads)
        choose_engine(load_segmentation(model)[0], ["maps"], device, machine.engine, count, torch.uint8)

    def command() -> None:
        label_photographs(
            model, gather([str(folder)], []), Outputs(folder / "out"), SMOOTHING, machine,
            classes=None, tags=None, skip_existing=False, threads=threads,
        )  # fmt: skip

    once = seconds_of(set_up, machine.device)
    return (seconds_of(command, machine.device) - once) / count, once


@torch.no_grad()
def save_random(path: Path, name: str, size: int, images: torch.Tensor) -> None:
    """A model with random weights, whose background wins at nine of ten positions of the images' maps."""
    torch.manual_seed(0)
    backbone = load_backbone(name, "random", stride=16, pool5=True)
    network = ScoreNetwork(backbone, CLASSES, "small").eval()
    scores = network(images)
    lead = (scores[:, 1:].amax(dim=1) - scores[:, 0]).flatten()
    assert network.classifier.bias is not None
    network.classifier.bias[0] += lead.quantile(0.9)
    facts = {"classes": CLASSES, "backbone": name, "fov": "small", "stride": 16, "settings": {"size": size}}
    save_bundle(path, "segmentation", network, statistics=[list(v) for v in backbone.statistics], **facts)


if __name__ == "__main__":
    main()
