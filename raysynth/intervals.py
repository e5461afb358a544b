"""Intervals that say how sure a score is."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from statistics import NormalDist

import numpy as np

BOOTSTRAP_SAMPLES = 4000
_CHUNK = 500  # bootstrap samples drawn at once: bounds the memory for test sets of many groups


def wilson_interval(proportion: float, n: int, confidence: float = 0.95) -> tuple[float, float]:
    """Wilson's score interval of a proportion of `n` trials; (0, 1), nothing known, for n = 0."""
    if not 0.0 <= proportion <= 1.0:
        raise ValueError(f"proportion: want 0 to 1, got {proportion}")
    if n == 0:
        return 0.0, 1.0
    z = NormalDist().inv_cdf(0.5 + confidence / 2)
    centre = (proportion + z * z / (2 * n)) / (1 + z * z / n)
    half_width = z / (1 + z * z / n) * math.sqrt(proportion * (1 - proportion) / n + z * z / (4 * n * n))
    return max(0.0, centre - half_width), min(1.0, centre + half_width)


@dataclass(frozen=True)
class Difference:
    """A mean difference of accuracy, its 95 % interval and standard error; all as fractions, not percent.

    `p_value` is of the hypothesis that there is none, two-sided: 1 less the confidence of the interval that ends at 0.
    """

    mean: float
    low: float
    high: float
    standard_error: float
    p_value: float
    num_differing_groups: int


def bootstrap_difference(
    differences: np.ndarray, groups: np.ndarray, *, confidence: float = 0.95, seed: int = 0
) -> Difference:
    """Interval of the mean of paired differences (N images, S seeds) by resampling groups (N,) and seeds.

    Groups, not images, are drawn: twins and images of one patient are not independent. S of S seeds drawn with
    replacement vary too little by the factor sqrt((S - 1) / S); the seeds' deviations are widened by it first. Then
    the interval is widened as Student's t widens a normal one, with Welch and Satterthwaite's degrees of freedom:
    the spread of two or three seeds is itself hardly known. With one seed the interval covers the choice of test
    images only.
    """
    _, index = np.unique(groups, return_inverse=True)
    num_groups, num_seeds = int(index.max()) + 1, differences.shape[1]
    sums = np.zeros((num_groups, num_seeds))
    np.add.at(sums, index, differences)
    sizes = np.bincount(index).astype(float)
    mean = float(differences.mean())
    over_seeds = sums.mean(axis=1, keepdims=True)
    if num_seeds > 1:
        sums = over_seeds + (sums - over_seeds) * math.sqrt(num_seeds / (num_seeds - 1))

    random = np.random.default_rng(seed)
    draws = []
    for start in range(0, BOOTSTRAP_SAMPLES, _CHUNK):
        num_draws = min(_CHUNK, BOOTSTRAP_SAMPLES - start)
        # How often each group and each seed is drawn: the same as drawing their indices with replacement.
        of_group = random.multinomial(num_groups, np.full(num_groups, 1 / num_groups), size=num_draws)
        of_seed = random.multinomial(num_seeds, np.full(num_seeds, 1 / num_seeds), size=num_draws) / num_seeds
        draws.append(((of_group @ sums) * of_seed).sum(axis=1) / (of_group @ sizes))
    sample = np.concatenate(draws)
    seed_variance = float(differences.mean(axis=0).var(ddof=1)) / num_seeds if num_seeds > 1 else 0.0

    def interval(confidence: float) -> tuple[float, float]:
        low, high = np.quantile(sample, [0.5 - confidence / 2, 0.5 + confidence / 2])
        widening = _student_widening(float(sample.var()), seed_variance, num_groups, num_seeds, confidence)
        return mean + (float(low) - mean) * widening, mean + (float(high) - mean) * widening

    low, high = interval(confidence)
    return Difference(
        mean=mean,
        low=low,
        high=high,
        standard_error=float(sample.std()),
        p_value=_p_value(interval),
        num_differing_groups=int(np.count_nonzero(over_seeds)),
    )


def _p_value(interval: Callable[[float], tuple[float, float]]) -> float:
    """1 less the confidence of the widest interval without 0, which must grow with its confidence.

    No less than what so many bootstrap samples can show.
    """
    without, with_zero = 0.0, 1 - 1 / BOOTSTRAP_SAMPLES
    low, high = interval(with_zero)
    if low > 0 or high < 0:
        return 1 - with_zero
    while with_zero - without > 1e-4:
        middle = (without + with_zero) / 2
        low, high = interval(middle)
        if low > 0 or high < 0:
            without = middle
        else:
            with_zero = middle
    return 1 - without


def holm(p_values: Sequence[float]) -> list[float]:
    """P-values corrected for their number (Holm 1979): the chance of any false finding stays below the level."""
    order = sorted(range(len(p_values)), key=lambda index: p_values[index])
    corrected, largest = [0.0] * len(p_values), 0.0
    for rank, index in enumerate(order):
        largest = max(largest, min(1.0, (len(p_values) - rank) * p_values[index]))
        corrected[index] = largest
    return corrected


def _student_widening(
    variance: float, seed_variance: float, num_groups: int, num_seeds: int, confidence: float
) -> float:
    """How much wider a t interval is than a normal one, for a variance of which the seeds make `seed_variance`."""
    from scipy.special import stdtrit  # imported here: scipy is slow to import, and mistakes are answered before

    seed_variance = min(seed_variance, variance)
    if variance == 0 or num_groups < 2:
        return 1.0
    spread = (variance - seed_variance) ** 2 / (num_groups - 1)
    if num_seeds > 1:
        spread += seed_variance**2 / (num_seeds - 1)
    quantile = 0.5 + confidence / 2
    return float(stdtrit(variance**2 / spread, quantile)) / NormalDist().inv_cdf(quantile)
