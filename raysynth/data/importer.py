"""`data import`: from a folder or zip of images to a data set."""

from __future__ import annotations

import csv
import io
import time
import unicodedata
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Literal

import numpy as np

from raysynth.data import splits
from raysynth.data.dataset import THUMBNAIL_SIZE, Dataset, hash_pixels, refuse_existing, write_dataset
from raysynth.data.decode import FITS, Fit, RejectedImage, decode
from raysynth.data.sources import Member, Source, find_images, read_member
from raysynth.errors import UserError

Split = Literal["grouped", "folders", "random"]
SPLIT_METHODS: tuple[Split, ...] = ("grouped", "folders", "random")
Say = Callable[[str], None]
Batch = dict[str, np.ndarray]

MAX_SIZE = 1024
BATCH_SIZE = 32
# Starting Ray takes some seconds, in which one core decodes about this much.
SMALL_SOURCE_BYTES = 16 * 2**20
PROGRESS_INTERVAL_S = 1.0
MAX_EXAMPLES = 5


@dataclass(frozen=True)
class _Options:
    """How to decode; crosses the boundary to Ray."""

    size: int
    channels: int
    fit: Fit


def import_images(
    src: Path | str,
    out: Path | str,
    *,
    size: int = 64,
    channels: int = 1,
    split: Split = "grouped",
    test: float = 0.1,
    validation: float = 0.1,
    fit: Fit = "stretch",
    rename: Mapping[str, str] | None = None,
    seed: int = 0,
    say: Say = print,
) -> Dataset:
    """Import a folder or zip of class folders as a data set of size x size pixels with 1 or 3 channels.

    `test` and `validation` are shares of all images; with `split="folders"` the source's own folders are kept and
    `validation`, where there is no such folder, is a share of its training images. `rename` (old -> new) renames
    classes or merges them. Files that are not taken are listed in `rejected.csv` in the data set with the reason.
    Classes without an image are dropped. Raises UserError for what the user can mend.
    """
    src, out, rename = Path(src), Path(out), dict(rename or {})
    _check_options(src, out, size, channels, split, test, validation, fit)
    refuse_existing(out)
    source = find_images(src)
    class_of = _rename_classes(source, rename)
    if split == "folders":
        _check_split_folders(source)
    elif source.split_folders:
        say(f"pooling the images of {', '.join(sorted(source.split_folders))} (--split folders keeps them apart)")

    num_files = len(source.members) + len(source.rejected)
    say(f"{src}: {num_files} files in {len(source.classes)} classes")
    rows = _decode_all(source, _Options(size, channels, fit), say)
    rejected = [*source.rejected]
    rejected += [(source.members[i].path, reason) for i, reason in enumerate(rows["reason"]) if reason]
    accepted = np.flatnonzero(rows["reason"] == "")
    if len(accepted) == 0:
        example = f", e.g. {rejected[0][0]}: {rejected[0][1]}" if rejected else ""
        raise UserError(f"SRC {src}: not one of {num_files} files could be read as an image{example}")
    members = [source.members[row] for row in accepted]
    rows = {name: values[accepted] for name, values in rows.items()}

    hashes = [hash_pixels(grey) for grey in rows["thumbnail"]]
    classes = sorted({class_of[member.class_name] for member in members})
    labels = [classes.index(class_of[member.class_name]) for member in members]
    _say_what_is_odd(members, hashes, labels, classes, class_of, rows["has_more_frames"], say)
    parts = _split(split, source, members, hashes, labels, test=test, validation=validation, seed=seed)
    _say_missing_classes(parts, labels, classes, test, validation, say)

    dataset = write_dataset(
        out,
        name=out.resolve().name,
        kind="real",
        classes=classes,
        images=rows["image"],
        columns={
            "id": [member.id for member in members],
            "label": labels,
            "split": list(parts),
            "pixel_hash": hashes,
            "thumbnail": rows["thumbnail"],
            "source_path": [member.path for member in members],
            "source_width": rows["width"],
            "source_height": rows["height"],
            "source_format": list(rows["format"]),
        },
        source={
            "path": src.resolve().name,
            "arguments": {
                "size": size,
                "channels": channels,
                "split": split,
                "test": test,
                "validation": validation,
                "fit": fit,
                "rename": rename,
                "seed": seed,
            },
            "rejected": len(rejected),
            "duplicates": len(hashes) - len(set(hashes)),
        },
        extra_files={"rejected.csv": _as_csv(rejected)},
    )
    taken = f"{dataset.num_images()} images imported"
    say(f"{taken}, {len(rejected)} files rejected" + (f" (see {out / 'rejected.csv'})" if rejected else ""))
    for reason, count in Counter(reason for _, reason in rejected).most_common(MAX_EXAMPLES):
        say(f"  rejected {count}: {reason}")
    return dataset


def decode_batch(src: Path, options: _Options, members: Sequence[Member]) -> Batch:
    """Read and decode some members: columns of equal length, `reason` is empty where an image was accepted."""
    num = len(members)
    columns: dict[str, np.ndarray] = {
        "image": np.zeros((num, options.channels, options.size, options.size), dtype=np.uint8),
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
            decoded = decode(data, size=options.size, channels=options.channels, fit=options.fit)
        except RejectedImage as error:
            columns["reason"][row] = str(error)
            continue
        columns["image"][row] = decoded.image
        columns["thumbnail"][row] = decoded.thumbnail
        columns["width"][row], columns["height"][row] = decoded.width, decoded.height
        columns["format"][row] = decoded.format
        columns["has_more_frames"][row] = decoded.has_more_frames
    return columns


def _decode_all(source: Source, options: _Options, say: Say) -> Batch:
    """All members decoded, in their order."""
    small = source.num_bytes < SMALL_SOURCE_BYTES
    if not small:
        say(f"decoding {source.num_bytes / 2**20:.0f} MiB with Ray, which takes some seconds to start")
    batches: list[Batch] = []
    num_done, num_all = 0, len(source.members)
    started = said = time.monotonic()
    for batch in (_decode_here if small else _decode_with_ray)(source, options):
        if not batches:
            started = time.monotonic() if not small else started  # the rate leaves Ray's start out
        batches.append(batch)
        num_done += len(batch["reason"])
        now = time.monotonic()
        if now - said >= PROGRESS_INTERVAL_S and num_done < num_all:
            said = now
            rate = f", {num_done / (now - started):.0f} a second" if now > started + PROGRESS_INTERVAL_S else ""
            say(f"decoded {num_done} of {num_all} files{rate}")
    if not batches:
        return decode_batch(source.path, options, [])
    rows = {name: np.concatenate([batch[name] for batch in batches]) for name in batches[0]}
    if "row" in rows:  # Ray Data's batches arrive as they are ready
        order = np.argsort(rows.pop("row"))
        rows = {name: values[order] for name, values in rows.items()}
    return rows


def _decode_here(source: Source, options: _Options) -> Iterator[Batch]:
    for start in range(0, len(source.members), BATCH_SIZE):
        yield decode_batch(source.path, options, source.members[start : start + BATCH_SIZE])


def _decode_with_ray(source: Source, options: _Options) -> Iterator[Batch]:
    """One task a batch; the workers read the files, the driver sees small decoded images only."""
    from raysynth.cluster.session import ray_session

    with ray_session():
        import ray.data  # here, so that Ray finds the settings of the session

        num_members = len(source.members)
        rows = ray.data.from_numpy(np.array_split(np.arange(num_members), -(-num_members // BATCH_SIZE)))
        # File names travel with the function, not as a column: a name need not be valid UTF-8.
        decode_rows = partial(_decode_rows, source.path.resolve(), options, source.members)
        decoded = rows.map_batches(decode_rows, batch_size=None, batch_format="numpy")
        yield from decoded.iter_batches(batch_size=None, batch_format="numpy")


def _decode_rows(src: Path, options: _Options, members: Sequence[Member], batch: Batch) -> Batch:
    return {"row": batch["data"], **decode_batch(src, options, [members[row] for row in batch["data"]])}


def _split(
    split: Split,
    source: Source,
    members: Sequence[Member],
    hashes: Sequence[str],
    labels: Sequence[int],
    *,
    test: float,
    validation: float,
    seed: int,
) -> np.ndarray:
    if split == "random":
        return splits.random(len(members), test=test, validation=validation, seed=seed)
    if split == "folders":
        return splits.folders(
            [member.split or "train" for member in members],
            hashes,
            labels,
            has_validation="validation" in source.split_folders.values(),
            validation=validation,
            seed=seed,
        )
    return splits.grouped(hashes, labels, test=test, validation=validation, seed=seed)


def _check_options(
    src: Path, out: Path, size: int, channels: int, split: str, test: float, validation: float, fit: str
) -> None:
    if not 8 <= size <= MAX_SIZE:
        raise UserError(f"--size {size}: not from 8 to {MAX_SIZE} pixels; 32, 64 and 128 suit the models")
    if channels not in (1, 3):
        raise UserError(f"--channels {channels}: give 1 (grey) or 3 (colour)")
    if split not in SPLIT_METHODS:
        raise UserError(f"--split {split}: unknown; choose one of {', '.join(SPLIT_METHODS)}")
    if fit not in FITS:
        raise UserError(f"--fit {fit}: unknown; choose one of {', '.join(FITS)}")
    for option, share in (("--test", test), ("--validation", validation)):
        if not 0 <= share < 1:
            raise UserError(f"{option} {share}: a share of the images, from 0 up to but not including 1")
    if test + validation >= 1:
        raise UserError(f"--test {test} --validation {validation}: leave nothing to train on; choose smaller shares")
    if src.is_dir() and out.resolve().is_relative_to(src.resolve()):
        raise UserError(f"--out {out}: lies inside SRC {src}; choose a folder outside of it")


def _check_split_folders(source: Source) -> None:
    if "train" not in source.split_folders.values():
        found = ", ".join(source.classes[:MAX_EXAMPLES])
        raise UserError(
            f"--split folders: {source.path} has no Training or train folder, its folders are {found}; "
            "use --split grouped"
        )


def _rename_classes(source: Source, rename: Mapping[str, str]) -> dict[str, str]:
    """Class of the source -> class of the data set."""
    renamed = {}
    for given, new in rename.items():
        old = unicodedata.normalize("NFC", given)
        if old not in source.classes:
            known = ", ".join(source.classes)
            raise UserError(f"--rename {given}={new}: no class {given!r} in the source; its classes are {known}")
        if not new.strip() or "/" in new or "\\" in new or new.startswith("."):
            raise UserError(
                f"--rename {given}={new}: {new!r} is no class name; it names a folder, so no slash, no leading dot"
            )
        renamed[old] = unicodedata.normalize("NFC", new.strip())
    return {name: renamed.get(name, name) for name in source.classes}


def _say_what_is_odd(
    members: Sequence[Member],
    hashes: Sequence[str],
    labels: Sequence[int],
    classes: Sequence[str],
    class_of: Mapping[str, str],
    has_more_frames: np.ndarray,
    say: Say,
) -> None:
    """Notices on what was decided silently otherwise: dropped classes, frames, duplicates, label conflicts."""
    for name in sorted(set(class_of.values()) - set(classes)):
        say(f"notice: class {name!r} has no image and was dropped")
    if len(classes) == 1:
        say(f"notice: {classes[0]!r} is the only class; a classifier cannot be trained on this data set alone")
    if num := int(np.sum(has_more_frames)):
        say(f"notice: {num} files hold more than one frame, the first was taken")
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
            say(f"  {' = '.join(members[row].path for row in rows)}")
        if len(conflicts) > MAX_EXAMPLES:
            say(f"  and {len(conflicts) - MAX_EXAMPLES} groups more")


def _say_missing_classes(
    parts: np.ndarray, labels: Sequence[int], classes: Sequence[str], test: float, validation: float, say: Say
) -> None:
    """Notices on classes too small to be in every split that was asked for."""
    for split, share in (("train", 1.0), ("validation", validation), ("test", test)):
        present = {label for label, part in zip(labels, parts, strict=True) if part == split}
        missing = [name for label, name in enumerate(classes) if label not in present]
        if share > 0 and missing:
            shown = ", ".join(map(repr, missing[:MAX_EXAMPLES]))
            say(f"notice: no {split} image of {shown}: too few distinct images, or the source's folders have none")


def _as_csv(rejected: Sequence[tuple[str, str]]) -> str:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["path", "reason"])
    writer.writerows(rejected)
    return text.getvalue()
