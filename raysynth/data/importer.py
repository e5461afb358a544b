"""`data import`: from a folder, zip or table of images, local, in a bucket or of Kaggle, to a data set."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np

from raysynth.data import kaggle, splits
from raysynth.data.cropping import Crop, Fit
from raysynth.data.dataset import Dataset, hash_pixels, refuse_existing, write_dataset
from raysynth.data.decode import Target
from raysynth.data.decode_members import decode_members
from raysynth.data.import_notices import (
    say_dropped_classes,
    say_duplicates,
    say_missing_classes,
    say_oddities,
    say_rejected,
)
from raysynth.data.import_options import (
    Split,
    check_apart,
    check_shares,
    check_split_folders,
    check_target,
    rename_classes,
)
from raysynth.data.locations import BucketPath, Location, locate, naming
from raysynth.data.nifti import Axis
from raysynth.data.sources import Source, find_images
from raysynth.data.table_files import is_table
from raysynth.data.tables import Columns, find_rows
from raysynth.data.user_groups import merge_groups, with_groups
from raysynth.data.windowing import Window
from raysynth.errors import UserError

Place = str | Path | BucketPath
Say = Callable[[str], None]


def import_images(
    src: Place,
    out: Place,
    *,
    size: int = 64,
    channels: int = 1,
    split: Split = "grouped",
    test: float = 0.1,
    validation: float = 0.1,
    fit: Fit = "stretch",
    crop: Crop = "none",
    drop_border: bool = False,
    axis: Axis = "axial",
    every: int = 1,
    volumes: bool = False,
    window: Window = "auto",
    groups: Place | None = None,
    path_column: str | None = None,
    bytes_column: str | None = None,
    label_column: str | None = None,
    group_column: str | None = None,
    split_column: str | None = None,
    root: Place | None = None,
    rename: Mapping[str, str] | None = None,
    seed: int = 0,
    say: Say = print,
) -> Dataset:
    """Import labelled images as a data set of size x size pixels (cubes with `volumes`) with 1 or 3 channels.

    `src` is a folder or zip of class folders or a table, here or in a bucket, or `kaggle:OWNER/NAME`. Pictures, DICOM
    and NIfTI are told apart by their content; `Target` says what becomes of them, `Columns` which columns of a table
    are taken, and `root` is where its paths begin (the table's folder). `groups` is a table (`path`, `group`) of images
    that must not be separated, e.g. of one patient.

    `test` and `validation` are shares of all images; with `split="folders"` the source's own folders are kept and
    `validation`, where there is no such folder, is a share of its training images. `rename` (old -> new) renames
    classes or merges them. Files that are not taken are listed in `rejected.csv` in the data set with the reason.
    Classes without an image are dropped. Raises UserError for what the user can mend.
    """
    out, rename = locate(out), dict(rename or {})
    target = Target(
        size=size,
        channels=channels,
        fit=fit,
        crop=crop,
        drop_border=drop_border,
        axis=axis,
        every=every,
        volumes=volumes,
        window=window,
    )
    columns = Columns(path=path_column, bytes=bytes_column, label=label_column, group=group_column, split=split_column)
    check_target(target)
    check_shares(split, test, validation)
    refuse_existing(out)
    with naming("SRC"):
        source = _open(src, out, columns, root, say)
    if groups is not None:
        with naming("--groups"):
            source = with_groups(source, locate(groups), say=say)
    class_of = rename_classes(source, rename)
    if split == "folders":
        check_split_folders(source)
        source = _leave_out_unsplit(source)
    elif source.split_folders:
        say(f"pooling the images of {', '.join(sorted(source.split_folders))} (--split folders keeps them apart)")

    num_files = len(source.members) + len(source.rejected)
    say(f"{src}: {num_files} files in {len(source.classes)} classes")
    rows, rejected = decode_members(source, target, say=say)
    rejected = [*source.rejected, *rejected]
    if len(rows["member"]) == 0:
        example = f", e.g. {rejected[0][0]}: {rejected[0][1]}" if rejected else ""
        raise UserError(f"SRC {src}: not one of {num_files} files could be read as an image{example}")
    members = [source.members[member] for member in rows["member"]]
    ids = _name_images(source, rows)
    classes = sorted({class_of[member.class_name] for member in members})
    labels = [classes.index(class_of[member.class_name]) for member in members]
    say_dropped_classes(class_of.values(), classes, say)
    say_oddities(rows["has_more_frames"], rows["is_headless"], say)

    hashes = [hash_pixels(grey) for grey in rows["thumbnail"]]
    source_groups = [member.group or group or None for member, group in zip(members, rows["group"], strict=True)]
    say_duplicates([member.path for member in members], hashes, labels, say)
    # What must not be separated: copies, and what the user or the files' headers say belongs together.
    image_groups = merge_groups(hashes, source_groups)
    if split == "random":
        parts = splits.random(len(members), test=test, validation=validation, seed=seed)
    elif split == "folders":
        parts = splits.folders(
            [member.split or "train" for member in members],
            image_groups,
            labels,
            has_validation="validation" in source.split_folders.values(),
            validation=validation,
            seed=seed,
        )
    else:
        parts = splits.grouped(image_groups, labels, test=test, validation=validation, seed=seed)
    say_missing_classes(parts, labels, classes, test, validation, say)

    arguments = {
        **asdict(target),
        "split": split,
        "test": test,
        "validation": validation,
        "groups": groups if groups is None else locate(groups).name,
        **{f"{name}_column": column for name, column in asdict(columns).items()},
        "root": root if root is None else locate(root).name,
        "rename": rename,
        "seed": seed,
    }
    dataset = write_dataset(
        out,
        name=out.resolve().name,
        kind="real",
        classes=classes,
        images=rows["image"],
        columns={
            "id": ids,
            "label": labels,
            "split": list(parts),
            "group": image_groups,
            "source_group": source_groups,
            "pixel_hash": hashes,
            "thumbnail": rows["thumbnail"],
            "source_path": [member.path for member in members],
            "source_width": rows["width"],
            "source_height": rows["height"],
            "source_format": list(rows["format"]),
        },
        source={
            "path": src if _is_of_kaggle(src) else source.path.resolve().name,
            "arguments": arguments,
            "rejected": len(rejected),
            "duplicates": len(hashes) - len(set(hashes)),
            "headless": int(np.sum(rows["is_headless"])),
        },
        extra_files={"rejected.csv": _as_csv(rejected)},
    )
    taken = f"{dataset.num_images()} images imported"
    say(f"{taken}, {len(rejected)} files rejected" + (f" (see {out / 'rejected.csv'})" if rejected else ""))
    say_rejected(rejected, say)
    return dataset


def _open(src: Place, out: Location, columns: Columns, root: Place | None, say: Say) -> Source:
    """The images that the source offers, whatever it is."""
    if _is_of_kaggle(src):
        say(f"{src}: asking Kaggle for it")
    path = kaggle.download(str(src)) if _is_of_kaggle(src) else locate(src)
    check_apart(path, out)
    if is_table(path):
        return find_rows(path, columns, root=None if root is None else locate(root), say=say)
    table_options = {f"--{name}-column": column for name, column in asdict(columns).items()} | {"--root": root}
    for option, value in table_options.items():
        if value is not None:
            raise UserError(f"{option} {value}: SRC {path} is no table (.csv, .tsv, .parquet); leave the option out")
    return find_images(path)


def _is_of_kaggle(src: Place) -> bool:
    return isinstance(src, str) and src.startswith(kaggle.PREFIX)


def _leave_out_unsplit(source: Source) -> Source:
    """With the source's own splits, an image of which it says none cannot be used: rows of a table."""
    unsplit = [(member.path, "the table gives no split") for member in source.members if member.split is None]
    members = tuple(member for member in source.members if member.split is not None)
    return replace(source, members=members, rejected=tuple(sorted([*source.rejected, *unsplit])))


def _name_images(source: Source, rows: Mapping[str, np.ndarray]) -> list[str]:
    """The member's id, with the number of the frame where the member gave more than one image."""
    num_images = np.bincount(rows["member"], minlength=len(source.members))
    return [
        source.members[member].id + (f"#{frame:04d}" if num_images[member] > 1 else "")
        for member, frame in zip(rows["member"], rows["frame"], strict=True)
    ]


def _as_csv(rejected: Sequence[tuple[str, str]]) -> str:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["path", "reason"])
    writer.writerows(rejected)
    return text.getvalue()
