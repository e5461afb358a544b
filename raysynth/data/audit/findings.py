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
from raysynth.data.thumbnails import is_blank

RANDOM_SEEDS = 5
MAX_LISTED = 200
NO_PAIRS = np.zeros((0, 2), dtype=np.int64)


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


def leakage_of_splits(
    subject: Subject, groups: Sequence[str], pairs: np.ndarray = NO_PAIRS
) -> dict[str, dict[str, Any]]:
    """Leaked images of the split in force, of the source's own folders, and of a random one (mean of five seeds).

    An image leaks by its group or by one of the `pairs` (n, 2) of row numbers.
    """
    found = {"in force": _leakage(subject, groups, subject.splits, pairs)}
    if any(subject.source_splits):
        parts = np.array([split or "none" for split in subject.source_splits], dtype=object)
        own = np.flatnonzero(parts != "none")  # images of which the source says nothing are in no split of it
        place = np.cumsum(parts != "none") - 1
        inside = pairs[np.isin(pairs, own).all(1)]
        found["folders"] = _leakage(subject.take(own), [groups[row] for row in own.tolist()], parts[own], place[inside])
    shares = {split: float(np.mean(subject.splits == split)) for split in ("test", "validation")}
    if shares["test"]:
        parts_of_draws = [
            splits.random(len(subject), test=shares["test"], validation=shares["validation"], seed=seed)
            for seed in range(RANDOM_SEEDS)
        ]
        found["random"] = _mean([_leakage(subject, groups, parts, pairs) for parts in parts_of_draws])
        if found["random"]["num_test"] or found["random"]["num_validation"]:
            found["random"]["status"] = "leaky"  # in some of the draws
    return found


def _leakage(subject: Subject, groups: Sequence[str], parts: np.ndarray, pairs: np.ndarray) -> dict[str, Any]:
    leakage = asdict(find_leakage(groups, list(parts), list(subject.classes), pairs=_across(pairs, parts)))
    of = Counter(subject.classes[parts == "test"])
    by_class = leakage.pop("num_test_by_class")
    return {
        **leakage,
        "of_test": int((parts == "test").sum()),
        "of_validation": int((parts == "validation").sum()),
        "test_by_class": {name: {"leaked": by_class.get(name, 0), "of": of[name]} for name in sorted(of)},
    }


def _across(pairs: np.ndarray, parts: np.ndarray) -> list[tuple[int, int]]:
    """The pairs that stand in two splits."""
    return [(a, b) for a, b in pairs[parts[pairs[:, 0]] != parts[pairs[:, 1]]].tolist()]


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
    # By their hashes too: of very many identical images not every pair is listed.
    seen_there = {h for h, blank in zip(other.hashes, is_blank(other.thumbnails), strict=True) if not blank}
    seen_here = {h for h, blank in zip(subject.hashes, is_blank(subject.thumbnails), strict=True) if not blank}
    touched = np.array([pixel_hash in seen_there for pixel_hash in subject.hashes], dtype=bool)
    touched[a] = True
    touched_there = np.array([pixel_hash in seen_here for pixel_hash in other.hashes], dtype=bool)
    touched_there[b] = True
    return {
        "name": other.name,
        "fingerprint": other.fingerprint,
        "images": len(other),
        **count_relations(pairs, [a]),
        "images_with_a_copy": int(touched.sum()),
        "its_images_with_a_copy": int(touched_there.sum()),
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
