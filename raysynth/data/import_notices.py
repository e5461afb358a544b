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


def say_missing_classes(parts: np.ndarray, class_names: np.ndarray, test: float, validation: float, say: Say) -> None:
    """Classes too small to be in every split that was asked for."""
    for split, share in (("train", 1.0), ("validation", validation), ("test", test)):
        missing = sorted(set(class_names) - set(class_names[parts == split]))
        if share > 0 and missing:
            shown = ", ".join(map(repr, missing[:MAX_EXAMPLES]))
            say(f"notice: no {split} image of {shown}: too few distinct images, or the source's folders have none")


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
