"""What a model was trained on, pre-training included: which data sets, and the pixel hashes of the images it saw.

A run keeps both, a synthetic set keeps those of the run that made it, and `contact.py` holds them against a test split.
Hashes only: a synthetic set may be shared, patients' images not.
"""

from __future__ import annotations

import io
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

import pyarrow as pa
import pyarrow.parquet as pq

from raysynth.data.dataset import Dataset, tensor_column
from raysynth.data.locations import Location
from raysynth.data.thumbnails import hash_pixels, is_blank, thumbnail
from raysynth.errors import UserError

HASHES_FILE = "training_hashes.parquet"  # columns pixel_hash, fingerprint (of the data set that the image is from)

Entry = dict[str, Any]
Role = Literal["training", "pre-training", "own"]


@dataclass(frozen=True)
class Provenance:
    """The data sets that a model was trained on, and the hashes of the images of each that it saw.

    Every entry is plain: role, name, path, fingerprint, num_images, splits. `hashes` is fingerprint -> pixel hashes;
    data sets of runs that kept none are missing from it. Without entries the origin is unknown.
    """

    entries: tuple[Entry, ...] = ()
    hashes: Mapping[str, frozenset[str]] = field(default_factory=dict)

    def __add__(self, other: Provenance) -> Provenance:
        """Both, a data set once in each role."""
        known = {(entry["role"], entry["fingerprint"]) for entry in self.entries}
        new = [entry for entry in other.entries if (entry["role"], entry["fingerprint"]) not in known]
        return Provenance((*self.entries, *new), {**other.hashes, **self.hashes})


def inherit(provenance: Provenance) -> Provenance:
    """What a pre-trained run was trained on, as part of what a run that starts from it was trained on."""
    return Provenance(tuple({**entry, "role": "pre-training"} for entry in provenance.entries), provenance.hashes)


def training_provenance(dataset: Dataset) -> Provenance:
    """What a training on `dataset` sees: its train images and, if those are synthetic, what their maker saw."""
    return train_images(dataset, "training") + inherit(dataset_provenance(dataset))


def train_images(dataset: Dataset, role: Role) -> Provenance:
    """One entry: the train split of `dataset`."""
    entry = _entry(role, dataset.name, str(dataset.path.resolve()), dataset.fingerprint, dataset.num_images("train"))
    return Provenance((entry,), {dataset.fingerprint: frozenset().union(*hashes_by_image(dataset, "train").values())})


def dataset_provenance(dataset: Dataset) -> Provenance:
    """What made a synthetic set, as far as it is known."""
    recorded = dataset.provenance or {}
    entries = recorded.get("trained_on") or []
    if not entries and recorded.get("training_fingerprint"):  # made before these lists were kept
        path, fingerprint = recorded.get("training_data"), recorded["training_fingerprint"]
        entries = [_entry("training", recorded.get("training_name") or path, path, fingerprint)]
    return Provenance(tuple(entries), read_hashes(dataset.path))


def makers(origin: Mapping[str, Any] | None) -> list[Mapping[str, Any]]:
    """What made a synthetic set, a mapping with `family` and `run` for each: its `provenance`, or those of the sets
    that were joined in it."""
    return (origin or {}).get("joined") or [origin or {}]


def run_provenance(folder: Location, settings: Mapping[str, Any]) -> Provenance:
    """What the run in `folder` is trained on; `settings` is its `config.yaml`."""
    entries = settings.get("trained_on")
    if entries is None:  # begun before these lists were kept
        data = settings["data"]
        num_images = sum(data["train_counts"].values())
        entries = [_entry("training", data["name"], data["path"], data["fingerprint"], num_images)]
    return Provenance(tuple(entries), read_hashes(folder))


def _entry(role: Role, name: Any, path: str | None, fingerprint: str, num_images: int | None = None) -> Entry:
    entry = {"role": role, "name": name, "path": path, "fingerprint": fingerprint}
    return {**entry, "num_images": num_images, "splits": ["train"]}


def hashes_by_image(dataset: Dataset, split: str) -> dict[str, frozenset[str]]:
    """Id -> the hash of an image's original and that of its stored pixels: a copy may be of either.

    A blank image has none: it is like every other blank one, and says nothing of what was seen.
    """
    found: dict[str, frozenset[str]] = {}
    for table in dataset.row_groups(["id", "pixel_hash", "image", "thumbnail"], split):
        blank = is_blank(tensor_column(table, "thumbnail"))
        stored = [hash_pixels(thumbnail(image)) for image in tensor_column(table, "image")]
        rows = zip(table["id"].to_pylist(), table["pixel_hash"].to_pylist(), stored, strict=True)
        found |= {id_: frozenset(() if blank[row] else hashes) for row, (id_, *hashes) in enumerate(rows)}
    return found


def write_hashes(hashes: Mapping[str, frozenset[str]], folder: Location) -> None:
    """Write `training_hashes.parquet` into `folder`; nothing where no hashes are known."""
    rows = [(pixel_hash, fingerprint) for fingerprint, found in sorted(hashes.items()) for pixel_hash in sorted(found)]
    if rows:
        table = pa.table(dict(zip(("pixel_hash", "fingerprint"), map(list, zip(*rows, strict=True)), strict=True)))
        stream = io.BytesIO()
        pq.write_table(table, stream, compression="zstd")
        (folder / HASHES_FILE).write_bytes(stream.getvalue())


def read_hashes(folder: Location) -> dict[str, frozenset[str]]:
    """Fingerprint -> pixel hashes of the file in `folder`; empty without one.

    Raises UserError when it cannot be read.
    """
    file = folder / HASHES_FILE
    if not file.is_file():
        return {}
    try:
        table = pq.read_table(io.BytesIO(file.read_bytes()), columns=["pixel_hash", "fingerprint"])
    except (OSError, ValueError, pa.ArrowException) as error:
        message = " ".join(str(error).split())
        raise UserError(f"{file}: cannot be read ({message}); make its folder again, or remove the file") from error
    found: dict[str, set[str]] = {}
    for pixel_hash, fingerprint in zip(*(column.to_pylist() for column in table.columns), strict=True):
        found.setdefault(fingerprint, set()).add(pixel_hash)
    return {fingerprint: frozenset(hashes) for fingerprint, hashes in found.items()}
