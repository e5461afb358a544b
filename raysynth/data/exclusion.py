"""A data set without what another one is going to be judged by, for pre-training."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np

from raysynth.data.audit.cross import find_copies_across
from raysynth.data.contact import HELD_OUT, FindCopies
from raysynth.data.dataset import COLUMNS, SPLITS, Dataset, tensor_column, write_dataset
from raysynth.errors import UserError


def exclude_copies(
    dataset: Dataset,
    target: Dataset,
    out: Path,
    *,
    find_copies: FindCopies = find_copies_across,
    say: Callable[[str], None] = lambda line: None,
) -> Dataset:
    """Write to `out` the images of `dataset` that no validation or test image of `target` has a copy of, or of whose
    group (copies, one patient) such an image is; its name and its `source` say how many are left out.

    Raises UserError when no train images are left.
    """
    pairs = find_copies(dataset, target, splits_a=SPLITS, splits_b=HELD_OUT)
    table = dataset.read([*COLUMNS, "image", "thumbnail"])
    ids, groups = (np.array(table[column].to_pylist(), dtype=object) for column in ("id", "group"))
    are_copies = np.isin(ids, pairs["id_a"].unique())
    dropped = np.isin(groups, np.unique(groups[are_copies].astype(str)))
    kept = np.flatnonzero(~dropped)
    splits = np.array(table["split"].to_pylist())[kept]
    if not (splits == "train").any():
        raise UserError(
            f"--exclude {target.path}: all {len(ids)} images of {dataset.name} are copies of its validation and test "
            "images, or of their groups; pre-train on other images"
        )
    say(
        f"left out of {dataset.name}: {dropped.sum()} of {len(ids)} images, of the groups of {are_copies.sum()} that "
        f"have a copy among the validation and test images of {target.name}"
    )
    rest = table.take(kept)
    return write_dataset(
        out,
        name=f"{dataset.name} without {dropped.sum()} images of {target.name}",
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
                "num_copies": int(are_copies.sum()),
                "num_images": int(dropped.sum()),
                "of": len(ids),
            },
        },
        provenance=dataset.provenance,
    )
