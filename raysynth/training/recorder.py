"""Keeps a training in its run folder: metrics.csv, TensorBoard, sample grids, checkpoints."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any

import torch
from tensorboardX import SummaryWriter
from tensorboardX.summary import hparams

from raysynth.data.batches import to_uint8
from raysynth.errors import TrainingStopped
from raysynth.models.context import hash_seed
from raysynth.models.family import Family, Metrics, Model
from raysynth.training.checkpoints import restore, save_checkpoint
from raysynth.training.grid import write_grid
from raysynth.training.health import at_the_end, describe, find_problems
from raysynth.training.loop import Row
from raysynth.training.run_folder import RunFolder

NUM_SAMPLES_PER_CLASS = 8
NUM_GRIDS = 10  # of a whole run, where `sample_every` is 0
PATIENCE_S = 120.0  # for storage that cannot be written to; a training is worth more than that


class RunRecorder:
    """The loop's recorder for one run. Only rank 0 records; every worker restores.

    A checkpoint holds the metrics up to its epoch, so a crash between it and metrics.csv loses nothing: on resume both
    tell the same story. A run in a bucket is brought there after each epoch; see `RunFolder.keep`.
    """

    def __init__(
        self, run: RunFolder, family: Family, *, num_epochs: int, kept: Callable[[], None] | None = None
    ) -> None:
        """`kept` is called after each checkpoint in the middle of an epoch, when it is where the run is kept."""
        self.run = run
        self.kept = kept
        self.config = family.config
        self.num_epochs = num_epochs
        self.leakage = run.leakage()
        self.classes: list[str] = run.settings()["data"]["classes"]
        self.critic_gap = family.critic_gap
        self.writer: SummaryWriter | None = None

    def restore(self, model: Model) -> tuple[list[Row], list[Metrics]]:
        """Load the newest checkpoint, if there is one; the history up to it, and steps of the epoch after it."""
        state = self.run.newest_checkpoint()
        if state is None:
            return [], []
        restore(model, state, self.run.checkpoints)
        return state["history"], state.get("steps", [])

    def record(self, model: Model, history: list[Row], steps: Sequence[Metrics] = ()) -> None:
        """Keep the newest epoch of `history`, or a checkpoint in the middle of the next one after `steps`.

        Where the storage cannot be written to (full, or unreachable), it is tried again for a while. Raises
        TrainingStopped after that.
        """
        assert isinstance(model, Family)
        if steps:
            self._patiently(lambda: self._save(model, history, steps))
            if self.run.keep(try_again_later=True) and self.kept:
                self.kept()
        else:
            self._patiently(lambda: self._keep(model, history))

    def _patiently(self, write: Callable[[], None]) -> None:
        began, wait_s = time.monotonic(), 1.0
        while True:
            try:
                return write()
            except OSError as error:
                if time.monotonic() - began + wait_s > PATIENCE_S:
                    place, reason = self.run.location, error.strerror or error
                    raise TrainingStopped(
                        f"{place}: cannot be written to ({reason}) for {PATIENCE_S:.0f} s; mend or free the storage, "
                        f"then go on with: raysynth train --resume {place}"
                    ) from error
                time.sleep(wait_s)
                wait_s = min(2 * wait_s, 10.0)

    def _save(self, model: Family, history: list[Row], steps: Sequence[Metrics] = ()) -> None:
        state = {"model": model.state_dict(), "config": model.config.model_dump(), "history": history}
        if steps:
            state["steps"] = [{name: float(value) for name, value in metrics.items()} for metrics in steps]
        save_checkpoint(
            self.run.checkpoints,
            int(history[-1]["epoch"]) if history else 0,
            state,
            step=len(steps),
            num_kept=model.config.num_checkpoints,
        )

    def _keep(self, model: Family, history: list[Row]) -> None:
        row = history[-1]
        epoch = int(row["epoch"])
        last = epoch == self.num_epochs
        # What was scored is kept: else the score of a run and its weights could be of different epochs.
        if last or "frechet" in row or epoch % model.config.checkpoint_every == 0:
            self._save(model, history)
        self.run.write_history(history, leakage=self.leakage)
        findings = find_problems(history, num_epochs=self.num_epochs, classes=self.classes, critic_gap=self.critic_gap)
        self.run.write_findings(findings)
        self.run.write_status("finished" if last else "running", epoch, describe(at_the_end(findings, history)))
        if last or epoch % (model.config.sample_every or max(1, self.num_epochs // NUM_GRIDS)) == 0:
            self._write_samples(model, epoch)
        self._write_events(row, epoch)
        self.run.keep(try_again_later=not last)

    def _write_samples(self, family: Family, epoch: int) -> None:
        """A grid with one row a class, from the same seeds each time, so that grids of two epochs can be compared."""
        labels = torch.arange(family.num_classes).repeat_interleave(NUM_SAMPLES_PER_CLASS)
        seeds = torch.tensor([hash_seed("grid", index) for index in range(len(labels))])
        images = to_uint8(family.sample(labels, seeds)).cpu().numpy()
        write_grid(self.run.samples / f"epoch_{epoch:05d}.png", images, num_columns=NUM_SAMPLES_PER_CLASS)

    def _write_events(self, row: Row, epoch: int) -> None:
        if self.writer is None:
            # purge_step hides the events of epochs that a stopped training had logged and that are trained again
            self.writer = SummaryWriter(str(self.run.path), purge_step=epoch)
            settings: dict[str, Any] = self.config.model_dump()
            plain = {k: v if isinstance(v, (bool, int, float, str)) else str(v) for k, v in settings.items()}
            for summary in hparams(plain, {"frechet": 0.0}):
                self.writer.file_writer.add_summary(summary)
        for name, value in row.items():
            if name != "epoch":
                self.writer.add_scalar(name, value, epoch)
        self.writer.flush()

    def close(self) -> None:
        if self.writer is not None:
            with suppress(OSError):  # what is written for looking at only is no reason to fail at the end
                self.writer.close()
