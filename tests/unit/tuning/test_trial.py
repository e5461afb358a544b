"""What a scheduler is told of a trial, its last score or the worst there is, and what the scheduler does then."""

from __future__ import annotations

import math
from types import SimpleNamespace

import pytest

from raysynth.tuning.scheduler import HopeEndingASHA
from raysynth.tuning.space import load_space, space_names
from raysynth.tuning.trial import WORST, carrying_forward

GAP = ("critic_real", "critic_generated")


def tell(rows, mode: str = "min", metric: str = "frechet", epochs: int = 40) -> list[dict[str, float]]:
    """What is reported of rows, each given without its epoch."""
    told: list[dict[str, float]] = []
    report = carrying_forward({"metric": metric, "mode": mode, "epochs": epochs, "critic_gap": GAP}, told.append)
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


@pytest.mark.parametrize(("later", "hopeless"), [(30.0, True), (10.0, False)])
def test_an_idle_critic_is_hopeless_unless_the_images_became_better(later, hopeless):
    rows = [{"critic_real": 1.0 + 0.5 * (epoch < 4), "critic_generated": 1.0} for epoch in range(16)]
    rows[3]["frechet"], rows[15]["frechet"] = 20.0, later
    told = tell(rows)
    assert told[10]["frechet"] == 20.0  # nothing was scored since it began
    assert (told[-1]["frechet"] == WORST) == hopeless


@pytest.mark.parametrize("mode", ["min", "max"])
def test_a_hopeless_trial_is_stopped_at_once_and_no_other(mode):
    """It comes first, which ASHA alone never stops, and stands on no rung."""
    from ray.tune.schedulers import TrialScheduler

    scheduler = HopeEndingASHA(time_attr="epoch", metric="frechet", mode=mode, max_t=41, grace_period=5)
    sign = 1.0 if mode == "min" else -1.0
    answers = {}
    for name, score in {"collapsed": 1.0, "good": 0.5}.items():
        trial = SimpleNamespace(trial_id=name, stub=True)
        scheduler.on_trial_add(None, trial)
        alike = 0.05 if name == "collapsed" else 0.8
        rows = [{"frechet": sign * score, "diversity": d, "diversity_class": 0.0} for d in [0.8] * 6 + [alike] * 2]
        answers[name] = [scheduler.on_trial_result(None, trial, row) for row in tell(rows, mode)]
    assert answers["collapsed"] == [TrialScheduler.CONTINUE] * 7 + [TrialScheduler.STOP]
    assert answers["good"] == [TrialScheduler.CONTINUE] * 8


@pytest.mark.parametrize("name", space_names())
def test_in_every_shipped_space_a_collapse_is_known_before_the_last_epoch(name):
    space = load_space(name)
    every = space.fixed.get("score_every", 1)
    rows: list[dict[str, float]] = [{} for _ in range(space.epochs)]
    for epoch in range(every, space.epochs + 1, every):
        diversity = 0.8 if epoch < space.epochs / 2 else 0.05
        rows[epoch - 1] = {"frechet": 1.0, "diversity": diversity, "diversity_class": 0.0}
    told = tell(rows, space.mode, epochs=space.epochs)
    first = next(row["epoch"] for row in told if abs(row["frechet"]) >= WORST)
    assert first < space.epochs
