"""Three ways to split images into train, validation and test; each is a function of its arguments and the seed."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Sequence

import numpy as np


def grouped(groups: Sequence[str], labels: Sequence[int], *, test: float, validation: float, seed: int) -> np.ndarray:
    """Split so that no group is separated and every class has about the given shares; returns split names (N,).

    `test` and `validation` are shares of all images. Every split that has a share gets at least one group of each
    class that has enough of them: a class with two groups goes to train and test, one with one group to train.
    The order of the images does not matter.
    """
    sizes: dict[int, dict[str, int]] = {}
    for group, label in _label_groups(groups, labels).items():
        sizes.setdefault(label, {})[group] = 0
    home = {group: label for label, members in sizes.items() for group in members}
    for group in groups:
        sizes[home[group]][group] += 1

    split_of = {}
    for members in sizes.values():
        order = sorted(members, key=lambda group: _draw(seed, group))
        num_images = sum(members.values())
        wanted = [("test", test), ("validation", validation)]
        wanted = [(split, share) for split, share in wanted if share > 0][: len(order) - 1]
        for position, (split, share) in enumerate(wanted):
            num_others = len(wanted) - position  # one group each for the splits to come, train among them
            target = max(1, round(share * num_images))
            taken = _take(order, members, target, len(order) - num_others)
            split_of.update(dict.fromkeys(taken, split))
            order = [group for group in order if group not in split_of]
        split_of.update(dict.fromkeys(order, "train"))
    return np.array([split_of[group] for group in groups], dtype=object)


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


def _label_groups(groups: Sequence[str], labels: Sequence[int]) -> dict[str, int]:
    """The commonest label of each group, the smallest of equally common ones."""
    votes: dict[str, dict[int, int]] = {}
    for group, label in zip(groups, labels, strict=True):
        counts = votes.setdefault(group, {})
        counts[int(label)] = counts.get(int(label), 0) + 1
    return {group: min(counts, key=lambda label: (-counts[label], label)) for group, counts in votes.items()}


def _draw(seed: int, group: str) -> bytes:
    """A random sort key that depends on the group itself: adding images elsewhere moves no other group's key."""
    return hashlib.blake2b(f"{seed}\0{group}".encode(), digest_size=16).digest()


def _take(order: list[str], sizes: dict[str, int], target: int, most: int) -> list[str]:
    """Groups from the front of `order`, at least one and at most `most`, that hold about `target` images."""
    taken: list[str] = []
    missing = target
    for group in order:
        if missing <= 0 or len(taken) == most:
            break
        if sizes[group] < 2 * missing:  # a larger one would end further from the target than leaving it out
            taken.append(group)
            missing -= sizes[group]
    return taken or [min(order, key=lambda group: sizes[group])]
