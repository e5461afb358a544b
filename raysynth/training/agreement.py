"""Choosing among generated images: those are kept whose label a classifier of the real images confirms.

The classifier is trained on the train split of the real images alone, and is neither the scoring network nor one of
those that an evaluation trains. What it keeps it has taught: scores of sets so chosen are reported apart.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from raysynth.data.dataset import Dataset, load_dataset
from raysynth.data.default import cache_folder
from raysynth.errors import UserError
from raysynth.training.selection import Judge

# As an evaluation's own classifier, but for the seed.
RECIPE: dict[str, Any] = {"num_steps": 600, "batch_size": 64, "seed": 40_000}


def training_dataset(settings: dict[str, Any], option: str) -> Dataset:
    """The data set that a run was trained on, by the run's `config.yaml`.

    Raises UserError, naming the `option` that needs it, where it is gone or has changed.
    """
    data = settings["data"]
    dataset = load_dataset(data["path"], option)
    if dataset.fingerprint != data["fingerprint"]:
        raise UserError(f"{option}: {data['path']} is not the data set that the run was trained on any more")
    return dataset


def ensure_agreement_classifier(settings: dict[str, Any], say: Callable[[str], None]) -> Path:
    """The classifier of the data set that a run was trained on, see `training_dataset`."""
    from raysynth.cluster.session import num_threads
    from raysynth.evaluation.kept_classifier import ensure_classifier

    dataset = training_dataset(settings, "--keep agreeing")
    fallback = cache_folder() / "scoring"
    return ensure_classifier(
        dataset, RECIPE, purpose="agreement classifier", fallback_folder=fallback, threads=num_threads(), say=say
    )


def agreement_judge(classifier: Path, confidence: float) -> Judge:
    """Keeps the images to which the classifier gives their label with a probability above `confidence`."""
    from raysynth.evaluation.fit import load_network, predict_probabilities

    network = load_network(classifier)

    def keeps(images: np.ndarray, label: int) -> np.ndarray:
        agrees: np.ndarray = predict_probabilities(network, images)[:, label] > confidence
        return agrees

    return Judge(
        keeps,
        "--keep agreeing: of {drawn} images of {name} only {kept} are taken for it with a probability "
        f"above {confidence}; lower --confidence, or train longer",
    )
