"""Intensity windows: the values that a scanner measured as grey from 0 (black) to 1 (white).

The three functions of a window (centre, width) are those of DICOM PS3.3 C.11.2.1.2 and C.11.2.1.3 with an output
range from 0 to 1. Values are arrays of any shape and of any number type; the results are float64 of that shape.
"""

from __future__ import annotations

from typing import Literal

import numpy as np

Window = Literal["auto", "percentile"]
WINDOWS: tuple[Window, ...] = ("auto", "percentile")

PERCENTILES = (1.0, 99.0)
MAX_SAMPLE = 2**22  # of so many values a percentile is as good as known


def linear(values: np.ndarray, centre: float, width: float) -> np.ndarray:
    """LINEAR, for whole numbers: `width` counts grey values, so it is 1 or more; at 1 it is a threshold."""
    if width == 1:
        return (values > centre - 0.5).astype(np.float64)
    return np.clip((values - (centre - 0.5)) / (width - 1.0) + 0.5, 0.0, 1.0)


def linear_exact(values: np.ndarray, centre: float, width: float) -> np.ndarray:
    """LINEAR_EXACT: from centre - width / 2 to centre + width / 2."""
    return np.clip((values - centre) / width + 0.5, 0.0, 1.0)


def sigmoid(values: np.ndarray, centre: float, width: float) -> np.ndarray:
    """SIGMOID: 1 / (1 + exp(-4 (x - centre) / width)), 1/2 at the centre."""
    exponent = np.clip(-4.0 * (values - centre) / width, -700.0, 700.0)  # exp(710) overflows
    return 1.0 / (1.0 + np.exp(exponent))


def stretch(values: np.ndarray, lowest: float, highest: float) -> np.ndarray:
    """`lowest` and less black, `highest` and more white, a straight line between; all black if the two are equal."""
    if highest <= lowest:
        return np.zeros(values.shape)
    return np.clip((values.astype(np.float64) - lowest) / (highest - lowest), 0.0, 1.0)


def percentile_window(values: np.ndarray) -> tuple[float, float]:
    """The 1st and 99th percentile of `values`, of an even sample of them where they are millions.

    Where nearly all values are the same, so that both percentiles are, it is the smallest and largest value. No
    values at all: (0, 0).
    """
    if values.size == 0:
        return 0.0, 0.0
    sample = values.reshape(-1)[:: -(-values.size // MAX_SAMPLE)]
    lowest, highest = (float(value) for value in np.percentile(sample, PERCENTILES))
    return (lowest, highest) if highest > lowest else (float(values.min()), float(values.max()))


def to_uint8(grey: np.ndarray) -> np.ndarray:
    """Grey from 0 to 1 as 0 to 255, rounded."""
    return np.round(grey * 255.0).astype(np.uint8)
