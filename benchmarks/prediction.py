"""Time of `tagseg predict` as a ratio to the bare forward passes of the same network in the same run.

    python benchmarks/prediction.py [--device cuda] [--backbone vgg16] [--size 320] [--images 100] [--repeats 3]

Made-up photographs of 500 x 375, the size of VOC's, lie on the disk as JPEG; 21 classes. `command` reads, decodes,
resizes to `--size` (0: not), runs the network, enlarges its scores, and writes label map, overlay and summary; `bare`
is the network alone on one batch that lies in memory, as many times. Weights are random, but for the last layer's
bias, which makes nine in ten pixels background. The two are taken in turn; the ratio is the median of those of a
repeat. On a CPU, seconds are those of the process, so that what else runs counts little; on a GPU, they are
wall-clock seconds.
"""

import argparse
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory

import torch

from scenes import HEIGHT, WIDTH, clock_of, photographs, wait
from tagseg.artifacts.bundle import save_bundle
from tagseg.commands.gathering import gather
from tagseg.commands.label_files import Outputs
from tagseg.commands.labelling import Smoothing, label_photographs
from tagseg.config.masks import PredictionCrfSettings, RegionSettings
from tagseg.config.networks import InferenceMachine
from tagseg.datasets.index import read_index
from tagseg.networks.backbones import load_backbone
from tagseg.networks.segmentation import ScoreNetwork
from tagseg.runtime.device import prepare
from tagseg.runtime.prefetch import image_batches
from tagseg.runtime.restore import load_segmentation

CLASSES = ["background", *(f"class {i}" for i in range(1, 21))]


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n\n")[0])
    parser.add_argument("--device", choices=["cpu", "cuda"], default="cpu")
    parser.add_argument("--backbone", default="timm/tf_efficientnet_lite0")
    parser.add_argument("--size", type=int, default=0)
    parser.add_argument("--images", type=int, default=100)
    parser.add_argument("--repeats", type=int, default=3)
    arguments = parser.parse_args()
    gpu = arguments.device == "cuda"
    clock = clock_of(arguments.device)
    machine = InferenceMachine(device=arguments.device, loaders=4 if gpu else 0, images_at_once=8 if gpu else 1)
    smoothing = Smoothing("none", PredictionCrfSettings(), RegionSettings())
    with TemporaryDirectory() as name:
        folder = Path(name)
        tags, model = photographs(folder, arguments.images), folder / "model.pt"
        records = read_index(tags)
        save_random(model, arguments.backbone, arguments.size, next(image_batches(records, 4, 0, arguments.size))[1])
        command, bare = [], []
        for repeat in range(-1, arguments.repeats):  # the first one warms up
            device = prepare(machine, machine.loaders + 1)
            network = device.move(load_segmentation(model)[0])
            _, batch = next(image_batches(records, machine.images_at_once, 0, arguments.size))
            taken = seconds_bare(network, batch.to(device.torch_device), arguments.images, arguments.device)
            start = clock()
            outputs = Outputs(folder / "out")
            label_photographs(
                model, gather([name], []), outputs, smoothing, machine,
                classes=None, tags=None, skip_existing=False, threads=machine.loaders + 1,
            )  # fmt: skip
            whole = clock() - start
            start = clock()  # the command builds its network too, which a bare pass has at hand
            device.move(load_segmentation(model)[0])
            built = clock() - start
            if repeat >= 0:
                command.append((whole - built) / arguments.images)
                bare.append(taken / arguments.images)
    ratio = median(own / other for own, other in zip(command, bare, strict=True))
    where = torch.cuda.get_device_name() if gpu else "CPU, one thread"
    print(f"{arguments.backbone} on {where}, {WIDTH} x {HEIGHT}, network at {arguments.size or 'that size'}")
    print(f"bare {1000 * median(bare):.1f} ms an image, command {1000 * median(command):.1f} ms, ratio {ratio:.3f}")


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


@torch.inference_mode()
def seconds_bare(network: ScoreNetwork, batch: torch.Tensor, count: int, device: str) -> float:
    """Forward passes of `count` images in all, on one batch in the device's memory."""
    clock = clock_of(device)
    network(batch)
    wait(batch.device)
    start = clock()
    for _ in range(count // len(batch)):
        network(batch)
    wait(batch.device)
    return clock() - start


if __name__ == "__main__":
    main()
