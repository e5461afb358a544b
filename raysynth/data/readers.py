"""How the bytes of one file of a source are read: plain values that go to any process and work there."""

from __future__ import annotations

import zipfile
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Protocol

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from raysynth.data.locations import Location
from raysynth.data.table_files import open_file


class Reader(Protocol):
    """Reads members of one source. `read` raises OSError, zipfile.BadZipFile and the like when it cannot."""

    @property
    def path(self) -> Location: ...

    def read(self, locator: str) -> bytes: ...


@dataclass(frozen=True)
class FolderReader:
    """A member is a file; its locator is the path below the folder."""

    path: Location

    def read(self, locator: str) -> bytes:
        return (self.path / locator).read_bytes()


@dataclass(frozen=True)
class ZipReader:
    """A member is an entry of a zip; its locator is the name as Python's zipfile decoded it."""

    path: Location
    version: int

    def read(self, locator: str) -> bytes:
        return open_zip(self.path, self.version).read(locator)


@dataclass(frozen=True)
class ParquetReader:
    """A member is a value of a column of bytes, or of a column of structs with the field `bytes`.

    Its locator is "row group:row". One row group is in memory at a time, whatever the size of the file.
    """

    path: Location
    version: int
    column: str

    def read(self, locator: str) -> bytes:
        row_group, row = map(int, locator.split(":"))
        return _row_group(self.path, self.version, self.column, row_group)[row].as_py() or b""


def file_version(path: Location) -> int:
    """Tells versions of a local file apart, so that a file kept open is not one that was replaced."""
    return path.stat().st_mtime_ns if isinstance(path, Path) else 0


@lru_cache(maxsize=1)
def open_zip(path: Location, version: int) -> zipfile.ZipFile:
    """The zip, kept open: its directory is parsed once a process and version of the file, not once an image."""
    return zipfile.ZipFile(path if isinstance(path, Path) else path.open())


@lru_cache(maxsize=1)
def _row_group(path: Location, version: int, column: str, row_group: int) -> pa.ChunkedArray:
    """Neighbouring rows are read one after another, so the last row group is kept."""
    with open_file(path) as file:
        values = pq.ParquetFile(file).read_row_group(row_group, columns=[column]).column(0)
    return pc.struct_field(values, "bytes") if pa.types.is_struct(values.type) else values
