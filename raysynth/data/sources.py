"""Where images come from: a folder or a zip, local or in a bucket, whose folders are the classes.

Three forms are understood, each with or without one wrapping folder: CLASS/*, Training|Testing/CLASS/* and
train|validation|test/CLASS/*; DICOM and NIfTI files may lie in folders below the class folder, as scanners write them.
Nothing outside of the folder or zip is ever read, and nothing is unpacked to disk.
"""

from __future__ import annotations

import os
import re
import stat
import unicodedata
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from raysynth.data.buckets import BucketPath
from raysynth.data.decode import DICOM_SUFFIXES, NIFTI_SUFFIXES
from raysynth.data.locations import Location
from raysynth.data.readers import FolderReader, Reader, ZipReader, file_version, open_zip
from raysynth.errors import UserError

MAX_FILE_BYTES = 256 * 2**20
PICTURE_SUFFIXES = (".png", ".jpg", ".jpeg", ".gif", ".bmp", ".tif", ".tiff", ".webp", ".ppm", ".pgm", ".jp2")
IMAGE_SUFFIXES = (*PICTURE_SUFFIXES, *DICOM_SUFFIXES, *NIFTI_SUFFIXES)
SPLIT_FOLDERS = {
    "train": "train",
    "training": "train",
    "validation": "validation",
    "valid": "validation",
    "val": "validation",
    "test": "test",
    "testing": "test",
}
IGNORED_NAMES = frozenset({"__macosx", "thumbs.db", "desktop.ini", "dicomdir"})

_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]")
_UNFIT_FOR_FOLDERS = re.compile(rf"[/\\\\]|{_CONTROL.pattern}")


@dataclass(frozen=True, slots=True)
class Member:
    """One file, or one row of a table, that may hold an image or several.

    `id` is the path below the wrapping folder, `path` the one below the source; `locator` is what the source's
    reader takes (it differs from `path` where a name is not valid UTF-8). `split` is None where the source has none,
    `group` where the user gave none. A nested member lies below its class folder and must be DICOM or NIfTI.
    """

    id: str
    path: str
    locator: str
    class_name: str
    split: str | None
    num_bytes: int
    group: str | None = None
    is_nested: bool = False


@dataclass(frozen=True)
class Source:
    """What a folder, zip or table offers: members, the classes (empty ones too) and what was turned away."""

    path: Location
    reader: Reader
    members: tuple[Member, ...]
    classes: tuple[str, ...]
    split_folders: dict[str, str]  # name in the source -> split
    rejected: tuple[tuple[str, str], ...]  # (path, reason)

    @property
    def num_bytes(self) -> int:
        return sum(member.num_bytes for member in self.members)


@dataclass(frozen=True, slots=True)
class Entry:
    """A file or folder as listed; `reason` is set where it must not be read."""

    parts: tuple[str, ...]
    locator: str
    num_bytes: int = 0
    is_folder: bool = False
    reason: str = ""


def find_images(path: Location) -> Source:
    """List the files of every class, without reading one.

    Hidden files and what macOS, Windows and scanners leave beside images are passed over. Raises UserError when
    `path` is missing, is neither a folder nor a zip, is a data set already, or holds no class folders.
    """
    reader: Reader
    if path.is_dir():
        if (path / "dataset.json").is_file():
            verbs = f"`raysynth data export` writes its images, `--add-to {path}` adds others to it"
            raise UserError(f"SRC {path}: is a data set already; {verbs}")
        reader = FolderReader(path.resolve())
        entries = list(_list_bucket(path) if isinstance(path, BucketPath) else _list_folder(path))
    elif path.is_file():
        reader = ZipReader(path.resolve(), file_version(path))
        entries = list(_list_zip(path, reader))
    else:
        raise UserError(f"SRC {path}: no such file or folder; give a folder, a .zip or a table of images")
    entries = [entry for entry in entries if not any(_is_ignored(part) for part in entry.parts)]
    wrapper, split_folders = _find_layout(entries)
    below = len(wrapper)

    members: list[Member] = []
    classes: set[str] = set()
    rejected: list[tuple[str, str]] = []
    for entry in entries:
        shown = readable("/".join(entry.parts))
        parts = entry.parts[below:] if entry.parts[:below] == wrapper else ()
        split = None
        if split_folders and parts:
            split = split_folders.get(parts[0])
            parts = parts[1:] if split else ()
        class_name = unicodedata.normalize("NFC", readable(parts[0])) if parts else ""
        if entry.is_folder:
            if len(parts) == 1:
                classes.add(class_name)
        elif reason := entry.reason or _misplaced(parts):
            rejected.append((shown, reason))
        else:
            classes.add(class_name)
            member_id = readable("/".join(entry.parts[below:]))
            nested = len(parts) > 2
            members.append(
                Member(member_id, shown, entry.locator, class_name, split, entry.num_bytes, is_nested=nested)
            )
    if not classes:
        forms = "CLASS/*, Training|Testing/CLASS/* or train|validation|test/CLASS/*"
        raise UserError(f"SRC {path}: no class folders in it; it should look like {forms}")
    members.sort(key=lambda member: member.id)
    return Source(path, reader, tuple(members), tuple(sorted(classes)), split_folders, tuple(sorted(rejected)))


def _list_folder(root: Path) -> Iterator[Entry]:
    inside = root.resolve()
    unreadable: list[OSError] = []
    for folder, folder_names, file_names in os.walk(root, onerror=unreadable.append):
        relative = Path(folder).relative_to(root)
        folder_names[:] = [name for name in folder_names if not _is_ignored(name)]
        for name in folder_names:
            path = relative / name
            linked = (root / path).is_symlink()
            # A class that is a link must not vanish unseen: the link itself is listed as rejected.
            reason = "a symbolic link to a folder is not followed; copy the folder" if linked else ""
            yield Entry(path.parts, str(path), is_folder=not linked, reason=reason)
        for name in file_names:
            yield inspect_file(root, inside, relative / name)
    for failure in unreadable:
        path = Path(failure.filename).relative_to(root)
        yield Entry(path.parts, str(path), reason=f"the folder cannot be read: {failure.strerror}")


def inspect_file(root: Path, inside: Path, path: Path) -> Entry:
    """The file `path` below `root`, with the reason when it cannot be read or leads out of the folder `inside`."""
    if (root / path).is_symlink() and not (root / path).resolve().is_relative_to(inside):
        return Entry(path.parts, str(path), reason="a symbolic link out of the folder is not followed")
    try:
        status = (root / path).stat()
    except OSError as error:
        return Entry(path.parts, str(path), reason=f"cannot be read: {error.strerror}")
    regular = stat.S_ISREG(status.st_mode)  # reading a pipe would wait for ever
    reason = unfit_size(status.st_size) if regular else "not a regular file"
    return Entry(path.parts, str(path), status.st_size, reason=reason)


def _list_bucket(root: BucketPath) -> Iterator[Entry]:
    for path, num_bytes in root.files():
        parts = PurePosixPath(path).parts
        yield Entry(parts, path, num_bytes, reason=unfit_size(num_bytes))
        for depth in range(1, len(parts)):  # a bucket knows no folders
            yield Entry(parts[:depth], "", is_folder=True)


def _list_zip(path: Location, reader: ZipReader) -> Iterator[Entry]:
    try:
        infos = open_zip(reader.path, reader.version).infolist()
    except (zipfile.BadZipFile, OSError, EOFError) as error:
        forms = "give a folder, a .zip, or a .csv, .tsv or .parquet table"
        raise UserError(f"SRC {path}: not a zip that can be read ({error}); {forms}") from error
    last = {info.filename: index for index, info in enumerate(infos)}
    for index, info in enumerate(infos):
        name = _decode_name(info).replace("\\", "/")  # some Windows programs write backslashes
        parts = tuple(part for part in name.split("/") if part not in ("", "."))
        if info.is_dir() or name.endswith("/"):
            if ".." not in parts and not name.startswith("/"):
                yield Entry(parts, info.filename, is_folder=True)
            continue
        if ".." in parts:
            reason = "the path leaves the zip (..)"
        elif name.startswith("/") or name[1:2] == ":":
            reason = "an absolute path in the zip"
        elif info.flag_bits & 0x1:
            reason = "encrypted; unpack it with its password first"
        elif stat.S_ISLNK(info.external_attr >> 16):
            reason = "a symbolic link in the zip"
        elif last[info.filename] != index:
            reason = "another entry of the zip has the same name, the last one was taken"
        else:
            reason = unfit_size(info.file_size)
        yield Entry(parts, info.filename, info.file_size, reason=reason)
        for depth in range(1, len(parts)):  # a zip need not list its folders
            if not reason:
                yield Entry(parts[:depth], "", is_folder=True)


def _decode_name(info: zipfile.ZipInfo) -> str:
    """The name in the zip; UTF-8 is tried where the zip forgot to say so and Python assumed code page 437."""
    if not info.flag_bits & 0x800:
        try:
            return info.filename.encode("cp437").decode("utf-8")
        except UnicodeError:
            return info.filename
    return info.filename


def _find_layout(entries: list[Entry]) -> tuple[tuple[str, ...], dict[str, str]]:
    """The wrapping folder, () or (name,), and the split folders in it (name -> split)."""
    folders = {entry.parts for entry in entries if entry.is_folder}
    wrapper: tuple[str, ...] = ()
    while True:
        below = len(wrapper)
        names = {parts[below] for parts in folders if len(parts) > below and parts[:below] == wrapper}
        splits = {name: SPLIT_FOLDERS[name.casefold()] for name in names if name.casefold() in SPLIT_FOLDERS}
        if splits or wrapper or len(names) != 1:
            return wrapper, splits
        # One folder alone: the only class, if it holds images; a wrapping folder, if it holds folders.
        inner = (*wrapper, *names)
        holds_folders = any(len(parts) > len(inner) and parts[: len(inner)] == inner for parts in folders)
        holds_images = any(
            entry.parts[:-1] == inner and entry.parts[-1].casefold().endswith(IMAGE_SUFFIXES)
            for entry in entries
            if not entry.is_folder
        )
        if holds_images or not holds_folders:
            return wrapper, splits
        wrapper = inner


def _misplaced(parts: tuple[str, ...]) -> str:
    """Why a file is not taken where it lies. Deep files may be DICOM, whose names say nothing, or NIfTI."""
    if len(parts) > 2 and parts[-1].casefold().endswith(PICTURE_SUFFIXES):
        return "in a folder below the class folder"
    return "" if len(parts) >= 2 else "not in a class folder"


def unfit_size(num_bytes: int) -> str:
    """Why a file of this size is not read, or nothing."""
    if num_bytes == 0:
        return "the file is empty"
    if num_bytes > MAX_FILE_BYTES:
        return f"{num_bytes / 2**20:.0f} MiB, larger than {MAX_FILE_BYTES // 2**20} MiB"
    return ""


def _is_ignored(name: str) -> bool:
    """Hidden or left by an operating system; `..` is neither, it is a name to reject."""
    return (name.startswith(".") and name != "..") or name.casefold() in IGNORED_NAMES


def unfit_class_name(name: str) -> str:
    """Why this cannot be the name of a class, or nothing."""
    if name.strip() and not name.startswith(".") and not _UNFIT_FOR_FOLDERS.search(name):
        return ""
    return f"{name!r} is no class name; it names a folder: no slash or backslash, no leading dot, no control character"


def readable(name: str) -> str:
    """A file name as valid text of one line: bytes that are not UTF-8, and control characters, are shown as \\xNN."""
    text = name.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")
    return _CONTROL.sub(lambda found: found[0].encode("unicode_escape").decode(), text)
