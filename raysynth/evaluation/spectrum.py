"""How much detail images have: their power at each spatial frequency, which blur takes away and a histogram hides."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
from scipy import fft
from scipy.signal.windows import hann

from raysynth.evaluation.histograms import ALL_CLASSES
from raysynth.evaluation.plan import REAL

UPPER_HALF = 0.25  # cycles per pixel; 0.5 is the finest that pixels can show
LEAST_POWER = 1e-3  # grey values squared: a hundredth of what rounding to whole ones adds
_VOXELS = 2**22  # transformed at a time: bounds the memory for volumes
COLUMNS = ("source", "split", "class", "frequency", "power")


def spatial_frequencies(shape: Sequence[int]) -> np.ndarray:
    """Frequencies (F,) in cycles per pixel, 1 / side to 1/2, at which images (H, W) or volumes (D, H, W) are measured.

    `side` is the smallest side.
    """
    side = min(shape)
    return np.arange(1, side // 2 + 1) / side


def radial_power(images: np.ndarray) -> np.ndarray:
    """Power (N, F) of each image (N, C, H, W), or volume (N, C, D, H, W), uint8, at `spatial_frequencies`.

    Each image is taken less its mean, under a Hann window (its edges do not meet, and the jump would look like detail),
    and its squared Fourier coefficients are averaged over rings that are 1 / side wide and over channels. In grey
    values squared, so that white noise of variance v has power v at each frequency.
    """
    shape = images.shape[2:]
    window = np.ones(shape)
    for axis, side in enumerate(shape):
        window *= hann(side, sym=False).reshape([-1 if a == axis else 1 for a in range(len(shape))])
    side, num_rings = min(shape), min(shape) // 2
    radius = np.sqrt(sum(f**2 for f in np.meshgrid(*(fft.fftfreq(n) for n in shape), indexing="ij")))
    rings = np.rint(radius * side).astype(int).ravel()  # ring 0 is the mean; beyond 1/2 there are corners only
    order = np.argsort(rings, kind="stable")
    starts = np.searchsorted(rings[order], np.arange(1, num_rings + 2))
    sizes = np.diff(starts)
    order = order[starts[0] : starts[-1]]
    step = max(1, _VOXELS // max(1, images[:1].size))
    power = np.zeros((len(images), num_rings))
    for start in range(0, len(images), step):
        part = images[start : start + step].astype(np.float32)
        axes = tuple(range(2, part.ndim))
        part = (part - part.mean(axis=axes, keepdims=True)) * window.astype(np.float32)
        squared = np.abs(fft.fftn(part, axes=axes)) ** 2 / np.sum(window**2)
        by_ring = squared.mean(axis=1).reshape(len(part), -1)[:, order].astype(np.float64)
        power[start : start + step] = np.add.reduceat(by_ring, starts[:-1] - starts[0], axis=1) / sizes
    return power


def class_spectra(sums: np.ndarray, num_images: np.ndarray, classes: Sequence[str]) -> dict[str, np.ndarray]:
    """Mean power (F,) of all images (`all`) and of each class that has any, from sums (K, F) over images (K,)."""
    found = {ALL_CLASSES: sums.sum(axis=0) / num_images.sum()} if num_images.any() else {}
    for label, name in enumerate(classes):
        if num_images[label] and name != ALL_CLASSES:
            found[name] = sums[label] / num_images[label]
    return found


def spectrum_table(source: str, split: str, spectra: dict[str, np.ndarray], frequencies: np.ndarray) -> pd.DataFrame:
    """Rows (source, split, class, frequency, power) of `class_spectra`."""
    rows = [
        {"source": source, "split": split, "class": name, "frequency": frequency, "power": value}
        for name, power in spectra.items()
        for frequency, value in zip(frequencies, power, strict=True)
    ]
    return pd.DataFrame(rows, columns=list(COLUMNS))


def spectrum_distance(real: np.ndarray, generated: np.ndarray, frequencies: np.ndarray) -> dict[str, float]:
    """How far two spectra (F,) are apart, in powers of ten: 0.3 is a factor of two.

    `log10_error` is the mean of |log10(generated / real)| over frequencies, `log10_error_high` that over the upper
    half of them, and `log10_bias_high` the same with its sign: below 0 the images are blurred, above 0 grainy.
    """
    ratio = np.log10(np.maximum(generated, LEAST_POWER) / np.maximum(real, LEAST_POWER))
    high = ratio[frequencies > UPPER_HALF]
    return {
        "log10_error": float(np.abs(ratio).mean()),
        "log10_error_high": float(np.abs(high).mean()),
        "log10_bias_high": float(high.mean()),
    }


def describe_spectra(table: pd.DataFrame) -> list[str]:
    """One line a set of rows (synthetic, class, ..., log10_bias_high): how much fine detail it has beside real ones."""
    return [
        f"{'real validation images' if row['synthetic'] == REAL else row['synthetic']}: power at the upper half of "
        f"frequencies {10 ** row['log10_bias_high']:.2f} x real"
        for row in table[table["class"] == ALL_CLASSES].to_dict("records")
    ]
