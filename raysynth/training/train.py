"""`raysynth train`: one training of one family, by Ray Train over workers or in-process."""

from __future__ import annotations

import os
import shlex
import tempfile
from collections.abc import Mapping
from contextlib import ExitStack
from typing import Any

from raysynth.cluster.resources import available_resources
from raysynth.cluster.session import num_threads
from raysynth.data.dataset import load_dataset
from raysynth.data.exclusion import Exclusion, find_excluded, write_rest
from raysynth.data.locations import Location
from raysynth.errors import Interrupted, UserError
from raysynth.locking.lock import locked
from raysynth.models.registry import get_family
from raysynth.training.disk_need import refuse_full
from raysynth.training.find_run import sweep_of
from raysynth.training.follow import following
from raysynth.training.plan import Say, check_fits, check_restart, create_run, describe, plan_run
from raysynth.training.ray_trainer import (
    check_min_workers,
    check_workers,
    fit_until_told_to_stop,
    ray_trainer,
    stop_if_failed,
)
from raysynth.training.run_folder import RunFolder, check_out_folder, name_folder
from raysynth.training.stop_request import StopRequest

DEFAULT_EPOCHS = 30


def train(
    family: str | None = None,
    *,
    data: Location | str | None = None,
    epochs: int | None = None,
    overrides: Mapping[str, Any] | None = None,
    workers: int | None = None,
    min_workers: int | None = None,
    out: Location | str = "runs",
    resume: Location | str | None = None,
    exclude: Location | str | None = None,
    dry_run: bool = False,
    allow_leakage: bool = False,
    say: Say = print,
) -> Location:
    """Train a family and return its run folder, in `out`, which may be in a bucket.

    `workers`: 0 is in-process; the default is the number of GPUs. Where nodes are lost it goes on with as few as
    `min_workers` (default: it waits for all). `overrides` are config keys (`--set`). Images that have a copy among the
    validation or test images of the data set `exclude` are left out. With `resume`, goes on with that run as it was
    configured. A pre-trained run that has seen validation or test images is refused or, with `allow_leakage`, marked in
    all that rests on it. Raises UserError before anything starts, and TrainingStopped when the training cannot go on,
    and Interrupted on Ctrl-C.
    """
    if family is not None:
        get_family(family, "FAMILY")
    workers = check_workers(workers)
    excluded: Exclusion | None = None
    if resume is not None:
        run = RunFolder.open(resume, "--resume")
        settings = run.settings()
        if family is not None and family != settings["family"]:
            raise UserError(
                f"--resume {resume}: is a run of {settings['family']}, not of {family}; leave the family out"
            )
        for option, value in (
            ("--data", data),
            ("--epochs", epochs),
            ("--set", next(iter(overrides or {}), None)),
            ("--exclude", exclude),
        ):
            if value is not None:
                raise UserError(f"{option} {value}: a resumed run keeps its own; leave it out, or start a new run")
        if run.status()["state"] == "finished":
            raise UserError(f"--resume {resume}: has finished all its {settings['epochs']} epochs; start a new run")
        dataset = load_dataset(settings["data"]["path"])
        check_restart(run, say)
        check_fits(settings["family"], settings["config"], dataset, max(1, workers), epochs=settings["epochs"], say=say)
    else:
        if family is None:
            raise UserError("FAMILY: missing; name one, e.g. `raysynth train wcgan_gp`")
        parent = check_out_folder(out)
        epochs = DEFAULT_EPOCHS if epochs is None else epochs
        settings = plan_run(family, data, epochs, overrides or {}, workers, say, allow_leakage=allow_leakage)
        refuse_full(parent, settings["num_bytes"], "the run")
        run = RunFolder(name_folder(parent, family))
        if exclude is not None:
            excluded = find_excluded(settings["dataset"], load_dataset(exclude, "--exclude"))
            say(
                f"left out: {excluded.num_excluded} of {excluded.dataset.num_images()} images, the groups of "
                f"{excluded.num_copies} copies of validation and test images of {excluded.target.name}"
            )
    check_min_workers(min_workers, workers, settings["config"]["batch_size"])
    say(describe(settings, run, workers, num_images=excluded.num_train if excluded else None))
    if dry_run:
        return run.location
    if resume is None:
        try:
            if excluded is not None:
                settings["dataset"] = rest = write_rest(excluded, run.location / "data")
                name, num_epochs = settings["family"], settings["epochs"]
                check_fits(name, settings["config"], rest, max(1, workers), epochs=num_epochs, say=_quietly)
            create_run(run, settings, say=say)
            run.keep()
        except BaseException:
            run.discard()  # nothing in it is a run yet
            raise
    with ExitStack() as locks:
        locks.enter_context(locked(run.location, "RUN" if resume is None else "--resume"))
        if (sweep := sweep_of(run.location)) is not None:
            locks.enter_context(locked(sweep, "--resume"))
        try:
            execute(run, workers, say, min_workers=min_workers)
        except UserError:
            if resume is None and not run.history():  # refused before anything was trained
                run.discard()
            raise
    return run.location


def _quietly(line: str) -> None:
    """Say nothing: it was said before."""


def execute(run: RunFolder, workers: int, say: Say, *, min_workers: int | None = None) -> None:
    """Train a run that stands in its folder, by Ray Train, printing its epochs as they end.

    Raises TrainingStopped with the run's own reason when it could not go on.
    """
    with following(run, say):
        try:
            _fit(run, workers, min_workers, say)
            stop_if_failed(run)
        except KeyboardInterrupt:
            run.refresh()
            run.write_card()
            run.keep()
            if run.status()["state"] == "finished":
                raise Interrupted(f"stopped; {run.location} had reached its last epoch") from None
            raise Interrupted(
                f"stopped; go on with: raysynth train --resume {shlex.quote(str(run.location))}"
            ) from None
        except Exception:
            stop_if_failed(run)
            raise
    say(f"run: {run.location}")


def _fit(run: RunFolder, workers: int, min_workers: int | None, say: Say) -> None:
    from raysynth.cluster.session import WORKERS_START_TIMEOUT_S, prepare_environment, ray_session
    from raysynth.cluster.visibility import refuse_invisible

    prepare_environment()
    threads = num_threads(available_resources().cores_each(workers))
    if workers == 0:
        ray_trainer(run, workers, None, num_threads=threads).fit()
        return
    if min_workers is not None:  # Ray counts a node that has just died as one to start on; then it counts again
        os.environ[WORKERS_START_TIMEOUT_S] = "30"
    with ray_session(with_dashboard=True), tempfile.TemporaryDirectory(prefix="raysynth-train-") as storage:
        refuse_invisible({"--data": run.settings()["data"]["path"]}, {"--out": run.location})
        request = StopRequest()
        trainer = ray_trainer(run, workers, storage, num_threads=threads, min_workers=min_workers, stop_request=request)
        fit_until_told_to_stop(trainer, request, say)
