"""Copies of one data set's images among another's."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import pandas as pd

from raysynth.data.audit.thresholds import Thresholds
from raysynth.data.dataset import Dataset


def find_copies_across(
    a: Dataset,
    b: Dataset,
    *,
    splits_a: Sequence[str],
    splits_b: Sequence[str],
    thresholds: Thresholds | None = None,
    say: Callable[[str], None] = lambda line: None,
) -> pd.DataFrame:
    """Pairs of an image of `a` and one of `b`, both of the given splits: id_a, id_b, relation, score."""
    # Imported here: sklearn and faiss would double the start of a training's worker, which never calls this.
    from raysynth.data.audit.audit import search
    from raysynth.data.audit.subject import Subject

    subject_a, subject_b = Subject.read(a, with_images=False), Subject.read(b, with_images=False)
    pairs = search([subject_a, subject_b], thresholds=thresholds or Thresholds(), say=say)
    pairs = pairs[(pairs["a"] < len(subject_a)) & (pairs["b"] >= len(subject_a))]
    rows_a, rows_b = pairs["a"].to_numpy(), pairs["b"].to_numpy() - len(subject_a)
    kept = np.isin(subject_a.splits[rows_a], splits_a) & np.isin(subject_b.splits[rows_b], splits_b)
    return pd.DataFrame(
        {
            "id_a": np.array(subject_a.ids, dtype=object)[rows_a],
            "id_b": np.array(subject_b.ids, dtype=object)[rows_b],
            "relation": pairs["relation"].to_numpy(),
            "score": pairs["score"].to_numpy(),
        }
    )[kept].reset_index(drop=True)
