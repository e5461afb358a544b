"""Decode all members of a source: in this process if they are few, else in parallel with Ray Data."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np

from raysynth.data.dataset import THUMBNAIL_SIZE
from raysynth.data.decode import Fit, RejectedImage, decode
from raysynth.data.sources import Member, Source, read_member

Batch = dict[str, np.ndarray]

BATCH_SIZE = 32
# Starting Ray takes some seconds, in which one core decodes about this much.
SMALL_SOURCE_BYTES = 16 * 2**20
PROGRESS_INTERVAL_S = 1.0


@dataclass(frozen=True)
class Target:
    """What every image becomes: size x size pixels with 1 or 3 channels."""

    size: int
    channels: int
    fit: Fit


def decode_members(source: Source, target: Target, *, say: Callable[[str], None]) -> Batch:
    """Columns with one row for each member, in their order; `reason` is empty where the image was accepted.

    Columns: image (N, C, size, size) and thumbnail (N, 64, 64) uint8, width, height, format, has_more_frames, reason.
    """
    small = source.num_bytes < SMALL_SOURCE_BYTES
    if not small:
        say(f"decoding {source.num_bytes / 2**20:.0f} MiB with Ray, which takes some seconds to start")
    batches: list[Batch] = []
    num_done, num_all = 0, len(source.members)
    started = said = time.monotonic()
    for batch in (_decode_here if small else _decode_with_ray)(source, target):
        if not batches and not small:
            started = time.monotonic()  # the rate leaves Ray's start out
        batches.append(batch)
        num_done += len(batch["reason"])
        now = time.monotonic()
        if now - said >= PROGRESS_INTERVAL_S and num_done < num_all:
            said = now
            rate = f", {num_done / (now - started):.0f} a second" if now > started + PROGRESS_INTERVAL_S else ""
            say(f"decoded {num_done} of {num_all} files{rate}")
    if not batches:
        return decode_batch(source.path, target, [])
    rows = {name: np.concatenate([batch[name] for batch in batches]) for name in batches[0]}
    if "row" in rows:  # Ray Data's batches arrive as they are ready
        order = np.argsort(rows.pop("row"))
        rows = {name: values[order] for name, values in rows.items()}
    return rows


def decode_batch(src: Path, target: Target, members: Sequence[Member]) -> Batch:
    """Read and decode some members: columns of equal length, `reason` is empty where an image was accepted."""
    num = len(members)
    columns: dict[str, np.ndarray] = {
        "image": np.zeros((num, target.channels, target.size, target.size), dtype=np.uint8),
        "thumbnail": np.zeros((num, THUMBNAIL_SIZE, THUMBNAIL_SIZE), dtype=np.uint8),
        "width": np.zeros(num, dtype=np.int64),
        "height": np.zeros(num, dtype=np.int64),
        "format": np.full(num, "", dtype=object),
        "has_more_frames": np.zeros(num, dtype=bool),
        "reason": np.full(num, "", dtype=object),
    }
    if not src.exists():
        raise FileNotFoundError(f"{src} is not there on the machine that decodes it; put it on a shared disk")
    for row, member in enumerate(members):
        try:
            data = read_member(src, member.locator)
        except Exception as error:  # zip and disk errors of every kind; the import goes on with the other files
            columns["reason"][row] = f"cannot be read: {getattr(error, 'strerror', None) or error}"
            continue
        try:
            decoded = decode(data, size=target.size, channels=target.channels, fit=target.fit)
        except RejectedImage as error:
            columns["reason"][row] = str(error)
            continue
        columns["image"][row] = decoded.image
        columns["thumbnail"][row] = decoded.thumbnail
        columns["width"][row], columns["height"][row] = decoded.width, decoded.height
        columns["format"][row] = decoded.format
        columns["has_more_frames"][row] = decoded.has_more_frames
    return columns


def _decode_here(source: Source, target: Target) -> Iterator[Batch]:
    for start in range(0, len(source.members), BATCH_SIZE):
        yield decode_batch(source.path, target, source.members[start : start + BATCH_SIZE])


def _decode_with_ray(source: Source, target: Target) -> Iterator[Batch]:
    """One task a batch; the workers read the files, the driver sees small decoded images only."""
    from raysynth.cluster.session import ray_session

    with ray_session():
        import ray.data  # here, so that Ray finds the settings of the session

        num_members = len(source.members)
        rows = ray.data.from_numpy(np.array_split(np.arange(num_members), -(-num_members // BATCH_SIZE)))
        # File names travel with the function, not as a column: a name need not be valid UTF-8.
        decode_rows = partial(_decode_rows, source.path.resolve(), target, source.members)
        decoded = rows.map_batches(decode_rows, batch_size=None, batch_format="numpy")
        yield from decoded.iter_batches(batch_size=None, batch_format="numpy")


def _decode_rows(src: Path, target: Target, members: Sequence[Member], batch: Batch) -> Batch:
    return {"row": batch["data"], **decode_batch(src, target, [members[row] for row in batch["data"]])}
