"""Tables as sources: CSV, TSV or Parquet, one row an image, with a path or the bytes, the class, group and split."""

from __future__ import annotations

import os
import unicodedata
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from functools import cache
from pathlib import Path, PurePosixPath

import pyarrow as pa
import pyarrow.parquet as pq

from raysynth.data.buckets import BucketPath
from raysynth.data.locations import Location, naming
from raysynth.data.readers import FolderReader, ParquetReader, Reader, file_version
from raysynth.data.sources import (
    SPLIT_FOLDERS,
    Entry,
    Member,
    Source,
    inspect_file,
    readable,
    unfit_class_name,
    unfit_size,
)
from raysynth.data.table_files import open_file, read_columns, read_names
from raysynth.errors import UserError

PATH_NAMES = ("path", "file", "filename", "file_name", "filepath", "file_path", "image", "image_path")
BYTES_NAMES = ("image", "bytes")
LABEL_NAMES = ("label", "class", "class_name", "diagnosis")
GROUP_NAMES = ("group", "patient", "patient_id", "patientid", "subject", "subject_id")
SPLIT_NAMES = ("split",)


@dataclass(frozen=True, kw_only=True)
class Columns:
    """Names of a table's columns: as the user gave them, None where they are to be guessed, "" for none."""

    path: str | None = None
    bytes: str | None = None
    label: str | None = None
    group: str | None = None
    split: str | None = None


def find_rows(table: Location, asked: Columns, *, root: Location | None, say: Callable[[str], None]) -> Source:
    """List the rows of a table, without reading an image.

    Paths are those of files below `root`, the table's own folder unless it is given, or full ones of files there;
    rows whose path leads elsewhere, and rows without a class, are rejected. The columns that were guessed are said.
    A split is None where the table's word for it is unknown. Raises UserError when a column, the rows or
    `root` are missing, or the table cannot be read.
    """
    if root is not None:
        with naming("--root"):
            if not root.is_dir():
                raise UserError(f"--root {root}: no such folder; name the one in which the paths of the table begin")
    columns = _choose_columns(table, asked)
    wanted = {role: name for role, name in asdict(columns).items() if name and role != "bytes"}
    values = read_columns(table, wanted)
    if guessed := [f"{role} {name!r}" for role, name in asdict(columns).items() if name and not getattr(asked, role)]:
        say(f"notice: columns of {table.name}, by their names: {', '.join(guessed)}; --path-column etc. name others")
    root = root or table.parent
    if columns.bytes:
        reader: Reader = ParquetReader(table.resolve(), file_version(table), columns.bytes)
        entries = _list_bytes(table, columns.bytes, values.get("path"))
    else:
        reader = FolderReader(root.resolve())
        entries = _list_paths(root, values["path"])

    num_rows = len(values["label"])
    groups, splits = (values.get(role, [""] * num_rows) for role in ("group", "split"))
    split_of = {text: split for text in set(splits) if (split := SPLIT_FOLDERS.get(text.casefold()))}
    members: dict[str, Member] = {}
    rejected: list[tuple[str, str]] = []
    for entry, label, group, split in zip(entries, values["label"], groups, splits, strict=True):
        name, class_name = readable("/".join(entry.parts)), unicodedata.normalize("NFC", label)
        if entry.reason:
            rejected.append((name, entry.reason))
        elif not class_name:
            rejected.append((name, f"no class: column {columns.label!r} is empty"))
        elif reason := unfit_class_name(class_name):
            rejected.append((name, reason))
        elif name in members:
            rejected.append((name, f"listed again, as {class_name!r}; the first row was taken"))
        else:
            members[name] = Member(
                name, name, entry.locator, class_name, split_of.get(split), entry.num_bytes, group or None
            )
    classes = {member.class_name for member in members.values()}
    return Source(table, reader, tuple(members.values()), tuple(sorted(classes)), split_of, tuple(sorted(rejected)))


def _choose_columns(table: Location, asked: Columns) -> Columns:
    """The columns to take. Bytes go before paths; a path beside bytes is the image's name."""
    names, with_bytes = read_names(table)
    texts = [name for name in names if name not in with_bytes]
    for role, name in asdict(asked).items():
        if name and name not in (with_bytes if role == "bytes" else texts):
            kind = "no such column" if name not in names else f"holds {'' if name in with_bytes else 'no '}bytes"
            raise UserError(f"--{role}-column {name}: {kind} in {table}; its columns are {', '.join(names)}")

    def choose(name: str | None, usual: Sequence[str], among: Sequence[str]) -> str | None:
        by_name = {other.casefold(): other for other in reversed(among)}
        return next((by_name[other] for other in usual if other in by_name), None) if name is None else name

    only_one = with_bytes if len(with_bytes) == 1 else []
    chosen = Columns(
        path=choose(asked.path, PATH_NAMES, texts),
        bytes=asked.bytes
        if asked.path
        else choose(asked.bytes, (*BYTES_NAMES, *map(str.casefold, only_one)), with_bytes),
        label=choose(asked.label, LABEL_NAMES, texts),
        group=choose(asked.group, GROUP_NAMES, texts),
        split=choose(asked.split, SPLIT_NAMES, texts),
    )
    if not chosen.label or not (chosen.bytes or chosen.path):
        role, what = ("path", "paths or bytes of the images") if chosen.label else ("label", "the class")
        found = f"no column of {table} is known to hold {what}; name one of {', '.join(names)}"
        raise UserError(f"--{role}-column: {found}")
    return chosen


def _list_paths(root: Location, paths: Sequence[str]) -> Iterator[Entry]:
    """An entry for each path of a table, with the reason where it leads out of `root` or nowhere."""
    if isinstance(root, BucketPath):
        sizes = dict(root.files())
        bases = [f"{replace(root, options='')}/"]
    else:
        inside = root.resolve()
        bases = [f"{root.absolute().as_posix()}/", f"{inside.as_posix()}/"]
        leads_inside = cache(lambda folder: (inside / folder).resolve().is_relative_to(inside))
    for given in paths:
        text = given.replace("\\", "/")  # tables made on Windows
        text = next((text.removeprefix(base) for base in bases if text.startswith(base)), text)
        below = PurePosixPath(os.path.normpath(text))
        if not given:
            yield Entry(("(no path)",), "", reason="the row has no path")
        elif "://" in text or below.is_absolute() or below.parts[:1] == ("..",):
            name = root.resolve().name or root
            reason = f"the path leaves the folder {name}; --root DIR says in which folder the files are"
            yield Entry((given,), "", reason=reason)
        elif isinstance(root, BucketPath):
            num_bytes = sizes.get(str(below), 0)
            reason = unfit_size(num_bytes) if str(below) in sizes else "cannot be read: no such file"
            yield Entry(below.parts, str(below), num_bytes, reason=reason)
        elif not leads_inside(below.parent):
            yield Entry(below.parts, "", reason="a symbolic link out of the folder is not followed")
        else:
            yield inspect_file(root, inside, Path(below))


def _list_bytes(table: Location, column: str, names: Sequence[str] | None) -> Iterator[Entry]:
    """An entry for each row of a Parquet file, named by the path beside the bytes where those differ."""
    with open_file(table) as file:
        parquet = pq.ParquetFile(file)
        kind, num_rows = parquet.schema_arrow.field(column).type, parquet.metadata.num_rows
        groups = [parquet.metadata.row_group(number) for number in range(parquet.num_row_groups)]
    leaf = f"{column}.bytes" if pa.types.is_struct(kind) else column
    if names is None and pa.types.is_struct(kind) and "path" in [field.name for field in kind]:
        names = read_columns(table, {"path": f"{column}.path"})["path"]
    if names is None or not all(names) or len(set(names)) < num_rows:
        names = [f"row {row:08d}" for row in range(num_rows)]
    remaining = iter(names)
    for number, group in enumerate(groups):
        parts = (group.column(index) for index in range(group.num_columns))
        num_bytes = next(part.total_uncompressed_size for part in parts if part.path_in_schema == leaf)
        for row in range(group.num_rows):
            yield Entry((next(remaining),), f"{number}:{row}", num_bytes // group.num_rows)
