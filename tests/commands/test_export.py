"""Models as ONNX: what onnxruntime gives at any size, and a file that is refused."""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from models import CLASSES, save_model
from nets import tiny_backbone
from trees import put_image, put_text
from typer.testing import CliRunner

from tagseg import cli
from tagseg.artifacts.bundle import save_bundle
from tagseg.images.palette import voc_palette
from tagseg.networks import exporting
from tagseg.networks.segmentation import upsample
from tagseg.runtime.restore import load_segmentation

NETWORKS = {
    "shapes": {"stride": 8, "fov": "large"},
    "timm/tf_efficientnet_lite0": {"stride": 16, "fov": "small"},
    "vgg16": {"stride": 8, "fov": "small"},
}


@pytest.fixture(autouse=True)
def small_vgg(monkeypatch: pytest.MonkeyPatch) -> None:
    """VGG-16 with few channels: its layers and their paddings are what counts here."""
    monkeypatch.setattr("tagseg.networks.backbones.VGG16_BLOCKS", ((4, 2), (5, 2), (6, 3), (7, 3), (7, 3)))
    monkeypatch.setattr("tagseg.networks.segmentation.FILTERS", 16)


def export(*words: object) -> str:
    outcome = CliRunner().invoke(cli.app, ["export", *map(str, words)], catch_exceptions=False)
    assert outcome.exit_code == 0, outcome.output
    return outcome.output


@pytest.mark.parametrize("name", NETWORKS)
def test_other_sizes_than_the_traced_one_give_what_pytorch_gives(name: str, tmp_path: Path) -> None:
    model = save_model(tmp_path / "model.pt", name=name, **NETWORKS[name])
    kind = "float32" if name == "vgg16" else "uint8"
    text = export(model, "--onnx", tmp_path / "model.onnx", "--input", kind)
    assert "4 classes" in text and "on 3 images" in text
    network = load_segmentation(model)[0]
    session = onnxruntime.InferenceSession(tmp_path / "model.onnx", providers=["CPUExecutionProvider"])
    generator = torch.Generator().manual_seed(1)
    for count, height, width in ((1, 64, 64), (2, 75, 61), (1, 33, 150), (1, 200, 117)):
        image = torch.randint(0, 256, (count, 3, height, width), generator=generator, dtype=torch.uint8)
        scores, full = session.run(["scores", "scores_full"], {"image": image.numpy().astype(kind)})
        with torch.no_grad():
            wanted = network(image)
            large = upsample(wanted, (height, width))
        limit = 1e-4 * max(1, float(wanted.abs().max()))
        assert scores.shape == tuple(wanted.shape) and full.shape == (count, 4, height, width)
        np.testing.assert_allclose(scores, wanted.numpy(), atol=limit, rtol=0)
        np.testing.assert_allclose(full, large.numpy(), atol=limit, rtol=0)
        assert float(wanted.std()) > 0.1


def test_the_file_says_its_classes_palette_and_pre_processing(tmp_path: Path) -> None:
    model = save_model(tmp_path / "model.pt", size=320)
    export(model, "--onnx", tmp_path / "model.onnx")
    content = onnx.load(tmp_path / "model.onnx")
    facts = {entry.key: json.loads(entry.value) for entry in content.metadata_props}
    assert facts["classes"] == CLASSES
    assert facts["palette"] == voc_palette()[:4].tolist()
    assert facts["preprocessing"]["longer_side"] == 320 and facts["preprocessing"]["type"] == "uint8"
    assert facts["network"]["backbone"] == "shapes" and facts["network"]["stride"] == 16
    assert str(Path(exporting.__file__).parents[2]).encode() not in (tmp_path / "model.onnx").read_bytes()
    export(model, "--onnx", tmp_path / "again.onnx")
    assert (tmp_path / "model.onnx").read_bytes() == (tmp_path / "again.onnx").read_bytes()


def test_photographs_to_check_with_are_read(tmp_path: Path, fails: Callable[[str], str]) -> None:
    model = save_model(tmp_path / "model.pt", size=64)
    photo = put_image(tmp_path / "a.jpg", 90, 50)
    assert "on 2 images" in export(model, "--onnx", tmp_path / "m.onnx", "--check", photo, "--check", photo)
    broken = put_text(tmp_path / "b.jpg", "no photograph")
    assert "b.jpg: not a readable image" in fails(f"export {model} --onnx {tmp_path}/n.onnx --check {broken}")
    small = put_image(tmp_path / "c.png", 20, 50)
    assert "c.png: 20 x 50 pixels" in fails(f"export {model} --onnx {tmp_path}/n.onnx --check {small}")
    assert not (tmp_path / "n.onnx").exists()


@pytest.mark.parametrize("change", [0.01, float("nan")])
def test_a_graph_that_differs_is_not_left(
    change: float, tmp_path: Path, fails: Callable[[str], str], monkeypatch: pytest.MonkeyPatch
) -> None:
    model = save_model(tmp_path / "model.pt")
    before = exporting.Exported.forward

    def forward(self: exporting.Exported, image: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        scores, full = before(self, image)
        return scores, full + (change * full.abs().max() if torch.onnx.is_in_onnx_export() else 0)

    monkeypatch.setattr(exporting.Exported, "forward", forward)
    line = fails(f"export {model} --onnx {tmp_path}/m.onnx")
    assert line.startswith(f"{tmp_path}/m.onnx: not written") and "shapes does not export" in line
    assert sorted(p.name for p in tmp_path.iterdir()) == ["model.pt"]


def test_wrong_models_are_one_line(
    tmp_path: Path, fails: Callable[[str], str], monkeypatch: pytest.MonkeyPatch
) -> None:
    put_text(tmp_path / "text.pt", "no model")
    save_bundle(tmp_path / "localization.pt", "localization", tiny_backbone().trunk)
    out = f"--onnx {tmp_path}/m.onnx"
    assert "no such model" in fails(f"export {tmp_path}/none.pt {out}")
    assert "not a tagseg model" in fails(f"export {tmp_path}/text.pt {out}")
    assert "holds localization" in fails(f"export {tmp_path}/localization.pt {out}")

    def refuse(*given: object, **named: object) -> None:
        raise RuntimeError("no such operator\nin this opset")

    monkeypatch.setattr("torch.onnx.export", refuse)
    line = fails(f"export {save_model(tmp_path / 'model.pt')} {out}")
    assert "shapes cannot be exported to ONNX (no such operator in this opset)" in line
    assert not (tmp_path / "m.onnx").exists()
