"""Groups of copies: the connected components of verified pairs, with a guard against chains."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

import numpy as np
import pandas as pd

from raysynth.data.audit.copies import connected

MIN_GUARDED = 20  # smaller groups are left as they are
SCORE_STEP = 0.01
SURE_SCORE = 0.95  # one picture, beyond doubt: never cut


def group_copies(
    pairs: pd.DataFrame, hashes: Sequence[str], ids: Sequence[str], *, min_density: float
) -> tuple[list[str], np.ndarray]:
    """The group (N,) of every image, and for each pair whether it was cut to break a chain (bool).

    A chain links pictures that do not resemble each other through ones in between. It shows in the share of a group's
    pairs that are copies: neighbouring slices of one patient have 0.15 to 0.3 here, hundreds of patients a
    hundredth. A group of more than MIN_GUARDED images under `min_density` is cut at its weakest pairs, until each
    piece has that share or is small. Identical images count as one; pairs of SURE_SCORE and more are never cut.

    A group is called by the smallest pixel hash of its images, so that its name does not depend on where they lie.
    """
    num = len(hashes)
    edges, scores = pairs[["a", "b"]].to_numpy(), pairs["score"].to_numpy()
    is_exact = (pairs["relation"] == "exact").to_numpy()
    picture = connected(edges[is_exact], num)
    _, one_of_each = np.unique(picture, return_index=True)
    once = np.zeros(len(pairs), dtype=bool)  # of several pairs of the same two pictures one
    once[np.unique(np.sort(picture[edges], axis=1), axis=0, return_index=True)[1]] = True
    once &= ~is_exact
    kept = np.ones(len(pairs), dtype=bool)
    while True:
        group = connected(edges[kept], num)
        size = np.bincount(group[one_of_each], minlength=num)
        num_pairs = np.bincount(group[edges[kept & once][:, 0]], minlength=num)
        density = num_pairs / np.maximum(size * (size - 1) / 2, 1)
        is_chain = (size > MIN_GUARDED) & (density < min_density)
        in_chain = kept & (scores < SURE_SCORE) & is_chain[group[edges[:, 0]]]
        if not in_chain.any():
            break
        for chain in np.flatnonzero(is_chain):
            members = in_chain & (group[edges[:, 0]] == chain)
            kept[members & (scores <= scores[members].min() + SCORE_STEP)] = False
    return _name(group, hashes, ids), ~kept


def _name(group: np.ndarray, hashes: Sequence[str], ids: Sequence[str]) -> list[str]:
    names: dict[int, str] = {}
    for number, pixel_hash in zip(group, hashes, strict=True):
        names[number] = min(pixel_hash, names.get(number, pixel_hash))
    taken: dict[str, set[int]] = {}
    for number, name in names.items():
        taken.setdefault(name, set()).add(number)
    # Blank images have one hash and are no copies of each other: their ids tell them apart.
    return [
        names[number] if len(taken[names[number]]) == 1 else f"{names[number]}-{_short_hash(image_id)}"
        for number, image_id in zip(group, ids, strict=True)
    ]


def _short_hash(text: str) -> str:
    return hashlib.blake2b(text.encode(), digest_size=6).hexdigest()


def describe_groups(groups: Sequence[str], cut: np.ndarray, pairs: pd.DataFrame, class_names: Sequence[str]) -> dict:
    """Numbers on groups (N,): how many, how large, the largest one with the share of its pairs that are copies."""
    names, number, size = np.unique(np.asarray(groups), return_inverse=True, return_counts=True)
    largest = int(size.argmax())
    members = number == largest
    inside = members[pairs["a"].to_numpy()] & members[pairs["b"].to_numpy()]
    num_pairs = size[largest] * (size[largest] - 1) / 2
    classes, counts = np.unique(np.asarray(class_names)[members], return_counts=True)
    return {
        "num_groups": len(names),
        "num_with_copies": int((size > 1).sum()),
        "images_in_them": int(size[size > 1].sum()),
        "sizes": {
            label: int(((size >= low) & (size <= high)).sum())
            for label, low, high in (("1", 1, 1), ("2", 2, 2), ("3-5", 3, 5), ("6-20", 6, 20), ("over 20", 21, 2**62))
        },
        "largest": {
            "group": str(names[largest]),
            "num_images": int(size[largest]),
            "share_of_pairs_that_are_copies": round(float(inside.sum() / num_pairs), 3) if num_pairs else None,
            "classes": dict(zip(classes.tolist(), counts.tolist(), strict=True)),
        },
        "pairs_cut": int(cut.sum()),
    }
