"""Classifiers of a data set's train split that are trained once, by a fixed recipe, and kept beside the data."""

from __future__ import annotations

import functools
import inspect
import pickle
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from raysynth.config import hash_content
from raysynth.data.dataset import Dataset
from raysynth.data.pixels import split_pixels
from raysynth.errors import UserError
from raysynth.evaluation import fit
from raysynth.evaluation.fit import fit_classifier, limited_threads, load_network, save_classifier
from raysynth.models import augment, blocks, classifier
from raysynth.models.classifier import Classifier


def ensure_classifier(
    dataset: Dataset,
    recipe: Mapping[str, Any],
    *,
    purpose: str,
    fallback_folder: Path | None = None,
    threads: int | None = None,
    say: Callable[[str], None] = lambda line: None,
) -> Path:
    """The file of the classifier of a recipe (a `Classifier.Config`), `DIR/scoring/<fingerprint>-<recipe>.pt`; trained
    if need be. The recipe is the code too: another version of it trains its own.

    It is kept in `fallback_folder` where DIR cannot be written to or is in a bucket. `purpose` is what it is called.
    Raises UserError when the data set has no train images.
    """
    name = f"{dataset.fingerprint}-{hash_content([recipe, _code()])}.pt"
    folders = [dataset.path / "scoring"] if isinstance(dataset.path, Path) else []
    folders += [fallback_folder] if fallback_folder else []
    for folder in folders:
        if (folder / name).is_file():
            try:
                load_network(folder / name)
                return folder / name
            except (OSError, EOFError, RuntimeError, ValueError, KeyError, pickle.UnpicklingError) as error:
                say(f"{folder / name} cannot be read ({type(error).__name__}): training it again")

    images, labels = split_pixels(dataset, "train")
    if not len(images):
        raise UserError(f"--data {dataset.path}: no images in the split train; import the images again")
    started = time.perf_counter()
    with limited_threads(threads):
        fitted = fit_classifier(
            images,
            labels,
            config=Classifier.Config(**{**recipe, "batch_size": min(int(recipe["batch_size"]), len(images))}),
            num_classes=len(dataset.classes),
            validation=dataset.pixels("validation"),
        )
    problem: OSError | None = None
    for folder in folders:
        try:
            save_classifier(folder / name, fitted.model, dataset.classes)
        except OSError as error:  # a read-only data set is fine as long as there is another place
            problem = error
            continue
        accuracy = fitted.validation_accuracy
        judged = "" if accuracy is None else f" (validation accuracy {accuracy:.3f})"
        say(f"{purpose} trained in {time.perf_counter() - started:.0f} s{judged}: {folder / name}")
        return folder / name
    reason = problem or "a bucket"
    raise UserError(f"--data {dataset.path}: the {purpose} cannot be written there ({reason}); copy the data set")


@functools.cache
def _code() -> list[str]:
    """The text of what trains a classifier: a change of it is another network, whose distances are not comparable."""
    return [inspect.getsource(module) for module in (classifier, augment, blocks, fit)]
