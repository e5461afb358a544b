"""`evaluate`: do synthetic images help a classifier, and how like the real ones are they?"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from dataclasses import asdict
from datetime import datetime
from pathlib import Path
from typing import Any

import pandas as pd

from raysynth.cluster.session import joined_cluster, num_cores, ray_session
from raysynth.cluster.visibility import refuse_invisible
from raysynth.data.buckets import BucketPath
from raysynth.data.dataset import Dataset
from raysynth.data.locations import Location, locate
from raysynth.data.mirror import Mirror
from raysynth.errors import UserError
from raysynth.evaluation.classifier_choice import BATCH_SIZE, DEFAULT_CLASSIFIER, choose_classifier
from raysynth.evaluation.classifiers import train_all, training_job
from raysynth.evaluation.copies import compare_copies
from raysynth.evaluation.curves import DEFAULT_SEEDS as CURVE_SEEDS
from raysynth.evaluation.curves import curve_table, describe_curves, plan_points, point_training
from raysynth.evaluation.description import comparisons, describe_real, describe_synthetic, describe_training
from raysynth.evaluation.floors import floor_table
from raysynth.evaluation.inputs import load_inputs
from raysynth.evaluation.likeness import compare_features, compare_pixels
from raysynth.evaluation.plan import REAL, default_epochs, pays_for_ray, plan_trainings, steps_of
from raysynth.evaluation.predict import Source, predict_all
from raysynth.evaluation.scores import score_tables
from raysynth.evaluation.verdict import verdict
from raysynth.files import write_text
from raysynth.training.run_folder import check_out_folder, describe_environment, name_folder

FORMAT = 2
CLASSIFIERS_FOLDER = "classifiers"  # beside the evaluations, which share it

Say = Callable[[str], None]


def evaluate(
    real: Location | str | Dataset | None,
    synthetic: Sequence[Location | str],
    *,
    seeds: int | None = None,
    classifier: str = DEFAULT_CLASSIFIER,
    backbone: str | None = None,
    weights: str | None = None,
    input_size: int | None = None,
    out: Location | str = "evaluations",
    epochs: int | None = None,
    curves: bool = False,
    soft_labels: bool = False,
    workers: int | None = None,
    allow_leakage: bool = False,
    say: Say = lambda line: None,
) -> Location:
    """Train the classifier on real, synthetic and mixed images, score it, compare the images; return the folder.

    `real` None stands for the embedded phantom data set.
    Each training set gets `seeds` classifiers (seeds 0, 1, ...; default: 5 of `cnn`, 3 of `transfer`), trained for
    `epochs` epochs (default: about 1200 steps on the real images, 480 of `transfer`). `transfer` fine-tunes `backbone`
    (default: EfficientNet-Lite0) with its published weights or those of the file `weights`, on images of `input_size`
    pixels. `workers` is the number of CPUs of a local Ray (0: no Ray, all in this process; default: all, or 0 where
    that is the quicker way: a cluster is always made use of).
    `soft_labels` adds, apart from the rest, training on each synthetic set with the labels that a classifier of the
    real images gives (distillation).
    `curves` adds accuracy against the number of real images and against the ratio of synthetic ones, for one synthetic
    set (2 seeds by default; see `evaluation.curves`).
    Everything lands in one new folder `out/evaluation-...`; its `evaluation.json` is written last, so a folder without
    it is an evaluation that did not finish; in a bucket the folder comes as a whole, at the end. The classifiers are in
    `out/classifiers`, where evaluations after it find them: what was trained before is not trained again, and a stopped
    one goes on.
    A synthetic set whose training data, pre-training included, touch the test split is refused; with `allow_leakage` it
    is evaluated, and marked in all that rests on it.
    Raises UserError for such sets and for those that do not fit together, before Ray is started.
    """
    # 1. Check what was asked for, and plan.
    for option, value in (("--seeds", seeds), ("--epochs", epochs)):
        if value is not None and value < 1:
            raise UserError(f"{option} {value}: want a whole number of at least 1")
    real_set, synthetic_sets = load_inputs(real, synthetic, say, allow_leakage=allow_leakage)
    # On every row and item, since tables are copied without their folder: see `raysynth.data.contact.Status`.
    leakage = {REAL: real_set.leakage.status} | {item.name: item.leakage for item in synthetic_sets}
    choice = choose_classifier(classifier, real_set.shape, backbone=backbone, weights=weights, input_size=input_size)
    num_real = real_set.num_images("train")
    if curves and len(synthetic_sets) != 1:
        raise UserError(f"--curves: {len(synthetic_sets)} synthetic sets; curves are of one: name one --synthetic")
    num_seeds = seeds or (CURVE_SEEDS if curves else choice.default_seeds)
    num_epochs = epochs or default_epochs(num_real, BATCH_SIZE, choice.name)
    trainings = plan_trainings(
        num_real,
        {item.name: item.num_images for item in synthetic_sets},
        seeds=range(num_seeds),
        epochs=num_epochs,
        batch_size=BATCH_SIZE,
        soft_labels=soft_labels,
    )
    points = plan_points(num_real, synthetic_sets[0].num_images) if curves else []
    num_steps = steps_of(num_real, num_epochs, BATCH_SIZE)
    of_points = [
        (point, point_training(point, synthetic_sets[0].name, seed=seed, steps=num_steps, batch_size=BATCH_SIZE))
        for point in points
        for seed in range(num_seeds)
    ]
    place = name_folder(check_out_folder(out), "evaluation").resolve()
    mirror = Mirror(place) if isinstance(place, BucketPath) else None
    folder = mirror.path if mirror else Path(str(place))
    for warning in (warning for item in synthetic_sets for warning in item.warnings):
        say(f"warning: {warning}")

    with_ray = workers != 0
    if workers is None and not joined_cluster():
        with_ray = pays_for_ray(
            trainings + [training for _, training in of_points],
            num_images=sum(item.num_images() for item in (real_set, *(item.dataset for item in synthetic_sets))),
            num_values=choice.num_values(real_set.shape),
            num_cores=num_cores(),
        )
    clock = _Clock()
    with ray_session(num_cpus=workers) if with_ray else nullcontext():
        if with_ray:
            reads = {f"--synthetic {item.name}": item.dataset.path for item in synthetic_sets}
            refuse_invisible({"--real": real_set.path, **reads}, {"--out": place.parent})
        folder.mkdir(parents=True, exist_ok=True)
        clock.lap("start")

        # 2. How alike are the images?
        pixels = compare_pixels(folder, real_set, synthetic_sets, leakage, with_ray=with_ray, say=say)
        clock.lap("pixels")
        fidelity = compare_features(folder, place, real_set, synthetic_sets, leakage, with_ray=with_ray, say=say)
        clock.lap("fidelity")
        copies = compare_copies(folder, real_set, synthetic_sets, leakage, with_ray=with_ray, say=say)
        clock.lap("copies")

        # 3. Train the classifiers that are not known yet.
        sets = {item.name: item.dataset for item in synthetic_sets}
        wanted = [(training, choice.options) for training in trainings]
        wanted += [(training, choice.options | point.options) for point, training in of_points]
        jobs: list[dict[str, Any]] = []
        teachers: dict[int, str] = {}  # seed -> the classifier of the real images
        for training, options in wanted:
            job = training_job(
                training,
                real=real_set,
                synthetic=sets.get(training.synthetic or ""),
                classifier=choice.name,
                options=options,
                folder=place.parent / CLASSIFIERS_FOLDER,
                teacher=teachers[training.seed] if training.kind == "distilled" else "",
            )
            jobs.append(job)
            if training.trained_on == REAL:
                teachers[training.seed] = job["file"]
        results = train_all([training for training, _ in wanted], jobs, with_ray=with_ray, say=say)
        files = [locate(job["file"]) for job in jobs]
        clock.lap("training")

        # 4. Score them: the predictions are the raw result.
        sources = [Source(REAL, real_set), *(Source(item.name, item.dataset) for item in synthetic_sets)]
        num_trainings = len(trainings)
        predictions = predict_all(sources, trainings, files[:num_trainings], with_ray=with_ray, say=say)
        predictions.to_parquet(folder / "predictions.parquet", index=False)
        if points:
            of_curves = predict_all(
                sources[:1], [each for _, each in of_points], files[num_trainings:], with_ray=with_ray, say=say
            )
            of_curves.to_parquet(folder / "curve_predictions.parquet", index=False)
            table = curve_table(of_curves, points)
            _write_table(folder / "curves.csv", table.assign(leakage=synthetic_sets[0].leakage))
            for line in describe_curves(table):
                say(line)
        clock.lap("scoring")

    # 5. Everything else follows from them.
    steps = {(training.trained_on, training.seed): training.steps for training in trainings}
    of_training = {training.trained_on: leakage[training.synthetic or REAL] for training in trainings}
    for name, table in vars(score_tables(predictions, real_set.classes, steps)).items():
        _write_table(folder / f"{name}.csv", table.assign(leakage=table["trained_on"].map(of_training)))
    _write_table(folder / "floors.csv", floor_table(real_set).assign(leakage=leakage[REAL]))
    decision = verdict(
        predictions,
        comparisons(trainings),
        leakage=asdict(real_set.leakage),
        leakage_of=leakage,
        warnings=[warning for item in synthetic_sets for warning in item.warnings],
    )
    clock.lap("tables")

    # 6. Complete.
    content = {
        "format": FORMAT,
        "created": datetime.now().astimezone().isoformat(timespec="seconds"),
        "real": describe_real(real_set),
        "synthetic": [describe_synthetic(item) for item in synthetic_sets],
        "allow_leakage": allow_leakage,
        "seeds": list(range(num_seeds)),
        "classifier": choice.describe(),
        "trainings": [
            describe_training(training)
            | {"weights": f"../{CLASSIFIERS_FOLDER}/{file.name}", **result, "leakage": of_training[training.trained_on]}
            for training, file, result in zip(trainings, files, results, strict=False)  # curves have theirs after them
        ],
        "curves": bool(points),
        "pixels": pixels,
        "fidelity": fidelity,
        "copies": copies,
        "verdict": decision,
        "seconds": clock.seconds,
        "software": describe_environment(),
    }
    write_text(folder / "evaluation.json", json.dumps(content, indent=2, ensure_ascii=False) + "\n")
    if mirror is not None:
        mirror.push_at_last()
    return place


def _write_table(path: Path, table: pd.DataFrame) -> None:
    write_text(path, table.to_csv(index=False))


class _Clock:
    """Wall time of each part, in seconds."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}
        self.before = time.perf_counter()

    def lap(self, name: str) -> None:
        now = time.perf_counter()
        self.seconds[name] = round(now - self.before, 2)
        self.before = now
