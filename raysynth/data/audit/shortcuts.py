"""How far rules get that know nothing of anatomy: the floor that a classifier's accuracy must be well above.

Each rule is fitted on the train split and judged on the test split. High accuracy of the original's size, format or
border says that the files give the class away; the same of the stored border, that the import passed it on. The
nearest neighbour is high where images of one patient, or copies, stand on both sides.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Hashable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from PIL import Image
from sklearn.ensemble import ExtraTreesClassifier, ExtraTreesRegressor
from sklearn.neighbors import KNeighborsClassifier

from raysynth.data.dataset import Dataset, tensor_column
from raysynth.intervals import wilson_interval

MAX_IMAGES = 20_000  # of each split that rules of pixels look at; more are drawn from
SIDE = 32  # pixels of the thumbnails that are compared
UNIFORM = 2  # grey values by which pixels of a uniform border may differ: JPEG leaves a little noise in them
NUM_TREES = 100
CHUNK = 512  # images at a time: bounds the memory
MARGINS = slice(-4, None)  # of the border statistics: from the top, the bottom, the left and the right


@dataclass(frozen=True)
class Columns:
    """The images of one split: stored ones (N, C, H, W) or (N, C, D, H, W) and thumbnails (N, 64, 64) of the originals.

    Both uint8. Width, height and format are those of the original, None where it is not known.
    """

    labels: np.ndarray
    images: np.ndarray
    thumbnails: np.ndarray
    widths: Sequence[int | None]
    heights: Sequence[int | None]
    formats: Sequence[str | None]

    @classmethod
    def read(cls, dataset: Dataset, split: str) -> Columns:
        """The images of one split of a data set."""
        sources = ["source_width", "source_height", "source_format"]
        table = dataset.read(["label", "image", "thumbnail", *sources], split)
        return cls(
            labels=table["label"].to_numpy(),
            images=tensor_column(table, "image"),
            thumbnails=tensor_column(table, "thumbnail"),
            widths=table["source_width"].to_pylist(),
            heights=table["source_height"].to_pylist(),
            formats=table["source_format"].to_pylist(),
        )

    def draw(self, num_images: int, seed: int) -> Columns:
        """At most so many images, in their order."""
        if len(self.labels) <= num_images:
            return self
        rows = np.sort(np.random.default_rng(seed).choice(len(self.labels), num_images, replace=False))
        return Columns(
            labels=self.labels[rows],
            images=self.images[rows],
            thumbnails=self.thumbnails[rows],
            widths=[self.widths[row] for row in rows],
            heights=[self.heights[row] for row in rows],
            formats=[self.formats[row] for row in rows],
        )


def shortcuts(*, train: Columns, test: Columns, num_classes: int, seed: int = 0) -> list[dict[str, Any]]:
    """One row for each rule whose columns are known: its accuracy on the test images after a look at the train ones.

    Keys: rule, looks_at (labels, original size, original format, original pixels or stored pixels), accuracy with
    Wilson's 95 % interval (accuracy_low, accuracy_high), balanced_accuracy (the mean recall of the classes that the
    test split has), num_train and num_test (images that were looked at) and note, which tells when that are not all.
    No rows if either split is empty.
    """
    if not len(train.labels) or not len(test.labels):
        return []
    drawn_train, drawn_test = train.draw(MAX_IMAGES, seed), test.draw(MAX_IMAGES, seed)
    rows = []
    for rule in RULES:
        if any(value is None for side in (train, test) for name in rule.needs for value in getattr(side, name)):
            continue
        fit_on, judge_on = (drawn_train, drawn_test) if "pixels" in rule.looks_at else (train, test)
        predicted = rule.predict(fit_on, judge_on)
        note = ""
        if len(fit_on.labels) < len(train.labels) or len(judge_on.labels) < len(test.labels):
            drawn = (
                f"{len(fit_on.labels)} of {len(train.labels)} train and {len(judge_on.labels)} of {len(test.labels)}"
            )
            note = f"{drawn} test images, drawn with seed {seed}"
        rows.append(
            {
                "rule": rule.name,
                "looks_at": rule.looks_at,
                **_scores(judge_on.labels, predicted, num_classes),
                "num_train": len(fit_on.labels),
                "num_test": len(judge_on.labels),
                "note": note,
            }
        )
    return rows


def aspect_correlation(*, train: Columns, test: Columns, seed: int = 0) -> float | None:
    """How well the margins of the stored image tell the shape of the original: 0 not at all, 1 exactly.

    It is the correlation, on the test images, of log(width / height) with its estimate by trees, fitted on the train
    images, from how far uniform rows and columns go in from both sides: padding writes the shape into them, whether
    or not the shape says anything of the class. None where sizes are unknown or the originals all have one shape.
    """
    train, test = train.draw(MAX_IMAGES, seed), test.draw(MAX_IMAGES, seed)
    if not len(train.labels) or any(None in column for s in (train, test) for column in (s.widths, s.heights)):
        return None
    margins, test_margins = (
        np.minimum(found[:, 0::2], found[:, 1::2])  # padding is on both sides; one side alone is the picture's own
        for found in (border_statistics(_grey(side.images))[:, MARGINS] for side in (train, test))
    )
    aspects, test_aspects = (
        np.log(np.array(side.widths, dtype=np.float64) / np.array(side.heights, dtype=np.float64))
        for side in (train, test)
    )
    if not np.ptp(aspects) or not np.ptp(test_aspects):
        return None
    trees = ExtraTreesRegressor(NUM_TREES, min_samples_leaf=5, random_state=seed).fit(margins, aspects)
    estimates = trees.predict(test_margins)
    if np.ptp(estimates) < 1e-9:  # no image has a margin, or all have the same
        return 0.0
    return max(0.0, float(np.corrcoef(estimates, test_aspects)[0, 1]))


def _scores(labels: np.ndarray, predicted: np.ndarray, num_classes: int) -> dict[str, float]:
    right = labels == predicted
    low, high = wilson_interval(float(right.mean()), len(labels))
    num_of_class = np.bincount(labels, minlength=num_classes)
    recall = np.bincount(labels[right], minlength=num_classes) / np.maximum(num_of_class, 1)
    return {
        "accuracy": float(right.mean()),
        "accuracy_low": low,
        "accuracy_high": high,
        "balanced_accuracy": float(recall[num_of_class > 0].mean()),
    }


def _majority(train: Columns, test: Columns) -> np.ndarray:
    return np.full(len(test.labels), np.bincount(train.labels).argmax())


def _size(train: Columns, test: Columns) -> np.ndarray:
    """The commonest class of the size, or of the nearest one that train has, by the logarithms of width and height."""
    class_of = _commonest(zip(train.widths, train.heights, strict=True), train.labels)
    known = sorted(class_of)
    logarithms = np.log(np.array(known, dtype=np.float64))
    for size in set(zip(test.widths, test.heights, strict=True)) - class_of.keys():
        distances = np.square(logarithms - np.log(np.array(size, dtype=np.float64))).sum(axis=1)
        class_of[size] = class_of[known[int(distances.argmin())]]
    return np.array([class_of[size] for size in zip(test.widths, test.heights, strict=True)])


def _format(train: Columns, test: Columns) -> np.ndarray:
    class_of = _commonest(train.formats, train.labels)
    majority = int(np.bincount(train.labels).argmax())
    return np.array([class_of.get(name, majority) for name in test.formats])


def _commonest(values: Iterable[Hashable], labels: np.ndarray) -> dict[Any, int]:
    """Value -> the commonest class of the images that have it, the first of equally common ones."""
    counts: dict[Hashable, Counter[int]] = {}
    for value, label in zip(values, labels.tolist(), strict=True):
        counts.setdefault(value, Counter())[label] += 1
    return {value: min(of_class, key=lambda label: (-of_class[label], label)) for value, of_class in counts.items()}


def _border_of_original(train: Columns, test: Columns) -> np.ndarray:
    return _trees(border_statistics(train.thumbnails), train.labels, border_statistics(test.thumbnails))


def _border_of_stored(train: Columns, test: Columns) -> np.ndarray:
    fit_on, judge_on = border_statistics(_grey(train.images)), border_statistics(_grey(test.images))
    return _trees(fit_on, train.labels, judge_on)


def _trees(features: np.ndarray, labels: np.ndarray, test_features: np.ndarray) -> np.ndarray:
    """Extremely randomised trees: about as good here as boosted ones, and faster."""
    return ExtraTreesClassifier(NUM_TREES, random_state=0).fit(features, labels).predict(test_features)


def border_statistics(grey: np.ndarray) -> np.ndarray:
    """What grey images (N, H, W) uint8 look like at their border, as (N, 17) float32.

    Mean, standard deviation and maximum of the outermost row or column of each of the four sides; the share of all
    pixels that are as bright as the border (its median); and how far a uniform border goes in from each side, as a
    share of the height or width: padding has such borders.
    """
    return np.concatenate([_border_statistics(grey[at : at + CHUNK]) for at in range(0, len(grey), CHUNK)])


def _border_statistics(grey: np.ndarray) -> np.ndarray:
    sides = [grey[:, 0], grey[:, -1], grey[:, :, 0], grey[:, :, -1]]
    statistics = [measure(side, axis=1) for side in sides for measure in (np.mean, np.std, np.max)]
    level = np.median(np.concatenate(sides, axis=1), axis=1)[:, None, None]
    statistics.append(((grey >= level - UNIFORM) & (grey <= level + UNIFORM)).mean(axis=(1, 2)))
    for axis in (2, 1):
        uniform = grey.max(axis=axis) - grey.min(axis=axis) <= UNIFORM  # of each row, then of each column
        for lines in (uniform, uniform[:, ::-1]):
            statistics.append(np.logical_and.accumulate(lines, axis=1).mean(axis=1))
    return np.stack(statistics, axis=1).astype(np.float32)


def _mean_intensity(train: Columns, test: Columns) -> np.ndarray:
    """The commonest class of the nearest means; as many of them as the root of the number of train images."""
    means, test_means = (side.images.reshape(len(side.images), -1).mean(axis=1)[:, None] for side in (train, test))
    num_neighbours = max(1, round(len(means) ** 0.5))
    return KNeighborsClassifier(num_neighbours).fit(means, train.labels).predict(test_means)


def _nearest(train: Columns, test: Columns) -> np.ndarray:
    """The class of the train image at the smallest Euclidean distance, the first of equally near ones."""
    known, asked = _small(train.images), _small(test.images)
    centre = known.mean(axis=0)
    known, asked = known - centre, asked - centre
    # The smallest |a - b|^2 = |a|^2 - 2 (ab - |b|^2 / 2) is where the bracket is largest.
    half_squares = np.square(known).sum(axis=1) / 2
    nearest = [(asked[at : at + CHUNK] @ known.T - half_squares).argmax(axis=1) for at in range(0, len(asked), CHUNK)]
    return train.labels[np.concatenate(nearest)]


def _small(images: np.ndarray) -> np.ndarray:
    """Images as grey thumbnails, (N, SIDE * SIDE) float32; every pixel is the mean of the area that it covers."""
    resized = [Image.fromarray(grey).resize((SIDE, SIDE), Image.Resampling.BOX) for grey in _grey(images)]
    return np.stack([np.asarray(image, dtype=np.float32).ravel() for image in resized])


def _grey(images: np.ndarray) -> np.ndarray:
    """Images (N, C, H, W) as grey ones (N, H, W) uint8, the mean of their channels; of volumes the middle slice."""
    if images.ndim == 5:
        images = images[:, :, images.shape[2] // 2]
    if images.shape[1] == 1:
        return images[:, 0]
    return np.concatenate(
        [images[at : at + CHUNK].mean(axis=1).astype(np.uint8) for at in range(0, len(images), CHUNK)]
    )


@dataclass(frozen=True)
class Rule:
    """A rule, what it looks at, its columns that may be unknown, and its classes for test images after train ones."""

    name: str
    looks_at: str
    predict: Callable[[Columns, Columns], np.ndarray]
    needs: tuple[str, ...] = ()


RULES = (
    Rule("majority class", "labels", _majority),
    Rule("width x height", "original size", _size, needs=("widths", "heights")),
    Rule("file format", "original format", _format, needs=("formats",)),
    Rule("border of the original", "original pixels", _border_of_original),
    Rule("border of the stored image", "stored pixels", _border_of_stored),
    Rule("mean intensity", "stored pixels", _mean_intensity),
    Rule(f"nearest neighbour, {SIDE} x {SIDE}", "stored pixels", _nearest),
)
