"""Nodes that are announced to go away: a training on one keeps a checkpoint in the middle of an epoch, and goes on."""

from __future__ import annotations

import itertools
from collections.abc import Callable

STEPS_PER_NOTICE = 10  # training steps between two questions whether a node is about to go away


def noticing_preemption(ask: Callable[[], set[str]]) -> Callable[[], bool]:
    """Whether a node has newly been announced to go away, for every worker to ask after each step.

    `ask` is one of the functions below, all announced nodes' ids. It is asked only every so many steps: it waits for
    other processes.
    """
    steps = itertools.count(1)
    known: set[str] = set()

    def noticed() -> bool:
        if next(steps) % STEPS_PER_NOTICE:
            return False
        going = ask()
        is_news = not going <= known
        known.update(going)
        return is_news

    return noticed


def nodes_of_training() -> set[str]:
    """Of a Ray Train worker: the announced ones among the nodes of its training. All its workers hear the same."""
    import ray.train

    info = ray.train.get_preemption_info()
    return set(info.preempted_node_ids) if info else set()


def this_node() -> set[str]:
    """Of any other Ray worker, as a trial's: its own node if that is announced."""
    import ray

    return {ray.get_runtime_context().get_node_id()} & set(ray._private.state.state.get_draining_nodes())
