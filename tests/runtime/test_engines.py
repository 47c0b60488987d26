"""The engines that run a network: what onnxruntime gives is what PyTorch gives, or it is not used."""

import logging

import pytest
import torch
from torch import Tensor, nn

from tagseg.config.networks import InferenceMachine
from tagseg.errors import TagsegError
from tagseg.networks.backbones import load_backbone
from tagseg.networks.exporting import graph_bytes
from tagseg.networks.segmentation import ScoreNetwork
from tagseg.runtime.device import Device, prepare
from tagseg.runtime.engines import Engine, choose_engine, onnx_engine, torch_engine

SIZES = ((1, 64, 64), (2, 75, 61), (1, 33, 150), (1, 201, 117))
ENOUGH = 1000
CPU = InferenceMachine()


class TwoMaps(nn.Module):
    """Features (N, C, h, w) of two layers, the second averaged over channels (N, h, w)."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.first, self.second = nn.Conv2d(3, 8, 5, stride=2, padding=2), nn.Conv2d(8, 4, 3, stride=2, dilation=2)

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
        first = self.first(images).relu()
        return first, self.second(first).mean(dim=1)


class FrozenSize(TwoMaps):
    """Divides by the number of pixels, which becomes a constant of the graph."""

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
        first, second = super().forward(images)
        return first, second * (12288 / float(images.shape[2] * images.shape[3]))


class Unknown(TwoMaps):
    """Has an operation that ONNX lacks."""

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
        first, second = super().forward(images)
        return first, torch.special.i1(second)


class OneSize(TwoMaps):
    """Refuses the images that engines are compared on."""

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
        if images.shape[2] != 64:
            raise AssertionError("input height does not match the model")
        return super().forward(images)


def images(dtype: torch.dtype = torch.float32) -> list[Tensor]:
    generator = torch.Generator().manual_seed(1)
    shapes = [(count, 3, height, width) for count, height, width in SIZES]
    if dtype == torch.uint8:
        return [torch.randint(0, 256, shape, generator=generator, dtype=dtype) for shape in shapes]
    return [torch.randn(shape, generator=generator) for shape in shapes]


def chosen(module: nn.Module, machine: InferenceMachine = CPU, passes: int = ENOUGH, threads: int = 1) -> Engine:
    return choose_engine(module.eval(), ("first", "second"), prepare(machine, threads), machine.engine, passes)


def score_network() -> ScoreNetwork:
    torch.manual_seed(0)
    backbone = load_backbone("shapes", "default", stride=16, pool5=True)
    return ScoreNetwork(backbone, ["background", "cat", "dog"], "large").eval()


def test_both_give_the_same_at_any_size(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "tagseg")
    ours, theirs = chosen(TwoMaps()), chosen(TwoMaps(), InferenceMachine(engine="torch"))
    assert (ours.name, theirs.name) == ("onnxruntime", "torch")
    assert [text.split(" of PyTorch")[0].rsplit(" ", 1)[0] for text in caplog.messages] == [
        "engine onnxruntime: within",
        "engine torch: as",
    ]
    for given in images():
        found, wanted = ours(given), theirs(given)
        assert list(found) == list(wanted) == ["first", "second"]
        assert found["second"].ndim == 3 and found["first"].dtype == torch.float32
        for name, values in wanted.items():
            torch.testing.assert_close(found[name], values, atol=1e-4, rtol=0)


@torch.inference_mode()
def test_a_score_network_takes_photographs_as_they_are() -> None:
    """Also where its weights were loaded for inference alone, as commands do."""
    device = prepare(CPU, 1)
    engine = choose_engine(score_network(), ["maps"], device, "auto", ENOUGH, torch.uint8)
    reference = torch_engine(score_network(), ["maps"], device)
    assert engine.name == "onnxruntime"
    for given in images(torch.uint8):
        wanted = reference(given)["maps"]
        torch.testing.assert_close(engine(given)["maps"], wanted, atol=1e-4 * float(wanted.abs().max()), rtol=0)


@pytest.mark.parametrize("threads", [1, 2])
def test_the_same_threads_give_the_same_bytes(threads: int) -> None:
    one, two = (chosen(TwoMaps(), threads=threads) for _ in range(2))
    for given in images():
        assert one(given)["first"].numpy().tobytes() == two(given)["first"].numpy().tobytes()


def test_the_same_module_gives_the_same_graph_and_that_can_be_run_alone() -> None:
    axes = {"first": {0: "n", 2: "h", 3: "w"}, "second": {0: "n", 1: "i", 2: "j"}}
    contents = [graph_bytes(TwoMaps().eval(), torch.float32, axes, {"classes": ["a"]}) for _ in range(2)]
    assert contents[0] == contents[1]
    engine = onnx_engine(contents[0], 2)
    assert engine.name == "onnxruntime" and engine.outputs == ("first", "second")
    other = chosen(TwoMaps(), threads=2)
    for given in images():
        torch.testing.assert_close(engine(given), other(given), atol=0, rtol=0)


def test_memory_goes_back_after_large_images_and_results_stay() -> None:
    engine, given = chosen(TwoMaps()), torch.randn(1, 3, 1100, 1000, generator=torch.Generator().manual_seed(0))
    first = engine(given)["first"].clone()
    engine(images()[0])
    torch.testing.assert_close(engine(given)["first"], first, atol=0, rtol=0)


def test_threads_are_those_that_compute(monkeypatch: pytest.MonkeyPatch) -> None:
    import onnxruntime

    made = []
    session = onnxruntime.InferenceSession

    def spy(content: bytes, options: onnxruntime.SessionOptions, **more: object) -> object:
        made.append(options)
        return session(content, options, **more)

    monkeypatch.setattr(onnxruntime, "InferenceSession", spy)
    chosen(TwoMaps(), InferenceMachine(loaders=2), threads=5)
    assert {(o.intra_op_num_threads, o.inter_op_num_threads) for o in made} == {(3, 1)}
    assert made[0].get_session_config_entry("session.intra_op.allow_spinning") == "0"


@pytest.mark.parametrize(
    ("module", "reason"),
    [
        (FrozenSize, "differ from PyTorch's by"),
        (Unknown, "the network cannot be exported to ONNX ("),
        (OneSize, "(input height does not match"),
    ],
)
def test_a_network_that_does_not_export_stays_with_pytorch(
    module: type[nn.Module], reason: str, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    engine = chosen(module())
    assert engine.name == "torch" and engine(images()[0])["first"].shape == (1, 8, 32, 32)
    (record,) = (record for record in caplog.records if record.name.startswith("tagseg"))
    assert record.levelno == logging.WARNING
    assert record.getMessage().startswith("engine torch: ") and reason in record.getMessage()
    with pytest.raises(TagsegError, match=r"^engine onnxruntime: .*; set engine: auto or torch$") as error:
        chosen(module(), InferenceMachine(engine="onnxruntime"))
    assert reason in str(error.value) and "\n" not in str(error.value)
    assert capfd.readouterr().out == ""


def test_few_images_do_not_pay_for_the_export(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "tagseg")
    assert chosen(TwoMaps(), passes=3).name == "torch"
    assert caplog.messages == ["engine torch: 3 images are too few to export the network for"]
    assert chosen(TwoMaps(), InferenceMachine(engine="onnxruntime"), passes=3).name == "onnxruntime"


def test_a_gpu_runs_pytorch(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "tagseg")
    gpu, module = Device(torch.device("cuda"), 0, 1), TwoMaps().eval()
    with pytest.raises(TagsegError, match=r"engine onnxruntime: runs on a CPU alone, not on cuda; set engine: auto$"):
        choose_engine(module, ("first", "second"), gpu, "onnxruntime", ENOUGH)
    monkeypatch.setattr(Device, "move", lambda device, network: network)
    assert choose_engine(module, ("first", "second"), gpu, "auto", ENOUGH).name == "torch"
    assert caplog.messages == ["engine torch: on a GPU"]
