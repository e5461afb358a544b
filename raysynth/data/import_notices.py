"""What an import tells of what it decided by itself."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence

import numpy as np

MAX_EXAMPLES = 5
MAX_HIDDEN = 20
Say = Callable[[str], None]


def say_dropped_classes(wanted: Iterable[str], classes: Sequence[str], say: Say) -> None:
    """Classes without an image; and one class alone, on which no classifier can be trained."""
    for name in sorted(set(wanted) - set(classes)):
        say(f"notice: class {name!r} has no image and was dropped")
    if len(classes) == 1:
        say(f"notice: {classes[0]!r} is the only class; a classifier cannot be trained on this data set alone")


def say_oddities(has_more_frames: np.ndarray, is_headless: np.ndarray, say: Say) -> None:
    """Files of which only a part was taken, and images that were to be cut to the head and could not."""
    if num := int(np.sum(has_more_frames)):
        say(f"notice: {num} files hold more than one frame, the first was taken")
    if num := int(np.sum(is_headless)):
        say(f"notice: no head was found in {num} images, which were taken whole (--crop head)")


def say_missing_classes(
    parts: np.ndarray,
    class_names: np.ndarray,
    test: float,
    validation: float,
    say: Say,
    *,
    groups: Sequence[str] = (),
    source_groups: Sequence[str | None] = (),
) -> None:
    """Classes too small to be in every split that was asked for, or all in one group of more than half of the images.

    `parts` (N,) are splits. `groups` (N,) were not separated, and `source_groups` (N,) are what the source calls them;
    both are empty where images were split regardless of groups.
    """
    largest, num = Counter(groups).most_common(1)[0] if groups else ("", 0)
    inside = np.array([group == largest for group in groups], dtype=bool)
    is_large = 2 * num > len(parts)
    captive = set(class_names[inside]) - set(class_names[~inside]) if is_large else set()
    lacking = []
    for split, share in (("train", 1.0), ("validation", validation), ("test", test)):
        missing = set(class_names) - set(class_names[parts == split])
        if share > 0 and missing & captive:
            is_empty = missing == set(class_names)
            lacking.append(f"no {split} " + ("split" if is_empty else f"image of {_shown(missing & captive)}"))
            missing -= missing if is_empty else captive
        if share > 0 and missing:
            why = "too few distinct images, or the source's folders have none"
            say(f"notice: no {split} image of {_shown(missing)}: {why}")
    if lacking:
        names = sorted({name for name, is_in in zip(source_groups, inside, strict=True) if is_in and name})
        what = f"of one group ({', '.join(names[:MAX_EXAMPLES])})" if names else "copies of each other"
        remedy = "give --groups, or for a table --group-column ''" if names else "see pairs.parquet in the folder audit"
        count = f"all {num}" if num == len(parts) else f"{num} of {len(parts)}"
        say(f"notice: {count} images are {what}, so there is {' and '.join(lacking)}; {remedy}")


def _shown(names: Iterable[str]) -> str:
    return ", ".join(map(repr, sorted(names)[:MAX_EXAMPLES]))


def say_rejected(rejected: Sequence[tuple[str, str]], say: Say) -> None:
    """The commonest reasons for which files were turned away."""
    for reason, count in Counter(reason for _, reason in rejected).most_common(MAX_EXAMPLES):
        say(f"  rejected {count}: {reason}")


def say_hidden_paths(rejected: Sequence[tuple[str, str]], kept: Sequence[tuple[str, str]], say: Say) -> None:
    """Which rejected files (path, reason) are those that are `kept` under another name; the data set doesn't tell."""
    hidden = [(name, path) for (path, _), (name, _) in zip(rejected, kept, strict=True) if name != path]
    if hidden:
        say("notice: paths of DICOM may name patients; rejected.csv has hashes instead, and only these lines tell:")
        for name, path in hidden[:MAX_HIDDEN]:
            say(f"  {name} = {path}")
        if len(hidden) > MAX_HIDDEN:
            say(f"  and {len(hidden) - MAX_HIDDEN} more")
