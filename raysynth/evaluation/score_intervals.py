"""Intervals of macro-averaged scores, by resampling groups of images and seeds."""

from __future__ import annotations

import math

import numpy as np

from raysynth.evaluation.averages import macro_scores

BOOTSTRAP_SAMPLES = 1000
_CHUNK = 100  # samples computed at once: bounds the memory


def macro_intervals(
    labels: np.ndarray,
    predicted: np.ndarray,
    groups: np.ndarray,
    num_classes: int,
    *,
    confidence: float = 0.95,
    seed: int = 0,
) -> dict[str, tuple[float, float]]:
    """Intervals of `recall_macro`, `precision_macro` and `f1_macro`, means over S seeds.

    `groups` (N,) are of the images, `labels` and `predicted` (N, S) of the images and classifiers. Groups are drawn
    with replacement, for images of one are not independent, and so are seeds; the ends are percentiles. As in
    `bootstrap_difference`, seeds drawn from S vary too little by sqrt((S - 1) / S), and their deviations are widened.
    """
    _, index = np.unique(groups, return_inverse=True)
    num_groups, num_seeds = int(index.max()) + 1, predicted.shape[1]
    # What each group puts into the confusion matrix of each seed: a sample of groups is then one product of matrices.
    counts = np.zeros((num_groups, num_seeds, num_classes * num_classes))
    for column in range(num_seeds):
        np.add.at(counts[:, column], (index, labels[:, column] * num_classes + predicted[:, column]), 1)

    random = np.random.default_rng(seed)
    widening = math.sqrt(num_seeds / (num_seeds - 1)) if num_seeds > 1 else 1.0
    samples: dict[str, list[np.ndarray]] = {}
    for start in range(0, BOOTSTRAP_SAMPLES, _CHUNK):
        num_draws = min(_CHUNK, BOOTSTRAP_SAMPLES - start)
        of_group = random.multinomial(num_groups, np.full(num_groups, 1 / num_groups), size=num_draws)
        of_seed = random.multinomial(num_seeds, np.full(num_seeds, 1 / num_seeds), size=num_draws) / num_seeds
        matrices = (of_group @ counts.reshape(num_groups, -1)).reshape(num_draws, num_seeds, num_classes, num_classes)
        for name, values in macro_scores(matrices).items():
            mean = values.mean(axis=1, keepdims=True)
            drawn = mean[:, 0] + widening * ((values - mean) * of_seed).sum(axis=1)
            samples.setdefault(name, []).append(drawn)
    ends = (0.5 - confidence / 2, 0.5 + confidence / 2)
    intervals = {}
    for name, parts in samples.items():
        low, high = np.quantile(np.concatenate(parts), ends)
        intervals[name] = max(0.0, float(low)), min(1.0, float(high))
    return intervals
