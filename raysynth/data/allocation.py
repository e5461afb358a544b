"""Groups of images and the parts, splits or folds, in which they lie: what every split by groups rests on."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Sequence
from typing import Generic, TypeVar

Part = TypeVar("Part", str, int)


class Allocation(Generic[Part]):
    """Which part each group lies in, and how many images of each class each part holds.

    `counts` is group -> class -> number of images and `totals` their sum over groups; `home` is the commonest class
    of a group, the smallest of equally common ones. `held` is (part, class) -> number of images there so far, `homes`
    (part, class) -> number of images there in groups of that home, and `num_free` the number of groups of each home
    that have no part yet.

    `keep` (N,) holds the parts of images that have one: those stay, and new images (None) of their groups join them.
    Raises ValueError for a new image of a group that lies in two parts; `conflicts` finds these beforehand.
    """

    def __init__(
        self, groups: Sequence[str], labels: Sequence[int], *, seed: int, keep: Sequence[Part | None] | None = None
    ) -> None:
        self._groups = groups
        self._kept: Sequence[Part | None] = [None] * len(groups) if keep is None else keep
        if clashing := conflicting_groups(groups, self._kept):
            raise ValueError(f"new images of groups that lie in two parts: {sorted(clashing)[:3]}")
        self._part_of: dict[str, Part] = {group: min(parts) for group, parts in _kept_parts(groups, self._kept).items()}
        counts: dict[str, Counter[int]] = {}
        for group, label in zip(groups, map(int, labels), strict=True):
            counts.setdefault(group, Counter())[label] += 1
        # Sorted: neither a sum of floats nor the choice among equals may depend on the order of the images.
        self.counts = {group: dict(sorted(of_class.items())) for group, of_class in counts.items()}
        self.totals = dict(sorted(Counter(map(int, labels)).items()))
        self.home = {group: max(of_class, key=of_class.__getitem__) for group, of_class in self.counts.items()}
        free = (group for group in counts if group not in self._part_of)
        self._order = sorted(free, key=lambda group: _draw(seed, group))
        self.num_free = Counter(self.home[group] for group in self._order)

        self.held: Counter[tuple[Part, int]] = Counter()
        self.homes: Counter[tuple[Part, int]] = Counter()
        for group, label, part in zip(groups, map(int, labels), self._kept, strict=True):
            if group in self._part_of:
                lies_in = self._part_of[group] if part is None else part
                self.held[lies_in, label] += 1
                self.homes[lies_in, self.home[group]] += 1

    def free(self) -> list[str]:
        """The groups that have no part yet, in an order drawn from the seed and each group's name alone."""
        return [group for group in self._order if group not in self._part_of]

    def size(self, group: str) -> int:
        """Number of images of a group."""
        return sum(self.counts[group].values())

    def put(self, group: str, part: Part) -> None:
        """Give a free group its part."""
        self._part_of[group] = part
        self._count(group, part, 1)

    def take_back(self, group: str) -> None:
        """Make a group that was put somewhere free again."""
        self._count(group, self._part_of.pop(group), -1)

    def _count(self, group: str, part: Part, sign: int) -> None:
        self.num_free[self.home[group]] -= sign
        self.homes[part, self.home[group]] += sign * self.size(group)
        for label, num_images in self.counts[group].items():
            self.held[part, label] += sign * num_images

    def parts(self) -> list[Part]:
        """The part of each image (N,), once every group has one."""
        pairs = zip(self._groups, self._kept, strict=True)
        return [self._part_of[group] if part is None else part for group, part in pairs]


def conflicting_groups(groups: Sequence[str], keep: Sequence[Part | None]) -> set[str]:
    """Groups that have new images (None in `keep`) and others in two parts or more."""
    kept = _kept_parts(groups, keep)
    return {group for group, part in zip(groups, keep, strict=True) if part is None and len(kept.get(group, ())) > 1}


def conflicts(groups: Sequence[str], keep: Sequence[str | None], names: Sequence[str]) -> dict[int, str]:
    """New images that must be rejected, as their group lies in two parts: row -> reason.

    Images with a part in `keep` (N,) never move, so a new one (None) of their group would have a partner on another
    side wherever it went. The reason names an image of each part, the first by `names` (N,). Leave these rows out and
    find the groups anew: it may be they alone that joined the others.
    """
    rejected = conflicting_groups(groups, keep)
    examples: dict[str, dict[str, str]] = {group: {} for group in rejected}
    for group, part, name in zip(groups, keep, names, strict=True):
        if group in rejected and part is not None:
            examples[group][part] = min(name, examples[group].get(part, name))
    reasons = {
        group: "in one group with images of different splits, which stay where they are: "
        + " and ".join(f"{name} ({part})" for part, name in sorted(of_part.items()))
        for group, of_part in examples.items()
    }
    pairs = enumerate(zip(groups, keep, strict=True))
    return {row: reasons[group] for row, (group, part) in pairs if part is None and group in rejected}


def _kept_parts(groups: Sequence[str], keep: Sequence[Part | None]) -> dict[str, set[Part]]:
    kept: dict[str, set[Part]] = {}
    for group, part in zip(groups, keep, strict=True):
        if part is not None:
            kept.setdefault(group, set()).add(part)
    return kept


def _draw(seed: int, group: str) -> bytes:
    """A random sort key that depends on the group itself: adding images elsewhere moves no other group's key."""
    return hashlib.blake2b(f"{seed}\0{group}".encode(), digest_size=16).digest()
