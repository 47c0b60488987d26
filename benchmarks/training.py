"""Time of a step of `tagseg train-segmentation` as a ratio to the bare forward and backward pass of the same network.

    python benchmarks/training.py [--device cuda --backbone vgg16] [--fov large] [--precision bfloat16] [--steps 10]

Made-up photographs of 500 x 375, the size of VOC's, lie on the disk as JPEG, their masks as HDF5, 21 classes, one image
a step, stride 8. A step of the loop decodes, mirrors, runs the network, its multi-class loss at full size, the gradient
and the descent; `bare` is forward and backward alone, on one batch that lies in memory. Weights are random: they cost
what trained ones cost. The two are taken in turn; the ratio is the median of those of a repeat.
On a CPU, seconds are those of the process, so that what else runs counts little; on a GPU, they are wall-clock seconds.
"""

import argparse
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory

import torch

from scenes import HEIGHT, TAGS, WIDTH, clock_of, masks, photographs, wait
from tagseg.config.networks import BackboneSettings, SegmentationSettings, TrainingMachine
from tagseg.datasets.index import read_index, write_classes
from tagseg.networks.backbones import load_backbone
from tagseg.networks.segmentation import Fov, ScoreNetwork
from tagseg.networks.training import freeze_batch_norm
from tagseg.runtime.device import prepare
from tagseg.runtime.prefetch import load_image
from tagseg.stages import train_segmentation as train

CLASSES = [*TAGS, *(f"class {i}" for i in range(3, 21))]
PAPER_STEPS = 60_000


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n\n")[0])
    parser.add_argument("--device", choices=["cpu", "cuda"], default="cpu")
    parser.add_argument("--backbone", default="timm/tf_efficientnet_lite0")
    parser.add_argument("--fov", choices=["small", "large"], default="small")
    parser.add_argument("--precision", choices=["float32", "bfloat16", "float16"], default="float32")
    parser.add_argument("--steps", type=int, default=10)
    parser.add_argument("--repeats", type=int, default=5)
    arguments = parser.parse_args()
    gpu = arguments.device == "cuda"
    machine = TrainingMachine(device=arguments.device, loaders=4 if gpu else 0, checkpoint_every=0)
    network = BackboneSettings(backbone=arguments.backbone, weights="random")
    settings = SegmentationSettings(iterations=arguments.steps, precision=arguments.precision)
    with TemporaryDirectory() as name:
        folder = Path(name)
        tags = photographs(folder, 16)
        masks(folder / "masks.h5", 16)
        write_classes(folder / "classes.txt", CLASSES)
        loop, bare = [], []
        for repeat in range(-1, arguments.repeats):  # the first one warms up
            pass_ = seconds_bare(tags, network, settings, machine, arguments.fov)
            few = seconds_of_stage(
                folder, network, settings.model_copy(update={"iterations": 2}), machine, arguments.fov
            )
            many = seconds_of_stage(
                folder, network, settings.model_copy(update={"iterations": 2 + arguments.steps}), machine, arguments.fov
            )
            if repeat >= 0:
                loop.append((many - few) / arguments.steps)  # without what is done once
                bare.append(pass_)
    ratio = median(own / other for own, other in zip(loop, bare, strict=True))
    where = torch.cuda.get_device_name() if gpu else "CPU, one thread"
    print(f"{arguments.backbone}, {arguments.fov} field of view, {arguments.precision} on {where}, {WIDTH} x {HEIGHT}")
    print(f"bare forward and backward {1000 * median(bare):.1f} ms, a step of the loop {1000 * median(loop):.1f} ms")
    print(f"ratio {ratio:.3f}; {1 / median(loop):.2f} steps a second")
    print(f"{PAPER_STEPS} steps at this rate: {PAPER_STEPS * median(loop) / 3600:.1f} hours")
    if gpu:
        print(f"peak memory {torch.cuda.max_memory_allocated() / 2**30:.1f} GiB")


def seconds_of_stage(
    folder: Path, network: BackboneSettings, settings: SegmentationSettings, machine: TrainingMachine, fov: Fov
) -> float:
    clock = clock_of(machine.device)
    start = clock()
    train.run(
        folder / "tags.csv", folder / "classes.txt", [folder / "masks.h5"], folder / "model.pt", folder / "log.csv",
        network, settings, machine,
        mask="multiclass", fov=fov, checkpoints=None, seed=0, threads=machine.loaders + 1,
    )  # fmt: skip
    return clock() - start


def seconds_bare(
    tags: Path, network: BackboneSettings, settings: SegmentationSettings, machine: TrainingMachine, fov: Fov
) -> float:
    """Forward and backward pass, the sum of the scores for a loss, the median of several."""
    device = prepare(machine, machine.loaders + 1)
    backbone = load_backbone(network.backbone, network.weights, stride=settings.stride, pool5=True)
    model = ScoreNetwork(backbone, ["background", *CLASSES], fov).to(device.torch_device).train()
    freeze_batch_norm(model)
    if settings.channels_last:
        model.to(memory_format=torch.channels_last)
    image = load_image(read_index(tags)[0])[None].to(device.torch_device)
    kind = torch.float16 if settings.precision == "float16" else torch.bfloat16
    clock = clock_of(machine.device)
    taken = []
    for _ in range(settings.iterations + 1):
        start = clock()
        model.zero_grad(set_to_none=True)
        with torch.autocast(device.torch_device.type, kind, enabled=settings.precision != "float32"):
            total = model(image).float().sum()
        total.backward()
        wait(device.torch_device)
        taken.append(clock() - start)
    return median(taken[1:])


if __name__ == "__main__":
    main()
