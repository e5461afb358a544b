"""When trainings ask whether something is about to end, and how often they are told."""

from __future__ import annotations

import pytest

from raysynth.models.context import Context
from raysynth.training.preemption import STEPS_PER_NOTICE, noticing_reasons


def test_a_node_that_will_go_is_noticed_once():
    answers: list[set[str]] = [set(), {"a"}, {"a"}, {"a", "b"}, {"b"}, set()]
    given = iter(answers)
    noticed = noticing_reasons(lambda: next(given), Context())
    steps = [noticed() for _ in range(len(answers) * STEPS_PER_NOTICE)]
    assert [step + 1 for step, told in enumerate(steps) if told] == [2 * STEPS_PER_NOTICE, 4 * STEPS_PER_NOTICE]
    assert next(given, "all asked") == "all asked"


def test_a_reason_of_one_worker_is_one_of_all(monkeypatch: pytest.MonkeyPatch):
    """Another worker's word is in the mean; all ask at the same steps."""
    means = iter([0.0, 0.5, 0.5])
    monkeypatch.setattr(Context, "mean_over_workers", lambda self, values: {name: next(means) for name in values})
    noticed = noticing_reasons(set, Context(world_size=2))
    assert [noticed() for _ in range(3 * STEPS_PER_NOTICE)].count(True) == 2
    assert next(means, "all asked") == "all asked"
