"""One run, trained by Ray Train over workers or in this process."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import nullcontext, suppress
from functools import partial
from typing import Any

from raysynth.cluster.resources import available_resources
from raysynth.errors import NotUploaded, TrainingStopped, UserError
from raysynth.training.run_folder import PROGRESS, RunFolder
from raysynth.training.stop_request import StopRequest

Row = dict[str, float]
Say = Callable[[str], None]

POLL_S = 0.05
ABORT_S = 5.0


def ray_trainer(
    run: RunFolder,
    workers: int,
    storage: str | None,
    *,
    num_threads: int,
    min_workers: int | None = None,
    gpus_per_worker: float | None = None,
    stop_request: StopRequest | None = None,
    search: Mapping[str, Any] | None = None,
    callbacks: Sequence[Any] = (),
) -> Any:
    """Ray Train's trainer for one run; `workers` = 0 is its local mode, in this process. With `min_workers`, as many as
    there is room for between both, at each of its starts.

    `storage` is for Ray's own notes: all that lasts is in the run's folder. Workers look for `stop_request`; without
    any, in local mode, they have no Ray to ask. `search`, of a trial, is what `carrying_forward` needs.
    """
    import ray.train
    from ray.train.torch import TorchTrainer
    from ray.train.v2.api.config import LoggingConfig

    from raysynth.cluster.session import quiet_ray

    quiet_ray()
    gpus = min(1.0, float(available_resources().gpus)) if gpus_per_worker is None else gpus_per_worker
    return TorchTrainer(
        train_on_ray_worker,
        train_loop_config={
            "run": str(run.location.resolve()),
            "num_threads": num_threads,
            "stop_request": stop_request.id if stop_request else None,
            "search": dict(search) if search else None,
        },
        scaling_config=ray.train.ScalingConfig(
            num_workers=workers if min_workers is None else (min_workers, workers),
            use_gpu=gpus > 0,
            resources_per_worker={"CPU": 1, "GPU": gpus} if gpus and workers else None,
        ),
        run_config=ray.train.RunConfig(
            name=f"{run.location.parent.name}-{run.location.name}",
            storage_path=storage,
            failure_config=ray.train.FailureConfig(max_failures=2, controller_failure_limit=2),
            logging_config=LoggingConfig(log_level="ERROR"),
            callbacks=list(callbacks),
        ),
    )


def train_on_ray_worker(job: dict[str, Any]) -> None:
    """What Ray Train runs on each worker. `job` holds plain values: the run's path, threads, and of what search."""
    import ray.train
    from ray.train.torch import get_device

    from raysynth.training.preemption import this_node
    from raysynth.training.worker import train_run
    from raysynth.tuning.trial import carrying_forward

    worker = ray.train.get_context()
    is_first = worker.get_world_rank() == 0
    request = StopRequest(job["stop_request"]) if job["stop_request"] else None

    def report(row: Row) -> None:
        ray.train.report(dict(row))

    tells = request if is_first else None
    try:
        with tells.training(job["run"]) if tells else nullcontext():
            train_run(
                job["run"],
                num_threads=job["num_threads"],
                rank=worker.get_world_rank(),
                world_size=worker.get_world_size(),
                device=get_device(),
                reasons_to_keep=(lambda: request.reasons() | this_node()) if request else None,
                kept=partial(tells.answer, job["run"]) if tells else None,
                report=carrying_forward(job["search"], report) if job["search"] else report,
            )
    except NotUploaded:
        raise  # Ray starts it again: the bucket may be back by then
    except TrainingStopped:
        # A training that cannot go on is no fault of a worker: Ray would start it again, to end in the same way. All
        # workers return, and whoever started them reads the run's status. Where that could not even be written, the
        # storage is at fault, and another attempt may find it mended.
        if is_first:
            run = RunFolder(job["run"])
            run.refresh(*PROGRESS)
            if run.status()["state"] != "failed":
                raise


def fit_until_told_to_stop(trainer: Any, request: StopRequest, say: Say) -> None:
    """Run a trainer of `ray_trainer` over workers. Ctrl-C ends it after a checkpoint: KeyboardInterrupt."""
    import ray

    controllers: list[Any] = []

    def abort_in_time() -> None:
        while not request.is_due(say):
            time.sleep(POLL_S)
        for controller in controllers:
            # It says by an error that it has ended; while it waits for room it does not answer.
            with suppress(ray.exceptions.RayActorError, ray.exceptions.GetTimeoutError):
                ray.get(controller.abort.remote(), timeout=ABORT_S)
        raise KeyboardInterrupt

    # Ray's own handler would end the training at once, and then this process without a word.
    trainer._register_sigint_handler = controllers.append
    with request.sent_on_interrupt(say, abort_in_time):
        trainer.fit()


def stop_if_failed(run: RunFolder) -> None:
    """Raise TrainingStopped with the run's own reason when its workers could not go on."""
    run.refresh(*PROGRESS)
    status = run.status()
    if status["state"] == "failed":
        raise TrainingStopped(f"{run.location}: {status['message']}")


def check_min_workers(asked: int | None, workers: int, batch_size: int) -> None:
    """Raise UserError for fewest workers that are more than `workers`, or with which a batch cannot be shared."""
    if asked is None:
        return
    if not 1 <= asked <= workers:
        raise UserError(f"--min-workers {asked}: want 1 to --workers, which is {workers}")
    for count in range(asked, workers + 1):
        if batch_size % count:
            raise UserError(
                f"--min-workers {asked}: batch_size={batch_size} is not divisible among {count} workers; use --set "
                f"batch_size={math.lcm(*range(asked, workers + 1))} or a multiple of it"
            )


def check_workers(asked: int | None, option: str = "--workers") -> int:
    """The number of workers: `asked`, or by default one a GPU; 0 is in-process (see `Resources`).

    Raises UserError for more than there are GPUs (or cores) for: Ray would wait for them in vain.
    """
    there = available_resources()
    if asked is None:
        return there.default_workers
    if asked < 0:
        raise UserError(f"{option} {asked}: want 0 (in-process) or more")
    available, unit = (there.gpus, "GPUs") if there.gpus else (there.cores, "cores")
    if asked > max(1, available):
        raise UserError(f"{option} {asked}: {there.place} has {available} {unit}; use {available} or fewer")
    return asked
