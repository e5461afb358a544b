"""`data import`: from a folder, zip or table of images, local, in a bucket or of Kaggle, to a data set."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np

from raysynth.data import kaggle
from raysynth.data.arrangement import Plan, arrange
from raysynth.data.audit.audit import search
from raysynth.data.audit.subject import Subject
from raysynth.data.audit.summary import short_lines
from raysynth.data.audit.thresholds import Thresholds
from raysynth.data.base import Joined, check_same_folds, check_same_thresholds, load_base
from raysynth.data.buckets import BucketPath
from raysynth.data.cropping import Crop, Fit
from raysynth.data.dataset import Dataset
from raysynth.data.decode import Target
from raysynth.data.decode_members import decode_members
from raysynth.data.import_notices import (
    say_dropped_classes,
    say_hidden_paths,
    say_missing_classes,
    say_oddities,
    say_rejected,
)
from raysynth.data.import_options import (
    Split,
    check_apart,
    check_folds,
    check_shares,
    check_split_folders,
    check_target,
    rename_classes,
)
from raysynth.data.import_output import write_import
from raysynth.data.locations import Location, locate, naming
from raysynth.data.new_folder import refuse_existing
from raysynth.data.nifti import Axis
from raysynth.data.private_paths import private_names, private_rejected
from raysynth.data.sources import Source, find_images
from raysynth.data.table_files import is_table
from raysynth.data.tables import Columns, find_rows
from raysynth.data.thumbnails import hash_pixels
from raysynth.data.user_groups import with_groups
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
    folds: int | None = None,
    dedupe: bool = False,
    add_to: Place | None = None,
    thresholds: Thresholds | None = None,
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
    Classes without an image are dropped.

    The images are audited (`thresholds` say what a copy is), and a `grouped` split never separates copies. `folds`
    makes K data sets, `out/fold-0` and so on, each with one fold as its test split; the first is returned. `dedupe`
    keeps the largest original of every group of copies. `add_to` is a data set (or a folder of folds) whose images come
    first and keep their splits; a new image that would join groups of two splits is rejected.

    Raises UserError for what the user can mend.
    """
    # 1. Check what was asked for.
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
    (thresholds or Thresholds()).check()
    check_target(target)
    check_shares(split, test, validation, folds)
    check_folds(folds, split, add_to)
    refuse_existing(out)
    base = None if add_to is None else load_base(locate(add_to), target)
    if base is not None:
        folds = check_same_folds(folds, base.num_folds)
        thresholds = check_same_thresholds(thresholds, base)
    thresholds = thresholds or Thresholds()
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

    # 2. Read and decode.
    num_files = len(source.members) + len(source.rejected)
    say(f"{src}: {num_files} files in {len(source.classes)} classes")
    rows, rejected = decode_members(source, target, say=say)
    rejected = [*source.rejected, *rejected]
    if len(rows["member"]) == 0:
        example = f", e.g. {rejected[0][0]}: {rejected[0][1]}" if rejected else ""
        raise UserError(f"SRC {src}: not one of {num_files} files could be read as an image{example}")
    members = [source.members[member] for member in rows["member"]]
    say_oddities(rows["has_more_frames"], rows["is_headless"], say)
    names = private_names(members, list(rows["format"]), list(rows["group"]))
    found_at, rejected = rejected, private_rejected(rejected, source, list(rows["format"]))
    say_hidden_paths(found_at, rejected, say)

    new = Subject(
        name=out.resolve().name,
        ids=_number_frames(names, rows),
        paths=[member.path if name == member.id else name for member, name in zip(members, names, strict=True)],
        classes=np.array([class_of[member.class_name] for member in members], dtype=object),
        splits=np.full(len(members), "train", dtype=object),
        groups=[""] * len(members),
        hashes=[hash_pixels(grey) for grey in rows["thumbnail"]],
        thumbnails=rows["thumbnail"],
        source_splits=[member.split for member in members],
        source_groups=[member.group or group or None for member, group in zip(members, rows["group"], strict=True)],
        widths=rows["width"].tolist(),
        heights=rows["height"].tolist(),
        formats=list(rows["format"]),
        images=rows["image"],
    )

    # 3. Find copies, and split: they, and what the user or the files' headers say belongs together, stay on one side.
    joined = Joined.make(base, new)
    rejected += joined.rejected
    copies = search([joined.subject], thresholds=thresholds, say=say)
    plan = Plan(split=split, test=test, validation=validation, num_folds=folds, dedupe=dedupe, seed=seed)
    arranged = arrange(
        joined.subject,
        copies,
        plan,
        thresholds=thresholds,
        keep=joined.keep,
        keep_folds=joined.keep_folds,
        has_validation="validation" in source.split_folders.values(),
    )
    rejected += arranged.rejected
    say_dropped_classes(class_of.values(), sorted(set(arranged.subject.classes)), say)

    # 4. Audit and write, once for every fold.
    arguments = {
        **asdict(target),
        "split": split,
        "test": test,
        "validation": validation,
        "groups": groups if groups is None else locate(groups).name,
        **{f"{name}_column": column for name, column in asdict(columns).items()},
        "root": root if root is None else locate(root).name,
        "rename": rename,
        "folds": folds,
        "dedupe": dedupe,
        "add_to": None if base is None else {"name": base.name, "fingerprint": base.fingerprint},
        "thresholds": asdict(thresholds),
        "seed": seed,
    }
    origin = {
        "path": src if _is_of_kaggle(src) else source.path.resolve().name,
        "arguments": arguments,
        "rejected": len(rejected),
        "headless": int(np.sum(rows["is_headless"])),
    }
    dataset, found = write_import(out, arranged, origin, rejected, thresholds=thresholds, say=say)
    for line in short_lines(found.content):
        say(line)
    test_share = test if folds is None else 1.0 / folds
    say_missing_classes(
        arranged.parts[0],
        arranged.subject.classes,
        test_share,
        validation,
        say,
        groups=arranged.subject.groups if split == "grouped" else (),
        source_groups=arranged.subject.source_groups if split == "grouped" else (),
    )
    num_images = len(arranged.subject)
    added = "" if base is None else f" ({num_images - base.num_images} new)"
    listed = f" (see {dataset.path / 'rejected.csv'})" if rejected else ""
    say(f"{num_images} images imported{added}, {len(rejected)} files rejected{listed}")
    say_rejected(rejected, say)
    if folds is not None:
        say(f"{folds} data sets: {dataset.path} to fold-{folds - 1}, each a whole one; the first of them:")
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


def _number_frames(names: Sequence[str], rows: Mapping[str, np.ndarray]) -> list[str]:
    """The member's name, with the number of the frame where the member gave more than one image."""
    num_images = np.bincount(rows["member"])
    return [
        name + (f"#{frame:04d}" if num_images[member] > 1 else "")
        for name, member, frame in zip(names, rows["member"], rows["frame"], strict=True)
    ]
