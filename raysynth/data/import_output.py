"""What an import leaves: one data set with its audit, or one for each fold, all of them or none."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from raysynth.data.arrangement import Arrangement
from raysynth.data.audit.audit import Audit, audit_subject
from raysynth.data.audit.subject import Subject
from raysynth.data.audit.thresholds import Thresholds
from raysynth.data.dataset import Dataset, load_dataset
from raysynth.data.dataset_writer import write_dataset
from raysynth.data.leakage import find_leakage
from raysynth.data.locations import Location
from raysynth.data.new_folder import with_folder


def write_import(
    out: Location,
    arranged: Arrangement,
    source: dict[str, Any],
    rejected: Sequence[tuple[str, str]],
    *,
    thresholds: Thresholds,
    say: Callable[[str], None],
) -> tuple[Dataset, Audit]:
    """Audit and write the images; of folds the first data set and its audit are returned."""
    audits: list[Audit] = []

    def write(place: Location, fold: int) -> Dataset:
        subject = arranged.subject.with_splits(arranged.parts[fold])
        audits.append(audit_subject(subject, thresholds=thresholds, copies=arranged.copies, say=say))
        name = subject.name if arranged.fold_of is None else f"{subject.name}-fold-{fold}"
        return _write(place, name, subject, arranged, source, rejected, audits[-1])

    if arranged.fold_of is None:
        return write(out, 0), audits[0]

    def write_folds(folder: Path) -> None:
        for fold in range(len(arranged.parts)):
            write(folder / f"fold-{fold}", fold)

    with_folder(out, write_folds)
    return load_dataset(out / "fold-0", "--out"), audits[0]


def _write(
    out: Location,
    name: str,
    subject: Subject,
    arranged: Arrangement,
    source: dict[str, Any],
    rejected: Sequence[tuple[str, str]],
    found: Audit,
) -> Dataset:
    """One data set with what was rejected and found."""

    def write_beside(folder: Path) -> None:
        (folder / "rejected.csv").write_text(_as_csv(rejected), encoding="utf-8")
        found.write(folder / "audit")

    assert subject.images is not None
    classes, labels = np.unique(subject.classes, return_inverse=True)
    pairs = arranged.copies[["a", "b"]].to_numpy()
    leakage = find_leakage(
        subject.groups,
        list(subject.splits),
        list(subject.classes),
        pairs=pairs.tolist(),
        detail="no copies, and no images of one group, in different splits",
    )
    return write_dataset(
        out,
        name=name,
        kind="real",
        classes=classes.tolist(),
        images=subject.images,
        columns={
            "id": subject.ids,
            "label": labels.tolist(),
            "split": list(subject.splits),
            "fold": [None] * len(subject) if arranged.fold_of is None else arranged.fold_of.tolist(),
            "group": subject.groups,
            "source_group": subject.source_groups,
            "pixel_hash": subject.hashes,
            "thumbnail": subject.thumbnails,
            "source_path": subject.paths,
            "source_split": subject.source_splits,
            "source_width": subject.widths,
            "source_height": subject.heights,
            "source_format": subject.formats,
        },
        source=source,
        audit=found.summary(),
        leakage=leakage,
        extra_files=write_beside,
    )


def _as_csv(rejected: Sequence[tuple[str, str]]) -> str:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["path", "reason"])
    writer.writerows(rejected)
    return text.getvalue()
