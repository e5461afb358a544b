"""A folder that appears whole or not at all, here or in a bucket, where nothing was."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path

from raysynth.data.buckets import BucketPath, upload_folder
from raysynth.data.locations import Location, locate, naming
from raysynth.errors import UserError
from raysynth.files import refuse_unwritable


def with_folder(path: Location, write: Callable[[Path], None]) -> None:
    """Call `write` with a fresh neighbouring folder, and rename it to `path` when all of it is on disk.

    For a bucket it is a temporary folder, whose files are copied there, `dataset.json` last.
    """
    if isinstance(path, BucketPath):
        with tempfile.TemporaryDirectory(prefix="raysynth-") as folder:
            write(Path(folder))
            upload_folder(Path(folder), path, last="dataset.json")
        return
    path = path.absolute()
    path.parent.mkdir(parents=True, exist_ok=True)
    partial_path = path.parent / f".{path.name}.partial-{os.getpid()}"
    shutil.rmtree(partial_path, ignore_errors=True)
    partial_path.mkdir()
    try:
        write(partial_path)
        for file in partial_path.rglob("*"):
            if file.is_file():
                with file.open("rb") as handle:
                    os.fsync(handle.fileno())
        if path.is_dir():  # an empty one, see refuse_existing; perhaps the current folder, which must stay
            for item in sorted(partial_path.iterdir(), key=lambda item: item.name == "dataset.json"):
                item.rename(path / item.name)  # dataset.json last: before it nothing looks like a data set
        else:
            partial_path.rename(path)
    finally:
        shutil.rmtree(partial_path, ignore_errors=True)


def refuse_existing(path: Location | str, option: str = "--out") -> None:
    """Raise UserError when `path` already holds something, for no verb overwrites, or cannot be made."""
    with naming(option):
        path = locate(path)
        if isinstance(path, BucketPath):
            is_taken = not path.is_empty()
        else:
            refuse_unwritable(path, option)
            is_taken = path.exists() and (not path.is_dir() or any(path.iterdir()))
    if is_taken:
        raise UserError(f"{option} {path}: exists and is not empty; choose another folder or remove it first")
