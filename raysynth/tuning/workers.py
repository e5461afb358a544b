"""The processes that a sweep's trials run in, on one machine: those that Ray starts ahead, with all imports done.

A fresh process for each trial's worker costs 7 CPU seconds, of which torch is the most; Ray starts one a core anyway.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

from raysynth.cluster.session import num_cores, ray_starting

MODULES = ("torch", "ray.tune", "raysynth.training.worker", "raysynth.evaluation.scoring_network")
MAX_WAITING = 8  # workers; with more, most would only hold memory
# Of the drivers of NVIDIA, AMD, and of Windows' Linux. CUDA may be told once which device is a worker's, and Ray tells
# it when a trial begins.
GPU_DRIVERS = ("/dev/nvidiactl", "/dev/kfd", "/dev/dxg")


def ray_for_trials(workers_per_trial: int = 1) -> AbstractContextManager[None]:
    """A Ray on this machine that starts beside whatever comes before the first trial (see `ray_starting`)."""
    if workers_per_trial == 1:
        return ray_starting(preload=modules_to_preload())
    # A trial of several workers needs a little of a CPU beside theirs.
    return ray_starting(num_cpus=num_cores() + 1, with_dashboard=True)


def modules_to_preload() -> tuple[str, ...]:
    """What Ray's workers shall import as they start."""
    if num_cores() > MAX_WAITING or any(Path(driver).exists() for driver in GPU_DRIVERS):
        return ()
    return MODULES


@contextmanager
def in_waiting_workers() -> Iterator[None]:
    """While the block runs, Ray Tune begins trials in workers that wait already.

    It would else give each trial variables that a Ray of this machine has from this process anyway, and a worker with
    variables of its own is always a fresh process. Ray is pinned to one minor version; with another that has these
    names no more, the import fails a test.
    """
    from ray.tune.execution import class_cache

    before = class_cache.DEFAULT_ENV_VARS, class_cache.ENV_VARS_TO_PROPAGATE
    class_cache.DEFAULT_ENV_VARS, class_cache.ENV_VARS_TO_PROPAGATE = {}, set()
    try:
        yield
    finally:
        class_cache.DEFAULT_ENV_VARS, class_cache.ENV_VARS_TO_PROPAGATE = before
