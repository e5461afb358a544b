"""Files that appear complete or not at all, whatever happens while they are written."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from raysynth.errors import UserError


@contextmanager
def replacing(path: Path) -> Iterator[BinaryIO]:
    """A binary file to write to; it takes the place of `path` when the block ends well and it is on disk.

    Until then `path` is what it was before. The folder is made where it is missing.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    partial_path = path.with_name(f".{path.name}.partial-{os.getpid()}")
    try:
        with partial_path.open("wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        partial_path.replace(path)
    finally:
        partial_path.unlink(missing_ok=True)


def refuse_unwritable(path: Path, option: str) -> None:
    """Raise UserError, naming `option`, when `path` cannot be made, with the folders above it that are missing.

    It is tried with a folder that is taken away at once: permissions say nothing of file systems like /proc.
    """
    try:
        path.exists()  # an OSError where the name is too long
        folder = next(above for above in path.absolute().parents if above.exists())
        with tempfile.TemporaryDirectory(prefix=".raysynth-", dir=folder):
            pass
    except OSError as error:
        raise UserError(f"{option} {path}: cannot be written ({error.strerror}); choose another folder") from error


def write_text(path: Path, text: str) -> None:
    """Write a UTF-8 text that appears complete or not at all; what UTF-8 cannot hold becomes `?`."""
    with replacing(path) as file:
        file.write(text.encode("utf-8", "replace"))
