"""`raysynth study`: sweeps, the best run of each, its images, their evaluation and a report, in one go."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from raysynth.config import build_config
from raysynth.data.dataset import load_dataset
from raysynth.data.default import default_dataset
from raysynth.data.locations import Location, naming
from raysynth.data.new_folder import refuse_existing
from raysynth.errors import Interrupted, UserError
from raysynth.evaluation.classifier_choice import choose_classifier
from raysynth.locking.lock import locked
from raysynth.study.stages import run_stages, stage_names
from raysynth.study.study_folder import StudyFolder, StudySettings
from raysynth.training.disk_need import refuse_full
from raysynth.training.run_folder import check_out_folder
from raysynth.tuning.plan import plan_sweep
from raysynth.tuning.space import SearchSpace, load_space
from raysynth.tuning.sweep_folder import format_trials

Say = Callable[[str], None]
BESIDE = {"data", "spaces"}  # what may stand in a folder before a study is begun in it: the demo draws its own data


def study(
    spaces: Sequence[str] = (),
    *,
    data: Location | str | None = None,
    epochs: int | None = None,
    overrides: Mapping[str, Any] | None = None,
    max_concurrent: int | None = None,
    workers_per_trial: int | None = None,
    per_class: int | None = None,
    seed: int | None = None,
    refuse_copies: bool = False,
    seeds: int | None = None,
    classifier: str | None = None,
    classifier_epochs: int | None = None,
    out: Location | str = "study",
    resume: Location | str | None = None,
    dry_run: bool = False,
    allow_leakage: bool = False,
    say: Say = print,
) -> Location:
    """Tune each search space, draw images from its best run, evaluate them all beside real ones, write a report.

    Returns the study's folder, `out`, which may be in a bucket and explains itself: `study.yaml` is what was asked for,
    `stages.json` how far each stage is and where its result lies. The same call again, or `resume` alone, goes on where
    a study was stopped: a finished stage is not done again, one half done is resumed. A space without a usable run is
    marked as failed and the others go on; it is tried again when the study is. `epochs`, `overrides`, `max_concurrent`
    and `workers_per_trial` are those of `tune`; `per_class`, `seed` and `refuse_copies` of `generate`; `seeds`,
    `classifier` and `classifier_epochs` (its `epochs`) of `evaluate`.
    Raises UserError before anything starts, TrainingStopped when no space has a usable run, Interrupted on Ctrl-C.
    """
    asked = {
        "workers_per_trial": workers_per_trial,
        "per_class": per_class,
        "seed": seed,
        "refuse_copies": refuse_copies or None,
        "seeds": seeds,
        "classifier": classifier,
        "classifier_epochs": classifier_epochs,
        "allow_leakage": allow_leakage or None,
    }
    given = {key: value for key, value in asked.items() if value is not None}
    if resume is not None:
        of_sweeps = {"SPACE": spaces or None, "--data": data, "--epochs": epochs, "--set": overrides or None}
        for option, value in (
            of_sweeps | {f"--{key.replace('_', '-')}": value for key, value in given.items()}
        ).items():
            if value is not None:
                raise UserError(f"{option}: a resumed study keeps its own; leave it out, or begin another study")
        folder = StudyFolder.open(resume, "--resume")
        settings = folder.settings()
    else:
        with naming("--out"):
            folder = StudyFolder(out)
            folder.refresh()
        settings, searches = _plan(spaces, data, epochs, overrides or {}, given, max_concurrent, folder, dry_run, say)
        check_out(folder)
        if folder.exists():
            folder.refuse_other(settings, searches, "--out")
    _say_plan(folder, settings, say)
    if dry_run:
        return folder.location
    folder.path.mkdir(parents=True, exist_ok=True)
    with locked(folder.location, "--resume" if resume is not None else "--out"):
        if not folder.exists():
            folder.create(settings, searches)
        _check_data(settings)
        try:
            run_stages(folder, settings, max_concurrent=max_concurrent, say=say)
        except (Interrupted, KeyboardInterrupt):
            how = f"raysynth study --resume {shlex.quote(str(folder.location))}"
            raise Interrupted(f"stopped; go on with: {how}") from None
    return folder.location


def _plan(
    names: Sequence[str],
    data: Location | str | None,
    epochs: int | None,
    overrides: Mapping[str, Any],
    given: Mapping[str, Any],
    max_concurrent: int | None,
    folder: StudyFolder,
    dry_run: bool,
    say: Say,
) -> tuple[StudySettings, dict[str, SearchSpace]]:
    """All that the stages will be told, each checked by its own verb before the first begins."""
    if not names:
        raise UserError("SPACE: missing; name one or more, e.g. `raysynth study wcgan_gp cvae`")
    for option in ("per_class", "seeds", "classifier_epochs"):
        if given.get(option, 1) < 1:
            raise UserError(f"--{option.replace('_', '-')} {given[option]}: want 1 or more")
    searches: dict[str, SearchSpace] = {}
    for name in names:
        if Path(name).stem in searches:
            raise UserError(f"SPACE {name}: two of the name {Path(name).stem}; rename one, or leave it out")
        search = load_space(name, overrides)
        searches[Path(name).stem] = search if epochs is None else search.model_copy(update={"epochs": epochs})
    dataset = load_dataset(data) if data is not None else default_dataset(say)
    if not dataset.num_images("test"):
        raise UserError(f"--data {dataset.path}: no test images to judge by; import the images with --test 0.1")
    values = {"data": str(dataset.path.resolve()), "fingerprint": dataset.fingerprint, "spaces": list(searches)}
    settings = build_config(StudySettings, {**values, **given}, origin="study")
    choose_classifier(settings.classifier, dataset.shape)
    num_bytes = 0
    for name in names:
        plan = plan_sweep(
            name,
            data=dataset.path,
            epochs=epochs,
            overrides=overrides,
            max_concurrent=max_concurrent,
            workers_per_trial=settings.workers_per_trial,
            out=folder.location,
            allow_leakage=settings.allow_leakage,
            say=say if dry_run else _quietly,
        )
        num_bytes += plan.num_bytes
        if dry_run:
            say(format_trials(plan.search))
    if not folder.exists():  # of one that goes on, some are there already
        refuse_full(folder.location, num_bytes, f"the sweeps of {len(names)} spaces")
    return settings, searches


def _quietly(line: str) -> None:
    """Say nothing: the stage says it again when it begins."""


def check_out(folder: StudyFolder) -> None:
    """Raise UserError when a study can neither be begun in `folder` nor gone on with: it holds something else."""
    out = folder.location
    check_out_folder(out)
    if folder.exists():
        return
    inside: Iterable[Location] = out.iterdir() if out.is_dir() else ()
    if any(each.name not in BESIDE and not each.name.startswith(".") for each in inside):
        refuse_existing(out)


def _check_data(settings: StudySettings) -> None:
    if load_dataset(settings.data).fingerprint != settings.fingerprint:
        raise UserError(f"--data {settings.data}: changed since the study began; begin another study")


def _say_plan(folder: StudyFolder, settings: StudySettings, say: Say) -> None:
    done = [name for name, stage in folder.stages().items() if stage.state == "finished"]
    say(f"study of {', '.join(settings.spaces)} on {settings.data} -> {folder.location}")
    say(f"  stages: {', '.join(stage_names(settings))}" + (f"; finished: {', '.join(done)}" if done else ""))
