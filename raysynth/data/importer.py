"""`data import`: from a folder or zip of images to a data set."""

from __future__ import annotations

import csv
import io
import unicodedata
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Literal

import numpy as np

from raysynth.data import splits
from raysynth.data.dataset import Dataset, hash_pixels, refuse_existing, write_dataset
from raysynth.data.decode import FITS, Fit
from raysynth.data.decode_members import Target, decode_members
from raysynth.data.sources import Member, Source, find_images
from raysynth.errors import UserError

Split = Literal["grouped", "folders", "random"]
SPLIT_METHODS: tuple[Split, ...] = ("grouped", "folders", "random")
Say = Callable[[str], None]

MAX_SIZE = 1024
MAX_EXAMPLES = 5


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
    rows = decode_members(source, Target(size, channels, fit), say=say)
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
