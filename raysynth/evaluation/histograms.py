"""Histograms of pixel intensity per class and channel: partial ones of any number of batches add up to the whole."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
from PIL import Image

NUM_INTENSITIES = 256  # uint8 images: one bin an intensity, so nothing is lost by binning
ALL_CLASSES = "all"


def count_intensities(images: np.ndarray, labels: np.ndarray, num_classes: int) -> np.ndarray:
    """Pixels of each intensity, (num_classes, C, 256) int64, of images (N, C, ...) uint8 with labels (N,).

    A label of -1 stands for a class that is not counted.

    Pillow counts bytes as they are; numpy's bincount makes 64-bit integers of them first. Four pixels are counted as
    one of four bands, each in its own table: else pixels of one intensity, a background's, wait for one another.
    Together about four times as fast (benchmarks/ks_histograms.py).
    """
    if images.dtype != np.uint8:
        raise ValueError(f"images: want uint8, got {images.dtype}")
    histogram = np.zeros((num_classes, images.shape[1], NUM_INTENSITIES), dtype=np.int64)
    for label in range(num_classes):
        members = images[labels == label]
        for channel in range(images.shape[1] if members.size else 0):
            rows = members[:, channel].reshape(len(members), -1)  # one image a row: to Pillow all are one picture
            if rows.shape[1] % 4 == 0:
                rows = rows.reshape(len(rows), -1, 4)
            bands = np.reshape(Image.fromarray(rows).histogram(), (-1, NUM_INTENSITIES))
            histogram[label, channel] = bands.sum(axis=0)
    return histogram


def histogram_table(source: str, histograms: np.ndarray, classes: Sequence[str]) -> pd.DataFrame:
    """Rows (source, class, channel, intensity, count) of histograms (K, C, 256), classes with pixels and `all`."""
    frames = []
    for class_name, histogram in class_histograms(histograms, classes).items():
        for channel, counts in enumerate(histogram):
            frames.append(
                pd.DataFrame(
                    {
                        "source": source,
                        "class": class_name,
                        "channel": channel,
                        "intensity": np.arange(NUM_INTENSITIES),
                        "count": counts,
                    }
                )
            )
    return pd.concat(frames, ignore_index=True)


def class_histograms(histograms: np.ndarray, classes: Sequence[str]) -> dict[str, np.ndarray]:
    """The histograms (C, 256) of all images (`all`) and of every class that has any."""
    found = {ALL_CLASSES: histograms.sum(axis=0)}
    for label, class_name in enumerate(classes):
        if histograms[label].any() and class_name != ALL_CLASSES:
            found[class_name] = histograms[label]
    return found
