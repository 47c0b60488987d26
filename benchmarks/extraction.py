"""Time of `tagseg extract` as a ratio to the bare forward passes of the same network in the same run.

    python benchmarks/extraction.py [--device cuda] [--backbone vgg16] [--images 48] [--repeats 5]

Made-up photographs of 500 x 375, the size of VOC's, lie on the disk as JPEG. The stage reads, decodes, runs the trunk
by each engine that the device has, averages, copies and writes two shards, mean activations and maps; `bare` is the
trunk alone in PyTorch on one batch that lies in memory, as many times. Weights are random: they cost what trained ones
cost. All are taken in turn; a ratio is the median of those of a repeat. On a CPU, seconds are those of the process, so
that what else runs counts little; on a GPU, they are wall-clock seconds.
"""

import argparse
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory

import torch

from scenes import HEIGHT, WIDTH, clock_of, photographs, wait
from tagseg.config.networks import BackboneSettings, FeatureDisk, InferenceMachine, ViewSettings
from tagseg.datasets.index import read_index
from tagseg.networks.backbones import load_backbone
from tagseg.networks.backbones.base import normalise
from tagseg.runtime.device import prepare
from tagseg.runtime.frozen_trunk import FrozenTrunk
from tagseg.runtime.prefetch import image_batches
from tagseg.stages import extract, prepare_trunk

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
    engines = ("torch",) if gpu else ("torch", "onnxruntime")
    machines = {
        name: InferenceMachine(
            device=arguments.device, loaders=4 if gpu else 0, images_at_once=8 if gpu else 1, engine=name
        )
        for name in engines
    }
    network = BackboneSettings(backbone=arguments.backbone, weights="random")
    with TemporaryDirectory() as name:
        folder = Path(name)
        tags = photographs(folder, arguments.images)
        threads = machines["torch"].loaders + 1
        for engine, machine in machines.items():
            prepare_trunk.run(tags, folder / f"{engine}.h5", network, LOOKS, FeatureDisk(), machine)
        stage: dict[str, list[float]] = {engine: [] for engine in engines}
        bare = []
        for repeat in range(-1, arguments.repeats):  # the first one warms up
            taken = seconds_bare(tags, network, machines["torch"], threads, arguments.images)
            if repeat >= 0:
                bare.append(taken / arguments.images)
            for engine, machine in machines.items():
                trunk = folder / f"{engine}.h5"
                start = clock()
                outputs = folder / "activations.h5", folder / "features.h5"
                extract.run(tags, trunk, outputs[0], machine, features=outputs[1], threads=threads)
                whole = clock() - start
                start = clock()  # the stage builds its network too, which a bare pass has at hand
                FrozenTrunk(trunk, machine, threads).engine  # noqa: B018  (builds it)
                if repeat >= 0:
                    stage[engine].append((whole - (clock() - start)) / arguments.images)
    print(f"{arguments.backbone} on {torch.cuda.get_device_name() if gpu else 'CPU, one thread'}, {WIDTH} x {HEIGHT}")
    print(f"bare forward in PyTorch {1000 * median(bare):.1f} ms an image")
    for engine, seconds in stage.items():
        ratio = median(own / other for own, other in zip(seconds, bare, strict=True))
        print(f"stage, {engine}: {1000 * median(seconds):.1f} ms, ratio {ratio:.3f}", end="; ")
        print(f"{VOC_IMAGES} images: {VOC_IMAGES * median(seconds) / 60:.1f} min")
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
