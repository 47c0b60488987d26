"""The block voc_paper of config/voc.yaml on a devkit of a few made-up pictures: VGG-16, both fields of view."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
import yaml
from PIL import Image, ImageDraw
from snakemake_runs import REPOSITORY, prepare, succeed

from tagseg.images.files import write_labels

pytestmark = pytest.mark.slow
WIDTH, HEIGHT = 50, 39  # of either parity, and no multiple of a stride


def devkit(root: Path) -> Path:
    """Six training and two evaluation pictures in VOC's layout: a disc of one class, a box of another."""
    rng = np.random.default_rng(0)
    lists = root / "ImageSets" / "Segmentation"
    for folder in (root / "JPEGImages", root / "SegmentationClassAug", lists):
        folder.mkdir(parents=True)
    names = [f"2007_{i:06d}" for i in range(8)]
    for i, name in enumerate(names):
        picture = Image.fromarray(rng.integers(60, 120, (HEIGHT, WIDTH, 3), dtype=np.uint8))
        labels = Image.new("L", (WIDTH, HEIGHT))
        shapes = [(8, (4, 6, 24, 26), "ellipse"), (12, (26, 8, 46, 34), "rectangle")]
        for label, box, shape in shapes[: 1 + i % 2]:
            getattr(ImageDraw.Draw(picture), shape)(box, fill=(220, 20 * label, 40))
            getattr(ImageDraw.Draw(labels), shape)(box, fill=label)
        picture.save(root / "JPEGImages" / f"{name}.jpg")
        write_labels(root / "SegmentationClassAug" / f"{name}.png", np.asarray(labels))
    (lists / "train_aug.txt").write_text("\n".join(names[:6]), encoding="utf-8")
    (lists / "val.txt").write_text("\n".join(names[6:]), encoding="utf-8")
    return root


def test_the_paper_s_configuration_runs_from_tags_to_miou(tmp_path: Path) -> None:
    """Everything as it stands, but where the data lies, no GPU, no weights at hand, two steps in place of 60,000."""
    change = tmp_path / "change.yaml"
    few = {"iterations": 2}
    keys = {
        "data": {"root": str(devkit(tmp_path / "VOC2012")), "masks": "SegmentationClassAug", "sbd": ""},
        "shards": 1,
        "network": {"weights": "random", "preprocessing": "imagenet"},
        "localization": {**few, "batch": 2, "size": 48},
        "segmentation": few,
        "headline": ["tags", "multiclass_large_regions"],
    }
    change.write_text(
        yaml.safe_dump({"device": "cpu", "loaders": 1, "datasets": {"voc_paper": keys}}), encoding="utf-8"
    )
    folder = prepare(tmp_path / "run")
    succeed(
        folder,
        "results/voc_paper/miou.csv",
        "results/voc_paper/losses.png",
        configs=[REPOSITORY / "config/voc.yaml", change],
    )
    table = pd.read_csv(folder / "results/voc_paper/miou.csv")
    own = table[table["source"] == "measured"]
    assert set(own["method"]) == {"tags", "multiclass_large_regions"} and own["miou"].notna().all()
    assert (table["source"] == "published").any()
    # what this test had to change, and nothing else
    changed = "localization.iterations, localization.size, localization.batch, segmentation.iterations"
    assert set(own["recipe"].str.removeprefix("paper, but for ")) == {changed}
    for name, width, kernel in (("tags", 4096, 4), ("multiclass_large_regions", 1024, 3)):
        bundle = torch.load(folder / f"results/voc_paper/segmentation/{name}/model.pt", weights_only=True)
        assert tuple(bundle["state_dict"]["head.fc6.weight"].shape) == (width, 512, kernel, kernel)
        assert len(bundle["classes"]) == len(bundle["palette"]) == 21
        assert (bundle["backbone"], bundle["stride"]) == ("vgg16", 8)
    log = (folder / "logs/voc_paper/train_segmentation/multiclass_large_regions.log").read_text(encoding="utf-8")
    assert "stride 8, field of view 224 pixels, 20.5 M parameters" in log
    assert not list(folder.glob("results/voc_paper/checkpoints/**/*.pt"))
