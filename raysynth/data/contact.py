"""Whether what a model was trained on touches the test split that its images are going to be judged on."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import pandas as pd

from raysynth.data.audit.cross import find_copies_across
from raysynth.data.dataset import Dataset, load_dataset
from raysynth.data.provenance import Entry, Provenance, dataset_provenance, hashes_by_image, train_images
from raysynth.errors import UserError

# Of a split (`Leakage.status`) as of a contact, and of every row or file that rests on them; the later, the worse:
#   clean    looked for, and no copy found
#   unknown  something could not be looked at
#   leaky    the real data set's own split has copies across it, as was asked for with `--split folders` or `random`
#   touches  test images have copies among what the model was trained on: refused unless `--allow-leakage`
Status = Literal["clean", "unknown", "leaky", "touches"]
STATUSES: tuple[Status, ...] = ("clean", "unknown", "leaky", "touches")
HELD_OUT = ("validation", "test")

# (dataset_a, dataset_b, splits_a=..., splits_b=...) -> near, mirrored, ... pairs with a column `id_b`
FindCopies = Callable[..., pd.DataFrame]


@dataclass(frozen=True)
class Contact:
    """What was found, over all that a model was trained on; `entries` says it for each data set of its provenance.

    `num_test_images` and `num_validation_images` count the real data set's images with a copy among them.
    """

    status: Status
    detail: str
    num_test_images: int = 0
    num_validation_images: int = 0
    entries: tuple[Entry, ...] = ()


def worst(*statuses: str) -> Status:
    """The worst of some statuses; clean if there is none."""
    return max((status for status in STATUSES if status in statuses), key=STATUSES.index, default="clean")


def find_contact(synthetic: Dataset, real: Dataset, *, find_copies: FindCopies = find_copies_across) -> Contact:
    """Whether the images of `synthetic`, or those that its maker was trained on, touch the test split of `real`."""
    origin = dataset_provenance(synthetic)
    contact = provenance_contact(train_images(synthetic, "own") + origin, real, find_copies=find_copies)
    if origin.entries or contact.status in ("touches", "leaky"):
        return contact
    return Contact("unknown", "its origin is unknown", 0, contact.num_validation_images, contact.entries)


def provenance_contact(
    provenance: Provenance,
    real: Dataset,
    *,
    splits: Sequence[str] = ("test",),
    find_copies: FindCopies = find_copies_across,
) -> Contact:
    """Whether what a model was trained on touches one of the `splits` of `real`.

    Three ways lead to it: the fingerprint of `real` itself, whose train split is as clean as its audit says; the
    hashes of the images; and, where the data set is still in its place, `find_copies` (near and mirrored copies, by
    the audit). What one of them cannot follow is unknown, not clean.
    """
    held_out = {split: hashes_by_image(real, split) for split in HELD_OUT}
    found = [_follow(entry, provenance.hashes, real, held_out, splits, find_copies) for entry in provenance.entries]
    touched: set[str] = set().union(*(ids for _, ids in found))
    entries = [entry for entry, _ in found]
    status = worst(*(entry["status"] for entry in entries))
    own_split = max((entry["num_test_images"] for entry in entries if entry["status"] == "leaky"), default=0)
    return Contact(
        status=status,
        detail=", ".join(entry["detail"] for entry in entries if entry["status"] == status),
        num_test_images=len(touched & held_out["test"].keys()) or own_split,
        num_validation_images=len(touched & held_out["validation"].keys()),
        entries=tuple(entries),
    )


def _follow(
    entry: Entry,
    hashes: Mapping[str, frozenset[str]],
    real: Dataset,
    held_out: Mapping[str, Mapping[str, frozenset[str]]],
    splits: Sequence[str],
    find_copies: FindCopies,
) -> tuple[Entry, set[str]]:
    """An entry with what was found on it, and the ids of the held-out images that it touches."""
    images = {"own": "its own images"}.get(entry["role"], f"its {entry['role']} images ({entry['name']})")
    if entry["fingerprint"] == real.fingerprint:
        # Its test images were compared with its train images when it was made.
        status, num_test = real.leakage.status, real.leakage.num_test
        leaks = num_test or ("validation" in splits and real.leakage.num_validation)
        if status == "leaky" and not leaks:
            status = "clean"
        detail = f"{images} are the train split of the real data set itself, whose leakage is {status}"
        return _entry(entry, status, detail, {"test": num_test}), set()

    source = _find_dataset(entry)
    known = hashes.get(entry["fingerprint"])
    if known is None and source is not None:
        known = train_images(source, entry["role"]).hashes[source.fingerprint]
    if known is None:
        return _entry(entry, "unknown", f"{images} are neither at {entry['path']} nor kept as hashes"), set()
    touched = {id_ for images_ in held_out.values() for id_, found in images_.items() if not found.isdisjoint(known)}
    drawn = source is not None and source.kind == "synthetic"  # what they were drawn from has entries of its own
    if source is not None and not drawn:
        touched |= set(find_copies(source, real, splits_a=tuple(entry["splits"]), splits_b=HELD_OUT)["id_b"])

    numbers = {split: len(touched & images_.keys()) for split, images_ in held_out.items()}
    counts = [f"{numbers[split]} of {len(held_out[split])} {split} images" for split in splits if numbers[split]]
    if counts:
        return _entry(entry, "touches", f"{' and '.join(counts)} have a copy among {images}", numbers), touched
    if drawn and source is not None and not dataset_provenance(source).entries:
        return _entry(entry, "unknown", f"{images} are synthetic, and of what is unknown", numbers), touched
    if source is None:
        reason = f"are no longer at {entry['path']}, so near copies may be among them"
        return _entry(entry, "unknown", f"{images} {reason}", numbers), touched
    return _entry(entry, "clean", f"{images} hold no copy", numbers), touched


def _entry(entry: Entry, status: str, detail: str, numbers: Mapping[str, int] | None = None) -> dict[str, Any]:
    counts = {f"num_{split}_images": (numbers or {}).get(split, 0) for split in HELD_OUT}
    return {**entry, "status": status, "detail": detail, **counts}


def _find_dataset(entry: Entry) -> Dataset | None:
    """The data set of an entry, if it is still where it was and what it was."""
    if not entry["path"]:
        return None
    try:
        dataset = load_dataset(entry["path"])
    except UserError:  # gone, or no longer a data set
        return None
    return dataset if dataset.fingerprint == entry["fingerprint"] else None
