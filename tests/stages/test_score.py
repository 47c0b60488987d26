"""Scores of a shard: by one engine, which its facts name."""

import json
import logging
from collections.abc import Mapping
from pathlib import Path

import h5py
import numpy as np
import pytest
from models import CLASSES, save_model
from trees import put_image

from tagseg.artifacts.shards import Shard, ShardWriter
from tagseg.config.networks import EngineName, InferenceMachine
from tagseg.datasets.index import ImageRecord, write_index
from tagseg.stages import score

IDS = ("a", "b", "c", "d")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Four photographs of three sizes, their index and a model."""
    sizes = ((70, 50), (64, 64), (70, 50), (90, 40))
    records = [
        ImageRecord(name, "val", put_image(tmp_path / f"{name}.png", *size), *size, ())
        for name, size in zip(IDS, sizes, strict=True)
    ]
    write_index(tmp_path / "tags.csv", records)
    save_model(tmp_path / "model.pt", size=80)
    return tmp_path


def scored(folder: Path, name: str, engine: EngineName) -> Path:
    machine = InferenceMachine(engine=engine)
    score.run(folder / "model.pt", folder / "tags.csv", folder / name, machine, split="val")
    return folder / name


def test_both_engines_give_the_same_scores_and_the_shard_names_its_own(folder: Path) -> None:
    shards = {engine: scored(folder, f"{engine}.h5", engine) for engine in ("torch", "onnxruntime")}
    for engine, path in shards.items():
        with h5py.File(path) as file:
            assert json.loads(file.attrs["parameters"])["engine"] == engine
    with Shard(shards["torch"], "scores") as one, Shard(shards["onnxruntime"], "scores") as other:
        for name in IDS:
            maps = one.get(name, "maps")
            assert maps.shape[0] == len(CLASSES) and maps.dtype == other.get(name, "maps").dtype == np.float16
            np.testing.assert_allclose(maps.astype(float), other.get(name, "maps").astype(float), atol=0.02)
    for engine, path in shards.items():
        assert path.read_bytes() == scored(folder, "again.h5", engine).read_bytes()


def test_a_shard_begun_by_one_engine_is_not_finished_by_another(
    folder: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "tagseg")
    whole = scored(folder, "whole.h5", "onnxruntime").read_bytes()
    before = ShardWriter.put

    def three(writer: ShardWriter, image_id: str, arrays: Mapping[str, np.ndarray]) -> None:
        if image_id == "d":
            raise KeyboardInterrupt
        before(writer, image_id, arrays)

    def interrupted(engine: EngineName) -> None:
        with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
            patch.setattr(ShardWriter, "put", three)
            scored(folder, "scores.h5", engine)
        caplog.clear()

    interrupted("torch")
    assert scored(folder, "scores.h5", "onnxruntime").read_bytes() == whole
    assert any("it is of another shard" in text and "engine" in text for text in caplog.messages)
    interrupted("onnxruntime")
    assert scored(folder, "scores.h5", "onnxruntime").read_bytes() == whole
    assert any("resuming, 3 of 4 images are done" in text for text in caplog.messages)
