"""What an import tells of what it decided by itself."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence

import numpy as np

MAX_EXAMPLES = 5
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


def say_duplicates(paths: Sequence[str], hashes: Sequence[str], labels: Sequence[int], say: Say) -> None:
    """Pixel-identical images, and those of them that stand in different classes."""
    twins: dict[str, list[int]] = {}
    for row, pixel_hash in enumerate(hashes):
        twins.setdefault(pixel_hash, []).append(row)
    if num_copies := len(hashes) - len(twins):
        say(f"notice: {num_copies} images are pixel-identical copies of others ({len(twins)} are distinct)")
    conflicts = [rows for rows in twins.values() if len({labels[row] for row in rows}) > 1]
    if conflicts:
        num = sum(map(len, conflicts))
        say(f"notice: {num} pixel-identical images stand in different classes ({len(conflicts)} groups); all kept:")
        for rows in conflicts[:MAX_EXAMPLES]:
            say(f"  {' = '.join(paths[row] for row in rows)}")
        if len(conflicts) > MAX_EXAMPLES:
            say(f"  and {len(conflicts) - MAX_EXAMPLES} groups more")


def say_missing_classes(
    parts: np.ndarray, labels: Sequence[int], classes: Sequence[str], test: float, validation: float, say: Say
) -> None:
    """Classes too small to be in every split that was asked for."""
    for split, share in (("train", 1.0), ("validation", validation), ("test", test)):
        present = {label for label, part in zip(labels, parts, strict=True) if part == split}
        missing = [name for label, name in enumerate(classes) if label not in present]
        if share > 0 and missing:
            shown = ", ".join(map(repr, missing[:MAX_EXAMPLES]))
            say(f"notice: no {split} image of {shown}: too few distinct images, or the source's folders have none")


def say_rejected(rejected: Sequence[tuple[str, str]], say: Say) -> None:
    """The commonest reasons for which files were turned away."""
    for reason, count in Counter(reason for _, reason in rejected).most_common(MAX_EXAMPLES):
        say(f"  rejected {count}: {reason}")
