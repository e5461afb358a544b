"""Ways to split images into train, validation and test; each is a function of its arguments and the seed."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np

from raysynth.data.allocation import Allocation

MAX_SWAPS = 100
MAX_CANDIDATES = 128  # groups of a class that are tried on each side: enough for fine steps, and bounds the time


def grouped(
    groups: Sequence[str],
    labels: Sequence[int],
    *,
    test: float,
    validation: float,
    seed: int,
    keep: Sequence[str | None] | None = None,
) -> np.ndarray:
    """Split so that no group is separated and every class has about the given shares; returns split names (N,).

    `test` and `validation` are shares of all images. Every split that has a share gets at least one group of each
    class that has enough of them: a class with two groups goes to train and test, one with one group to train. A
    group of several classes counts as one of its commonest class here. The order of the images does not matter.

    `keep` (N,) holds the splits of images that have one: they stay, new images (None) join the others of their group,
    and new groups fill up the shares of all images, old and new. Raises ValueError for new images of a group with
    images in two splits: reject what `allocation.conflicts` finds first.
    """
    allocation: Allocation[str] = Allocation(groups, labels, seed=seed, keep=keep)
    shares = {split: share for split, share in (("test", test), ("validation", validation)) if share > 0}
    unfilled = ["train", *shares]
    for split, share in shares.items():
        wanted = {label: max(1, round(share * num_images)) for label, num_images in allocation.totals.items()}
        # The splits, in this order, that are to have a group of a class and have none: as many as there are groups.
        lacking = {
            label: [other for other in unfilled if not allocation.homes[other, label]][: allocation.num_free[label]]
            for label in wanted
        }
        reserved = {label: sum(other != split for other in lacking[label]) for label in wanted}
        taken = []
        for group in allocation.free():
            home = allocation.home[group]
            if allocation.num_free[home] > reserved[home] and _brings_nearer(allocation, group, split, wanted):
                allocation.put(group, split)
                taken.append(group)
        for label in wanted:
            if split in lacking[label] and not allocation.homes[split, label]:  # its groups are all large
                of_class = [group for group in allocation.free() if allocation.home[group] == label]
                taken.append(min(of_class, key=allocation.size))
                allocation.put(taken[-1], split)
        _even_out(allocation, taken, split, wanted)
        unfilled.remove(split)
    for group in allocation.free():
        allocation.put(group, "train")
    return np.array(allocation.parts(), dtype=object)


def folders(
    source_splits: Sequence[str],
    groups: Sequence[str],
    labels: Sequence[int],
    *,
    has_validation: bool,
    validation: float,
    seed: int,
) -> np.ndarray:
    """Keep the source's own splits (N,); without a validation folder, take its share of train, by groups.

    `validation` is a share of the train images here. Twins that the source has in train and in test stay there.
    """
    splits = np.array(source_splits, dtype=object)
    if has_validation:
        return splits
    rows = np.flatnonzero(splits == "train").tolist()
    parts = grouped(
        [groups[row] for row in rows], [labels[row] for row in rows], test=0.0, validation=validation, seed=seed
    )
    splits[rows] = parts
    return splits


def random(num_images: int, *, test: float, validation: float, seed: int) -> np.ndarray:
    """Draw every image by itself, as the study did: pixel-identical images may be separated (N,).

    `test` and `validation` are shares of all images, rounded up (of 3264 images, 0.1 gives the study's 327); at
    least one image stays in train.
    """
    # Rounding first: 0.1 * 30 is a little more than 3.
    num_test = min(math.ceil(round(test * num_images, 6)), num_images - 1)
    num_validation = min(math.ceil(round(validation * num_images, 6)), num_images - 1 - num_test)
    splits = np.full(num_images, "train", dtype=object)
    order = np.random.default_rng(seed).permutation(num_images)
    splits[order[:num_test]] = "test"
    splits[order[num_test : num_test + num_validation]] = "validation"
    return splits


def largest_of_each_group(
    groups: Sequence[str],
    widths: Sequence[int | None],
    heights: Sequence[int | None],
    ids: Sequence[str],
    *,
    keep: Sequence[str | None] | None = None,
) -> np.ndarray:
    """Mask (N,) of one image a group: the one whose original has the most pixels, of equal ones the first by id.

    Of a group with images that have a split already (`keep`, as in `grouped`) it is the largest of these: a new image
    never takes the place of an old one.
    """
    kept = [None] * len(groups) if keep is None else keep
    best: dict[str, tuple[bool, int, str, int]] = {}
    for row, group in enumerate(groups):
        num_pixels = (widths[row] or 0) * (heights[row] or 0)
        rank = (kept[row] is None, -num_pixels, ids[row], row)
        best[group] = min(rank, best.get(group, rank))
    mask = np.zeros(len(groups), dtype=bool)
    mask[[row for *_, row in best.values()]] = True
    return mask


def _brings_nearer(allocation: Allocation[str], group: str, split: str, wanted: Mapping[int, int]) -> bool:
    """Whether the split comes nearer to the wanted number of images of each class by taking the group.

    Distance is the sum over classes of squared errors, each relative to the size of the class; a group of one class
    is taken when it holds less than twice what is missing. So a large group, or one that is wanted for one class and
    far too much for another, is left out.
    """
    change = 0.0
    for label, num_images in allocation.counts[group].items():
        missing = wanted[label] - allocation.held[split, label]
        change += num_images * (num_images - 2 * missing) / allocation.totals[label] ** 2
    return change < 0


def _even_out(allocation: Allocation[str], taken: Sequence[str], split: str, wanted: Mapping[int, int]) -> None:
    """Exchange taken groups for free ones of the same home, the best pair first, while that brings the split nearer.

    Taking in a drawn order misses by up to half of the last group, and by more where groups hold several classes.
    """
    column = {label: k for k, label in enumerate(wanted)}
    scale = np.array([allocation.totals[label] for label in wanted], dtype=np.float64)

    def vectors(groups: Sequence[str]) -> np.ndarray:
        counts = np.zeros((len(groups), len(column)))
        for row, group in enumerate(groups):
            for label, num_images in allocation.counts[group].items():
                counts[row, column[label]] = num_images
        return counts / scale

    inside = _by_home(allocation, taken)
    outside = _by_home(allocation, allocation.free())
    pairs = {home: (vectors(inside[home]), vectors(outside[home])) for home in inside if home in outside}
    error = np.array([allocation.held[split, label] - wanted[label] for label in wanted]) / scale
    for _ in range(MAX_SWAPS):
        best, best_distance = None, float(np.square(error).sum()) * (1 - 1e-6)
        for home, (leaving, coming) in pairs.items():
            left = error - leaving
            # Class by class, since a product of matrices may round differently on another machine.
            distances = np.zeros((len(leaving), len(coming)))
            for k in range(len(column)):
                distances += (left[:, k, None] + coming[:, k]) ** 2
            i, j = map(int, np.unravel_index(np.argmin(distances), distances.shape))
            if distances[i, j] < best_distance - 1e-12:
                best, best_distance = (home, i, j), float(distances[i, j])
        if best is None:
            return
        home, i, j = best
        leaving, coming = pairs[home]
        error += coming[j] - leaving[i]
        leaving[i], coming[j] = coming[j].copy(), leaving[i].copy()
        inside[home][i], outside[home][j] = outside[home][j], inside[home][i]
        allocation.take_back(outside[home][j])
        allocation.put(inside[home][i], split)


def _by_home(allocation: Allocation[str], groups: Sequence[str]) -> dict[int, list[str]]:
    """The first groups of each home."""
    by_home: dict[int, list[str]] = {}
    for group in groups:
        of_home = by_home.setdefault(allocation.home[group], [])
        if len(of_home) < MAX_CANDIDATES:
            of_home.append(group)
    return by_home
