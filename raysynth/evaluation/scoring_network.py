"""The network in whose features a search is ranked: trained once on the train split, and kept beside the data.

No training loss uses it and no sample is filtered by it, so no family can learn to please it.
"""

from __future__ import annotations

import pickle
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch

from raysynth.cluster.session import num_threads
from raysynth.data.batches import in_order
from raysynth.data.dataset import Dataset
from raysynth.data.locations import Location
from raysynth.errors import UserError
from raysynth.evaluation.diversity import Diversity
from raysynth.evaluation.fit import AnyNetwork, load_network, scoring_batch_size
from raysynth.evaluation.frechet import MAX_FEATURES, joint_frechet
from raysynth.evaluation.kept_classifier import ensure_classifier
from raysynth.training.checkpoints import brief

# Small and short on purpose: it is trained before every first search on a data set.
RECIPE = {"widths": [16, 32, 48, MAX_FEATURES], "num_steps": 300, "batch_size": 64, "seed": 20_000}
MIN_GENERATED, MAX_GENERATED = 256, 2048  # images that a score is computed from


class ScoringNetwork:
    """Pooled features of a small classifier."""

    def __init__(self, network: AnyNetwork) -> None:
        self.network = network

    @torch.no_grad()
    def features(self, images: np.ndarray) -> np.ndarray:
        """Features (N, D) float64, D <= 64, of images (N, C, H, W), or volumes (N, C, D, H, W), uint8."""
        device = next(self.network.parameters()).device
        labels, batch_size = np.zeros(len(images), np.int64), scoring_batch_size(images.shape[1:])
        parts = [
            self.network.features(batch).double().cpu().numpy()
            for batch, _ in in_order(images, labels, batch_size=batch_size, device=device)
        ]
        return np.concatenate(parts)


def ensure_scoring_network(
    dataset: Dataset,
    *,
    fallback_folder: Path | None = None,
    run_folder: Location | None = None,
    say: Callable[[str], None] = lambda line: None,
) -> Location:
    """The file of this data set's scoring network, `DIR/scoring/<fingerprint>-<recipe>.pt`; trained if need be. The
    recipe is the code too: another version of it trains its own.

    It is kept in `fallback_folder` where DIR cannot be written to, and where DIR is in a bucket. Where DIR or
    `run_folder` is in one, the file is a copy in `run_folder`, which all workers of a run see. Raises UserError when
    the data set has no train images.
    """
    # One core is left to Ray, which starts beside a search. And the same for every verb: with another number of threads
    # sums are rounded otherwise, and it would be another network.
    threads = max(1, num_threads() - 1)
    network = ensure_classifier(
        dataset, RECIPE, purpose="scoring network", fallback_folder=fallback_folder, threads=threads, say=say
    )
    if run_folder is None or (isinstance(dataset.path, Path) and isinstance(run_folder, Path)):
        return network
    file = run_folder / "scoring.pt"
    if isinstance(file, Path):
        file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(network.read_bytes())
    return file


def load_scoring_network(path: Location, device: str = "cpu") -> ScoringNetwork:
    """The network of a file of `ensure_scoring_network`.

    Raises UserError when it is gone, broken, or another version's: scores of another network cannot be compared.
    """
    try:
        return ScoringNetwork(load_network(path, device))
    except (OSError, EOFError, RuntimeError, ValueError, KeyError, pickle.UnpicklingError) as error:
        reason = getattr(error, "strerror", None) or brief(error)
        raise UserError(
            f"scoring network {path}: cannot be read ({reason}); finish what it scored with the version that began it, "
            "or begin anew"
        ) from error


def feature_scale(features: np.ndarray) -> np.ndarray:
    """Standard deviation (D,) of features (N, D), the unit of distances; those that hardly vary are not blown up."""
    deviation = features.std(axis=0)
    scale: np.ndarray = np.maximum(deviation, 1e-2 * max(float(deviation.max()), 1e-6))
    return scale


class FrechetScorer:
    """`score(images, labels)`: the joint Frechet distance to the validation split; lower is better.

    `labels` (N,) are those to generate images for: the validation split's, repeated until there are at least 256, so
    that the classes are as frequent and n is fixed.
    """

    def __init__(self, dataset: Dataset, network: ScoringNetwork) -> None:
        """Raises UserError when the data set has no validation images."""
        images, validation_labels = dataset.pixels("validation")
        if not len(images):
            raise UserError(
                f"--data {dataset.path}: no images in the split validation, which a search is ranked by; "
                "import the images with --validation 0.1"
            )
        self.network = network
        self.num_classes = len(dataset.classes)
        features = network.features(images)
        self.scale = feature_scale(features)
        self.reference = features / self.scale
        self.reference_labels = validation_labels
        self.diversity = Diversity(self.reference, images, validation_labels)
        labels = np.tile(validation_labels, -(-MIN_GENERATED // len(validation_labels)))
        if len(labels) > MAX_GENERATED:
            labels = np.random.default_rng(0).choice(labels, MAX_GENERATED, replace=False)
        self.labels: np.ndarray = labels

    def score(self, images: np.ndarray, labels: np.ndarray) -> float:
        """The distance of generated images (N, C, H, W) uint8 with the labels that they were generated for."""
        return self.measure(images, labels)["frechet"]

    def measure(self, images: np.ndarray, labels: np.ndarray) -> dict[str, float]:
        """`frechet`, as `score` gives it, and the least diverse class: `diversity` (see `Diversity`) of the class
        with the label `diversity_class`; both are missing where no class has enough validation images.
        """
        features = self.network.features(images) / self.scale
        measured = {"frechet": joint_frechet(self.reference, self.reference_labels, features, labels, self.num_classes)}
        if (lowest := self.diversity.lowest(features, images, labels)) is not None:
            measured |= {"diversity": lowest[0], "diversity_class": float(lowest[1])}
        return measured
