"""Whether a split separates images that belong together."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Literal


@dataclass(frozen=True)
class Leakage:
    """Whether images of one group (copies, one patient) stand in different splits: `clean`, `leaky` or `unknown`.

    `num_test` counts the test images with one of their group in train or validation, `num_test_by_class` the same for
    each class that has any; `num_validation` the validation images with one of their group in train.
    """

    status: Literal["clean", "leaky", "unknown"]
    detail: str = ""
    num_test: int = 0
    num_validation: int = 0
    num_test_by_class: dict[str, int] = field(default_factory=dict)


def find_leakage(
    groups: Sequence[str],
    splits: Sequence[str],
    class_names: Sequence[str] | None = None,
    *,
    pairs: Iterable[Sequence[int]] = (),
    detail: str = "",
) -> Leakage:
    """Count the images (N,) with one of their group in a split that is used before theirs: train, validation, test.

    Copies of which the `pairs` of row numbers tell count as well, whatever their groups: a pair that was cut to break a
    chain is still a pair. `detail` says what was looked at, where nothing leaks.
    """
    rows = list(zip(groups, splits, strict=True))
    in_train = {group for group, split in rows if split == "train"}
    seen = in_train | {group for group, split in rows if split == "validation"}
    is_leaked = [split == "test" and group in seen for group, split in rows]
    is_leaked_validation = [split == "validation" and group in in_train for group, split in rows]
    for pair in pairs:
        for row, other in (tuple(pair), tuple(reversed(pair))):
            is_leaked[row] |= splits[row] == "test" and splits[other] != "test"
            is_leaked_validation[row] |= splits[row] == "validation" and splits[other] == "train"
    num_validation = sum(is_leaked_validation)
    num_test = sum(is_leaked)
    if not num_test and not num_validation:
        return Leakage("clean", detail or "no images of one group in different splits")
    by_class = Counter(name for name, leaked in zip(class_names or [], is_leaked, strict=False) if leaked)
    found = f"{num_test} test and {num_validation} validation images have a copy, or another of their group, in"
    return Leakage("leaky", f"{found} an earlier split", num_test, num_validation, dict(sorted(by_class.items())))
