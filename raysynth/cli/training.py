"""The verbs train, tune and generate."""

from __future__ import annotations

import typer

from raysynth.cli.console import print_json, say, say_to_stderr
from raysynth.cli.storage import Storage, existing, named

DATA_HELP = "Data set folder. Default: the embedded phantom, drawn once."
ALLOW_HELP = "Go on from a pre-trained run that knows validation or test images, and mark every result."
SET_HELP = "Set a config key, e.g. latent_dim=128; repeat for more. Default: the family's values."
JSON_HELP = "Print the result as JSON on standard output, progress on standard error."


def train_verb(
    family: str | None = typer.Argument(None, help="Family to train, e.g. wcgan_gp."),
    data: str | None = typer.Option(None, metavar="DIR", help=DATA_HELP),
    epochs: int | None = typer.Option(None, help="Epochs: passes over the train images. Default: 30."),
    set_: list[str] = typer.Option([], "--set", metavar="KEY=VALUE", help=SET_HELP),
    workers: int | None = typer.Option(
        None,
        help="Ray Train workers that share each batch; 0 is in-process. Default: the number of GPUs; on a cluster "
        "without any 1.",
    ),
    min_workers: int | None = typer.Option(
        None, help="Fewest workers to go on with where nodes are lost. Default: --workers; it waits for them."
    ),
    out: str = typer.Option("runs", help="Parent folder of the run."),
    storage: Storage = None,
    resume: str | None = typer.Option(None, metavar="RUN", help="Go on with this run. Default: a new run."),
    exclude: str | None = typer.Option(
        None,
        metavar="DIR",
        help="Leave out images with a copy among this data set's validation and test images. Default: all are used.",
    ),
    dry_run: bool = typer.Option(False, "--dry-run", help="Check and print the plan, train nothing."),
    allow_leakage: bool = typer.Option(False, "--allow-leakage", help=ALLOW_HELP),
    json_: bool = typer.Option(False, "--json", help=JSON_HELP),
) -> None:
    """Train one family on a data set."""
    from raysynth.config import parse_overrides
    from raysynth.training.train import train

    run = train(
        family,
        data=existing(data, storage, "--data"),
        epochs=epochs,
        overrides=parse_overrides(set_),
        workers=workers,
        min_workers=min_workers,
        out=named(out, storage),
        resume=existing(resume, storage, "--resume"),
        exclude=existing(exclude, storage, "--exclude"),
        dry_run=dry_run,
        allow_leakage=allow_leakage,
        say=say_to_stderr if json_ else say,
    )
    if json_:
        print_json({"run": str(run)})


def tune_verb(
    space: str | None = typer.Argument(None, help="Search space: a shipped name, e.g. wcgan_gp, or a YAML file."),
    data: str | None = typer.Option(None, metavar="DIR", help=DATA_HELP),
    epochs: int | None = typer.Option(None, help="Epochs of a full trial. Default: the search space's."),
    set_: list[str] = typer.Option([], "--set", metavar="KEY=VALUE", help=f"Fix a key. {SET_HELP}"),
    max_concurrent: int | None = typer.Option(None, help="Trials at a time. Default: as many as cores or GPUs allow."),
    workers_per_trial: int = typer.Option(
        1, help="Ray Train workers of each trial; with 1 it trains in Ray Tune's own."
    ),
    out: str = typer.Option("sweeps", help="Parent folder of the sweep."),
    storage: Storage = None,
    resume: str | None = typer.Option(None, metavar="SWEEP", help="Finish this sweep. Default: a new sweep."),
    dry_run: bool = typer.Option(False, "--dry-run", help="Check and print the trials, train nothing."),
    allow_leakage: bool = typer.Option(False, "--allow-leakage", help=ALLOW_HELP),
    json_: bool = typer.Option(False, "--json", help=JSON_HELP),
) -> None:
    """Train every trial of a search space, stopping poor ones early (ASHA), and name the best."""
    from raysynth.config import parse_overrides
    from raysynth.tuning.sweep_folder import SweepFolder
    from raysynth.tuning.tune import tune

    sweep = tune(
        space,
        data=existing(data, storage, "--data"),
        epochs=epochs,
        overrides=parse_overrides(set_),
        max_concurrent=max_concurrent,
        workers_per_trial=workers_per_trial,
        out=named(out, storage),
        resume=existing(resume, storage, "--resume"),
        dry_run=dry_run,
        allow_leakage=allow_leakage,
        say=say_to_stderr if json_ else say,
    )
    if json_:
        print_json({"sweep": str(sweep), "best": SweepFolder.open(sweep, "SWEEP").best()})


def generate_verb(
    run: str = typer.Argument(help="Run folder, or sweep folder (then its best run)."),
    out: str = typer.Option(..., metavar="DIR", help="Folder of the synthetic data set. Required."),
    storage: Storage = None,
    per_class: int | None = typer.Option(None, help="Images of each class. Default: as --like."),
    like: str | None = typer.Option(
        None, metavar="DIR", help="Data set whose train counts to match. Default: the training data."
    ),
    seed: int = typer.Option(0, help="Seed of the images."),
    workers: int | None = typer.Option(
        None, help="Ray tasks that draw; 0 is in-process. Default: 0; on a cluster the number of GPUs, or 1."
    ),
    keep: str | None = typer.Option(
        None, help="agreeing: keep images whose label a classifier of the real train images confirms. Default: all."
    ),
    confidence: float | None = typer.Option(
        None, help="With --keep agreeing: probability of its label above which an image is kept. Default: 0.5."
    ),
    refuse_copies: bool = typer.Option(
        False, "--refuse-copies", help="Leave out images that are copies of train images, and draw others."
    ),
    set_: list[str] = typer.Option(
        [], "--set", metavar="KEY=VALUE", help="How samples are drawn, e.g. guidance=2; may be repeated."
    ),
    json_: bool = typer.Option(False, "--json", help=JSON_HELP),
) -> None:
    """Draw a synthetic data set from a run or a sweep."""
    from raysynth.config import parse_overrides
    from raysynth.training.generate import generate

    dataset = generate(
        existing(run, storage, "RUN"),
        out=named(out, storage),
        per_class=per_class,
        like=existing(like, storage, "--like"),
        seed=seed,
        workers=workers,
        keep=keep,
        confidence=confidence,
        refuse_copies=refuse_copies,
        overrides=parse_overrides(set_),
        say=say_to_stderr if json_ else say,
    )
    if json_:
        counts = dataset.counts["train"]
        leakage = (dataset.provenance or {})["training_leakage"]
        content = {"data": str(dataset.path), "fingerprint": dataset.fingerprint, "counts": counts}
        print_json({**content, "training_leakage": leakage})
    else:
        say(f"{dataset.num_images()} synthetic images: {dataset.path}")
