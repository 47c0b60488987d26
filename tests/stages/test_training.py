"""The training loop: its steps, its log, its stop at a loss that is no number, and its going on after a kill."""

import itertools
import json
import logging
import math
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from tagseg.artifacts.checkpoints import Checkpoints
from tagseg.artifacts.shards import digest_of
from tagseg.errors import TagsegError
from tagseg.networks.backbones import load_backbone
from tagseg.networks.losses import fgbg_loss, multiclass_loss
from tagseg.networks.segmentation import ScoreNetwork, upsample
from tagseg.networks.training import Schedule, train

Batch = tuple[Tensor, Tensor, str]


def test_step_schedule_falls_to_a_tenth_after_two_thirds() -> None:
    schedule = Schedule(9, "step", 0.9, 0)
    assert [schedule.factor(step) for step in range(9)] == [1.0] * 6 + [0.1] * 3
    paper = Schedule(60_000, "step", 0.9, 0)
    assert (paper.factor(39_999), paper.factor(40_000)) == (1.0, 0.1)


def test_poly_schedule_falls_to_0() -> None:
    schedule = Schedule(10, "poly", 0.9, 0)
    assert [schedule.factor(step) for step in range(10)] == pytest.approx(
        [(1 - step / 10) ** 0.9 for step in range(10)]
    )


def regression(batch_norm: bool = False) -> nn.Module:
    torch.manual_seed(0)
    layers = [nn.Linear(3, 4), nn.BatchNorm1d(4)] if batch_norm else [nn.Linear(3, 4)]
    return nn.Sequential(*layers, nn.Dropout(0.2), nn.Linear(4, 1))


def batches(first: int) -> Iterator[Batch]:
    generator = torch.Generator().manual_seed(1)
    endless = ((torch.randn(5, 3, generator=generator), torch.ones(5, 1), f"batch {i}") for i in itertools.count())
    return itertools.islice(endless, first, None)


def trained(
    network: nn.Module,
    schedule: Schedule,
    learning_rate: float = 0.05,
    source: Callable[[int], Iterator[Batch]] = batches,
    **options: Any,
) -> str:
    return train(
        network,
        [{"params": list(network.parameters()), "lr": learning_rate}],
        source,
        lambda batch: (network(batch[0]) - batch[1]).float().square().mean(),
        schedule,
        lambda batch: batch[2],
        **options,
    )


def test_training_lowers_the_loss_and_logs_each_step() -> None:
    network = regression()
    rows = [line.split(",") for line in trained(network, Schedule(60, "step", 0.9, 0)).splitlines()]
    assert rows[0] == ["step", "learning_rate", "loss"]
    assert [int(row[0]) for row in rows[1:]] == list(range(60))
    assert [float(row[1]) for row in rows[1:]] == [0.05] * 40 + [0.005] * 20
    losses = [float(row[2]) for row in rows[1:]]
    assert sum(losses[-10:]) < 0.5 * sum(losses[:10])
    assert not network.training


def test_steps_are_those_of_sgd_with_momentum_and_decay_at_each_group_s_rate() -> None:
    weight = nn.Parameter(torch.tensor([2.0]))
    other = nn.Parameter(torch.tensor([2.0]))
    module = nn.Module()
    module.weight, module.other = weight, other
    groups = [{"params": [weight], "lr": 0.1}, {"params": [other], "lr": 0.5}]
    train(
        module,
        groups,
        lambda first: itertools.repeat(3.0),
        lambda slope: (slope * weight + slope * other).sum(),
        Schedule(3, "step", 0.9, 0.01),
        str,
    )
    for parameter, rate in ((weight, 0.1), (other, 0.5)):
        value, speed = 2.0, 0.0
        for factor in (1, 1, 0.1):
            speed = 0.9 * speed + 3 + 0.01 * value
            value -= rate * factor * speed
        assert parameter.item() == pytest.approx(value, rel=1e-5)


@pytest.mark.parametrize("bad", [math.nan, math.inf])
def test_a_loss_that_is_not_finite_stops_and_names_the_batch(bad: float) -> None:
    network = regression()

    def spoiled(first: int) -> Iterator[Batch]:
        for i, (x, y, name) in enumerate(batches(first)):
            yield x, y * bad if i == 3 else y, name

    with pytest.raises(TagsegError, match=f"loss is {bad} at step 3 on batch 3; lower the learning rate"):
        trained(network, Schedule(10, "step", 0.9, 0), source=spoiled)
    assert all(torch.isfinite(parameter).all() for parameter in network.parameters())


def test_statistics_of_batch_norm_stay_as_they_were() -> None:
    network = regression(batch_norm=True)
    norm = network[1]
    norm.running_mean.fill_(0.3)
    gain = norm.weight.detach().clone()
    trained(network, Schedule(5, "step", 0.9, 0))
    assert norm.running_mean.tolist() == pytest.approx([0.3] * 4)
    assert norm.running_var.tolist() == [1] * 4 and int(norm.num_batches_tracked) == 0
    assert not torch.equal(norm.weight, gain)


def test_two_runs_of_one_seed_are_equal() -> None:
    runs = []
    for _ in range(2):
        network = regression()
        log = trained(network, Schedule(20, "poly", 0.9, 5e-4))
        runs.append((log, [parameter.tolist() for parameter in network.parameters()]))
    assert runs[0] == runs[1]


# float16 skips its first steps until its scale fits, so it ends a little elsewhere
@pytest.mark.parametrize(("precision", "tolerance"), [("bfloat16", 0.03), ("float16", 0.2)])
def test_mixed_precision_keeps_weights_in_float32_and_comes_near(precision: str, tolerance: float) -> None:
    plain, mixed = regression(), regression()
    plain[1].p = mixed[1].p = 0.0  # half a float's dropout draws otherwise
    seen = set()
    mixed[0].register_forward_hook(lambda module, given, made: seen.add(made.dtype))
    schedule = Schedule(40, "poly", 0.9, 0)
    trained(plain, schedule)
    losses = [float(line.split(",")[2]) for line in trained(mixed, schedule, precision=precision).splitlines()[1:]]
    assert sum(losses[-5:]) < 0.1 * sum(losses[:5])
    assert seen == {getattr(torch, precision)}
    for own, other in zip(mixed.parameters(), plain.parameters(), strict=True):
        assert own.dtype == torch.float32
        torch.testing.assert_close(own, other, rtol=0, atol=tolerance)
    assert not torch.equal(mixed[0].weight, plain[0].weight)


def test_progress_is_told_twenty_times(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO):
        trained(regression(), Schedule(60, "step", 0.9, 0))
    told = [record.message for record in caplog.records if record.message.startswith("step ")]
    assert len(told) == 20 and told[4].startswith("step 15 of 60: mean loss ")
    assert all(word in told[4] for word in ("steps a second", "left"))


# going on after a kill


class Killed(Exception):
    """In the place of a kill."""


def killed_at(step: int) -> Callable[[int], Iterator[Batch]]:
    def source(first: int) -> Iterator[Batch]:
        for i, batch in enumerate(batches(first), start=first):
            if i == step:
                raise Killed
            yield batch

    return source


@pytest.mark.parametrize("precision", ["float32", "float16"])
@pytest.mark.parametrize("kills", [[0], [6], [7], [19], [9, 13, 18]])
def test_a_killed_training_goes_on_to_the_very_weights_of_an_unbroken_one(
    tmp_path: Path, precision: str, kills: list[int]
) -> None:
    whole, schedule = regression(), Schedule(20, "poly", 0.9, 5e-4)
    log = trained(whole, schedule, precision=precision)
    keeper = Checkpoints(tmp_path, 7, {"seed": 0})
    for step in kills:
        with pytest.raises(Killed):
            trained(
                regression(),
                Schedule(20, "poly", 0.9, 5e-4),
                source=killed_at(step),
                precision=precision,
                keeper=keeper,
            )
    resumed = regression()
    torch.manual_seed(99)  # what was drawn before counts no more: dropout goes on with the saved state
    if max(kills) < 7:
        resumed = regression()
    assert trained(resumed, Schedule(20, "poly", 0.9, 5e-4), precision=precision, keeper=keeper) == log
    for own, other in zip(resumed.parameters(), whole.parameters(), strict=True):
        assert torch.equal(own, other)


def test_a_training_goes_on_and_does_not_start_again(tmp_path: Path) -> None:
    keeper = Checkpoints(tmp_path, 5, {})
    with pytest.raises(Killed):
        trained(regression(), Schedule(20, "step", 0.9, 0), source=killed_at(12), keeper=keeper)
    asked = []

    def source(first: int) -> Iterator[Batch]:
        asked.append(first)
        return batches(first)

    trained(regression(), Schedule(20, "step", 0.9, 0), source=source, keeper=keeper)
    assert asked == [10]


def kept(folder: Path, **facts: object) -> Checkpoints:
    keeper = Checkpoints(folder, 5, facts)
    with pytest.raises(Killed):
        trained(regression(), Schedule(20, "step", 0.9, 0), source=killed_at(6), keeper=keeper)
    return keeper


def test_a_checkpoint_of_another_training_is_refused_with_the_reason(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    kept(tmp_path, learning_rate=0.1, size=320, tags="abc")
    other = Checkpoints(tmp_path, 5, {"learning_rate": 0.2, "size": 320, "tags": "abd"})
    assert other.load() is None
    reason = (
        "not used, it is of another training: learning_rate 0.1 there and 0.2 here, tags 'abc' there and 'abd' here"
    )
    assert reason in caplog.text
    # it is not lost either: with the old settings the training goes on
    state = Checkpoints(tmp_path, 5, {"size": 320, "tags": "abc", "learning_rate": 0.1}).load()
    assert state is not None and state["step"] == 5


def test_a_finished_training_takes_its_own_checkpoint_away_alone(tmp_path: Path) -> None:
    mine, other = kept(tmp_path, seed=0), kept(tmp_path, seed=1)
    mine.clear()
    assert mine.load() is None and other.load() is not None


def test_no_checkpoint_is_written_where_none_is_wanted(tmp_path: Path) -> None:
    for keeper in (Checkpoints(None, 5, {}), Checkpoints(tmp_path, 0, {})):
        trained(regression(), Schedule(6, "step", 0.9, 0), keeper=keeper)
        keeper.clear()
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("content", [b"", b"no checkpoint", None])
def test_a_file_that_is_no_checkpoint_is_named(tmp_path: Path, content: bytes | None) -> None:
    keeper = kept(tmp_path, seed=0)
    (file,) = tmp_path.glob("*.pt")
    if content is None:
        torch.save({"weight": torch.ones(1)}, file)
    else:
        file.write_bytes(content)
    with pytest.raises(
        TagsegError, match=rf"{file.name}: not a tagseg checkpoint.*move it away to train from the start"
    ):
        keeper.load()


def test_a_description_that_cannot_be_read_stops_nothing(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    (tmp_path / f"{0:016x}.json").write_text("{", encoding="utf-8")
    assert Checkpoints(tmp_path, 5, {}).load() is None
    assert "its description cannot be read" in caplog.text


def test_the_facts_of_a_checkpoint_can_be_read(tmp_path: Path) -> None:
    kept(tmp_path, seed=3, schedule="poly")
    (file,) = tmp_path.glob("*.json")
    assert json.loads(file.read_text(encoding="utf-8")) == {"seed": 3, "schedule": "poly"}


def test_a_digest_is_that_of_contents_in_their_order(tmp_path: Path) -> None:
    first, second, same = (tmp_path / name for name in "abc")
    for path, text in ((first, "1"), (second, "2"), (same, "1")):
        path.write_text(text, encoding="utf-8")
    assert digest_of([first, second]) == digest_of([same, second]) != digest_of([second, first])
    assert digest_of([first]) != digest_of([first, first])


# the losses teach


@pytest.mark.slow
@pytest.mark.parametrize("r", [0.1, 5.0])
@pytest.mark.parametrize("kind", ["fgbg", "multiclass"])
def test_a_hundred_steps_on_one_image_with_a_perfect_mask(kind: str, r: float) -> None:
    """IoU of each class above .95: bands on a dotted ground, the demo's network, a map of stride 8."""
    torch.manual_seed(0)
    labels = [0, 1] if kind == "fgbg" else [0, 1, 2]
    image = torch.randint(90, 130, (1, 3, 96, 96), dtype=torch.uint8)
    mask = (torch.arange(96) * len(labels) // 96).to(torch.uint8).expand(96, 96)
    for label in labels[1:]:
        image[0, label][mask == label] += 110
    network = ScoreNetwork(load_backbone("shapes", stride=8, pool5=True), ["background", "a", "b", "c"], "small")
    of_mask = fgbg_loss if kind == "fgbg" else multiclass_loss
    train(
        network,
        network.parameter_groups(0.01, 3),
        lambda first: itertools.repeat(image),
        lambda batch: of_mask(upsample(network(batch), (96, 96))[0], labels, mask, r=r),
        Schedule(100, "poly", 0.9, 0),
        lambda batch: "the image",
    )
    with torch.no_grad():
        found = upsample(network(image), (96, 96))[0].argmax(dim=0)
    for label in labels:
        both, either = (found == label) & (mask == label), (found == label) | (mask == label)
        assert float(both.sum() / either.sum()) > 0.95, label
