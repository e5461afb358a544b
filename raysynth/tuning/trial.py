"""One trial of a sweep, as Ray Tune runs it in a worker of its own."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

from raysynth.errors import NotUploaded, TrainingStopped, UserError
from raysynth.training.health import is_hopeless

Row = dict[str, float]

# What a trial without hope is said to score where less is better; else it is the negative. Finite: Ray's ASHA
# interpolates between the values at a rung, and between infinities there is nothing.
WORST = 1e30


def run_trial(config: dict[str, Any]) -> None:
    """Train the run that `config["job"]` names, or report its past again if it had ended in an earlier session.

    A training that cannot go on ends the trial with the reason in its run's `status.json`; anything else that goes
    wrong (a machine that dies, memory that is full) is raised, and Ray Tune tries the trial again.
    """
    from ray import tune

    from raysynth.training.run_folder import PROGRESS, RunFolder

    job = config["job"]
    report = carrying_forward(job, lambda row: tune.report(dict(row)))
    run = RunFolder.open(job["run"])
    if job["replay"]:
        for row in run.history():
            report(row)
        return
    try:
        if job["num_workers"] > 1:
            _train_nested(job)
        else:
            _train_here(job, report)
    except NotUploaded:
        raise
    except (TrainingStopped, UserError) as error:
        run.refresh(*PROGRESS)
        if run.status()["state"] != "failed":
            run.write_status("failed", run.status()["epoch"], str(error))
            run.keep()
        # Ray Tune ends a sweep at a trial that returns without ever having told the metric: here is the worst.
        told = {"epoch": run.status()["epoch"], "images_per_s": 0.0, "seconds": 0.0}
        tune.report({**told, job["metric"]: WORST if job["mode"] == "min" else -WORST})


def carrying_forward(job: Mapping[str, Any], report: Callable[[Row], None]) -> Callable[[Row], None]:
    """`report`, with the last known metric in rows that have none: a scheduler wants it at every epoch.

    Before the first score it is not a number, which ASHA ranks neither above nor below another. While the rows say
    that the run has no hope it is the worst possible value, at which `HopeEndingASHA` ends the trial. `job` holds
    `metric`, `mode`, `epochs` and the family's `critic_gap`.
    """
    metric = job["metric"]
    worst = WORST if job["mode"] == "min" else -WORST
    last = math.nan
    rows: list[Row] = []

    def report_row(row: Row) -> None:
        nonlocal last
        rows.append(row)
        last = row.get(metric, last)
        value = worst if is_hopeless(rows, job["epochs"], job["critic_gap"]) else last
        report({**row, "epoch": int(row["epoch"]), metric: value})

    return report_row


def _train_here(job: dict[str, Any], report: Callable[[Row], None]) -> None:
    import torch

    from raysynth.training.preemption import this_node
    from raysynth.training.stop_request import StopRequest
    from raysynth.training.worker import train_run

    device = torch.device("cuda" if job["gpus_per_worker"] > 0 else "cpu")
    request = StopRequest(job["stop_request"])

    with request.training(job["run"]):
        train_run(
            job["run"],
            num_threads=job["num_threads"],
            device=device,
            reasons_to_keep=lambda: request.reasons() | this_node(),
            kept=partial(request.answer, job["run"]),
            report=report,
        )


def _train_nested(job: dict[str, Any]) -> None:
    """A Ray Train run of several workers within the trial; rank 0's rows reach Tune."""
    import tempfile

    from ray.tune.integration.ray_train import TuneReportCallback

    from raysynth.training.ray_trainer import ray_trainer, stop_if_failed
    from raysynth.training.run_folder import RunFolder
    from raysynth.training.stop_request import StopRequest

    with tempfile.TemporaryDirectory(prefix="raysynth-trial-") as storage:
        ray_trainer(
            RunFolder(job["run"]),
            job["num_workers"],
            storage,
            num_threads=job["num_threads"],
            gpus_per_worker=job["gpus_per_worker"],
            stop_request=StopRequest(job["stop_request"]),
            search={key: job[key] for key in ("metric", "mode", "epochs", "critic_gap")},
            callbacks=[TuneReportCallback()],
        ).fit()
    stop_if_failed(RunFolder(job["run"]))
