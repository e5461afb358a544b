"""Tables of scores, all of them computed from the predictions (`predictions.parquet`).

The values are scikit-learn's (see `averages`). So the micro averages always equal the accuracy, and a class that is
predicted but is not in the truth counts as one of recall 0.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from raysynth.evaluation.averages import averaged_scores, confusion_matrix
from raysynth.evaluation.averages import class_scores as scores_of_classes
from raysynth.evaluation.score_intervals import macro_intervals
from raysynth.intervals import wilson_interval

SPLITS = ("fit", "train", "validation", "test")
AVERAGED = tuple(f"{score}_{average}" for score in ("recall", "precision", "f1") for average in ("micro", "macro"))
SCORES = ("accuracy", *AVERAGED)


@dataclass(frozen=True)
class ScoreTables:
    """The tables of one evaluation; `write_csv` names the files."""

    scores: pd.DataFrame
    scores_summary: pd.DataFrame
    class_scores: pd.DataFrame
    confusion: pd.DataFrame
    label_counts: pd.DataFrame


def score_tables(
    predictions: pd.DataFrame, classes: Sequence[str], steps: Mapping[tuple[str, int], int]
) -> ScoreTables:
    """Every table of scores. `steps` is (trained_on, seed) -> optimiser steps; its order is that of the rows.

    `predictions` has the columns split, trained_on, seed, label and predicted (indices into `classes`).
    """
    scores, class_scores, confusions, label_counts = [], [], [], []
    for key, matrix in _matrices(predictions, len(classes), steps):
        n, recall, precision, f1 = matrix.sum(), *scores_of_classes(matrix)
        accuracy = np.trace(matrix) / n
        low, high = wilson_interval(accuracy, int(n))
        scores.append(
            {
                **key,
                "steps": steps[key["trained_on"], key["seed"]],
                "n": n,
                "accuracy": accuracy,
                "accuracy_low": low,
                "accuracy_high": high,
                **averaged_scores(matrix),
            }
        )
        true_counts, predicted_counts = matrix.sum(axis=1), matrix.sum(axis=0)
        for index, class_name in enumerate(classes):
            row = {**key, "class": class_name}
            label_counts.append({**row, "real": true_counts[index], "predicted": predicted_counts[index]})
            low, high = wilson_interval(recall[index], int(true_counts[index]))
            numbers = {"recall": recall[index], "recall_low": low, "recall_high": high}
            numbers |= {"precision": precision[index], "f1": f1[index]}
            class_scores.append({**row, "n": true_counts[index], **numbers})
            for other, other_name in enumerate(classes):
                count = matrix[index, other]
                confusions.append({**key, "label": class_name, "predicted": other_name, "count": count})
    table = pd.DataFrame(scores)
    return ScoreTables(
        scores=table,
        scores_summary=_summary(table, _intervals(predictions, len(classes))),
        class_scores=pd.DataFrame(class_scores),
        confusion=pd.DataFrame(confusions),
        label_counts=pd.DataFrame(label_counts),
    )


def _matrices(
    predictions: pd.DataFrame, num_classes: int, steps: Mapping[tuple[str, int], int]
) -> Iterator[tuple[dict, np.ndarray]]:
    """The confusion matrix of each training and split, trainings in the order of `steps`."""
    groups = dict(list(predictions.groupby(["trained_on", "seed", "split"], observed=True)))
    for trained_on in dict.fromkeys(name for name, _ in steps):
        for split in SPLITS:
            for seed in (seed for name, seed in steps if name == trained_on):
                rows = groups.get((trained_on, seed, split))
                if rows is not None and len(rows):
                    labels = rows["label"].to_numpy(dtype=np.int64)
                    predicted = rows["predicted"].to_numpy(dtype=np.int64)
                    matrix = confusion_matrix(labels, predicted, num_classes)
                    yield {"trained_on": trained_on, "split": split, "seed": seed}, matrix


def _intervals(predictions: pd.DataFrame, num_classes: int) -> dict[tuple[str, str], dict[str, tuple[float, float]]]:
    """(trained_on, split) -> the intervals of its macro scores."""
    found = {}
    for (trained_on, split), rows in predictions.groupby(["trained_on", "split"], observed=True):
        # An image may stand in a mix twice, once for each set: its number among its likes tells them apart.
        number = rows.groupby(["seed", "image_id"], observed=True).cumcount()
        by_image = rows.assign(number=number).pivot(
            index=["image_id", "number"], columns="seed", values=["predicted", "label", "group"]
        )
        labels, predicted = (by_image[name].to_numpy(dtype=np.int64) for name in ("label", "predicted"))
        groups = by_image["group"].to_numpy()[:, 0].astype(str)
        found[str(trained_on), str(split)] = macro_intervals(labels, predicted, groups, num_classes)
    return found


def _summary(scores: pd.DataFrame, intervals: Mapping[tuple[str, str], dict[str, tuple[float, float]]]) -> pd.DataFrame:
    """Mean and standard deviation over seeds (n - 1 in the denominator; empty with one seed) of each score.

    `accuracy_low` and `accuracy_high` are Wilson's interval of the mean accuracy on the n images: neither the variation
    between seeds nor that images of one group are alike is in it. Those of macro scores have both (`macro_intervals`).
    """
    rows = []
    for (trained_on, split), group in scores.groupby(["trained_on", "split"], sort=False):
        n, mean_accuracy = int(group["n"].iloc[0]), float(group["accuracy"].mean())
        low, high = wilson_interval(min(mean_accuracy, 1.0), n)
        row = {"trained_on": trained_on, "split": split, "steps": group["steps"].iloc[0], "n": n}
        row["num_seeds"] = len(group)
        for score in SCORES:
            row[f"{score}_mean"] = group[score].mean()
            row[f"{score}_std"] = group[score].std(ddof=1)
        row |= {"accuracy_low": low, "accuracy_high": high}
        for score, (low, high) in intervals[str(trained_on), str(split)].items():
            row |= {f"{score}_low": low, f"{score}_high": high}
        rows.append(row)
    return pd.DataFrame(rows)
