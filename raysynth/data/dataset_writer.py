"""Writing a data set: once, complete or not at all."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from raysynth.cards import write_card
from raysynth.data.data_card import FILE_NAME as DATA_CARD
from raysynth.data.data_card import data_card
from raysynth.data.dataset import COLUMNS, FORMAT, SPLITS, Dataset, load_dataset
from raysynth.data.leakage import Leakage, find_leakage
from raysynth.data.locations import Location, locate
from raysynth.data.new_folder import refuse_existing, with_folder
from raysynth.data.thumbnails import hash_pixels, thumbnail
from raysynth.errors import UserError

ROWS_PER_SHARD = 4096
ROWS_PER_ROW_GROUP = 512  # what a task reads at a time: a small set is one shard, and every core wants its part


def write_dataset(
    path: Location | str,
    *,
    name: str,
    kind: Literal["real", "synthetic"],
    classes: Sequence[str],
    images: np.ndarray,
    columns: Mapping[str, Sequence[Any] | np.ndarray],
    source: dict[str, Any],
    provenance: dict[str, Any] | None = None,
    audit: dict[str, Any] | None = None,
    leakage: Leakage | None = None,
    extra_files: Mapping[str, str] | Callable[[Path], None] | None = None,
) -> Dataset:
    """Write a data set and return it; `path` appears complete or not at all.

    `images` is (N, C, H, W) uint8. `columns` holds `id`, `label` and `split`; the others are optional. `thumbnail`
    (N, 64, 64) and with it `pixel_hash` should be those of the original where there is one (default: of `images`);
    `group` defaults to the pixel hash. Counts and fingerprint are computed here, and so is the
    leakage by groups if none is given.
    `extra_files` (name -> text, e.g. `rejected.csv`) is put beside `dataset.json`; a callable is given the folder.
    """
    path = locate(path)
    refuse_existing(path)
    num_images = len(images)
    if images.dtype != np.uint8 or images.ndim not in (4, 5):
        raise ValueError(f"images: want uint8 (N, C, H, W), got {images.dtype} {images.shape}")
    if num_images == 0:
        raise UserError(f"--out {path}: nothing to write, not one image was accepted")
    rows: dict[str, Any] = dict(columns)
    thumbnails = np.stack(rows.pop("thumbnail") if "thumbnail" in rows else [thumbnail(image) for image in images])
    hashes = list(rows.setdefault("pixel_hash", [hash_pixels(image) for image in thumbnails]))
    rows.setdefault("group", hashes)
    for column in COLUMNS:
        rows.setdefault(column, [None] * num_images)
    table = pa.table(
        {column: pa.array(rows[column], type=kind_) for column, kind_ in COLUMNS.items()}
        | {
            "image": pa.FixedShapeTensorArray.from_numpy_ndarray(np.ascontiguousarray(images)),
            "thumbnail": pa.FixedShapeTensorArray.from_numpy_ndarray(thumbnails),
        }
    )
    labels = np.asarray(rows["label"], dtype=np.int64)
    splits = np.asarray(rows["split"])
    counts = {
        split: {
            class_name: int(np.sum((splits == split) & (labels == label))) for label, class_name in enumerate(classes)
        }
        for split in SPLITS
    }
    dataset = Dataset(
        path=path,
        name=name,
        kind=kind,
        classes=tuple(classes),
        shape=tuple(images.shape[1:]),
        counts=counts,
        fingerprint=_fingerprint(images, labels, list(splits), list(rows["id"]), classes),
        source=source,
        leakage=leakage or find_leakage(rows["group"], list(splits), [classes[label] for label in labels]),
        provenance=provenance,
        audit=audit,
        software={package: version(package) for package in ("raysynth", "pyarrow", "pillow", "numpy")},
    )
    with_folder(path, partial(_write_files, dataset, table, extra_files))
    return dataset


def _write_files(
    dataset: Dataset,
    table: pa.Table,
    extra_files: Mapping[str, str] | Callable[[Path], None] | None,
    folder: Path,
) -> None:
    (folder / "images").mkdir()
    for shard, start in enumerate(range(0, table.num_rows, ROWS_PER_SHARD)):
        file = folder / "images" / f"part-{shard:05d}.parquet"
        pq.write_table(table.slice(start, ROWS_PER_SHARD), file, row_group_size=ROWS_PER_ROW_GROUP)
    if callable(extra_files):
        extra_files(folder)
    else:
        for file_name, text in (extra_files or {}).items():
            (folder / file_name).write_text(text, encoding="utf-8")
    content = {"format": FORMAT, **asdict(dataset)}
    del content["path"]
    (folder / "dataset.json").write_text(json.dumps(content, indent=2, ensure_ascii=False) + "\n", "utf-8")
    write_card(folder / DATA_CARD, lambda: data_card(load_dataset(folder)))


def _fingerprint(
    images: np.ndarray, labels: np.ndarray, splits: list[str], ids: list[str], classes: Sequence[str]
) -> str:
    """Hash of what a training can see: shape, classes, and every row's id, pixels, label and split, by id."""
    digest = hashlib.sha256(json.dumps([list(images.shape[1:]), list(classes)]).encode())
    for row in sorted(range(len(ids)), key=ids.__getitem__):
        digest.update(f"{ids[row]}\0{labels[row]}\0{splits[row]}\0".encode())
        digest.update(hashlib.blake2b(np.ascontiguousarray(images[row]).tobytes()).digest())
    return digest.hexdigest()[:16]
