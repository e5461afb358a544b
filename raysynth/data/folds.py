"""Folds for cross-validation: groups stay together, classes are spread evenly."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import numpy as np

from raysynth.data import splits
from raysynth.data.allocation import Allocation
from raysynth.errors import UserError


def folds(
    groups: Sequence[str],
    labels: Sequence[int],
    *,
    num_folds: int,
    seed: int,
    keep: Sequence[int | None] | None = None,
) -> np.ndarray:
    """Fold numbers (N,) from 0: every group in one fold, each class spread evenly over all of them.

    Groups go one by one, the largest first, to the fold that holds least of their classes (the greedy rule of
    longest processing time, Graham 1969, as scikit-learn's StratifiedGroupKFold, here for several classes a group).
    A class with as many groups as folds is in every fold; one with fewer cannot be: see `missing_classes`. The order
    of the images does not matter. `keep` (N,) is as in `splits.grouped`: images with a fold stay there, and new ones
    (None) join the others of their group.

    Raises UserError for fewer than two folds, or more of them than groups.
    """
    if num_folds < 2:
        raise UserError(f"--folds {num_folds}: give at least 2")
    allocation: Allocation[int] = Allocation(groups, labels, seed=seed, keep=keep)
    if num_folds > len(allocation.counts):
        raise UserError(f"--folds {num_folds}: there are only {len(allocation.counts)} groups of images; give fewer")
    if keep is not None and max((fold for fold in keep if fold is not None), default=0) >= num_folds:
        raise UserError(f"--folds {num_folds}: the images that are there lie in more folds, whose number is frozen")
    counts, totals = allocation.counts, allocation.totals
    num_images = Counter(fold for fold in keep or () if fold is not None)

    def share(group: str) -> float:
        return sum(n / totals[label] for label, n in counts[group].items())

    for group in sorted(allocation.free(), key=share, reverse=True):
        home = allocation.home[group]
        lacking = [fold for fold in range(num_folds) if not allocation.homes[fold, home]]
        candidates = lacking if len(lacking) >= allocation.num_free[home] else range(num_folds)

        def load(fold: int, group: str = group) -> tuple[float, int]:
            """What the fold has of the group's classes; of equal folds the smallest is taken."""
            of_classes = sum(
                n * allocation.held[fold, label] / totals[label] ** 2 for label, n in counts[group].items()
            )
            return of_classes, num_images[fold]

        fold = min(candidates, key=load)
        allocation.put(group, fold)
        num_images[fold] += allocation.size(group)
    return np.array(allocation.parts(), dtype=np.int64)


def fold_split(
    fold_of: np.ndarray, fold: int, groups: Sequence[str], labels: Sequence[int], *, validation: float, seed: int
) -> np.ndarray:
    """Split names (N,) of one round: the fold is the test split, `validation` a share of the others, by groups.

    Folds are frozen; which of the other images are for validation depends on all of them.
    """
    if not 0 <= fold <= max(fold_of):
        raise UserError(f"--fold {fold}: the data set has the folds 0 to {max(fold_of)}")
    sides = ["test" if other == fold else "train" for other in fold_of]
    return splits.folders(sides, groups, labels, has_validation=False, validation=validation, seed=seed)


def missing_classes(fold_of: np.ndarray, labels: Sequence[int], *, num_folds: int) -> dict[int, list[int]]:
    """Class -> folds that have no image of it, for the classes that have too few groups to be in all of them."""
    there = set(zip(map(int, fold_of), map(int, labels), strict=True))
    absent = {label: [fold for fold in range(num_folds) if (fold, label) not in there] for _, label in sorted(there)}
    return {label: absent_in for label, absent_in in sorted(absent.items()) if absent_in}
