"""`raysynth study`, and its preset `raysynth demo`."""

from __future__ import annotations

from pathlib import Path

import typer

from raysynth.cli.console import print_json, say, say_to_stderr
from raysynth.cli.storage import Storage, existing, named
from raysynth.cli.training import ALLOW_HELP, DATA_HELP, JSON_HELP, SET_HELP


def demo_verb(
    out: Path = typer.Option(Path("demo"), help="Folder for all that the demo makes."),
    seed: int = typer.Option(0, help="Seed of the data set and the training."),
) -> None:
    """The whole way on images that the package draws itself: a study of the search space `demo`."""
    from raysynth.demo import demo

    demo(out, seed=seed, say=say)


def study_verb(
    spaces: list[str] | None = typer.Argument(
        None, metavar="SPACE...", help="Search spaces: shipped names, e.g. wcgan_gp cvae, or YAML files."
    ),
    data: str | None = typer.Option(None, metavar="DIR", help=DATA_HELP),
    storage: Storage = None,
    epochs: int | None = typer.Option(None, help="Epochs of a full trial. Default: each search space's."),
    set_: list[str] = typer.Option([], "--set", metavar="KEY=VALUE", help=f"Fix a key in each space. {SET_HELP}"),
    max_concurrent: int | None = typer.Option(None, help="Trials at a time. Default: as many as cores or GPUs allow."),
    workers_per_trial: int | None = typer.Option(None, help="Ray Train workers of each trial. Default: 1."),
    per_class: int | None = typer.Option(None, help="Synthetic images of each class. Default: as the training data."),
    seed: int | None = typer.Option(None, help="Seed of the synthetic images. Default: 0."),
    refuse_copies: bool = typer.Option(
        False, "--refuse-copies", help="Leave out synthetic images that are copies of train images, and draw others."
    ),
    seeds: int | None = typer.Option(
        None, help="Classifiers trained on each training set. Default: 5 of cnn, 3 of transfer."
    ),
    classifier: str | None = typer.Option(None, help="Which classifier judges: cnn or transfer. Default: cnn."),
    classifier_epochs: int | None = typer.Option(
        None, help="Epochs of every classifier. Default: about 1200 steps on the real images; of transfer 480."
    ),
    out: str = typer.Option(
        "study",
        metavar="DIR",
        help="Folder, here or in a bucket, for all that is made; given again, it goes on.",
    ),
    resume: str | None = typer.Option(None, metavar="STUDY", help="Go on with this study. Default: as --out says."),
    dry_run: bool = typer.Option(False, "--dry-run", help="Check and print stages and trials, do nothing."),
    allow_leakage: bool = typer.Option(False, "--allow-leakage", help=ALLOW_HELP),
    json_: bool = typer.Option(False, "--json", help=JSON_HELP),
) -> None:
    """Tune each search space, draw images from its best run, evaluate them all, and write one report."""
    from raysynth.config import parse_overrides
    from raysynth.study.study import study
    from raysynth.study.study_folder import StudyFolder

    folder = study(
        spaces or [],
        data=existing(data, storage, "--data"),
        epochs=epochs,
        overrides=parse_overrides(set_),
        max_concurrent=max_concurrent,
        workers_per_trial=workers_per_trial,
        per_class=per_class,
        seed=seed,
        refuse_copies=refuse_copies,
        seeds=seeds,
        classifier=classifier,
        classifier_epochs=classifier_epochs,
        out=named(out, storage),
        resume=existing(resume, storage, "--resume"),
        dry_run=dry_run,
        allow_leakage=allow_leakage,
        say=say_to_stderr if json_ else say,
    )
    if json_:
        print_json(StudyFolder(folder).describe())
