"""The one training loop: for every family of generators, and for the classifiers that judge them."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from itertools import islice
from typing import Protocol

import numpy as np
import torch
from torch import Tensor

from raysynth.data.batches import Batches, in_order
from raysynth.errors import TrainingStopped
from raysynth.models.context import Context
from raysynth.models.family import Metrics, Model, Phase
from raysynth.training.checkpoints import check_finite

Row = dict[str, float]


class Recorder(Protocol):
    """Where a training is kept: asked once for where to go on, then told of every epoch (see `recorder.py`)."""

    def restore(self, model: Model) -> tuple[list[Row], list[Metrics]]:
        """The rows of finished epochs, and the metrics of the steps of the one under way, where it was stopped."""

    def record(self, model: Model, history: list[Row], steps: Sequence[Metrics] = ()) -> None:
        """Keep the newest epoch of `history` or, where there are `steps`, what has been done of the one after it."""


def run_epochs(
    model: Model,
    batches: Batches,
    *,
    context: Context,
    num_epochs: int,
    validation: tuple[np.ndarray, np.ndarray] | None = None,
    recorder: Recorder | None = None,
    score: Callable[[int], Row] | None = None,
    report: Callable[[Row], None] | None = None,
    should_stop: Callable[[], bool] | None = None,
    should_keep: Callable[[], bool] | None = None,
) -> list[Row]:
    """Train `model` for `num_epochs` epochs in all and return one row of metrics an epoch.

    `validation` is images (N, C, H, W) uint8 and labels; `recorder` keeps checkpoints and metrics (None: nothing is
    kept); `score(epoch)` measures what a search ranks by; `report` tells Ray, once an epoch, on every worker;
    `should_stop`, of a single worker, is asked after every step; so is `should_keep`, which tells every worker alike
    that the machine may soon be gone: what was done of the epoch is kept, and the training goes on.
    Raises TrainingStopped, on every worker, after an epoch in which a value was not finite, and KeyboardInterrupt where
    it should stop; what was done of the epoch is kept then.
    """
    context.num_epochs, context.steps_per_epoch = num_epochs, batches.num_steps

    # 1. Go on where a stopped training ended; Ray is told again what it may have forgotten.
    history, steps = recorder.restore(model) if recorder else ([], [])
    if report:
        for known_row in history:
            report(known_row)

    first_epoch = len(history) + 1
    for epoch in range(first_epoch, num_epochs + 1):
        started = time.perf_counter()

        # 2. Enter a phase, if one begins or goes on here.
        phases = model.phases(num_epochs)
        phase, phase_begins = phase_at(phases, epoch)
        if epoch in (first_epoch, phase_begins):
            model.start_phase(phase)

        # 3. One pass over the shuffled training images, or the rest of one.
        num_before = len(steps)
        for step, (images, labels) in enumerate(islice(batches.epoch(epoch), num_before, None), num_before):
            context.at(epoch, step)
            steps.append(model.train_step(images, labels))
            if should_stop and should_stop():
                if recorder:
                    recorder.record(model, history, steps)
                raise KeyboardInterrupt
            if should_keep and should_keep():
                steps = mean_over_workers(steps, context)
                if recorder and context.rank == 0:
                    recorder.record(model, history, steps)
        metrics, problem = mean_of_steps(steps)
        num_steps, steps = len(steps) - num_before, []
        train_s = time.perf_counter() - started

        # 4. Look at the validation split.
        if validation is not None:
            context.at(epoch, batches.num_steps)
            metrics |= validate(model, validation, batch_size=batches.batch_size, context=context)

        # 5. Stop on every worker at once, before a state that is not finite is kept.
        stop_together(context, problem or find_problem(metrics, model), epoch)

        # 6. One row for all workers; the scores are rank 0's, whose row is the one that is kept.
        row: Row = {"epoch": float(epoch), **context.mean_over_workers(metrics)}
        if len(phases) > 1:
            row["phase"] = float(phases.index(phase) + 1)
        row["images_per_s"] = num_steps * batches.batch_size / train_s
        if score and context.rank == 0:
            row |= score(epoch)
        row["seconds"] = time.perf_counter() - started
        history.append(row)

        # 7. Keep it, then tell it.
        if recorder and context.rank == 0:
            recorder.record(model, history)
        if report:
            report(row)
    return history


def phase_at(phases: list[Phase], epoch: int) -> tuple[Phase, int]:
    """The phase that an epoch (from 1) belongs to, and that phase's first epoch."""
    first_epoch = 1
    for phase in phases:
        if epoch < first_epoch + phase.num_epochs:
            return phase, first_epoch
        first_epoch += phase.num_epochs
    raise ValueError(f"epoch {epoch} is after the last phase")


def mean_of_steps(steps: list[Metrics]) -> tuple[Row, str]:
    """The mean of each metric over the steps that measured it, and what was not finite first ("" if all was).

    Values stay on the device until here: reading each at once would make a GPU wait.
    """
    means: Row = {}
    problem = ""
    for name in dict.fromkeys(name for metrics in steps for name in metrics):
        at = [step for step, metrics in enumerate(steps) if name in metrics]
        device = torch.as_tensor(steps[at[-1]][name]).device  # what a stopped training had measured is on none
        measured = [torch.as_tensor(steps[step][name], device=device).detach().float() for step in at]
        values = torch.stack(measured).double().cpu()
        finite = torch.isfinite(values)
        if not problem and not bool(finite.all()):
            first = int((~finite).nonzero()[0])
            problem = f"{name} became {values[first].item()} at step {at[first] + 1} of {len(steps)}"
        means[name] = values.mean().item()
    return means, problem


def mean_over_workers(steps: list[Metrics], context: Context) -> list[Metrics]:
    """Each step's metrics as all workers have measured them, for a checkpoint from which all of them go on."""
    if context.world_size == 1:
        return steps
    return [
        dict(context.mean_over_workers({name: float(value) for name, value in metrics.items()})) for metrics in steps
    ]


def find_problem(metrics: Row, model: Model) -> str:
    """What is not finite in the metrics or in the model's state; "" if all is."""
    for name, value in metrics.items():
        if not math.isfinite(value):
            return f"{name} is {value}"
    try:
        check_finite(model.state_dict())
    except TrainingStopped as stop:
        return str(stop)
    return ""


def stop_together(context: Context, problem: str, epoch: int) -> None:
    """Raise TrainingStopped on every worker when any has a problem: one that went on alone would wait for ever."""
    num_troubled = context.mean_over_workers({"troubled": float(bool(problem))})["troubled"]
    if num_troubled > 0:
        raise TrainingStopped(
            f"epoch {epoch}: {problem or 'another worker met a value that is not finite'}; try a lower learning rate "
            "or, for a Wasserstein critic, another penalty_weight; the last good checkpoint is kept"
        )


def validate(
    model: Model, images_and_labels: tuple[np.ndarray, np.ndarray], *, batch_size: int, context: Context
) -> Row:
    """The mean over images of what `model.validate` measures on the validation split."""
    totals: dict[str, list[tuple[float, int]]] = {}
    for images, labels in in_order(*images_and_labels, batch_size=batch_size, device=context.device):
        for name, value in model.validate(images, labels).items():
            number = value.item() if isinstance(value, Tensor) else float(value)
            totals.setdefault(name, []).append((number, len(images)))
    return {
        name: sum(value * count for value, count in values) / sum(count for _, count in values)
        for name, values in totals.items()
    }
