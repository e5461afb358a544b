"""What of Ray Train's side needs no Ray: when its workers ask whether a node will go."""

from __future__ import annotations

from dataclasses import dataclass

from raysynth.training.ray_trainer import STEPS_PER_NOTICE, noticing_preemption


@dataclass
class Info:
    """As Ray's `PreemptionInfo`."""

    preempted_node_ids: list[str]


def test_a_node_that_will_go_is_noticed_once():
    answers = [None, Info(["a"]), Info(["a"]), Info(["a", "b"]), Info(["a", "b"]), None]
    given = iter(answers)
    noticed = noticing_preemption(lambda: next(given))
    steps = [noticed() for _ in range(len(answers) * STEPS_PER_NOTICE)]
    assert [step + 1 for step, told in enumerate(steps) if told] == [2 * STEPS_PER_NOTICE, 4 * STEPS_PER_NOTICE]
    assert next(given, "all asked") == "all asked"
