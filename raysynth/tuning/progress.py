"""What a sweep shows while it runs: one live table on a terminal (standard error), a line an epoch elsewhere."""

from __future__ import annotations

import math
import sys
import time
from collections.abc import Callable
from typing import Any

from ray.tune import Callback
from rich.console import Console
from rich.live import Live
from rich.table import Table
from rich.text import Text

from raysynth.data.locations import locate
from raysynth.training.follow import format_duration
from raysynth.training.health import at_the_end, describe
from raysynth.training.run_folder import PROGRESS
from raysynth.tuning.space import SearchSpace
from raysynth.tuning.sweep_folder import SweepFolder, format_parameters, name_trials
from raysynth.tuning.trial import WORST


class SweepProgress(Callback):
    """Ray Tune's callback that keeps the table, and each run's status, up to date.

    Usable as a context manager around `Tuner.fit`. `interrupted` tells afterwards that some trials did not end.
    """

    def __init__(self, sweep: SweepFolder, space: SearchSpace, say: Callable[[str], None]) -> None:
        self.sweep = sweep
        self.space = space
        self.say = say
        self.trials = {trial.name: trial for trial in name_trials(space)}
        self.status = dict.fromkeys(self.trials, "waiting")
        self.rows: dict[str, dict[str, Any]] = {}
        self.given_up: set[str] = set()  # trials that were said to have no hope
        self.told: dict[str, int] = {}  # the last epoch that was said of a trial
        self.started = time.monotonic()
        self.live: Live | None = None

    def __enter__(self) -> SweepProgress:
        if sys.stderr.isatty():
            self.live = Live(get_renderable=self._table, console=Console(stderr=True), refresh_per_second=2)
            self.live.start()
        return self

    def __exit__(self, *exception: object) -> None:
        if self.live is not None:
            self.live.stop()

    def __getstate__(self) -> dict[str, Any]:
        """Nothing: Ray Tune pickles its callbacks for a restore, which we do from our own files instead."""
        return {}

    def is_running(self, run: str) -> bool:
        """Whether the trial of the run in that place is in a worker, as far as is known."""
        return self.status.get(locate(run).name) == "running"

    @property
    def interrupted(self) -> bool:
        return any(status in ("waiting", "running") for status in self.status.values())

    def on_trial_start(self, iteration: int, trials: list[Any], trial: Any, **info: Any) -> None:
        self._set(trial, "running")

    def on_trial_result(
        self, iteration: int, trials: list[Any], trial: Any, result: dict[str, Any], **info: Any
    ) -> None:
        job = trial.config["job"]
        name = job["trial"]
        self.rows[name] = result
        if not job["replay"] and self.live is None and result["epoch"] > self.told.get(name, 0):
            self.told[name] = result["epoch"]
            self.say(self._line(name))
            if self._is_hopeless(name) and name not in self.given_up:
                self.given_up.add(name)
                self.say(f"trial {name}: {self.sweep.run(self.trials[name]).status()['message']}")

    def on_trial_complete(self, iteration: int, trials: list[Any], trial: Any, **info: Any) -> None:
        job = trial.config["job"]
        run = self.sweep.run(self.trials[job["trial"]])
        run.refresh(*PROGRESS)
        state = run.status()["state"]
        if state == "running":  # it has not reached its last epoch: ASHA ended it
            state = "stopped"
            findings = describe(at_the_end(run.findings(), run.history()))
            message = f"ended early by ASHA; {findings}" if findings else "ended early by ASHA"
            run.write_status(state, int(self.rows.get(job["trial"], {}).get("epoch", 0)), message)
            run.keep()
        self._set(trial, state)

    def on_trial_recover(self, iteration: int, trials: list[Any], trial: Any, **info: Any) -> None:
        name = trial.config["job"]["trial"]
        run = self.sweep.run(self.trials[name])
        run.refresh(*PROGRESS)
        epoch = run.status()["epoch"]
        self.interject(f"trial {name}: {_problem(trial)}; tried again from epoch {epoch}")

    def on_trial_error(self, iteration: int, trials: list[Any], trial: Any, **info: Any) -> None:
        run = self.sweep.run(self.trials[trial.config["job"]["trial"]])
        run.refresh(*PROGRESS)
        status = run.status()
        if status["state"] != "failed":
            run.write_status("failed", status["epoch"], _problem(trial))
            run.keep()
        self._set(trial, "failed")

    def _set(self, trial: Any, status: str) -> None:
        name = trial.config["job"]["trial"]
        self.status[name] = status
        if status in ("running", "waiting") or trial.config["job"]["replay"]:
            return
        if status == "failed":
            self.interject(f"trial {name}: failed: {self.sweep.run(self.trials[name]).status()['message']}")
        elif self.live is None:
            self.say(f"trial {name}: {status}")

    def interject(self, line: str) -> None:
        """Say something that the live table, redrawn below it, does not hide."""
        if self.live is None:
            self.say(line)
        else:
            self.live.console.print(line, markup=False, highlight=False)

    def _line(self, name: str) -> str:
        row = self.rows[name]
        return (
            f"trial {name}  epoch {row['epoch']}/{self.space.epochs}  {self.space.metric} {self._score(name)}"
            f"  {row['images_per_s']:.0f} images/s  {format_duration(self._left_s(name))} left"
        )

    def _score(self, name: str) -> str:
        value = self.rows[name][self.space.metric]
        if math.isnan(value):  # no score yet
            return "-"
        return "hopeless" if self._is_hopeless(name) else f"{value:.4g}"

    def _is_hopeless(self, name: str) -> bool:
        return bool(abs(self.rows[name][self.space.metric]) >= WORST)  # as `carrying_forward` says it

    def _left_s(self, name: str) -> float:
        row = self.rows[name]
        return float((self.space.epochs - row["epoch"]) * row["seconds"])

    def _table(self) -> Table:
        ended = sum(status not in ("waiting", "running") for status in self.status.values())
        elapsed = format_duration(time.monotonic() - self.started)
        table = Table(title=f"{self.space.family}: {ended} of {len(self.trials)} trials ended, {elapsed}")
        colours = {"running": "cyan", "finished": "green", "stopped": "yellow", "failed": "red"}
        for column in ("trial", "parameters", "epoch", self.space.metric, "status", "images/s", "left"):
            table.add_column(column)
        for name, trial in self.trials.items():
            row = self.rows.get(name)
            status = self.status[name]
            cells = ["", "", "", ""]
            if row:
                left = format_duration(self._left_s(name)) if status == "running" else ""
                cells = [
                    f"{row['epoch']}/{self.space.epochs}",
                    self._score(name),
                    f"{row['images_per_s']:.0f}",
                    left,
                ]
            cells = [name.partition("-")[0], format_parameters(trial.parameters), *cells[:2], status, *cells[2:]]
            # As Text, not as markup: a parameter may be a list, and a line said meanwhile switches markup off.
            table.add_row(*(Text(cell, style=colours.get(cell, "")) for cell in cells))
        return table


def _problem(trial: Any) -> str:
    """The last line of what Ray says of a trial's newest failure."""
    said = str(trial.get_error() or "") if trial.error_file else ""
    return (said.strip().splitlines() or ["its worker died"])[-1]
