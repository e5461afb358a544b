"""When trainings ask whether a node will go, and how often they are told."""

from __future__ import annotations

from raysynth.training.preemption import STEPS_PER_NOTICE, noticing_preemption


def test_a_node_that_will_go_is_noticed_once():
    answers: list[set[str]] = [set(), {"a"}, {"a"}, {"a", "b"}, {"b"}, set()]
    given = iter(answers)
    noticed = noticing_preemption(lambda: next(given))
    steps = [noticed() for _ in range(len(answers) * STEPS_PER_NOTICE)]
    assert [step + 1 for step, told in enumerate(steps) if told] == [2 * STEPS_PER_NOTICE, 4 * STEPS_PER_NOTICE]
    assert next(given, "all asked") == "all asked"
