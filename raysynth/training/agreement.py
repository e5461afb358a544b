"""Choosing among generated images: those are kept whose label a classifier of the real images confirms.

The classifier is trained on the train split of the real images alone, and is neither the scoring network nor one of
those that an evaluation trains. What it keeps it has taught: scores of sets so chosen are reported apart.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from raysynth.data.dataset import load_dataset
from raysynth.data.default import cache_folder
from raysynth.errors import UserError
from raysynth.training.worker import CHUNK_SIZE

# As an evaluation's own classifier, but for the seed.
RECIPE: dict[str, Any] = {"num_steps": 600, "batch_size": 64, "seed": 40_000}
MAX_DRAWS, MIN_DRAWS = 20, 640  # drawn for each one that is wanted, and at least, before a class is given up


def ensure_agreement_classifier(settings: dict[str, Any], say: Callable[[str], None]) -> Path:
    """The classifier of the data set that a run was trained on, by the run's `config.yaml`.

    Raises UserError where that data set is gone or has changed.
    """
    from raysynth.cluster.session import num_cores
    from raysynth.evaluation.kept_classifier import ensure_classifier

    data = settings["data"]
    dataset = load_dataset(data["path"], "--keep agreeing")
    if dataset.fingerprint != data["fingerprint"]:
        raise UserError(f"--keep agreeing: {data['path']} is not the data set that the run was trained on any more")
    fallback = cache_folder() / "scoring"
    return ensure_classifier(
        dataset, RECIPE, purpose="agreement classifier", fallback_folder=fallback, threads=num_cores(), say=say
    )


def draw_agreeing(
    draw: Callable[[np.ndarray, np.ndarray], np.ndarray],
    seed_of: Callable[[int, int], int],
    counts: Sequence[int],
    classes: Sequence[str],
    classifier: Path,
    *,
    confidence: float,
) -> tuple[np.ndarray, np.ndarray, np.ndarray, dict[str, float]]:
    """Images (N, C, H, W) uint8, labels (N,) and numbers (N,) of the first `counts` of each class that agree, and the
    share of each class's images that did.

    `draw(labels, seeds)` draws images; `seed_of(class, number)` is the seed of a class's image of that number. Raises
    UserError where hardly any of a class agree.
    """
    from raysynth.evaluation.fit import load_network, predict_probabilities

    network = load_network(classifier)
    images, labels, numbers = [], [], []
    shares: dict[str, float] = {}
    for label, (name, wanted) in enumerate(zip(classes, counts, strict=True)):
        kept, drawn = 0, 0
        while kept < wanted:
            if drawn >= max(MAX_DRAWS * wanted, MIN_DRAWS):
                raise UserError(
                    f"--keep agreeing: of {drawn} images of {name} only {kept} are taken for it with a probability "
                    f"above {confidence}; lower --confidence, or train longer"
                )
            num_chunks = -(-(wanted - kept) // CHUNK_SIZE)
            block = np.arange(drawn, drawn + num_chunks * CHUNK_SIZE)
            of_label = np.full(len(block), label)
            candidates = draw(of_label, np.array([seed_of(label, int(number)) for number in block], dtype=np.int64))
            agrees = np.flatnonzero(predict_probabilities(network, candidates)[:, label] > confidence)
            taken = agrees[: wanted - kept]
            # Of the images after the last that was taken nothing is asked.
            drawn += int(taken[-1]) + 1 if len(taken) == wanted - kept else len(block)
            images.append(candidates[taken])
            numbers.append(block[taken])
            labels.append(of_label[taken])
            kept += len(taken)
        if wanted:
            shares[name] = round(kept / drawn, 4)
    return np.concatenate(images), np.concatenate(labels), np.concatenate(numbers), shares
