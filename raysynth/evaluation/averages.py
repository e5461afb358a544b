"""Recall, precision and F1 from confusion matrices, as scikit-learn has them with its default labels.

A class counts in a macro average where it is found in the truth or among the predictions; what would be divided by
nothing is 0 (`zero_division=0`).
"""

from __future__ import annotations

import numpy as np


def confusion_matrix(labels: np.ndarray, predicted: np.ndarray, num_classes: int) -> np.ndarray:
    """Counts (num_classes, num_classes): row the true class, column the predicted one."""
    counts = np.bincount(labels * num_classes + predicted, minlength=num_classes * num_classes)
    return counts.reshape(num_classes, num_classes)


def class_scores(matrices: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Recall, precision and F1 (..., K) of each class of confusion matrices (..., K, K)."""
    right = np.diagonal(matrices, axis1=-2, axis2=-1)
    true, predicted = matrices.sum(axis=-1), matrices.sum(axis=-2)
    return (
        right / np.maximum(true, 1),
        right / np.maximum(predicted, 1),
        2 * right / np.maximum(true + predicted, 1),
    )


def macro_scores(matrices: np.ndarray) -> dict[str, np.ndarray]:
    """`recall_macro`, `precision_macro` and `f1_macro` (...,) of confusion matrices (..., K, K)."""
    found = (matrices.sum(axis=-1) + matrices.sum(axis=-2)) > 0
    num_found = np.maximum(found.sum(axis=-1), 1)
    names = ("recall_macro", "precision_macro", "f1_macro")
    return {
        name: (values * found).sum(axis=-1) / num_found
        for name, values in zip(names, class_scores(matrices), strict=True)
    }


def averaged_scores(matrix: np.ndarray) -> dict[str, float]:
    """Recall, precision and F1 of one confusion matrix, micro and macro averaged."""
    accuracy = float(np.trace(matrix) / matrix.sum())
    macro = macro_scores(matrix)
    averaged = {}
    for name in ("recall", "precision", "f1"):
        averaged[f"{name}_micro"] = accuracy  # one label an image: false positives are others' false negatives
        averaged[f"{name}_macro"] = float(macro[f"{name}_macro"])
    return averaged
