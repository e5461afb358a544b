"""ASHA, which also ends a trial that has no hope as soon as it is known, whatever rung it stands on."""

from __future__ import annotations

from typing import Any

from ray.tune.schedulers import ASHAScheduler, TrialScheduler

from raysynth.tuning.trial import WORST


class HopeEndingASHA(ASHAScheduler):
    """Ray's ASHA compares trials at its rungs only, and never stops the first that comes to one: a trial that collapses
    between two rungs would train on. One that `carrying_forward` reports as the worst possible is ended here."""

    def on_trial_result(self, tune_controller: Any, trial: Any, result: dict[str, Any]) -> str:
        if abs(result.get(self.metric, 0.0)) >= WORST:
            return str(TrialScheduler.STOP)
        return str(super().on_trial_result(tune_controller, trial, result))
