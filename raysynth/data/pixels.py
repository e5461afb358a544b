"""The images of a split for a training: in memory, or, where they are too many, in a file that is mapped into it.

The file holds the split's pixels as they are, row after row, so any image is one read away and a training shuffles as
it does in memory: the same order, the same numbers, whatever fits. That is why it is not Ray Data that streams here:
its shuffle is of the blocks that are in memory at a time, which would be another training, one that depends on the
number of workers and that a checkpoint cannot go on with. What the operating system has memory for it keeps, so only
what does not fit is read from the disk again in each epoch. Passes in any order (statistics, scoring) do go through Ray
Data, by row groups (`raysynth.evaluation.chunks`).
"""

from __future__ import annotations

import fcntl
import math
import os
import shutil
from pathlib import Path
from typing import BinaryIO

import numpy as np

from raysynth.data.dataset import Dataset, tensor_column
from raysynth.data.default import cache_folder
from raysynth.errors import UserError
from raysynth.files import replacing

MEMORY_SHARE = 0.1  # a training holds its images twice for a moment, and a machine may have several trainings


def split_pixels(
    dataset: Dataset,
    split: str,
    *,
    memory_share: float = MEMORY_SHARE,
    folder: Path | None = None,
    memory_bytes: int | None = None,
) -> tuple[np.ndarray, np.ndarray]:
    """Images (N, C, H, W) uint8 and labels (N,) int64 of a split, as `Dataset.pixels` gives them.

    Images that take more than `memory_share` of the `memory_bytes` (default: of this machine) are a read-only
    `np.memmap` of a file in `folder` (default: the user's cache), which is written once a machine and data set. Raises
    UserError when the disk has no room for it.
    """
    num_bytes = dataset.num_images(split) * math.prod(dataset.shape)
    if num_bytes <= memory_share * (memory_bytes or machine_memory_bytes()):
        return dataset.pixels(split)
    file = _ensure_file(dataset, split, folder or cache_folder() / "pixels", num_bytes)
    return np.load(file, mmap_mode="r"), dataset.read(["label"], split)["label"].to_numpy()


def machine_memory_bytes() -> int:
    """Memory of this machine, or what a container may use of it."""
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    limit = Path("/sys/fs/cgroup/memory.max")  # "max" or bytes
    if limit.is_file() and (text := limit.read_text().strip()) != "max":
        memory = min(memory, int(text))
    return memory


def _ensure_file(dataset: Dataset, split: str, folder: Path, num_bytes: int) -> Path:
    path = folder / f"{dataset.fingerprint}-{split}.npy"
    folder.mkdir(parents=True, exist_ok=True)
    with path.with_suffix(".lock").open("w") as lock:  # one worker of a machine writes it, the others wait
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not path.is_file():
            free = shutil.disk_usage(folder).free
            if num_bytes > free:
                raise UserError(
                    f"--data {dataset.path}: its {split} images take {num_bytes / 1e9:.1f} GB, more than memory_share, "
                    f"and {folder} has {free / 1e9:.1f} GB free; set XDG_CACHE_HOME to a larger disk"
                )
            with replacing(path) as file:
                _write_split(dataset, split, file)
    return path


def _write_split(dataset: Dataset, split: str, file: BinaryIO) -> None:
    """All images of a split in the order of `Dataset.read`, as a .npy file, a row group in memory at a time."""
    shape = (dataset.num_images(split), *dataset.shape)
    np.lib.format.write_array_header_1_0(file, {"descr": "|u1", "fortran_order": False, "shape": shape})
    num_written = 0
    for table in dataset.row_groups(["image"], split):
        file.write(tensor_column(table, "image").tobytes())
        num_written += table.num_rows
    if num_written != shape[0]:
        raise UserError(
            f"{dataset.path}: has {num_written} {split} images, dataset.json says {shape[0]}; import it again"
        )
