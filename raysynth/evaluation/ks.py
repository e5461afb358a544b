"""How far apart two distributions of pixel intensity are, from their histograms."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import pandas as pd

from raysynth.evaluation.histograms import class_histograms


def ks_statistic(counts_a: np.ndarray, counts_b: np.ndarray) -> float:
    """Two-sample Kolmogorov-Smirnov statistic, 0 to 1, of two histograms (256,) of equal bins.

    Exact: with one bin an intensity it is the largest distance of the two empirical distribution functions.
    """
    return float(np.max(np.abs(_distribution(counts_a) - _distribution(counts_b))))


def wasserstein_distance(counts_a: np.ndarray, counts_b: np.ndarray) -> float:
    """Wasserstein-1 distance of two histograms (256,), in intensity units (0 to 255)."""
    # The area between the distribution functions; bins are one intensity wide. Both functions are 1 at the last bin.
    return float(np.sum(np.abs(_distribution(counts_a) - _distribution(counts_b))[:-1]))


def _distribution(counts: np.ndarray) -> np.ndarray:
    total = counts.sum()
    if total == 0:
        raise ValueError("an empty histogram has no distribution")
    return np.cumsum(counts) / total


def ks_table(
    synthetic: str, real: np.ndarray, generated: np.ndarray, classes: Sequence[str], say: Callable[[str], None]
) -> pd.DataFrame:
    """Rows (synthetic, class, channel, statistic, wasserstein) from histograms (K, C, 256) of the two sets.

    A class that either set lacks is left out, and `say` tells so.
    """
    real_of, generated_of = class_histograms(real, classes), class_histograms(generated, classes)
    missing = [name for name in classes if (name in real_of) != (name in generated_of)]
    if missing:
        say(f"{synthetic}: no comparison of intensities for {', '.join(missing)}: no images in one of the sets")
    rows = [
        {
            "synthetic": synthetic,
            "class": class_name,
            "channel": channel,
            "statistic": ks_statistic(real_of[class_name][channel], generated_of[class_name][channel]),
            "wasserstein": wasserstein_distance(real_of[class_name][channel], generated_of[class_name][channel]),
        }
        for class_name in real_of
        if class_name in generated_of
        for channel in range(real.shape[1])
    ]
    return pd.DataFrame(rows, columns=["synthetic", "class", "channel", "statistic", "wasserstein"])
