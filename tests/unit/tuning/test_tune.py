"""Mistakes in a call of `tune`: answered in one line, before anything is written."""

from __future__ import annotations

import pytest

from raysynth.errors import UserError
from raysynth.tuning.tune import tune


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"space": None}, "SPACE: missing"),
        ({"workers_per_trial": 0}, "--workers-per-trial 0: want 1 or more"),
        ({"workers_per_trial": 3000}, "--workers-per-trial 3000: a trial needs"),
        ({"max_concurrent": 0}, "--max-concurrent 0: want 1 or more"),
        ({"epochs": 0}, "--epochs 0: want 1 or more"),
        ({"overrides": {"batch_size": 1000}}, "batch_size=1000: more than the"),
        ({"data": "nowhere"}, "--data nowhere: no dataset.json"),
        ({"out": __file__}, "is not a folder that can be written to"),
        ({"resume": "nowhere"}, "--resume nowhere"),
    ],
)
def test_mistakes_are_answered_before_anything_is_written(stripes, tmp_path, arguments, message):
    options = {"space": "wcgan_gp", "data": stripes.path, "overrides": {"batch_size": 8}, "out": tmp_path / "sweeps"}
    options |= arguments
    with pytest.raises(UserError) as error:
        tune(options.pop("space"), **options, say=lambda line: None)
    assert message in str(error.value)
    assert "\n" not in str(error.value)
    assert not (tmp_path / "sweeps").exists()
