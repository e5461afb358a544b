"""What a scheduler is told of a trial: its last score, or the worst there is once it has collapsed."""

from __future__ import annotations

import math
from types import SimpleNamespace

import pytest

from raysynth.tuning.trial import WORST, carrying_forward


def tell(rows, mode: str = "min", metric: str = "frechet", epochs: int = 40) -> list[dict[str, float]]:
    """What is reported of rows, each given without its epoch."""
    told: list[dict[str, float]] = []
    report = carrying_forward({"metric": metric, "mode": mode, "epochs": epochs}, told.append)
    for epoch, row in enumerate(rows, 1):
        report({"epoch": float(epoch), **row})
    return told


def test_the_last_score_is_carried_forward():
    told = tell([{}, {"frechet": 9.0}, {}, {"frechet": 7.0}])
    assert math.isnan(told[0]["frechet"])
    assert [row["frechet"] for row in told[1:]] == [9, 9, 7]
    assert [row["epoch"] for row in told] == [1, 2, 3, 4]


@pytest.mark.parametrize(("mode", "worst"), [("min", WORST), ("max", -WORST)])
def test_a_collapsed_trial_is_the_worst_until_it_recovers(mode, worst):
    diversities = [0.8] * 6 + [0.1] * 3 + [0.7]
    rows = [{"frechet": 5.0, "diversity": value, "diversity_class": 0.0} for value in diversities]
    assert [row["frechet"] for row in tell(rows, mode)] == [5.0] * 7 + [worst] * 2 + [5.0]


@pytest.mark.parametrize("mode", ["min", "max"])
def test_asha_stops_a_collapsed_trial_at_its_next_rung(mode):
    """It has the best score of all, and comes after trials with good and with poor ones."""
    from ray.tune.schedulers import ASHAScheduler, TrialScheduler

    scheduler = ASHAScheduler(time_attr="epoch", metric="frechet", mode=mode, max_t=41, grace_period=8)
    sign = 1.0 if mode == "min" else -1.0
    scores = {"good": 10.0, "poor": 500.0, "collapsed": 1.0}
    answers = {}
    for name, score in scores.items():
        trial = SimpleNamespace(trial_id=name, stub=True)
        scheduler.on_trial_add(None, trial)
        alike = 0.05 if name == "collapsed" else 0.8
        rows = [{"frechet": sign * score, "diversity": d, "diversity_class": 0.0} for d in [0.8] * 6 + [alike] * 2]
        for row in tell(rows, mode):
            answers[name] = scheduler.on_trial_result(None, trial, row)
    assert answers["good"] == TrialScheduler.CONTINUE
    assert answers["collapsed"] == TrialScheduler.STOP
    healthy = SimpleNamespace(trial_id="healthy", stub=True)
    scheduler.on_trial_add(None, healthy)
    for row in tell([{"frechet": sign * 9.0, "diversity": 0.8, "diversity_class": 0.0}] * 8, mode):
        answer = scheduler.on_trial_result(None, healthy, row)
    assert answer == TrialScheduler.CONTINUE  # the cut is still a number
