"""The data set: a folder with `dataset.json` and Parquet shards of equally sized uint8 images.

Real and synthetic sets have the same form. A data set is written once, complete or not at all: shards and
`dataset.json` are made in a neighbouring folder that is renamed when everything is on disk. It may also be in a bucket,
where nothing is renamed: there `dataset.json` comes last.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.dataset
import pyarrow.parquet as pq
from PIL import Image

from raysynth.cards import write_card
from raysynth.data.data_card import FILE_NAME as DATA_CARD
from raysynth.data.data_card import data_card
from raysynth.data.leakage import Leakage, find_leakage
from raysynth.data.locations import BucketPath, Location, arrow_path, explaining, locate, naming, upload_folder
from raysynth.data.slices import middle_slices
from raysynth.errors import UserError
from raysynth.files import refuse_unwritable

FORMAT = 2
SPLITS = ("train", "validation", "test")
THUMBNAIL_SIZE = 64
BLANK_RANGE = 3  # grey values in an image that shows nothing
ROWS_PER_SHARD = 4096
ROWS_PER_ROW_GROUP = 512  # what a task reads at a time: a small set is one shard, and every core wants its part

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


def with_folder(path: Location, write: Callable[[Path], None]) -> None:
    """Call `write` with a fresh neighbouring folder, and rename it to `path` when all of it is on disk.

    For a bucket it is a temporary folder, whose files are copied there, `dataset.json` last.
    """
    if isinstance(path, BucketPath):
        with tempfile.TemporaryDirectory(prefix="raysynth-") as folder:
            write(Path(folder))
            upload_folder(Path(folder), path, last="dataset.json")
        return
    path = path.absolute()
    path.parent.mkdir(parents=True, exist_ok=True)
    partial_path = path.parent / f".{path.name}.partial-{os.getpid()}"
    shutil.rmtree(partial_path, ignore_errors=True)
    partial_path.mkdir()
    try:
        write(partial_path)
        for file in partial_path.rglob("*"):
            if file.is_file():
                with file.open("rb") as handle:
                    os.fsync(handle.fileno())
        if path.is_dir():  # an empty one, see refuse_existing; perhaps the current folder, which must stay
            for item in sorted(partial_path.iterdir(), key=lambda item: item.name == "dataset.json"):
                item.rename(path / item.name)  # dataset.json last: before it nothing looks like a data set
        else:
            partial_path.rename(path)
    finally:
        shutil.rmtree(partial_path, ignore_errors=True)


def refuse_existing(path: Location | str, option: str = "--out") -> None:
    """Raise UserError when `path` already holds something, for no verb overwrites, or cannot be made."""
    with naming(option):
        path = locate(path)
        if isinstance(path, BucketPath):
            is_taken = not path.is_empty()
        else:
            refuse_unwritable(path, option)
            is_taken = path.exists() and (not path.is_dir() or any(path.iterdir()))
    if is_taken:
        raise UserError(f"{option} {path}: exists and is not empty; choose another folder or remove it first")


def tensor_column(table: pa.Table, column: str) -> np.ndarray:
    """A tensor column as one array (N, ...) uint8."""
    if table.num_rows == 0:
        return np.zeros((0, *table.schema.field(column).type.shape), dtype=np.uint8)
    return table[column].combine_chunks().to_numpy_ndarray()


def thumbnail(image: np.ndarray) -> np.ndarray:
    """An image (C, H, W) uint8 as grey (64, 64) uint8 pixels: what `pixel_hash` is a hash of.

    Of a volume (C, D, H, W) its quarters are the axial, coronal and sagittal middle slice, and the mean of all axial
    slices: one slice would not do, for those of two patients may be alike.
    """
    if image.ndim == 4:
        views = (*middle_slices(image), image.mean(1).astype(np.uint8))
        upper_left, upper_right, lower_left, lower_right = (_grey(view, THUMBNAIL_SIZE // 2) for view in views)
        return np.block([[upper_left, upper_right], [lower_left, lower_right]])
    return _grey(image, THUMBNAIL_SIZE)


def _grey(image: np.ndarray, size: int) -> np.ndarray:
    """An image (C, H, W) uint8 as grey (size, size) uint8 pixels."""
    image = np.ascontiguousarray(image)
    grey = Image.fromarray(image[0]) if len(image) == 1 else Image.fromarray(np.moveaxis(image, 0, -1)).convert("L")
    if grey.size != (size, size):
        grey = grey.resize((size, size), Image.Resampling.BILINEAR)
    return np.asarray(grey, dtype=np.uint8)


def is_blank(thumbnails: np.ndarray) -> np.ndarray:
    """Whether each thumbnail (N, 64, 64) uint8 is of one grey: it is like every other blank one, and a copy of none."""
    return np.ptp(thumbnails, axis=(1, 2)) <= BLANK_RANGE


def hash_pixels(grey: np.ndarray) -> str:
    """Hash of decoded grey pixels: equal for images that are identical to the pixel."""
    return hashlib.blake2b(np.ascontiguousarray(grey).tobytes(), digest_size=16).hexdigest()


def _fingerprint(
    images: np.ndarray, labels: np.ndarray, splits: list[str], ids: list[str], classes: Sequence[str]
) -> str:
    """Hash of what a training can see: shape, classes, and every row's id, pixels, label and split, by id."""
    digest = hashlib.sha256(json.dumps([list(images.shape[1:]), list(classes)]).encode())
    for row in sorted(range(len(ids)), key=ids.__getitem__):
        digest.update(f"{ids[row]}\0{labels[row]}\0{splits[row]}\0".encode())
        digest.update(hashlib.blake2b(np.ascontiguousarray(images[row]).tobytes()).digest())
    return digest.hexdigest()[:16]
