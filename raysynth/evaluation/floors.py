"""The floors of an evaluation: what rules reach that know nothing of anatomy, as the import's audit found."""

from __future__ import annotations

import json

import pandas as pd

from raysynth.data.dataset import Dataset

COLUMNS = ("rule", "looks_at", "accuracy", "accuracy_low", "accuracy_high", "balanced_accuracy", "num_test")


def floor_table(dataset: Dataset) -> pd.DataFrame:
    """Rows (rule, looks_at, accuracy on real test images with Wilson's interval, balanced accuracy, number of images).

    They are in the data set's own `audit/audit.json`; no rows where it has none, as drawn and generated sets do.
    """
    file = dataset.path / "audit" / "audit.json"
    rules = json.loads(file.read_text(encoding="utf-8"))["shortcuts"]["rules"] if file.is_file() else []
    table = pd.DataFrame([rule for rule in rules if rule.get("accuracy") is not None])
    return table.reindex(columns=list(COLUMNS))
