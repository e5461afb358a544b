"""`raysynth train`: one training of one family, by Ray Train over workers or in-process."""

from __future__ import annotations

import shlex
import shutil
import tempfile
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from typing import Any

from raysynth.config import build_config
from raysynth.data.dataset import Dataset, load_dataset
from raysynth.data.default import cache_folder, default_dataset
from raysynth.data.exclusion import find_excluded, write_rest
from raysynth.data.locations import Location
from raysynth.data.provenance import Provenance, training_provenance, write_hashes
from raysynth.errors import Interrupted, TrainingStopped, UserError
from raysynth.models.registry import get_family
from raysynth.training.follow import following
from raysynth.training.pretrained import check_pretrained, inherited_provenance, resolve_pretrained
from raysynth.training.run_folder import RunFolder, check_out_folder, name_folder

DEFAULT_EPOCHS = 30
Row = dict[str, float]
Say = Callable[[str], None]


def train(
    family: str | None = None,
    *,
    data: Location | str | None = None,
    epochs: int | None = None,
    overrides: Mapping[str, Any] | None = None,
    workers: int | None = None,
    out: Path | str = "runs",
    resume: Path | str | None = None,
    exclude: Location | str | None = None,
    dry_run: bool = False,
    allow_leakage: bool = False,
    say: Say = print,
) -> Path:
    """Train a family and return its run folder.

    `workers`: 0 is in-process; the default is the number of GPUs. `overrides` are config keys (`--set`). Images that
    have a copy among the validation or test images of the data set `exclude` are left out. With `resume`, goes on with
    that run as it was configured. A pre-trained run that has seen validation or test images is refused or, with
    `allow_leakage`, marked in all that rests on it. Raises UserError before anything starts, and
    TrainingStopped when the training cannot go on, and Interrupted on Ctrl-C.
    """
    if family is not None:
        get_family(family, "FAMILY")
    workers = check_workers(workers)
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
        check_fits(settings["family"], settings["config"], dataset, max(1, workers), epochs=settings["epochs"], say=say)
    else:
        if family is None:
            raise UserError("FAMILY: missing; name one, e.g. `raysynth train wcgan_gp`")
        check_out_folder(out)
        epochs = DEFAULT_EPOCHS if epochs is None else epochs
        settings = plan_run(family, data, epochs, overrides or {}, workers, say, allow_leakage=allow_leakage)
        run = RunFolder(name_folder(Path(out), family))
        if exclude is not None:
            excluded = find_excluded(settings["dataset"], load_dataset(exclude, "--exclude"))
            say(
                f"left out: {excluded.num_excluded} of {excluded.dataset.num_images()} images, the groups of "
                f"{excluded.num_copies} copies of validation and test images of {excluded.target.name}"
            )
    say(describe(settings, run, workers))
    if dry_run:
        return run.path
    if resume is None:
        try:
            if exclude is not None:
                settings["dataset"] = rest = write_rest(excluded, run.path / "data")
                name, num_epochs = settings["family"], settings["epochs"]
                check_fits(name, settings["config"], rest, max(1, workers), epochs=num_epochs, say=_quietly)
            create_run(run.path, settings, say=say)
        except BaseException:
            shutil.rmtree(run.path, ignore_errors=True)  # nothing in it is a run yet
            raise
    execute(run, workers, say)
    return run.path


def _quietly(line: str) -> None:
    """Say nothing: it was said before."""


def plan_run(
    family: str,
    data: Location | str | None,
    epochs: int,
    overrides: Mapping[str, Any],
    workers: int,
    say: Say,
    *,
    allow_leakage: bool = False,
) -> dict[str, Any]:
    """All that a run will be, checked; nothing is written but the default data set, where `data` is None."""
    if epochs < 1:
        raise UserError(f"--epochs {epochs}: want 1 or more")
    family_class = get_family(family, "FAMILY")
    config = build_config(family_class.Config, overrides, origin="--set").model_dump()
    dataset = load_dataset(data) if data is not None else default_dataset(say)
    warn_of_leakage(dataset, say)
    config = resolve_pretrained(family_class, config, dataset)
    check_fits(family, config, dataset, max(1, workers), epochs=epochs, say=say)
    contact = check_pretrained(config, dataset, allow_leakage=allow_leakage, say=say)
    return {"family": family, "epochs": epochs, "config": config, "dataset": dataset, "contact": contact}


def warn_of_leakage(dataset: Dataset, say: Say) -> None:
    """Say when scores on this data set's splits mean less than they seem to."""
    if dataset.leakage.status == "leaky":
        say(f"warning: leaky split: {dataset.leakage.detail}; frechet and every score on it flatter")


def check_fits(
    family: str, config: dict[str, Any], dataset: Dataset, world_size: int, *, epochs: int, say: Say = print
) -> None:
    """Build the networks and one batch's plan once, so that a bad combination is refused here, and say what they note.

    Raises UserError when the family cannot take these images or epochs, or the batch does not fit the split or the
    workers.
    """
    import numpy as np

    from raysynth.data.batches import Batches
    from raysynth.models.context import Context

    for split in ("train", "validation"):
        if dataset.num_images(split) == 0:
            raise UserError(f"--data {dataset.path}: has no {split} images; import it with a {split} split")
    family_class = get_family(family)
    context = Context(world_size=world_size)
    num_images = dataset.num_images("train")
    family_config = family_class.Config(**config)
    Batches(
        np.zeros((num_images, 1), np.uint8), np.zeros(num_images), batch_size=family_config.batch_size, context=context
    )
    model = family_class(family_config, shape=dataset.shape, num_classes=len(dataset.classes), context=context)
    model.phases(epochs)
    for note in model.notes():
        say(note)


def create_run(
    path: Path,
    settings: dict[str, Any],
    *,
    scoring_network: Path | None = None,
    provenance: Provenance | None = None,
    say: Say,
) -> RunFolder:
    """Write a planned run's folder; the scoring network is trained first where it is not cached yet.

    `provenance` is the data set's `training_provenance`, for those who write many runs on it.
    """
    from raysynth.cluster.session import num_cores
    from raysynth.evaluation.scoring_network import ensure_scoring_network

    dataset: Dataset = settings["dataset"]
    if scoring_network is None:
        scoring_network = ensure_scoring_network(
            dataset, fallback_folder=cache_folder() / "scoring", run_folder=path, threads=num_cores(), say=say
        )
    seen = (provenance or training_provenance(dataset)) + inherited_provenance(settings["config"])
    path.mkdir(parents=True, exist_ok=True)
    write_hashes(seen.hashes, path)
    return RunFolder.create(
        path,
        family=settings["family"],
        dataset=dataset,
        num_epochs=settings["epochs"],
        config=settings["config"],
        scoring_network=str(scoring_network.resolve()),
        trained_on=list(seen.entries),
        contact=asdict(settings["contact"]) if settings.get("contact") else None,
    )


def execute(run: RunFolder, workers: int, say: Say) -> None:
    """Train a run that stands in its folder, by Ray Train, printing its epochs as they end.

    Raises TrainingStopped with the run's own reason when it could not go on.
    """
    with following(run, say):
        try:
            _fit(run, workers)
            stop_if_failed(run)
        except KeyboardInterrupt:
            raise Interrupted(f"stopped; go on with: raysynth train --resume {shlex.quote(str(run.path))}") from None
        except Exception:
            stop_if_failed(run)
            raise
    say(f"run: {run.path}")


def stop_if_failed(run: RunFolder) -> None:
    """Raise TrainingStopped with the run's own reason when its workers could not go on."""
    status = run.status()
    if status["state"] == "failed":
        raise TrainingStopped(f"{run.path}: {status['message']}")


def _fit(run: RunFolder, workers: int) -> None:
    from raysynth.cluster.session import prepare_environment, ray_session

    prepare_environment()
    num_threads = threads_per_worker(workers)
    if workers == 0:
        ray_trainer(run, workers, None, num_threads=num_threads).fit()
        return
    with ray_session(), tempfile.TemporaryDirectory(prefix="raysynth-train-") as storage:
        ray_trainer(run, workers, storage, num_threads=num_threads).fit()


def ray_trainer(
    run: RunFolder,
    workers: int,
    storage: str | None,
    *,
    num_threads: int,
    gpus_per_worker: float | None = None,
    search: Mapping[str, Any] | None = None,
    callbacks: Sequence[Any] = (),
) -> Any:
    """Ray Train's trainer for one run; `workers` = 0 is its local mode, in this process.

    `storage` is for Ray's own notes: all that lasts is in the run's folder. `search`, of a trial, is what
    `carrying_forward` needs.
    """
    import ray.train
    from ray.train.torch import TorchTrainer
    from ray.train.v2.api.config import LoggingConfig

    from raysynth.cluster.session import quiet_ray

    quiet_ray()
    gpus = min(1.0, float(num_gpus())) if gpus_per_worker is None else gpus_per_worker
    return TorchTrainer(
        train_on_ray_worker,
        train_loop_config={
            "run": str(run.path.resolve()),
            "num_threads": num_threads,
            "search": dict(search) if search else None,
        },
        scaling_config=ray.train.ScalingConfig(
            num_workers=workers,
            use_gpu=gpus > 0,
            resources_per_worker={"CPU": 1, "GPU": gpus} if gpus and workers else None,
        ),
        run_config=ray.train.RunConfig(
            name=f"{run.path.parent.name}-{run.path.name}",
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

    from raysynth.training.worker import train_run
    from raysynth.tuning.trial import carrying_forward

    worker = ray.train.get_context()

    def report(row: Row) -> None:
        ray.train.report(dict(row))

    # A training that cannot go on is no fault of a worker: Ray would start it again, to end in the same way. All
    # workers return, and whoever started them reads the run's status.
    with suppress(TrainingStopped):
        train_run(
            job["run"],
            num_threads=job["num_threads"],
            rank=worker.get_world_rank(),
            world_size=worker.get_world_size(),
            device=get_device(),
            report=carrying_forward(job["search"], report) if job["search"] else report,
        )


def num_gpus() -> int:
    """GPUs that torch can use on this machine."""
    import torch

    return torch.cuda.device_count()


def check_workers(asked: int | None, option: str = "--workers") -> int:
    """The number of workers: `asked`, or by default one a GPU, and without GPUs 0, which is in-process.

    Raises UserError for more than this machine has GPUs (or cores) for: Ray would wait for them in vain.
    """
    from raysynth.cluster.session import num_cores

    gpus = num_gpus()
    if asked is None:
        return gpus
    if asked < 0:
        raise UserError(f"{option} {asked}: want 0 (in-process) or more")
    available, unit = (gpus, "GPUs") if gpus else (num_cores(), "cores")
    if asked > max(1, available):
        raise UserError(f"{option} {asked}: this machine has {available} {unit}; use {available} or fewer")
    return asked


def threads_per_worker(workers: int) -> int:
    """Cores divided by workers: threads that fight for a core cost more than they give."""
    from raysynth.cluster.session import num_cores

    return max(1, num_cores() // max(1, workers))


def describe(settings: dict[str, Any], run: RunFolder, workers: int) -> str:
    """The plan in one line."""
    data = settings.get("data") or {
        "name": settings["dataset"].name,
        "train_counts": settings["dataset"].counts["train"],
        "shape": settings["dataset"].shape,
    }
    where = "in-process" if workers == 0 else f"{workers} workers"
    side = " x ".join(str(size) for size in data["shape"])
    num_images = sum(data["train_counts"].values())
    config = ", ".join(f"{key}={value}" for key, value in settings["config"].items())
    return (
        f"{settings['family']}, {settings['epochs']} epochs, {where}, on {num_images} train images "
        f"({side}) of {data['name']} -> {run.path}\n  {config}"
    )
