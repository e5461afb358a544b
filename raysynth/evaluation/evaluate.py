"""`evaluate`: do synthetic images help a classifier, and how like the real ones are they?"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import asdict
from datetime import datetime
from pathlib import Path
from typing import Any

import pandas as pd

from raysynth.cluster.session import num_cores, ray_session
from raysynth.data.dataset import Dataset
from raysynth.data.default import cache_folder
from raysynth.data.locations import Location
from raysynth.errors import UserError
from raysynth.evaluation.classifiers import THREADS, train_all, training_job
from raysynth.evaluation.copies import compare_copies
from raysynth.evaluation.fidelity import NEIGHBOURS, NUM_DRAWS, describe_fidelity, fidelity_table
from raysynth.evaluation.histograms import dataset_histograms, histogram_table
from raysynth.evaluation.inputs import SyntheticSet, load_inputs
from raysynth.evaluation.ks import ks_table
from raysynth.evaluation.plan import REAL, Training, baseline_at, default_epochs, plan_trainings
from raysynth.evaluation.predict import Source, predict_all
from raysynth.evaluation.scores import score_tables
from raysynth.evaluation.verdict import Comparison, verdict
from raysynth.files import write_text
from raysynth.training.run_folder import check_out_folder, describe_environment, name_folder

FORMAT = 1
CLASSIFIER = "cnn"
BATCH_SIZE = 64

Say = Callable[[str], None]


def evaluate(
    real: Location | str | Dataset | None,
    synthetic: Sequence[Location | str],
    *,
    seeds: int = 3,
    out: Path | str = "evaluations",
    epochs: int | None = None,
    workers: int | None = None,
    allow_leakage: bool = False,
    say: Say = lambda line: None,
) -> Path:
    """Train the classifier on real, synthetic and mixed images, score it, compare the images; return the folder.

    `real` None stands for the embedded phantom data set.
    Each training set gets `seeds` classifiers (seeds 0, 1, ...), trained for `epochs` epochs (default: about 1200
    steps on the real images). `workers` is the number of CPUs of a local Ray (default: all; 0: no Ray, all in this
    process). Everything lands in one new folder `out/evaluation-...`; its `evaluation.json` is written last, so a
    folder without it is an evaluation that did not finish.
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
    num_real = real_set.num_images("train")
    trainings = plan_trainings(
        num_real,
        {item.name: item.num_images for item in synthetic_sets},
        seeds=range(seeds),
        epochs=epochs or default_epochs(num_real, BATCH_SIZE),
        batch_size=BATCH_SIZE,
    )
    check_out_folder(out)
    folder = name_folder(Path(out), "evaluation").resolve()
    folder.mkdir(parents=True)
    for warning in (warning for item in synthetic_sets for warning in item.warnings):
        say(f"warning: {warning}")

    with_ray = workers != 0
    clock = _Clock()
    with ray_session(num_cpus=workers) if with_ray else nullcontext():
        clock.lap("start")

        # 2. How alike are the images?
        _compare_intensities(folder, real_set, synthetic_sets, leakage, with_ray=with_ray, say=say)
        clock.lap("intensities")
        fidelity = _compare_features(folder, real_set, synthetic_sets, leakage, say=say)
        clock.lap("fidelity")
        copies = compare_copies(folder, real_set, synthetic_sets, leakage, with_ray=with_ray, say=say)
        clock.lap("copies")

        # 3. Train the classifiers.
        say(f"training {len(trainings)} classifiers, {sum(training.steps for training in trainings)} steps in all")
        paths = {item.name: item.dataset.path.resolve() for item in synthetic_sets}
        jobs = [
            training_job(
                training,
                real=real_set.path.resolve(),
                synthetic=paths[training.synthetic] if training.synthetic else None,
                classes=real_set.classes,
                folder=folder,
            )
            for training in trainings
        ]
        results = train_all(trainings, jobs, with_ray=with_ray, say=say)
        clock.lap("training")

        # 4. Score them: the predictions are the raw result.
        sources = [Source(REAL, real_set), *(Source(item.name, item.dataset) for item in synthetic_sets)]
        predictions = predict_all(sources, trainings, folder, with_ray=with_ray, say=say)
        predictions.to_parquet(folder / "predictions.parquet", index=False)
        clock.lap("scoring")

    # 5. Everything else follows from them.
    steps = {(training.trained_on, training.seed): training.steps for training in trainings}
    of_training = {training.trained_on: leakage[training.synthetic or REAL] for training in trainings}
    for name, table in vars(score_tables(predictions, real_set.classes, steps)).items():
        _write_table(folder / f"{name}.csv", table.assign(leakage=table["trained_on"].map(of_training)))
    decision = verdict(
        predictions,
        _comparisons(trainings),
        leakage=asdict(real_set.leakage),
        leakage_of=leakage,
        warnings=[warning for item in synthetic_sets for warning in item.warnings],
    )
    clock.lap("tables")

    # 6. Complete.
    content = {
        "format": FORMAT,
        "created": datetime.now().astimezone().isoformat(timespec="seconds"),
        "real": _describe_real(real_set),
        "synthetic": [_describe_synthetic(item) for item in synthetic_sets],
        "allow_leakage": allow_leakage,
        "seeds": list(range(seeds)),
        "classifier": {"name": CLASSIFIER, "config": _classifier_config()},
        "trainings": [
            _describe_training(training, result | {"leakage": of_training[training.trained_on]})
            for training, result in zip(trainings, results, strict=True)
        ],
        "fidelity": fidelity,
        "copies": copies,
        "verdict": decision,
        "seconds": clock.seconds,
        "software": describe_environment(),
    }
    write_text(folder / "evaluation.json", json.dumps(content, indent=2, ensure_ascii=False) + "\n")
    return folder


def _compare_intensities(
    folder: Path,
    real: Dataset,
    synthetic: Sequence[SyntheticSet],
    leakage: Mapping[str, str],
    *,
    with_ray: bool,
    say: Say,
) -> None:
    """Write histograms.csv and ks.csv: real `train` images against each synthetic set."""
    real_histograms, *others = dataset_histograms(
        [real, *(item.dataset for item in synthetic)], real.classes, with_ray=with_ray
    )
    histograms = [histogram_table(REAL, real_histograms, real.classes)]
    distances = []
    for item, generated in zip(synthetic, others, strict=True):
        histograms.append(histogram_table(item.name, generated, real.classes))
        distances.append(ks_table(item.name, real_histograms, generated, real.classes, say))
        total = distances[-1][distances[-1]["class"] == "all"]["statistic"]
        say(f"{item.name}: Kolmogorov-Smirnov statistic of pixel intensity {', '.join(f'{d:.4f}' for d in total)}")
    for name, source, parts in (("histograms", "source", histograms), ("ks", "synthetic", distances)):
        table = pd.concat(parts, ignore_index=True)
        _write_table(folder / f"{name}.csv", table.assign(leakage=table[source].map(leakage)))


def _compare_features(
    folder: Path, real: Dataset, synthetic: Sequence[SyntheticSet], leakage: Mapping[str, str], *, say: Say
) -> dict[str, Any]:
    """Write fidelity.csv, each set against real `validation` images; return how it was measured."""
    from raysynth.evaluation.fit import limited_threads
    from raysynth.evaluation.scoring_network import ensure_scoring_network, load_scoring_network

    file = ensure_scoring_network(
        real, fallback_folder=cache_folder() / "scoring", run_folder=folder, threads=num_cores(), say=say
    )
    with limited_threads(THREADS):
        table = fidelity_table(real, {item.name: item.dataset for item in synthetic}, load_scoring_network(file))
    _write_table(folder / "fidelity.csv", table.assign(leakage=table["source"].map(leakage)))
    for line in describe_fidelity(table) or ["no fidelity: the real data set has no validation images"]:
        say(line)
    return {"scoring_network": str(file), "split": "validation", "neighbours": NEIGHBOURS, "draws": NUM_DRAWS}


def _comparisons(trainings: Sequence[Training]) -> list[Comparison]:
    """Each synthetic set alone against real, and its mix against real at equal exposures and at equal steps."""
    names = {training.trained_on for training in trainings}
    comparisons = {}
    for training in trainings:
        assert training.kind == "real" or training.synthetic is not None
        if training.kind == "synthetic":
            comparisons[training.trained_on] = Comparison(
                str(training.synthetic), "generated", training.trained_on, (REAL,)
            )
        elif training.kind == "mixed":
            baselines = (REAL, baseline_at(training.steps))
            comparisons[training.trained_on] = Comparison(
                str(training.synthetic), "mixed", training.trained_on, [name for name in baselines if name in names]
            )
    return list(comparisons.values())


def _describe_real(dataset: Dataset) -> dict[str, Any]:
    return {
        "path": str(dataset.path.resolve()),
        "name": dataset.name,
        "fingerprint": dataset.fingerprint,
        "classes": list(dataset.classes),
        "shape": list(dataset.shape),
        "counts": dataset.counts,
        "leakage": asdict(dataset.leakage),
    }


def _describe_synthetic(item: SyntheticSet) -> dict[str, Any]:
    return {
        "name": item.name,
        "path": str(item.dataset.path.resolve()),
        "fingerprint": item.dataset.fingerprint,
        "counts": item.dataset.counts,
        "provenance": item.dataset.provenance,
        "warnings": item.warnings,
        "leakage": item.leakage,
        "contact": asdict(item.contact),
    }


def _describe_training(training: Training, result: dict[str, Any]) -> dict[str, Any]:
    return {
        "trained_on": training.trained_on,
        "kind": training.kind,
        "synthetic": training.synthetic,
        "seed": training.seed,
        "num_images": training.num_images,
        "batch_size": training.batch_size,
        "epochs": training.epochs,
        "steps": training.steps,
        "real_exposures": training.real_exposures,
        "weights": training.weights,
        **result,
    }


def _classifier_config() -> dict[str, Any]:
    """The classifier's config as far as all trainings share it."""
    from raysynth.models.classifier import Classifier

    return Classifier.Config(batch_size=BATCH_SIZE).model_dump(mode="json", exclude={"seed", "num_steps"})


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
