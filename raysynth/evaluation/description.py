"""What `evaluation.json` says of the sets and trainings of an evaluation."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from raysynth.data.dataset import Dataset
from raysynth.evaluation.inputs import SyntheticSet
from raysynth.evaluation.plan import REAL, Training, baseline_at
from raysynth.evaluation.verdict import Comparison


def comparisons(trainings: Sequence[Training]) -> list[Comparison]:
    """Each synthetic set alone, and distilled, against real, and its mix against real at equal exposures and at equal
    steps."""
    names = {training.trained_on for training in trainings}
    found = {}
    for training in trainings:
        assert training.kind == "real" or training.synthetic is not None
        if training.kind == "synthetic":
            found[training.trained_on] = Comparison(str(training.synthetic), "generated", training.trained_on, (REAL,))
        elif training.kind == "distilled":
            found[training.trained_on] = Comparison(str(training.synthetic), "distilled", training.trained_on, (REAL,))
        elif training.kind == "mixed":
            baselines = (REAL, baseline_at(training.steps))
            found[training.trained_on] = Comparison(
                str(training.synthetic), "mixed", training.trained_on, [name for name in baselines if name in names]
            )
    return list(found.values())


def describe_real(dataset: Dataset) -> dict[str, Any]:
    return {
        "path": str(dataset.path.resolve()),
        "name": dataset.name,
        "fingerprint": dataset.fingerprint,
        "classes": list(dataset.classes),
        "shape": list(dataset.shape),
        "counts": dataset.counts,
        "leakage": asdict(dataset.leakage),
    }


def describe_synthetic(item: SyntheticSet) -> dict[str, Any]:
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


def describe_training(training: Training) -> dict[str, Any]:
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
    }
