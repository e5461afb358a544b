"""Histograms of pixel intensity per class and channel: partial ones of any number of batches add up to the whole."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from raysynth.data.dataset import Dataset

NUM_INTENSITIES = 256  # uint8 images: one bin an intensity, so nothing is lost by binning
ALL_CLASSES = "all"
BATCH_SIZE = 256


def count_intensities(images: np.ndarray, labels: np.ndarray, num_classes: int) -> np.ndarray:
    """Pixels of each intensity, (num_classes, C, 256) int64, of images (N, C, ...) uint8 with labels (N,).

    A label of -1 stands for a class that is not counted.
    """
    if images.dtype != np.uint8:
        raise ValueError(f"images: want uint8, got {images.dtype}")
    histogram = np.zeros((num_classes, images.shape[1], NUM_INTENSITIES), dtype=np.int64)
    for label in range(num_classes):
        members = images[labels == label]
        for channel in range(images.shape[1]):
            pixels = members[:, channel].ravel()
            histogram[label, channel] = np.bincount(pixels, minlength=NUM_INTENSITIES)
    return histogram


def dataset_histograms(
    dataset: Dataset, classes: Sequence[str], *, split: str = "train", with_ray: bool = True
) -> np.ndarray:
    """Histograms of one split, (len(classes), C, 256) int64, its classes matched to `classes` by name.

    With Ray, batches of the Parquet shards are counted in parallel and only partial histograms travel; a Ray
    session must be running. Memory does not grow with the number of images either way.
    """
    # label of the data set -> index in `classes`, -1 for a class that is not among them
    mapping = np.array([classes.index(name) if name in classes else -1 for name in dataset.classes])

    def count_batch(batch: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        chosen = batch["split"] == split
        labels = mapping[batch["label"][chosen]]
        return {"histogram": count_intensities(batch["image"][chosen], labels, len(classes))[None]}

    total = np.zeros((len(classes), dataset.shape[0], NUM_INTENSITIES), dtype=np.int64)
    if with_ray:
        import ray

        rows = ray.data.read_parquet(str(dataset.images_folder), columns=["image", "label", "split"])
        partial = rows.map_batches(count_batch, batch_size=BATCH_SIZE, batch_format="numpy")
        for batch in partial.iter_batches(batch_size=None, batch_format="numpy"):
            total += batch["histogram"].sum(axis=0)
    else:
        images, labels = dataset.pixels(split)
        total += count_intensities(images, mapping[labels], len(classes))
    return total


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
