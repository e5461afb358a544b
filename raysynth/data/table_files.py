"""Reading columns of text out of CSV, TSV and Parquet files, here or in a bucket."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from itertools import chain
from pathlib import Path
from typing import Any, BinaryIO

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from raysynth.data.locations import Location
from raysynth.errors import UserError

TEXT_SUFFIXES = (".csv", ".tsv")
PARQUET_MAGIC = b"PAR1"


def is_table(path: Location) -> bool:
    """Whether a file is a table: Parquet by its content, text by its name."""
    return path.is_file() and (path.suffix.casefold() in TEXT_SUFFIXES or is_parquet(path))


def is_parquet(path: Location) -> bool:
    """Whether the content is Parquet, whatever the file is called."""
    with open_file(path) as file:
        return file.read(len(PARQUET_MAGIC)) == PARQUET_MAGIC


def open_file(path: Location) -> BinaryIO:
    """The file to read from and seek in, wherever it is."""
    return path.open("rb") if isinstance(path, Path) else path.open()


def read_names(path: Location) -> tuple[list[str], list[str]]:
    """The names of all columns, and of those that hold the bytes of files. Raises UserError for what is no table."""
    with _readable(path, "SRC"), open_file(path) as file:
        if not is_parquet(path):
            names, _ = _read_text(path, file)
            if not any(names):
                raise UserError(f"SRC {path}: is empty; its first line should name the columns, e.g. path,label")
            return names, []
        schema = pq.ParquetFile(file).schema_arrow
        return schema.names, [field.name for field in schema if _holds_bytes(field.type)]


def read_columns(path: Location, wanted: Mapping[str, str], option: str = "SRC") -> dict[str, list[str]]:
    """The wanted columns (key -> name in the table) as texts, empty where there is no value.

    `column.field` is a field of a column of structs. Whole numbers that a table holds as floats, because values are
    missing, are written as whole numbers. Raises UserError, naming `option`, when a column is missing or the table
    cannot be read.
    """
    with _readable(path, option), open_file(path) as file:
        if is_parquet(path):
            parquet = pq.ParquetFile(file)
            names = parquet.schema_arrow.names
            there = {key: name for key, name in wanted.items() if {name, name.split(".")[0]} & {*names}}
            table = parquet.read(columns=list(there.values()))
            found = {key: [_as_text(value) for value in _column(table, name)] for key, name in there.items()}
        else:
            names, rows = _read_text(path, file)
            positions = {key: names.index(name) for key, name in wanted.items() if name in names}
            texts: dict[str, list[str]] = {key: [] for key in positions}
            for row in rows:
                for key, position in positions.items():
                    texts[key].append(row[position].strip() if position < len(row) else "")
            found = {key: _without_fractions(values) for key, values in texts.items()}
    for key, name in wanted.items():
        if key not in found:
            raise UserError(f"{option} {path}: no column {name!r}; its columns are {', '.join(names)}")
    if not any(found.values()):
        raise UserError(f"{option} {path}: has no rows; give one for each image, below the columns' names")
    return found


@contextmanager
def _readable(path: Location, option: str) -> Iterator[None]:
    try:
        yield
    except UnicodeDecodeError as error:
        raise UserError(
            f"{option} {path}: its text is not UTF-8; save it as UTF-8 (a spreadsheet offers it)"
        ) from error
    except (pa.ArrowException, csv.Error, OSError) as error:
        reason = " ".join(str(getattr(error, "strerror", None) or error).split())
        raise UserError(f"{option} {path}: cannot be read as a table ({reason})") from error


def _read_text(path: Location, file: BinaryIO) -> tuple[list[str], Iterator[list[str]]]:
    """The names of the columns, and the rows as long as the file is open."""
    text = io.TextIOWrapper(file, encoding="utf-8-sig", newline="")
    header = text.readline()
    tab = path.suffix.casefold() == ".tsv"
    delimiter = "\t" if tab else max(",;\t", key=header.count)  # spreadsheets write semicolons in some countries
    rows = csv.reader(chain([header], text), delimiter=delimiter)
    return [name.strip() for name in next(rows, [])], (row for row in rows if row)


def _holds_bytes(kind: pa.DataType) -> bool:
    if pa.types.is_struct(kind):  # as Hugging Face's data sets store images: {bytes, path}
        return any(field.name == "bytes" and _holds_bytes(field.type) for field in kind)
    return pa.types.is_binary(kind) or pa.types.is_large_binary(kind)


def _column(table: pa.Table, name: str) -> list[Any]:
    if name in table.column_names:
        return table[name].to_pylist()
    column, _, field = name.partition(".")
    return pc.struct_field(table[column], field).to_pylist()


def _as_text(value: Any) -> str:
    if value is None or value != value:  # NaN, which pandas writes where there is no value
        return ""
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return str(value).strip()


def _without_fractions(texts: list[str]) -> list[str]:
    """Without the .0 of each number in a column of whole numbers: pandas adds it where a value is missing."""
    are_whole = all(re.fullmatch(r"-?\d+\.0|", text) for text in texts)
    return [text.removesuffix(".0") for text in texts] if are_whole else texts
