"""Decode all members of a source: in this process if they are few, else in parallel with Ray Data."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path

import numpy as np

from raysynth.data.decode import Decoded, RejectedImage, Target, decode
from raysynth.data.readers import Reader
from raysynth.data.sources import Member, Source
from raysynth.data.thumbnails import THUMBNAIL_SIZE
from raysynth.errors import UserError

Batch = dict[str, np.ndarray]

BATCH_SIZE = 32
# A batch holds no more than this, or one file: a volume gives hundreds of images.
BATCH_BYTES = 32 * 2**20
# Starting Ray takes some seconds, in which one core decodes about this much.
SMALL_SOURCE_BYTES = 16 * 2**20
PROGRESS_INTERVAL_S = 1.0


def decode_members(
    source: Source, target: Target, *, say: Callable[[str], None]
) -> tuple[Batch, list[tuple[str, str]]]:
    """Columns with one row for each image, in the order of the members, and the rejected files (path, reason).

    A member may give several images or none. Columns: `member` (its index) and `frame` (number of the frame or slice
    in its file), image (N, C, size, size) and thumbnail (N, 64, 64) uint8, width, height, format, group (that of the
    file's own header, empty if unknown), has_more_frames, is_headless. Raises UserError where a library is missing.
    """
    small = source.num_bytes < SMALL_SOURCE_BYTES
    if not small:
        say(f"decoding {source.num_bytes / 2**20:.0f} MiB with Ray, which takes some seconds to start")
    batches = [decode_batch(source.reader, target, [])]
    num_done, num_all = 0, len(source.members)
    started = said = time.monotonic()
    for batch in (_decode_here if small else _decode_with_ray)(source, target):
        if mistakes := set(batch["mistake"]) - {""}:
            raise UserError(min(mistakes))
        if len(batches) == 1 and not small:
            started = time.monotonic()  # the rate leaves Ray's start out
        batches.append(batch)
        num_done += len(np.unique(batch["member"]))
        now = time.monotonic()
        if now - said >= PROGRESS_INTERVAL_S and num_done < num_all:
            said = now
            rate = f", {num_done / (now - started):.0f} a second" if now > started + PROGRESS_INTERVAL_S else ""
            say(f"decoded {num_done} of {num_all} files{rate}")
    rows = {name: np.concatenate([batch[name] for batch in batches]) for name in batches[0]}
    refused = np.flatnonzero(rows["reason"] != "")
    rejected = sorted((source.members[rows["member"][row]].path, rows["reason"][row]) for row in refused)
    order = np.lexsort((rows["frame"], rows["member"]))  # Ray Data's batches arrive as they are ready
    order = order[rows["reason"][order] == ""]
    return {name: values[order] for name, values in rows.items() if name not in ("reason", "mistake")}, rejected


def decode_batch(reader: Reader, target: Target, members: Sequence[tuple[int, Member]]) -> Batch:
    """Read and decode some (index, member): columns with a row for each image.

    A member that is rejected has one row too, black, with the `reason`. `mistake` is a user's mistake, in which the
    whole import ends: an exception would come out of Ray with pages of its own.
    """
    indices: list[int] = []
    images: list[Decoded] = []
    reasons: list[str] = []
    mistake = ""
    if members and isinstance(reader.path, Path) and not reader.path.exists():
        raise FileNotFoundError(f"{reader.path} is not there on the machine that decodes it; put it on a shared disk")
    for index, member in members:
        found, reason = [_nothing(target)], ""
        try:
            data = reader.read(member.locator)
            found = decode(data, target, name=member.path, medical_only=member.is_nested)
        except UserError as error:
            mistake = str(error)
        except RejectedImage as error:
            reason = str(error)
        except Exception as error:  # zip and disk errors of every kind; the import goes on with the other files
            reason = f"cannot be read: {getattr(error, 'strerror', None) or error}"
        images += found
        indices += [index] * len(found)
        reasons += [reason] * len(found)
    return {
        "member": np.array(indices, dtype=np.int64),
        "frame": np.array([image.index for image in images], dtype=np.int64),
        "image": np.array([image.image for image in images], dtype=np.uint8).reshape(-1, *target.shape),
        "thumbnail": np.array([image.thumbnail for image in images], dtype=np.uint8).reshape(
            -1, THUMBNAIL_SIZE, THUMBNAIL_SIZE
        ),
        "width": np.array([image.width for image in images], dtype=np.int64),
        "height": np.array([image.height for image in images], dtype=np.int64),
        "format": np.array([image.format for image in images], dtype=object),
        "group": np.array([image.group or "" for image in images], dtype=object),
        "has_more_frames": np.array([image.has_more_frames for image in images], dtype=bool),
        "is_headless": np.array([image.is_headless for image in images], dtype=bool),
        "reason": np.array(reasons, dtype=object),
        "mistake": np.full(len(images), mistake, dtype=object),
    }


def _nothing(target: Target) -> Decoded:
    """Stands for an image in the row of a rejected member."""
    return Decoded(
        image=np.zeros(target.shape, dtype=np.uint8),
        thumbnail=np.zeros((THUMBNAIL_SIZE, THUMBNAIL_SIZE), dtype=np.uint8),
        width=0,
        height=0,
        format="",
        group=None,
        index=0,
        has_more_frames=False,
        is_headless=False,
    )


def _batches(members: Sequence[Member]) -> Iterator[np.ndarray]:
    """Indices of neighbouring members, enough for a task and not more than a task can hold."""
    start, num_bytes = 0, 0
    for index, member in enumerate(members):
        if index > start and (index - start == BATCH_SIZE or num_bytes + member.num_bytes > BATCH_BYTES):
            yield np.arange(start, index)
            start, num_bytes = index, 0
        num_bytes += member.num_bytes
    if start < len(members):
        yield np.arange(start, len(members))


def _decode_here(source: Source, target: Target) -> Iterator[Batch]:
    for indices in _batches(source.members):
        yield _decode_rows(source.reader, target, source.members, {"data": indices})


def _decode_with_ray(source: Source, target: Target) -> Iterator[Batch]:
    """One task a batch; the workers read the files, the driver sees small decoded images only."""
    from raysynth.cluster.session import ray_session

    with ray_session():
        import ray.data  # here, so that Ray finds the settings of the session

        rows = ray.data.from_numpy(list(_batches(source.members)))
        # File names travel with the function, not as a column: a name need not be valid UTF-8.
        decode_rows = partial(_decode_rows, source.reader, target, source.members)
        decoded = rows.map_batches(decode_rows, batch_size=None, batch_format="numpy")
        yield from decoded.iter_batches(batch_size=None, batch_format="numpy")


def _decode_rows(reader: Reader, target: Target, members: Sequence[Member], batch: Batch) -> Batch:
    return decode_batch(reader, target, [(int(index), members[index]) for index in batch["data"]])
