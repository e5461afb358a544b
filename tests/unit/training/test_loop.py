"""The one loop: resuming, phases, averages, and the stop on a value that is not finite."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from raysynth.data.batches import Batches, to_float, to_uint8
from raysynth.errors import TrainingStopped, UserError
from raysynth.models.context import Context
from raysynth.models.family import Metrics, Model, Phase, TrainingConfig
from raysynth.training.loop import find_problem, mean_of_steps, phase_at, run_epochs, validate


class Counting(Model):
    """Counts images; its metrics can be made to break at a given epoch."""

    def __init__(self, context: Context, break_at: int | None = None) -> None:
        super().__init__(TrainingConfig(), shape=(1, 2, 2), num_classes=2, context=context)
        self.seen: list[int] = []
        self.phases_begun: list[str] = []
        self.break_at = break_at

    def train_step(self, images: Tensor, labels: Tensor) -> Metrics:
        self.seen += labels.tolist()
        value = float("nan") if self.break_at == self.context.epoch and self.context.step == 1 else 1.0
        return {"loss": torch.tensor(value)}

    def validate(self, images: Tensor, labels: Tensor) -> Metrics:
        return {"brightness": images.mean()}

    def phases(self, num_epochs: int) -> list[Phase]:
        return [Phase("frozen", 2), Phase("unfrozen", num_epochs - 2)]

    def start_phase(self, phase: Phase) -> None:
        self.phases_begun.append(phase.name)

    def state_dict(self) -> dict[str, Any]:
        return {}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        pass


def batches(context: Context, num_images: int = 10, batch_size: int = 4) -> Batches:
    return Batches(
        np.zeros((num_images, 1, 2, 2), np.uint8), np.arange(num_images), batch_size=batch_size, context=context
    )


def test_an_epoch_shows_each_image_at_most_once_in_a_new_order():
    context = Context()
    model = Counting(context)
    run_epochs(model, batches(context), context=context, num_epochs=2)
    first, second = model.seen[:8], model.seen[8:]
    assert len(set(first)) == len(set(second)) == 8
    assert first != second


def test_workers_share_every_batch():
    whole = [labels for _, labels in batches(Context()).epoch(3)]
    shares = [[labels for _, labels in batches(Context(rank=r, world_size=2)).epoch(3)] for r in range(2)]
    for step, labels in enumerate(whole):
        assert torch.equal(labels, torch.cat([shares[0][step], shares[1][step]]))


def test_bad_batch_sizes_are_refused_with_a_remedy():
    with pytest.raises(UserError, match="--set batch_size=5"):
        batches(Context(), num_images=10, batch_size=11)
    with pytest.raises(UserError, match="3 workers; use --set batch_size=3"):
        batches(Context(world_size=3), batch_size=4)


def test_phases_begin_in_their_epoch():
    context = Context()
    model = Counting(context)
    run_epochs(model, batches(context), context=context, num_epochs=5)
    assert model.phases_begun == ["frozen", "unfrozen"]
    assert phase_at([Phase("a", 2), Phase("b", 1)], 3) == (Phase("b", 1), 3)


def test_every_epoch_is_reported_with_its_score():
    context = Context()
    reported: list[dict[str, float]] = []
    history = run_epochs(
        Counting(context),
        batches(context),
        context=context,
        num_epochs=3,
        score=lambda epoch: {"frechet": 10.0 - epoch},
        report=reported.append,
    )
    assert reported == history
    assert [row["epoch"] for row in history] == [1, 2, 3]
    assert [row["frechet"] for row in history] == [9, 8, 7]


def test_a_non_finite_loss_stops_the_run_and_says_where():
    context = Context()
    with pytest.raises(TrainingStopped, match=r"epoch 2: loss became nan at step 2 of 2; try a lower learning rate"):
        run_epochs(Counting(context, break_at=2), batches(context), context=context, num_epochs=3)


def test_means_are_over_the_steps_that_measured():
    means, problem = mean_of_steps([{"a": torch.tensor(1.0), "b": 4.0}, {"a": torch.tensor(3.0)}])
    assert means == {"a": 2.0, "b": 4.0}
    assert problem == ""


def test_a_state_that_is_not_finite_is_found():
    class Broken(Counting):
        def state_dict(self) -> dict[str, Any]:
            return {"critic": {"weight": torch.tensor([1.0, float("inf")])}}

    assert "critic.weight is not finite" in find_problem({"loss": 1.0}, Broken(Context()))
    assert "loss is nan" in find_problem({"loss": float("nan")}, Counting(Context()))
    assert find_problem({"loss": 1.0}, Counting(Context())) == ""


def test_validation_is_a_mean_over_images_not_batches():
    images = np.zeros((5, 1, 2, 2), np.uint8)
    images[4] = 255
    context = Context()
    means = validate(Counting(context), (images, np.zeros(5)), batch_size=4, context=context)
    assert means["brightness"] == pytest.approx((4 * -1 + 1) / 5)


def test_pixels_survive_the_way_to_floats_and_back():
    pixels = torch.arange(256, dtype=torch.uint8)
    assert torch.equal(to_uint8(to_float(pixels)), pixels)
    assert to_float(pixels).min() == -1
    assert to_float(pixels).max() == 1
    assert to_uint8(torch.tensor([-9.0, 9.0])).tolist() == [0, 255]
