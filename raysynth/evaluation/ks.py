"""How far apart two distributions of pixel intensity are, from their histograms."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import pandas as pd

from raysynth.evaluation.histograms import ALL_CLASSES, class_histograms
from raysynth.evaluation.permutation import ks_p_values, sum_by_group
from raysynth.evaluation.pixel_statistics import ALL_PIXELS, PixelStatistics
from raysynth.evaluation.plan import REAL

COLUMNS = ("synthetic", "pixels", "class", "channel", "n", "statistic", "wasserstein", "p_value")


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
    synthetic: str,
    real: PixelStatistics,
    generated: PixelStatistics,
    classes: Sequence[str],
    say: Callable[[str], None],
) -> pd.DataFrame:
    """Rows (synthetic, pixels, class, channel, n, statistic, wasserstein, p_value) of generated images against real.

    `pixels` is "all" or "foreground" (where the real images have a background), `n` the number of generated images.
    `p_value` is that of the statistic, by permuting groups (see `ks_p_values`, which says what its null is).
    A class that either set lacks is left out, and `say` tells so.
    """
    missing = [
        name for label, name in enumerate(classes) if (real.num_images[label] > 0) != (generated.num_images[label] > 0)
    ]
    if missing:
        say(f"{synthetic}: no comparison of intensities for {', '.join(missing)}: no images in one of the sets")
    p_values = _class_p_values(real, generated, classes)
    counts = {ALL_CLASSES: int(generated.num_images.sum())}
    counts |= {name: int(n) for name, n in zip(classes, generated.num_images, strict=True) if name != ALL_CLASSES}
    rows = []
    for view, pixels in enumerate(real.views):
        real_of, generated_of = (class_histograms(each.histograms[view], classes) for each in (real, generated))
        rows += [
            {
                "synthetic": synthetic,
                "pixels": pixels,
                "class": class_name,
                "channel": channel,
                "n": counts[class_name],
                "statistic": ks_statistic(real_of[class_name][channel], generated_of[class_name][channel]),
                "wasserstein": wasserstein_distance(real_of[class_name][channel], generated_of[class_name][channel]),
                "p_value": p_values[class_name][view, channel],
            }
            for class_name in real_of
            if class_name in generated_of
            for channel in range(real.histograms.shape[2])
            if real_of[class_name][channel].any() and generated_of[class_name][channel].any()
        ]
    return pd.DataFrame(rows, columns=list(COLUMNS))


def describe_ks(table: pd.DataFrame) -> list[str]:
    """One line a set: its KS statistics over all classes, a number a channel, and the channels' least p-value."""
    lines = []
    for name, rows in table[table["class"] == ALL_CLASSES].groupby("synthetic", sort=False):
        parts = []
        for pixels, own in rows.groupby("pixels", sort=False):
            statistics = ", ".join(f"{value:.4f}" for value in own["statistic"])
            kind = "KS" if pixels == ALL_PIXELS else "without background"
            parts.append(f"{kind} {statistics} (p {own['p_value'].min():.3f})")
        what = "real validation images" if name == REAL else str(name)
        lines.append(f"{what}: {', '.join(parts)}")
    return lines


def _class_p_values(real: PixelStatistics, generated: PixelStatistics, classes: Sequence[str]) -> dict[str, np.ndarray]:
    """p-values (V, C) of all classes together and of each one that both have groups of."""
    found = {}
    for label, name in ((None, ALL_CLASSES), *((k, name) for k, name in enumerate(classes) if name != ALL_CLASSES)):
        sides = [_by_group(each, label) for each in (real, generated)]
        if all(map(len, sides)):
            shape = sides[0].shape[1:3]
            flat = [side.reshape(len(side), -1, side.shape[-1]) for side in sides]
            found[name] = ks_p_values(*flat).reshape(shape)
    return found


def _by_group(each: PixelStatistics, label: int | None) -> np.ndarray:
    """Histograms (G, V, C, 256) of the groups of a class; a group of several classes is one in all of them."""
    if label is not None:
        return each.grouped[each.labels == label]
    return sum_by_group(each.grouped, each.groups)
