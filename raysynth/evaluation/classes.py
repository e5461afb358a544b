"""Classes of different data sets, matched by name."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np


def label_mapping(own_classes: Sequence[str], classes: Sequence[str]) -> np.ndarray:
    """Label of a data set -> index of the same class in `classes`; -1 for a class that is not among them."""
    return np.array([classes.index(name) if name in classes else -1 for name in own_classes], dtype=np.int64)
