"""The frozen trunk: one pass over a photograph gives what its maps, means and classifier's input are by themselves."""

from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from PIL import Image

from tagseg.artifacts.shards import Shard
from tagseg.config.networks import (
    BackboneSettings,
    FeatureDisk,
    InferenceMachine,
    LocalizationSettings,
    TrainingMachine,
    ViewSettings,
)
from tagseg.datasets.index import ImageRecord, read_index, write_classes
from tagseg.errors import TagsegError
from tagseg.images.files import read_image
from tagseg.networks.backbones import load_backbone
from tagseg.networks.backbones.base import normalise
from tagseg.networks.views import mean_over_mirror, views
from tagseg.runtime.frozen_trunk import FrozenTrunk
from tagseg.runtime.prefetch import image_tensor
from tagseg.runtime.trunk_file import read_trunk
from tagseg.runtime.trunk_maps import trunk_maps
from tagseg.stages import extract, prepare_trunk, train_localization

ENGINES = ("torch", "onnxruntime")
SHAPES = BackboneSettings(backbone="shapes")
LITE = BackboneSettings(backbone="timm/tf_efficientnet_lite0")  # a tail behind conv5
SIZES = ((70, 90), (65, 101), (70, 90))


@pytest.fixture(scope="module")
def tags(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("photographs")
    lines = ["id,split,path,width,height,tags"]
    for i, (height, width) in enumerate(SIZES):
        rng = np.random.default_rng(i)
        Image.fromarray(rng.integers(0, 256, (height, width, 3), dtype=np.uint8)).save(folder / f"{i}.png")
        lines.append(f"{i},train,{folder}/{i}.png,{width},{height},apple")
    (folder / "tags.csv").write_text("\n".join(lines) + "\n", encoding="utf-8")
    return folder / "tags.csv"


def prepared(
    tags: Path, path: Path, network: BackboneSettings, looks: ViewSettings, engine: str = "auto", limit: float = 1
) -> Path:
    prepare_trunk.run(tags, path, network, looks, FeatureDisk(features_gb=limit), InferenceMachine(engine=engine))
    return path


def found(trunk: Path, records: list[ImageRecord], machine: InferenceMachine) -> dict[str, dict[str, np.ndarray]]:
    images = {}
    with torch.inference_mode():
        for group, wait in FrozenTrunk(trunk, machine, 1).passes(records):
            arrays = wait()
            for i, record in enumerate(group):
                images[record.id] = {name: values[i] for name, values in arrays.items()}
    return images


@pytest.mark.parametrize("network", [SHAPES, LITE], ids=["shapes", "lite0"])
@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("mirror", [False, True])
@torch.inference_mode()
def test_a_pass_finds_what_the_trunk_finds_in_each_view(
    tags: Path, tmp_path: Path, network: BackboneSettings, engine: str, mirror: bool
) -> None:
    looks = ViewSettings(scales=[1.5, 1], mirror=mirror, stride=16)
    trunk = prepared(tags, tmp_path / "trunk.h5", network, looks, engine)
    records = read_index(tags)
    images = found(trunk, records, InferenceMachine(engine=engine))
    backbone = load_backbone(network.backbone, network.weights, stride=16)
    for record in records:
        image = normalise(image_tensor(read_image(record.path))[None], backbone.statistics)
        for number, of_scale in enumerate(views(image, looks.scales, mirror)):
            taps = [backbone.trunk(view) for view in of_scale]
            for name in ("conv4", "conv5"):
                maps = [getattr(own, name) for own in taps]
                wanted = mean_over_mirror(maps)[0].numpy()
                scale = np.abs(wanted).max()
                got = images[record.id]
                apart = mirror and name == "conv5" and network is LITE  # layers follow, and are no function of a mean
                assert len(got[f"{name}-{number}"]) == 1 + apart
                mean = got[f"{name}-{number}"].mean(axis=0, dtype=np.float32)
                np.testing.assert_allclose(mean, wanted, atol=2e-3 * scale)
                if apart:
                    np.testing.assert_allclose(got[f"{name}-{number}"][0], maps[0][0], atol=2e-3 * scale)
                means = mean_over_mirror([own.abs().mean(dim=1, keepdim=True) for own in maps])[0, 0]
                np.testing.assert_allclose(got[f"mean-{name}-{number}"], means, atol=2e-3 * float(means.max()))
            if number == 1:  # the scale of 1
                pooled = torch.stack([own.features.mean(dim=(2, 3))[0] for own in taps])
                assert got["pooled"].shape == (1 + mirror, backbone.channels)
                np.testing.assert_allclose(got["pooled"], pooled, atol=1e-4 * float(pooled.abs().max()))


@torch.inference_mode()
def test_a_mirror_image_has_the_mirror_image_of_the_maps(tags: Path, tmp_path: Path) -> None:
    """So it is once both are looked at; of the image alone it is not."""
    mirrored = tmp_path / "mirrored"
    mirrored.mkdir()
    for record in read_index(tags):
        Image.fromarray(read_image(record.path)[:, ::-1]).save(mirrored / f"{record.id}.png")
    (tmp_path / "tags.csv").write_text(
        tags.read_text(encoding="utf-8").replace(str(tags.parent), str(mirrored)), encoding="utf-8"
    )
    for mirror in (True, False):
        looks = ViewSettings(scales=[1], mirror=mirror, stride=8)
        trunk = prepared(tags, tmp_path / f"trunk-{mirror}.h5", SHAPES, looks)
        straight, turned = (
            found(trunk, read_index(path), InferenceMachine()) for path in (tags, tmp_path / "tags.csv")
        )
        same = [
            np.allclose(maps["mean-conv4-0"], turned[image_id]["mean-conv4-0"][:, ::-1], atol=2e-3)
            for image_id, maps in straight.items()
        ]
        assert all(same) if mirror else not any(same)


def test_engines_and_batches_agree_and_each_gives_the_same_bytes_again(tags: Path, tmp_path: Path) -> None:
    trunk = prepared(tags, tmp_path / "trunk.h5", LITE, ViewSettings(scales=[1, 0.5]))
    records, shards = read_index(tags), {}
    for name, machine in {
        "torch": InferenceMachine(engine="torch"),
        "onnxruntime": InferenceMachine(engine="onnxruntime"),
        "again": InferenceMachine(),
        "two at once": InferenceMachine(images_at_once=2),
    }.items():
        paths = [tmp_path / f"{name}-{kind}.h5" for kind in ("activations", "features")]
        extract.run(tags, trunk, paths[0], machine, features=paths[1])
        shards[name] = paths
    for one, again in zip(shards["onnxruntime"], shards["again"], strict=True):
        assert one.read_bytes() == again.read_bytes()
    features = {name: Shard(paths[1], "features") for name, paths in shards.items()}
    assert [features[name].parameters["engine"] for name in ENGINES] == list(ENGINES)
    for record in records:
        for array in ("conv4-0", "conv5-1", "pooled"):
            wanted = features["torch"].get(record.id, array).astype(np.float32)
            for shard in features.values():
                np.testing.assert_allclose(shard.get(record.id, array), wanted, atol=2e-3 * np.abs(wanted).max())


@pytest.mark.parametrize("network", [SHAPES, LITE], ids=["shapes", "lite0"])
def test_maps_that_do_not_fit_are_made_again_with_the_same_bytes(
    tags: Path, tmp_path: Path, network: BackboneSettings, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    machine, given = InferenceMachine(), {}
    for limit in (1.0, 0.0):
        trunk = prepared(tags, tmp_path / f"trunk-{limit}.h5", network, ViewSettings(), limit=limit)
        features = tmp_path / f"features-{limit}.h5"
        extract.run(tags, trunk, tmp_path / f"activations-{limit}.h5", machine, features=features)
        records = read_index(tags)
        given[limit] = {record.id: maps for record, maps in trunk_maps(features, trunk, records, {"1"}, machine, 1)}
    assert "limit (features_gb) 0 GB" in caplog.text and "the trunk runs again in each stage" in caplog.text
    stored, again = given[1.0], given[0.0]
    assert stored.keys() == again.keys() == {"0", "2"}  # 1 was done
    for image_id, scales in stored.items():
        assert len(scales) == 3
        for one, other in zip(scales, again[image_id], strict=True):
            assert one.keys() == other.keys() == {"conv4", "conv5"}
            assert all(one[name].tobytes() == other[name].tobytes() for name in one)
    with Shard(tmp_path / "features-0.0.h5", "features") as shard:
        assert shard.names("0") == ["pooled"]


def test_the_bytes_that_are_foretold_are_those_that_are_stored(tags: Path, tmp_path: Path) -> None:
    trunk = prepared(tags, tmp_path / "trunk.h5", LITE, ViewSettings())
    extract.run(tags, trunk, tmp_path / "a.h5", InferenceMachine(), features=tmp_path / "features.h5")
    with Shard(tmp_path / "features.h5", "features") as shard:
        arrays = [shard.get(i, name) for i in shard.ids() for name in shard.names(i) if name != "pooled"]
    assert read_trunk(trunk).facts.bytes == sum(values.nbytes for values in arrays)


def test_a_full_disk_is_foretold(
    tags: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    monkeypatch.setattr(prepare_trunk.shutil, "disk_usage", lambda path: SimpleNamespace(free=10**5))
    trunk = prepared(tags, tmp_path / "new" / "trunk.h5", LITE, ViewSettings())
    assert not read_trunk(trunk).facts.stored
    assert "free disk 0.0 GB: they are not stored" in caplog.text


def test_onnxruntime_that_is_demanded_and_has_no_model_is_an_error(tags: Path, tmp_path: Path) -> None:
    trunk = prepared(tags, tmp_path / "trunk.h5", SHAPES, ViewSettings(), engine="torch")
    with pytest.raises(
        TagsegError, match=r"trunk\.h5 has no model for it \(torch, as set\); set engine: auto or torch"
    ):
        FrozenTrunk(trunk, InferenceMachine(engine="onnxruntime"), 1)
    assert FrozenTrunk(trunk, InferenceMachine(), 1).engine_name == "torch"


def test_features_of_another_trunk_are_refused(tags: Path, tmp_path: Path) -> None:
    """Its maps have the shapes that are expected, and mean something else."""
    shards, trunks = [], []
    for scale in (1.0, 0.5):
        trunks.append(prepared(tags, tmp_path / f"trunk-{scale}.h5", SHAPES, ViewSettings(scales=[scale])))
        shards.append(tmp_path / f"features-{scale}.h5")
        extract.run(tags, trunks[-1], tmp_path / "activations.h5", InferenceMachine(), features=shards[-1])
    with pytest.raises(TagsegError, match=r"features-0\.5\.h5: made with another trunk than .*trunk-1\.0\.h5"):
        next(trunk_maps(shards[1], trunks[0], read_index(tags), (), InferenceMachine(), 1))
    write_classes(tmp_path / "classes.txt", ["apple"])
    files = tmp_path / "classes.txt", tmp_path / "head.pt", tmp_path / "head.csv"
    with pytest.raises(TagsegError, match=r"features-0\.5\.h5: made with another trunk than .*features-1\.0\.h5"):
        settings = LocalizationSettings(mode="head")
        train_localization.run(tags, *files, SHAPES, settings, TrainingMachine(), features=shards)


def test_the_log_says_what_runs_the_trunk(tags: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO")
    trunk = prepared(tags, tmp_path / "trunk.h5", SHAPES, ViewSettings())
    for engine in ENGINES:
        FrozenTrunk(trunk, InferenceMachine(engine=engine), 1)
        assert f"the trunk runs in {engine} ({trunk} was prepared for onnxruntime: within" in caplog.text
