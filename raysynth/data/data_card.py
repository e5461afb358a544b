"""The data card of a data set: what it is, where it comes from, what is wrong with it, and what it is for."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from raysynth.cards import (
    LICENCE,
    NOT_FOR,
    bullets,
    card,
    describe_images,
    origins_table,
    settings_table,
    table,
    text,
    versions_table,
)

if TYPE_CHECKING:
    from raysynth.data.dataset import Dataset  # which writes the card

FILE_NAME = "data_card.md"
SPLIT_STATUS = {
    "clean": "Clean",
    "leaky": "LEAKY, so scores on this split flatter",
    "unknown": "Unknown: whether images that belong together stand in different splits was not looked at",
}
TRAINING_STATUS = {
    "clean": "the split that its model was trained on is clean, as far as copies can be found",
    "leaky": "the split that its model was trained on is LEAKY: the model has seen copies of its test or validation "
    "images, and scores on them flatter",
    "unknown": "whether its model has seen test images is unknown: something could not be looked at",
    "touches": "its model HAS SEEN test or validation images: scores on them mean nothing",
}
# Of `provenance`: what has a place of its own in the card, or is a path.
TOLD = {"run", "sweep", "config", "trained_on", "kept_shares", "training_data", "training_leakage"}


def data_card(dataset: Dataset) -> str:
    """Markdown, from the files of the data set alone; equal data sets have equal cards."""
    kind = "drawn" if _is_drawn(dataset) else dataset.kind
    return card(
        f"Data card: {text(dataset.name)}",
        f"{dataset.num_images()} {kind} {describe_images(dataset.shape)} in {len(dataset.classes)} classes, "
        f"{_made_by(dataset)}. Fingerprint `{text(dataset.fingerprint)}`.",
        {
            "Images": _counts(dataset),
            "Where they come from": _origin(dataset),
            "Leakage": _leakage(dataset),
            "Copies and shortcuts": _audit(dataset.audit),
            "Limits": bullets(_limits(dataset)),
            "Intended use": _intended_use(dataset),
            "Not for": bullets(NOT_FOR),
            "Licence": LICENCE,
            "Software": versions_table(dataset.software),
        },
    )


def _is_drawn(dataset: Dataset) -> bool:
    """Whether raysynth drew the images by itself."""
    return "phantom" in dataset.source


def _made_by(dataset: Dataset) -> str:
    if dataset.kind == "synthetic":
        origin = dataset.provenance or {}
        trained_on = f" trained on {text(origin['training_name'])}" if origin.get("training_name") else ""
        return f"made by a model of the family {text(origin.get('family', 'unknown'))}{trained_on}"
    if _is_drawn(dataset):
        return "heads that raysynth drew by itself and that show nobody"
    if dataset.source.get("path"):
        return f"imported from {text(dataset.source['path'])}"
    return "of an origin that was not recorded"


def _counts(dataset: Dataset) -> str:
    splits = [split for split in dataset.counts if dataset.num_images(split)]
    rows = [
        [name, *(dataset.counts[split][name] for split in splits), sum(dataset.counts[split][name] for split in splits)]
        for name in dataset.classes
    ]
    totals = ["all classes", *(dataset.num_images(split) for split in splits), dataset.num_images()]
    return table(["class", *splits, "all"], [*rows, totals])


def _origin(dataset: Dataset) -> str:
    if dataset.kind == "synthetic":
        return _synthetic_origin(dataset.provenance or {})
    source, parts = dataset.source, []
    if excluded := source.get("excluded"):
        parts.append(
            f"{excluded['num_images']} of {excluded['of']} images were left out: copies of validation and test images "
            f"of {text(excluded['name'])} (fingerprint `{text(excluded['fingerprint'])}`; {excluded['num_copies']} "
            "images) and their groups."
        )
    if "rejected" in source:
        parts.append(f"{source['rejected']} files were rejected; `rejected.csv` has the reasons.")
    settings = source.get("arguments") or source.get("phantom") or {}
    return "\n\n".join([*parts, settings_table(_flat(settings))])


def _synthetic_origin(origin: Mapping[str, Any]) -> str:
    parts = [
        "What the model was trained on:\n\n" + origins_table(origin["trained_on"])
        if origin.get("trained_on")
        else "What the model was trained on is unknown."
    ]
    if origin.get("keep"):
        parts.append(
            f"Chosen: only images were kept that a classifier of the real train images gives their label with a "
            f"probability above {text(origin.get('confidence'))}. It has taught them what it knows (distillation), so "
            "scores of this set stand apart from those of sets that were not chosen."
        )
        shares = origin.get("kept_shares") or {}
        parts.append(table(["class", "share kept"], shares.items()))
    drawn = {key: value for key, value in origin.items() if key not in TOLD and not isinstance(value, (dict, list))}
    parts.append(settings_table(drawn))
    if origin.get("config"):
        parts.append("The model's config:\n\n" + settings_table(origin["config"], only_name=["pretrained"]))
    if joined := origin.get("joined"):
        rows = [[part["name"], part["num_images"], part["family"], part["run"]] for part in joined]
        parts.append("Joined of:\n\n" + table(["set", "images", "family", "run"], rows))
    else:
        parts.append("The images can be drawn again from the run, one by one, by the column `seed`.")
    return "\n\n".join(part for part in parts if part)


def _flat(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Settings that say something, those in groups by their own names."""
    flat: dict[str, Any] = {}
    for key, value in settings.items():
        if isinstance(value, Mapping):
            flat |= {f"{key}.{name}": inner for name, inner in value.items()}
        elif value is not None:
            flat[key] = value
    return flat


def _leakage(dataset: Dataset) -> str:
    if dataset.kind == "synthetic":
        status = str((dataset.provenance or {}).get("training_leakage", "unknown"))
        return (
            f"All images are for training. What made them: {TRAINING_STATUS.get(status, TRAINING_STATUS['unknown'])}. "
            "`raysynth evaluate` looks again, at the test images that it is going to judge by."
        )
    leakage = dataset.leakage
    parts = [": ".join(filter(None, [SPLIT_STATUS[leakage.status], text(leakage.detail)])) + "."]
    if leakage.num_test_by_class:
        rows = leakage.num_test_by_class.items()
        parts.append("Test images with one of their group in an earlier split:\n\n" + table(["class", "images"], rows))
    return "\n\n".join(parts)


def _audit(audit: Mapping[str, Any] | None) -> str:
    if not audit:
        return ""
    kinds = ("exact", "near", "mirrored", "rotated", "inverted")
    parts = ["Pairs of copies:\n\n" + table(kinds, [[audit[kind] for kind in kinds]])]
    groups = audit["groups"]
    parts.append(
        f"{groups['num_groups']} groups that no split may separate, the largest of {groups['largest']['num_images']} "
        f"images. {audit['label_conflicts']} pairs of copies stand in two classes."
    )
    if audit["shortcuts"]:
        rules = [(rule, f"{accuracy:.3f}") for rule, accuracy in audit["shortcuts"].items()]
        floors = table(["rule", "test accuracy"], rules)
        parts.append(
            "What rules reach that know nothing of anatomy; claim nothing that is not above them:\n\n" + floors
        )
    return "\n\n".join([*parts, "All of it is in the folder `audit`."])


def _limits(dataset: Dataset) -> list[str]:
    if dataset.kind == "synthetic":
        return [
            "A model may have copied the images that it was trained on: patients may be recognisable in these, and "
            "nothing here shows that they are not. Treat the set as confidential as the real images until "
            "`raysynth evaluate` and a person have looked.",
            "An image shows what its label says only as far as the model learnt it. Rare findings may be missing, and "
            "faults of the real images (borders, burnt-in text, wrong labels) may be repeated.",
        ]
    if _is_drawn(dataset):
        return ["Drawn after one template: heads differ far less than people's do. For trying things out."]
    given = [group for group in dataset.read(["source_group"])["source_group"].to_pylist() if group]
    known = "The files name no patients, and no groups were given"
    if given:
        known = (
            f"Of {len(given)} of {dataset.num_images()} images it is known which belong together ({len(set(given))} "
            "patients, scans or groups of the user's)"
        )
    split = (dataset.source.get("arguments") or {}).get("split")
    if split in ("random", "folders"):
        kept = f"The split ({text(split)}) keeps neither copies nor patients together"
    elif len(given) == dataset.num_images():
        kept = "A grouped split keeps these on one side, and copies"
    else:
        kept = (
            f"{'Of the others' if given else 'So'} a grouped split separates copies, not patients: slices of one "
            "patient may stand on two sides, and then scores say how well new slices of partly known patients are told "
            "apart"
        )
    return [
        f"{known}. {kept}.",
        "Patients may be recognisable, by what is seen or by what ids and paths in the Parquet files tell. Names are "
        "hidden in those of DICOM files only.",
        "Images were brought to one size and 8 bits: what that loses is lost.",
    ]


def _intended_use(dataset: Dataset) -> str:
    if dataset.kind == "synthetic":
        return (
            "Research: training a classifier on these images and real ones, where `raysynth evaluate --real REAL "
            "--synthetic DIR` (DIR is this folder) finds that they help. Never for validation or testing."
        )
    return (
        "Research: training generative models (`raysynth train FAMILY --data DIR`, where DIR is this folder), and "
        "judging by the test images, once, what theirs are worth."
    )
