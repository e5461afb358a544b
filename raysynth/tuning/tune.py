"""`raysynth tune`: a search space becomes a sweep, by Ray Tune with ASHA."""

from __future__ import annotations

import shlex
import shutil
import tempfile
from collections.abc import Callable, Mapping
from contextlib import ExitStack, nullcontext, suppress
from typing import Any

from raysynth.data.dataset import load_dataset
from raysynth.data.default import cache_folder
from raysynth.data.locations import Location, locate
from raysynth.data.provenance import training_provenance
from raysynth.errors import Interrupted, TrainingStopped, UserError
from raysynth.locking.lock import locked
from raysynth.training.run_folder import check_out_folder, name_folder
from raysynth.training.stop_request import StopRequest
from raysynth.tuning.plan import SweepPlan, gpu_per_worker, num_concurrent, plan_sweep
from raysynth.tuning.space import SearchSpace
from raysynth.tuning.sweep_folder import SweepFolder, format_trials, name_trials
from raysynth.tuning.trial import run_trial
from raysynth.tuning.workers import in_waiting_workers, ray_for_trials

MAX_FAILURES = 2  # of a trial whose worker or machine dies: it goes on from its newest checkpoint

Say = Callable[[str], None]


def tune(
    space: str | None = None,
    *,
    data: Location | str | None = None,
    epochs: int | None = None,
    overrides: Mapping[str, Any] | None = None,
    max_concurrent: int | None = None,
    workers_per_trial: int = 1,
    out: Location | str = "sweeps",
    resume: Location | str | None = None,
    dry_run: bool = False,
    allow_leakage: bool = False,
    say: Say = print,
) -> Location:
    """Train every trial of a search space (a shipped name or a YAML file) and return the sweep's folder, in `out`.

    Trials run in-process in Ray Tune's own workers, or, with `workers_per_trial` > 1, as nested Ray Train runs.
    `resume` finishes a sweep that was stopped: finished trials are not trained again, and the others go on from their
    newest checkpoint. `allow_leakage` is as for `train`. Raises UserError before Ray starts, Interrupted on Ctrl-C.
    """
    if resume is not None:
        if space is not None or overrides or data is not None or epochs is not None:
            raise UserError(f"--resume {resume}: a resumed sweep keeps its space, data and epochs; leave those out")
        sweep = SweepFolder.open(resume, "--resume")
        settings, search = sweep.settings(), sweep.space()
        workers_per_trial = settings["workers_per_trial"]
        load_dataset(settings["data"]["path"], "--data")
        _check_restart(sweep, search, say)
        concurrent = num_concurrent(search, max_concurrent, workers_per_trial, say)
    else:
        plan = plan_sweep(
            space,
            data=data,
            epochs=epochs,
            overrides=overrides,
            max_concurrent=max_concurrent,
            workers_per_trial=workers_per_trial,
            out=out,
            allow_leakage=allow_leakage,
            say=say,
        )
        search, concurrent = plan.search, plan.num_concurrent
        if dry_run:
            say(format_trials(search))
            return name_folder(check_out_folder(out), search.family)
    with ExitStack() as held, ExitStack() as ray_runs:
        if resume is not None:
            held.enter_context(locked(sweep.location, "--resume"))
        ray_runs.enter_context(ray_for_trials(workers_per_trial))
        if resume is None:
            sweep = _create(plan, out, say)
            held.enter_context(locked(sweep.location, "SWEEP"))
        say(f"{len(name_trials(search))} trials of {search.family}, {search.epochs} epochs, {concurrent} at a time")
        _run_ray(sweep, search, concurrent, workers_per_trial, say)
        ray_runs.close()
        return _conclude(sweep, search, say)


def _check_restart(sweep: SweepFolder, space: SearchSpace, say: Say) -> None:
    """As `check_restart` of each trial that has not ended; one that cannot go on is the trial's own failure."""
    from raysynth.evaluation.scoring_network import load_scoring_network

    load_scoring_network(locate(sweep.settings()["scoring_network"]))
    for trial in name_trials(space):
        if sweep.run(trial).status()["state"] not in ("finished", "stopped"):
            with suppress(UserError):
                sweep.run(trial).newest_checkpoint(say=say)


def _create(plan: SweepPlan, out: Location | str, say: Say) -> SweepFolder:
    """Write a sweep with all its runs, none of them begun."""
    from raysynth.evaluation.scoring_network import ensure_scoring_network
    from raysynth.training.plan import create_run

    search, dataset = plan.search, plan.dataset
    path = name_folder(check_out_folder(out), search.family)
    network = ensure_scoring_network(
        dataset,
        fallback_folder=cache_folder() / "scoring",
        run_folder=path,
        say=say,
    )
    sweep = SweepFolder(path)
    provenance = training_provenance(dataset)
    for trial in name_trials(search):
        config = plan.configs[trial.name]
        settings = {
            "family": search.family,
            "epochs": search.epochs,
            "config": _complete(search.family, config),
            "dataset": dataset,
            "contact": plan.contacts[config.get("pretrained")],
        }
        create_run(sweep.run(trial), settings, scoring_network=network, provenance=provenance, say=say)
    # Last: a folder that says that it is a sweep has all its runs.
    SweepFolder.create(
        path,
        mirror=sweep.mirror,
        space=search,
        dataset=dataset,
        scoring_network=network,
        workers_per_trial=plan.workers_per_trial,
    )
    sweep.keep()
    say(f"sweep: {sweep.location}")
    return sweep


def _complete(family: str, config: Mapping[str, Any]) -> dict[str, Any]:
    from raysynth.models.registry import get_family

    return get_family(family).Config(**config).model_dump()


def _run_ray(sweep: SweepFolder, space: SearchSpace, concurrent: int, workers_per_trial: int, say: Say) -> None:
    """Hand all trials to Ray Tune; those that ended in an earlier session report their past to ASHA and end."""
    from raysynth.cluster.resources import available_resources
    from raysynth.cluster.session import joined_cluster, num_threads, prepare_environment, ray_session
    from raysynth.cluster.visibility import refuse_invisible

    prepare_environment()
    from ray import tune as ray_tune  # here and below: mistakes are answered before Ray is imported
    from ray.tune.schedulers import FIFOScheduler

    from raysynth.models.registry import get_family
    from raysynth.tuning.ending import EndWhenKept
    from raysynth.tuning.progress import SweepProgress
    from raysynth.tuning.scheduler import HopeEndingASHA

    there = available_resources()
    request = StopRequest()
    nested = workers_per_trial > 1
    cpu = 0.01 if nested else space.resources.cpu or there.cores_each(concurrent)
    gpu = gpu_per_worker(space)
    ended = {t.name for t in name_trials(space) if sweep.run(t).status()["state"] in ("finished", "stopped")}
    jobs = [
        {
            "run": str(sweep.run(trial).location.resolve()),
            "trial": trial.name,
            "replay": trial.name in ended,
            "metric": space.metric,
            "mode": space.mode,
            "epochs": space.epochs,
            "critic_gap": get_family(space.family).critic_gap,
            "num_workers": workers_per_trial,
            "gpus_per_worker": gpu,
            "stop_request": request.id,
            "num_threads": num_threads(there.cores_each(concurrent * workers_per_trial)),
        }
        for trial in sorted(name_trials(space), key=lambda t: t.name not in ended)  # ASHA hears the past first
    ]
    scheduler = FIFOScheduler()
    if space.asha is not None and space.epochs > 1:
        scheduler = HopeEndingASHA(
            time_attr="epoch",
            max_t=space.epochs + 1,  # at max_t itself Ray ends a trial before its last report is through
            grace_period=min(space.asha.grace_period, space.epochs),
            reduction_factor=space.asha.reduction_factor,
        )
    storage = tempfile.mkdtemp(prefix="raysynth-tune-")  # Ray's own state, which nothing of ours reads
    progress = SweepProgress(sweep, space, say)
    ending = EndWhenKept(request, progress)
    try:
        with ray_session(), nullcontext() if joined_cluster() else in_waiting_workers(), progress:
            refuse_invisible({"--data": sweep.settings()["data"]["path"]}, {"--out": sweep.location})
            tuner = ray_tune.Tuner(
                ray_tune.with_resources(run_trial, {"cpu": cpu, "gpu": 0 if nested else gpu}),
                param_space={"job": ray_tune.grid_search(jobs)},
                tune_config=ray_tune.TuneConfig(
                    metric=space.metric,
                    mode=space.mode,
                    scheduler=scheduler,
                    max_concurrent_trials=concurrent,
                    reuse_actors=not nested,
                ),
                run_config=ray_tune.RunConfig(
                    name=sweep.location.name,
                    storage_path=storage,
                    verbose=0,
                    callbacks=[progress, ending],
                    failure_config=ray_tune.FailureConfig(max_failures=MAX_FAILURES),
                ),
            )
            with ending.listening():
                tuner.fit()
    except KeyboardInterrupt:
        raise Interrupted(_how_to_resume(sweep)) from None
    finally:
        shutil.rmtree(storage, ignore_errors=True)
    if progress.interrupted or request.is_sent:
        raise Interrupted(_how_to_resume(sweep))


def _how_to_resume(sweep: SweepFolder) -> str:
    return f"stopped; finish it with: raysynth tune --resume {shlex.quote(str(sweep.location))}"


def _conclude(sweep: SweepFolder, space: SearchSpace, say: Say) -> Location:
    """Write the table, the best run and the figures; say where they are."""
    from raysynth.report.sweep_figures import draw_sweep

    sweep.refresh()
    best = sweep.write_results(space)
    table = sweep.table(space)
    for _, row in table[(table["status"] == "failed") | (table["findings"] != "")].iterrows():
        say(f"trial {row['trial']} {row['status']}: {row['message']}")
    if best is None:
        sweep.keep()
        raise TrainingStopped(f"{sweep.location}: no trial has a {space.metric}; the reasons are in table.csv")
    if sweep.mirror is not None:
        sweep.mirror.fetch("runs/*/samples/*.png")
    draw_sweep(sweep.path)
    sweep.keep()
    num_epochs = int(table["epoch"].sum())
    where = sweep.location / "table.csv"
    say(f"{num_epochs} epochs trained, {table['seconds'].sum():.0f} s of training; table: {where}")
    score = f"{space.metric} {best['value']:.4g} at epoch {best['epoch']}"
    score += "" if best["leakage"] == "clean" else f"; leakage: {best['leakage']}"
    score += "; collapsed, as all trials are" if best["collapsed"] else ""
    say(f"best: {best['trial']} ({score}): {sweep.location / best['run']}")
    say(f"TensorBoard: tensorboard --logdir {sweep.location / 'runs'}")
    return sweep.location
