"""Time of `tagseg extract` as a ratio to the bare forward passes of the same network in the same run.

    python benchmarks/extraction.py [--device cuda] [--backbone vgg16] [--images 48] [--repeats 5]

Made-up photographs of 500 x 375, the size of VOC's, lie on the disk as JPEG. `stage` reads, decodes, runs the trunk,
averages, copies and writes a shard; `bare` is the trunk alone on one batch that lies in memory, as many times. Weights
are random: they cost what trained ones cost. The two are taken in turn; the ratio is the median of those of a repeat.
On a CPU, seconds are those of the process, so that what else runs counts little; on a GPU, they are wall-clock seconds.
"""

import argparse
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory

import torch

from scenes import HEIGHT, WIDTH, clock_of, photographs, wait
from tagseg.config.networks import BackboneSettings, InferenceMachine, ViewSettings
from tagseg.datasets.index import read_index
from tagseg.networks.backbones import load_backbone
from tagseg.networks.backbones.base import normalise
from tagseg.runtime.device import prepare
from tagseg.runtime.prefetch import image_batches
from tagseg.stages import extract

LOOKS = ViewSettings(scales=[1.0], mirror=False, stride=0)  # as the paper looks at a photograph, once
VOC_IMAGES = 12_031  # train_aug and val


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n\n")[0])
    parser.add_argument("--device", choices=["cpu", "cuda"], default="cpu")
    parser.add_argument("--backbone", default="timm/tf_efficientnet_lite0")
    parser.add_argument("--images", type=int, default=48)
    parser.add_argument("--repeats", type=int, default=5)
    arguments = parser.parse_args()
    gpu = arguments.device == "cuda"
    clock = clock_of(arguments.device)
    machine = InferenceMachine(device=arguments.device, loaders=4 if gpu else 0, images_at_once=8 if gpu else 1)
    network = BackboneSettings(backbone=arguments.backbone, weights="random")
    with TemporaryDirectory() as folder:
        tags = photographs(Path(folder), arguments.images)
        output = Path(folder) / "activations.h5"
        threads = machine.loaders + 1
        stage, bare = [], []
        for repeat in range(-1, arguments.repeats):  # the first one warms up
            taken = seconds_bare(tags, network, machine, threads, arguments.images)
            start = clock()
            extract.run(tags, output, network, LOOKS, machine, shard=0, shards=1, threads=threads)
            whole = clock() - start
            # the stage builds its network too, which a bare pass has at hand
            start = clock()
            load_backbone(network.backbone, network.weights, stride=32).trunk.to(machine.device)
            built = clock() - start
            if repeat >= 0:
                stage.append((whole - built) / arguments.images)
                bare.append(taken / arguments.images)
    ratio = median(own / other for own, other in zip(stage, bare, strict=True))
    name = torch.cuda.get_device_name() if gpu else "CPU, one thread"
    print(f"{arguments.backbone} on {name}, {WIDTH} x {HEIGHT}, {machine.images_at_once} at once")
    print(f"bare forward {1000 * median(bare):.1f} ms an image, stage {1000 * median(stage):.1f} ms, ratio {ratio:.3f}")
    print(f"{VOC_IMAGES} images at this rate: {VOC_IMAGES * median(stage) / 60:.1f} minutes")
    if gpu:
        print(f"peak memory {torch.cuda.max_memory_allocated() / 2**30:.1f} GiB")


@torch.inference_mode()
def seconds_bare(tags: Path, network: BackboneSettings, machine: InferenceMachine, threads: int, count: int) -> float:
    """Forward passes of `count` images in all, on one batch in the device's memory."""
    device = prepare(machine, threads)
    backbone = load_backbone(network.backbone, network.weights, stride=32)
    trunk = device.move(backbone.trunk)
    _, images = next(image_batches(read_index(tags), machine.images_at_once, device.loaders))
    batch = normalise(images.to(device.torch_device), backbone.statistics)
    trunk(batch)
    wait(device.torch_device)
    clock = clock_of(machine.device)
    start = clock()
    for _ in range(count // len(batch)):
        trunk(batch)
    wait(device.torch_device)
    return clock() - start


if __name__ == "__main__":
    main()
