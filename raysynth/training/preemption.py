"""When a Ray worker keeps a checkpoint within an epoch and goes on: its node, or the command, is about to end."""

from __future__ import annotations

import itertools
from collections.abc import Callable

from raysynth.models.context import Context

STEPS_PER_NOTICE = 10  # training steps between two questions whether something is about to end
Reasons = Callable[[], set[str]]


def noticing_reasons(reasons: Reasons, context: Context) -> Callable[[], bool]:
    """Whether any worker has a new reason to keep a checkpoint, for every worker to ask after each step.

    `reasons` gives those that this worker knows: the ids of nodes (`this_node`), or of a `StopRequest`. They are asked
    for only every so many steps: that waits for other processes.
    """
    steps = itertools.count(1)
    known: set[str] = set()

    def noticed() -> bool:
        if next(steps) % STEPS_PER_NOTICE:
            return False
        news = reasons() - known
        known.update(news)
        return context.mean_over_workers({"has_news": float(bool(news))})["has_news"] > 0

    return noticed


def this_node() -> set[str]:
    """The id of the node that this Ray worker is on, if it was announced to go away."""
    import ray

    return {ray.get_runtime_context().get_node_id()} & set(ray._private.state.state.get_draining_nodes())
