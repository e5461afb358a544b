"""The data set of every verb whose `--data` or `--real` is left out: the phantom, drawn once and kept."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

from raysynth import __version__
from raysynth.data.dataset import Dataset, load_dataset


def cache_folder() -> Path:
    """Where this user's own copies are kept: `$XDG_CACHE_HOME/raysynth`."""
    return Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "raysynth"


def default_dataset(say: Callable[[str], None], folder: Path | None = None) -> Dataset:
    """Say that the embedded phantom is used; draw it where it is not in the user's cache folder yet."""
    from raysynth.data.phantom import phantom

    path = folder or cache_folder() / f"phantom-{__version__}"  # drawn anew by a version that may draw otherwise
    if (path / "dataset.json").is_file():
        say(f"no --data given: the embedded phantom data set ({path})")
        return load_dataset(path)
    say(f"no --data given: drawing the embedded phantom data set ({path})")
    return phantom(path, say=say)
