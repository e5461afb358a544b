"""What verified pairs mean: leakage of a split, label conflicts, contact with another data set."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

import numpy as np
import pandas as pd

from raysynth.data import splits
from raysynth.data.audit.relations import RELATIONS
from raysynth.data.audit.subject import Subject
from raysynth.data.leakage import find_leakage

RANDOM_SEEDS = 5
MAX_LISTED = 200


def count_relations(pairs: pd.DataFrame, images: Sequence[np.ndarray]) -> dict[str, dict[str, Any]]:
    """For every relation: its pairs, the images in them (row numbers of each side), and the orientations found."""
    counts = {}
    for relation in RELATIONS:
        rows = (pairs["relation"] == relation).to_numpy()
        orientations = Counter(pairs["orientation"][rows])
        counts[relation] = {
            "pairs": int(rows.sum()),
            "images": len(np.unique(np.concatenate([side[rows] for side in images]))) if rows.any() else 0,
            "orientations": dict(orientations.most_common()),
        }
    return counts


def leakage_of_splits(subject: Subject, groups: Sequence[str]) -> dict[str, dict[str, Any]]:
    """Leaked images of the split in force, of the source's own folders, and of a random one (mean of five seeds)."""
    found = {"in force": _leakage(subject, groups, subject.splits)}
    if any(subject.source_splits):
        found["folders"] = _leakage(subject, groups, np.array([split or "train" for split in subject.source_splits]))
    shares = {split: float(np.mean(subject.splits == split)) for split in ("test", "validation")}
    if shares["test"]:
        draws = [
            splits.random(len(subject), test=shares["test"], validation=shares["validation"], seed=seed)
            for seed in range(RANDOM_SEEDS)
        ]
        found["random"] = _mean([_leakage(subject, groups, draw) for draw in draws])
        if found["random"]["num_test"] or found["random"]["num_validation"]:
            found["random"]["status"] = "leaky"  # in some of the draws
    return found


def _leakage(subject: Subject, groups: Sequence[str], parts: np.ndarray) -> dict[str, Any]:
    leakage = asdict(find_leakage(groups, list(parts), list(subject.classes)))
    of = Counter(subject.classes[parts == "test"])
    by_class = leakage.pop("num_test_by_class")
    return {
        **leakage,
        "of_test": int((parts == "test").sum()),
        "of_validation": int((parts == "validation").sum()),
        "test_by_class": {name: {"leaked": by_class.get(name, 0), "of": of[name]} for name in sorted(of)},
    }


def _mean(draws: list[dict[str, Any]]) -> dict[str, Any]:
    """The mean of several draws; what is the same in all is kept."""
    merged: dict[str, Any] = {}
    for key, value in draws[0].items():
        if isinstance(value, dict):
            names = sorted(set().union(*(draw[key] for draw in draws)))
            merged[key] = {
                name: _mean([draw[key].get(name, {"leaked": 0, "of": 0}) for draw in draws]) for name in names
            }
        elif isinstance(value, int):
            merged[key] = round(sum(draw[key] for draw in draws) / len(draws), 1)
        else:
            merged[key] = value
    merged.pop("detail", None)
    return merged


def label_conflicts(pairs: pd.DataFrame) -> dict[str, Any]:
    """Pairs under two classes, both paths listed; `pairs` is a table as in `pairs.parquet`, with row numbers."""
    rows = pairs[pairs["class_a"] != pairs["class_b"]].sort_values("score", ascending=False)
    columns = ["path_a", "class_a", "path_b", "class_b", "relation", "score"]
    kinds = Counter(tuple(sorted(pair)) for pair in zip(rows["class_a"], rows["class_b"], strict=True))
    return {
        "pairs": len(rows),
        "images": len({(0, row) for row in rows["row_a"]} | set(zip(rows["set_b"], rows["row_b"], strict=True))),
        "by_classes": {" / ".join(kind): num for kind, num in kinds.most_common()},
        "listed": rows[columns].head(MAX_LISTED).to_dict("records"),
    }


def contact(subject: Subject, other: Subject, pairs: pd.DataFrame) -> dict[str, Any]:
    """What `pairs` (a of `subject`, b of `other`, by row number) say of two data sets."""
    a, b = pairs["row_a"].to_numpy(), pairs["row_b"].to_numpy()
    common = sorted(set(subject.classes) & set(other.classes))
    comparable = pairs["class_a"].isin(common) & pairs["class_b"].isin(common)
    touched = np.zeros(len(subject), dtype=bool)
    touched[a] = True
    return {
        "name": other.name,
        "fingerprint": other.fingerprint,
        "images": len(other),
        **count_relations(pairs, [a]),
        "images_with_a_copy": int(touched.sum()),
        "its_images_with_a_copy": len(np.unique(b)),
        "by_split": {
            split: {
                "with_a_copy": int((touched & (subject.splits == split)).sum()),
                "of": int((subject.splits == split).sum()),
            }
            for split in ("train", "validation", "test")
        },
        "test_by_class": {
            name: {
                "with_a_copy": int((touched & (subject.splits == "test") & (subject.classes == name)).sum()),
                "of": int(((subject.splits == "test") & (subject.classes == name)).sum()),
            }
            for name in sorted(set(subject.classes))
        },
        "classes_compared": common,
        "classes_only_there": sorted(set(other.classes) - set(common)),
        "label_conflicts": label_conflicts(pairs[comparable]),
    }
