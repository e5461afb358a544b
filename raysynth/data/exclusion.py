"""A data set without what another one is going to be judged by, for pre-training."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

import numpy as np

from raysynth.data.audit.cross import find_copies_across
from raysynth.data.contact import HELD_OUT, FindCopies
from raysynth.data.dataset import COLUMNS, SPLITS, Dataset, tensor_column
from raysynth.data.dataset_writer import write_dataset
from raysynth.data.locations import Location
from raysynth.data.provenance import hashes_by_image, read_hashes, write_hashes
from raysynth.errors import UserError


@dataclass(frozen=True)
class Exclusion:
    """What is left of `dataset`: `kept` (N,) are the rows, in the order of `Dataset.read`, that have nothing to do with
    `target`'s validation and test images; `num_copies` is how many of all are copies of these."""

    dataset: Dataset
    target: Dataset
    kept: np.ndarray
    num_copies: int
    num_train: int  # of the kept

    @property
    def num_excluded(self) -> int:
        return self.dataset.num_images() - len(self.kept)


def find_excluded(dataset: Dataset, target: Dataset, *, find_copies: FindCopies = find_copies_across) -> Exclusion:
    """Leave out the images of which a validation or test image of `target` is a copy, by the audit or by the hashes of
    the stored pixels, and their groups (copies of theirs, one patient).

    Raises UserError when no train or no validation images are left.
    """
    pairs = find_copies(dataset, target, splits_a=SPLITS, splits_b=HELD_OUT)
    held_out: frozenset[str] = frozenset()
    own: dict[str, frozenset[str]] = {}
    for split in SPLITS:
        own |= hashes_by_image(dataset, split)
        if split in HELD_OUT:
            held_out = held_out.union(*hashes_by_image(target, split).values())
    same = [id_ for id_, hashes in own.items() if hashes & held_out]
    table = dataset.read(["id", "group", "split"])
    ids, groups, splits = (np.array(table[name].to_pylist(), dtype=object) for name in ("id", "group", "split"))
    are_copies = np.isin(ids, [*pairs["id_a"].unique(), *same])
    kept = np.flatnonzero(~np.isin(groups, groups[are_copies]))
    for split in ("train", "validation"):
        if not (splits[kept] == split).any():
            raise UserError(
                f"--exclude {target.path}: leaves no {split} images of {dataset.name}: its other images are copies of "
                "those that it is judged by, or of their groups; pre-train on other images"
            )
    return Exclusion(dataset, target, kept, int(are_copies.sum()), int((splits[kept] == "train").sum()))


def write_rest(exclusion: Exclusion, out: Location) -> Dataset:
    """Write what is left as a data set; its name and its `source` say how many images are not in it."""
    dataset, target = exclusion.dataset, exclusion.target
    rest = dataset.read([*COLUMNS, "image", "thumbnail"]).take(exclusion.kept)
    return write_dataset(
        out,
        name=f"{dataset.name} without {exclusion.num_excluded} images of {target.name}",
        kind=dataset.kind,
        classes=dataset.classes,
        images=tensor_column(rest, "image"),
        columns={
            **{column: rest[column].to_pylist() for column in COLUMNS},
            "thumbnail": tensor_column(rest, "thumbnail"),
        },
        source={
            **dataset.source,
            "excluded": {
                "path": str(target.path.resolve()),
                "name": target.name,
                "fingerprint": target.fingerprint,
                "num_copies": exclusion.num_copies,
                "num_images": exclusion.num_excluded,
                "of": dataset.num_images(),
            },
        },
        provenance=dataset.provenance,
        leakage=None if dataset.leakage.status == "clean" else dataset.leakage,  # what is left may be no better
        extra_files=partial(write_hashes, read_hashes(dataset.path)),
    )
