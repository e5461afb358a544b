"""From decoded images to a frozen split: copies are grouped, dropped or turned away, groups are split or folded."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from raysynth.data import folds, splits
from raysynth.data.allocation import conflicts
from raysynth.data.audit.groups import group_copies
from raysynth.data.audit.subject import Subject
from raysynth.data.audit.thresholds import Thresholds
from raysynth.data.import_options import Split
from raysynth.data.user_groups import merge_groups

Say = Callable[[str], None]


@dataclass(frozen=True)
class Plan:
    """How to split: `test` and `validation` are shares; with `num_folds` each fold is the test split of one data set.

    `dedupe` keeps one image of every group of copies.
    """

    split: Split
    test: float
    validation: float
    num_folds: int | None
    dedupe: bool
    seed: int


@dataclass(frozen=True)
class Arrangement:
    """The images that stay (`subject`, with groups), their copies, and a split of them (N,) for every fold, or one.

    `rows` (N,) are their numbers among the images that were given; `rejected` lists the others.
    """

    subject: Subject
    rows: np.ndarray
    copies: pd.DataFrame
    parts: list[np.ndarray]
    fold_of: np.ndarray | None
    rejected: list[tuple[str, str]]


def arrange(
    subject: Subject,
    copies: pd.DataFrame,
    plan: Plan,
    *,
    thresholds: Thresholds,
    keep: Sequence[str | None],
    keep_folds: Sequence[int | None] | None = None,
    has_validation: bool = False,
) -> Arrangement:
    """Split images of which `copies` are known.

    `keep` (N,) are the splits of images that have one already, and `keep_folds` their folds: they stay, and a new image
    that would join groups of two splits is rejected. `has_validation`: the source's own folders have a validation one.
    """
    rows, places = np.arange(len(subject)), subject.places()
    rejected: list[tuple[str, str]] = []
    copy_groups, _ = group_copies(copies, subject.hashes, subject.ids, min_density=thresholds.group_density)
    if plan.dedupe:
        # Copies, not patients: all slices but one of a patient would be a loss.
        stays = splits.largest_of_each_group(copy_groups, subject.widths, subject.heights, subject.ids, keep=keep)
        stays |= np.array([split is not None for split in keep])
        kept_row = {copy_groups[row]: row for row in np.flatnonzero(stays)[::-1].tolist()}
        for row in np.flatnonzero(~stays).tolist():
            other = kept_row[copy_groups[row]]
            is_conflict = subject.classes[row] != subject.classes[other]
            labels = f", but {subject.classes[row]} here and {subject.classes[other]} there" if is_conflict else ""
            rejected.append((places[row], f"a copy of {places[other]}{labels} (--dedupe)"))
        rows = rows[stays]

    frozen: list[str | None] = list(keep)
    if keep_folds is not None:
        frozen = [None if fold is None else f"fold {fold}" for fold in keep_folds]
    groups = _group(subject, copies, rows, thresholds)
    # Again and again: what was cut as a chain may hold together once it has fewer images.
    while found := conflicts(groups, [frozen[row] for row in rows], [places[row] for row in rows]):
        rejected += [(places[rows[place]], reason) for place, reason in sorted(found.items())]
        rows = np.delete(rows, sorted(found))
        groups = _group(subject, copies, rows, thresholds)

    chosen = subject.take(rows)
    numbers = np.unique(chosen.classes, return_inverse=True)[1].tolist()
    fold_of = None
    if plan.num_folds is not None:
        kept = None if keep_folds is None else [keep_folds[row] for row in rows.tolist()]
        fold_of = folds.folds(groups, numbers, num_folds=plan.num_folds, seed=plan.seed, keep=kept)
        parts = [
            folds.fold_split(fold_of, fold, groups, numbers, validation=plan.validation, seed=plan.seed)
            for fold in range(plan.num_folds)
        ]
    elif plan.split == "random":
        parts = [splits.random(len(rows), test=plan.test, validation=plan.validation, seed=plan.seed)]
    elif plan.split == "folders":
        parts = [
            splits.folders(
                [split or "train" for split in chosen.source_splits],
                groups,
                numbers,
                has_validation=has_validation,
                validation=plan.validation,
                seed=plan.seed,
            )
        ]
    else:
        parts = [
            splits.grouped(
                groups,
                numbers,
                test=plan.test,
                validation=plan.validation,
                seed=plan.seed,
                keep=[keep[row] for row in rows.tolist()],
            )
        ]
    return Arrangement(chosen.with_groups(groups), rows, take_pairs(copies, rows), parts, fold_of, rejected)


def take_pairs(pairs: pd.DataFrame, rows: np.ndarray) -> pd.DataFrame:
    """The pairs of which both images stay, numbered by their place in `rows` (ascending)."""
    stays = np.isin(pairs["a"], rows) & np.isin(pairs["b"], rows)
    kept = pairs[stays]
    return kept.assign(
        a=np.searchsorted(rows, kept["a"].to_numpy()), b=np.searchsorted(rows, kept["b"].to_numpy())
    ).reset_index(drop=True)


def _group(subject: Subject, copies: pd.DataFrame, rows: np.ndarray, thresholds: Thresholds) -> list[str]:
    """What must not be separated among `rows`: copies, and what the user or the files' headers say belongs together."""
    chosen = subject.take(rows)
    copy_groups, _ = group_copies(
        take_pairs(copies, rows), chosen.hashes, chosen.ids, min_density=thresholds.group_density
    )
    return merge_groups(copy_groups, chosen.source_groups)
