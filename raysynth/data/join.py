"""`raysynth data join`: the images of several synthetic sets as one, which still knows what made it."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any

import numpy as np

from raysynth.data.contact import worst
from raysynth.data.dataset import Dataset, load_dataset
from raysynth.data.dataset_writer import write_dataset
from raysynth.data.locations import Location, locate
from raysynth.data.new_folder import refuse_existing
from raysynth.data.provenance import Provenance, dataset_provenance, write_hashes
from raysynth.errors import UserError


def join(sets: Sequence[Location | str], *, out: Location | str) -> Dataset:
    """Write the train images of all `sets` as one synthetic set; an id becomes SET/ID.

    Models of several kinds err in different ways, so their images together may teach more than those of any of them.
    What is known of the sets stays known: all that their models were trained on, and whether a classifier has chosen
    among them. Raises UserError, before anything is written, for sets that do not fit together: real ones, other shapes
    or classes, one twice, one of unknown origin, chosen ones with others.
    """
    refuse_existing(out)
    if len(sets) < 2:
        raise UserError("SET: name two or more, or use the one as it is")
    datasets = [load_dataset(place, "SET") for place in sets]
    _check(datasets)
    classes = datasets[0].classes
    parts, labels, ids = [], [], []
    for dataset in datasets:
        images, own = dataset.pixels("train")
        parts.append(images)
        labels.append(np.array([classes.index(name) for name in dataset.classes])[own])
        ids += [f"{dataset.name}/{each}" for each in dataset.read(["id"], "train")["id"].to_pylist()]
    seen = sum(map(dataset_provenance, datasets), Provenance())
    return write_dataset(
        out,
        name=locate(out).resolve().name,
        kind="synthetic",
        classes=classes,
        images=np.concatenate(parts),
        columns={"id": ids, "label": np.concatenate(labels), "split": ["train"] * len(ids)},
        source={"joined": [dataset.name for dataset in datasets]},
        provenance=_provenance(datasets, seen),
        extra_files=partial(write_hashes, seen.hashes),
    )


def _check(datasets: Sequence[Dataset]) -> None:
    first = datasets[0]
    for place, dataset in enumerate(datasets):
        option = f"SET {dataset.path}"
        if dataset.kind != "synthetic":
            raise UserError(
                f"{option}: is real; only synthetic sets are joined (`data import --add-to` adds real images)"
            )
        if dataset.shape != first.shape:
            raise UserError(f"{option}: images of shape {dataset.shape}, those of {first.path} are {first.shape}")
        if set(dataset.classes) != set(first.classes):
            raise UserError(
                f"{option}: classes {', '.join(dataset.classes)}, those of {first.path} are {', '.join(first.classes)}"
            )
        if (dataset.provenance or {}).get("joined"):
            raise UserError(f"{option}: is joined itself; name the sets that it was made of")
        if not dataset_provenance(dataset).entries:
            raise UserError(
                f"{option}: what made it is unknown, so nobody could tell what it has seen; evaluate it apart"
            )
        if _choice(dataset) != _choice(first):
            raise UserError(
                f"{option}: {_choice(dataset)}, but {first.path}: {_choice(first)}; scores of chosen sets stand apart, "
                "so join sets that were made alike"
            )
        for other in datasets[:place]:
            if other.fingerprint == dataset.fingerprint:
                raise UserError(f"{option}: holds the images of {other.path}; leave one of them out")
            if other.name == dataset.name:
                raise UserError(f"{option}: has the name of {other.path}, so ids would be equal; rename one folder")


def _choice(dataset: Dataset) -> str:
    """How its images were chosen among those that were drawn."""
    origin = dataset.provenance or {}
    if not origin.get("keep"):
        return "all images were kept"
    return f"made with --keep {origin['keep']} --confidence {origin.get('confidence')}"


def _provenance(datasets: Sequence[Dataset], seen: Provenance) -> dict[str, Any]:
    """As `generate` writes it, of several models: no run is the one that it is from."""
    origins = [dataset.provenance or {} for dataset in datasets]

    def common(key: str) -> Any:
        """What all agree on, else None."""
        values = [origin.get(key) for origin in origins]
        return values[0] if values.count(values[0]) == len(values) else None

    families = dict.fromkeys(str(origin.get("family", "unknown")) for origin in origins)
    chosen = {key: origins[0][key] for key in ("keep", "confidence") if origins[0].get("keep")}
    return {
        "run": None,
        "sweep": None,
        "family": " and ".join(families),
        **{key: common(key) for key in ("training_data", "training_name", "training_fingerprint")},
        "training_leakage": worst(*(str(origin.get("training_leakage", "unknown")) for origin in origins)),
        "trained_on": list(seen.entries),
        **chosen,
        "joined": [
            {"name": dataset.name, "num_images": dataset.num_images("train"), "fingerprint": dataset.fingerprint}
            | {key: origin.get(key) for key in ("family", "run", "epoch", "generate_seed")}
            for dataset, origin in zip(datasets, origins, strict=True)
        ],
    }
