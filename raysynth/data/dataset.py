"""The data set: a folder with `dataset.json` and Parquet shards of equally sized uint8 images.

Real and synthetic sets have the same form. A data set is written once, complete or not at all: shards and
`dataset.json` are made in a neighbouring folder that is renamed when everything is on disk. It may also be in a bucket,
where nothing is renamed: there `dataset.json` comes last.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.dataset
import pyarrow.parquet as pq

from raysynth.data.buckets import explaining
from raysynth.data.leakage import Leakage
from raysynth.data.locations import Location, arrow_path, locate, naming
from raysynth.errors import UserError

FORMAT = 2
SPLITS = ("train", "validation", "test")

# One row an image. `image` and `thumbnail` are uint8 tensors whose shapes are added when a set is written.
COLUMNS: dict[str, pa.DataType] = {
    "id": pa.string(),
    "label": pa.int64(),
    "split": pa.string(),
    "fold": pa.int64(),
    "group": pa.string(),
    "source_group": pa.string(),
    "pixel_hash": pa.string(),
    "source_path": pa.string(),
    "source_split": pa.string(),
    "source_width": pa.int64(),
    "source_height": pa.int64(),
    "source_format": pa.string(),
    "seed": pa.int64(),
}


@dataclass(frozen=True)
class Dataset:
    """What `dataset.json` says, and the way to the images beside it.

    `shape` is (C, H, W); `counts` is split -> class -> number of images; `provenance` is what made a synthetic
    set (run, config, fingerprint of its training data) and None for real images; `audit` is the summary of what the
    import found (the rest is in the folder `audit`), None where nothing was imported.
    """

    path: Location
    name: str
    kind: Literal["real", "synthetic"]
    classes: tuple[str, ...]
    shape: tuple[int, ...]
    counts: dict[str, dict[str, int]]
    fingerprint: str
    source: dict[str, Any] = field(default_factory=dict)
    leakage: Leakage = Leakage("unknown")
    provenance: dict[str, Any] | None = None
    audit: dict[str, Any] | None = None
    software: dict[str, str] = field(default_factory=dict)

    @property
    def images_folder(self) -> Location:
        return self.path / "images"

    def shards(self) -> list[Location]:
        """The Parquet files in the order of their rows."""
        files: list[Location] = list(self.images_folder.iterdir()) if self.images_folder.is_dir() else []
        return sorted((file for file in files if file.suffix == ".parquet"), key=lambda file: file.name)

    def num_images(self, split: str | None = None) -> int:
        """Number of images, of one split or of all."""
        return sum(sum(self.counts[name].values()) for name in ([split] if split else self.counts))

    def read(self, columns: Sequence[str], split: str | None = None) -> pa.Table:
        """The named columns of all rows (of one split), in the order in which they were written."""
        filters = None if split is None else [("split", "==", split)]
        folder, system = arrow_path(self.images_folder)
        with _readable(self.path):
            return pq.read_table(folder, columns=list(columns), filters=filters, filesystem=system)

    def row_groups(self, columns: Sequence[str], split: str) -> Iterator[pa.Table]:
        """What `read` gives of one split in the same order, some hundred rows of it in memory at a time."""
        for shard in self.shards():
            path, system = arrow_path(shard)
            with _readable(self.path):
                file = pq.ParquetFile(path, filesystem=system, pre_buffer=system is not None)
            for group in range(file.num_row_groups):
                with _readable(self.path):
                    table = file.read_row_group(group, columns=[*columns, "split"])
                yield table.filter(pc.equal(table["split"], split)).select(list(columns))

    def take(self, columns: Sequence[str], rows: np.ndarray) -> pa.Table:
        """The named columns of the rows (N,) with these numbers in the order of `read`; no other image is read."""
        folder, system = arrow_path(self.images_folder)
        with _readable(self.path):
            return pyarrow.dataset.dataset(folder, filesystem=system).take(rows, columns=list(columns))

    def pixels(self, split: str | None = None) -> tuple[np.ndarray, np.ndarray]:
        """Images (N, C, H, W) uint8 and labels (N,) int64 of one split, or of all."""
        table = self.read(["image", "label"], split)
        return tensor_column(table, "image"), table["label"].to_numpy()


@contextmanager
def _readable(path: Location) -> Iterator[None]:
    """Raise UserError for shards that are broken, or gone since `load_dataset` saw them."""
    try:
        with explaining(path):
            yield
    except (OSError, pa.ArrowInvalid) as error:
        reason = " ".join(str(error).split())[:300]
        raise UserError(f"{path}: images cannot be read ({reason}); import it again") from error


def load_dataset(path: Location | str, option: str = "--data") -> Dataset:
    """Read `DIR/dataset.json`; DIR may be in a bucket.

    Raises UserError, naming `option`, when the folder is not a data set that this version reads.
    """
    with naming(option):
        return _load(locate(path), option)


def _load(path: Location, option: str) -> Dataset:
    file = path / "dataset.json"
    if not file.is_file():
        hint = "make one with `raysynth data import` or `raysynth data phantom`"
        raise UserError(f"{option} {path}: no dataset.json in this folder; {hint}")
    try:
        content = json.loads(file.read_text(encoding="utf-8"))
        if content["format"] != FORMAT:
            raise UserError(
                f"{option} {path}: data set format {content['format']}, this version reads {FORMAT}; import it again"
            )
        dataset = Dataset(
            path=path,
            name=content["name"],
            kind=content["kind"],
            classes=tuple(content["classes"]),
            shape=tuple(content["shape"]),
            counts=content["counts"],
            fingerprint=content["fingerprint"],
            source=content["source"],
            leakage=Leakage(**content["leakage"]),
            provenance=content["provenance"],
            audit=content["audit"],
            software=content["software"],
        )
    except (ValueError, KeyError, TypeError) as error:
        raise UserError(f"{option} {path}: dataset.json cannot be read ({error}); import it again") from error
    if not dataset.shards():
        raise UserError(f"{option} {path}: images/*.parquet are missing; import it again")
    return dataset


def tensor_column(table: pa.Table, column: str) -> np.ndarray:
    """A tensor column as one array (N, ...) uint8."""
    if table.num_rows == 0:
        return np.zeros((0, *table.schema.field(column).type.shape), dtype=np.uint8)
    return table[column].combine_chunks().to_numpy_ndarray()
