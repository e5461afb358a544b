"""`data audit`: is a score on this data set worth anything?

Copies within it and across others, groups, leakage of its splits, label conflicts, and how far trivial rules get.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from raysynth.data.audit.batches import RAY_MIN_IMAGES, run_here, run_with_ray
from raysynth.data.audit.copies import find_copies
from raysynth.data.audit.findings import contact, count_relations, label_conflicts, leakage_of_splits
from raysynth.data.audit.groups import describe_groups, group_copies
from raysynth.data.audit.pair_sheet import draw_pairs
from raysynth.data.audit.shortcuts import aspect_correlation, shortcuts
from raysynth.data.audit.subject import Subject
from raysynth.data.audit.thresholds import Thresholds
from raysynth.data.dataset import load_dataset
from raysynth.data.locations import Location, locate, refuse_bucket
from raysynth.data.new_folder import refuse_existing, with_folder
from raysynth.data.thumbnails import is_blank
from raysynth.data.user_groups import merge_groups
from raysynth.errors import UserError
from raysynth.files import refuse_unwritable, write_text

FORMAT = 1
Say = Callable[[str], None]


@dataclass(frozen=True)
class Audit:
    """What was found: `content` is what `audit.json` holds, `pairs` what `pairs.parquet` does.

    `groups` (N,) are the images that must not be separated: copies, and what the user or the files say.
    """

    content: dict[str, Any]
    pairs: pd.DataFrame
    groups: list[str]
    thumbnails: tuple[np.ndarray, ...]

    def write(self, folder: Path) -> None:
        """`audit.json`, `pairs.parquet` and the contact sheet `audit.png`."""
        folder.mkdir(parents=True, exist_ok=True)
        table = self.pairs.drop(columns=["row_a", "row_b", "set_b"])
        texts = table.select_dtypes("object").columns  # where there is no pair, nothing else says that they are texts
        table.astype(dict.fromkeys(texts, "str")).to_parquet(folder / "pairs.parquet", index=False)
        draw_pairs(self.pairs, self.thumbnails, folder / "audit.png")
        write_text(folder / "audit.json", json.dumps(self.content, indent=2, ensure_ascii=False) + "\n")

    def summary(self) -> dict[str, Any]:
        """The few numbers that `dataset.json` keeps."""
        content = self.content
        return {
            **{name: content[name]["pairs"] for name in ("exact", "near", "mirrored", "rotated", "inverted")},
            "groups": {key: content["groups"][key] for key in ("num_groups", "num_with_copies", "largest")},
            "label_conflicts": content["label_conflicts"]["pairs"],
            "leakage": {
                name: {key: found[key] for key in ("status", "num_test", "of_test")}
                for name, found in content["leakage"].items()
            },
            "shortcuts": {row["rule"]: row["accuracy"] for row in content["shortcuts"]["rules"]},
            "thresholds": content["thresholds"],
        }


def audit(
    data: Location | str,
    *,
    against: Sequence[Location | str] = (),
    rename: Mapping[str, str] | None = None,
    thresholds: Thresholds | None = None,
    out: Path | str | None = None,
    json_file: Path | str | None = None,
    workers: int | None = None,
    say: Say = print,
) -> Audit:
    """Audit a data set, alone and against others; files go to the new folder `out` and to `json_file`, if given.

    `rename` (theirs -> ours) makes classes of the others correspond. `workers`: None decides by the number of images,
    0 stays in this process, N starts Ray with N CPUs. Raises UserError for what the user can mend.
    """
    thresholds = thresholds or Thresholds()
    thresholds.check()
    if workers is not None and workers < 0:
        raise UserError(f"--workers {workers}: want 0 (this process) or the number of CPUs of a local Ray")
    for option, place in (("--out", out), ("--json", json_file)):
        if place is not None:
            refuse_bucket(locate(place), option)
    if out is not None:
        refuse_existing(out)
    if json_file is not None:
        if Path(json_file).is_dir():
            raise UserError(f"--json {json_file}: a folder; name a file")
        refuse_unwritable(Path(json_file), "--json")
    subject = Subject.read(load_dataset(data, "DIR"))
    others = [Subject.read(load_dataset(place, "--against"), with_images=False) for place in against]
    for given in rename or {}:
        if not any(given in other.classes for other in others):
            known = ", ".join(sorted({name for other in others for name in other.classes})) or "none, without --against"
            raise UserError(f"--rename {given}={(rename or {})[given]}: no such class; those of --against are {known}")
    found = audit_subject(
        subject,
        [other.rename(dict(rename or {})) for other in others],
        thresholds=thresholds,
        workers=workers,
        say=say,
    )
    if out is not None:
        with_folder(Path(out), found.write)
    if json_file is not None:
        write_text(Path(json_file), json.dumps(found.content, indent=2, ensure_ascii=False) + "\n")
    return found


def audit_subject(
    subject: Subject,
    others: Sequence[Subject] = (),
    *,
    thresholds: Thresholds,
    copies: pd.DataFrame | None = None,
    workers: int | None = None,
    say: Say,
) -> Audit:
    """Audit what is in memory; `copies` are its own pairs, where they are known already."""
    started = time.perf_counter()
    seconds: dict[str, float] = {}
    if copies is None:
        copies = search([subject, *others], thresholds=thresholds, workers=workers, say=say)
        seconds["copies"] = round(time.perf_counter() - started, 1)

    # 1. Pairs within the data set, and its groups.
    num = len(subject)
    within = copies[copies["b"] < num]
    copy_groups, cut = group_copies(within, subject.hashes, subject.ids, min_density=thresholds.group_density)
    groups = merge_groups(copy_groups, subject.source_groups)
    own = _name_pairs(within, subject, subject, 0).assign(set_b=0, is_cut=cut)

    # 2. Pairs across data sets.
    cross, tables, start = [], [own], num
    for number, other in enumerate(others, start=1):
        rows = (copies["a"] < num) & (copies["b"] >= start) & (copies["b"] < start + len(other))
        table = _name_pairs(copies[rows], subject, other, start).assign(set_b=number, is_cut=False)
        cross.append(contact(subject, other, table))
        tables.append(table)
        start += len(other)

    # 3. Shortcuts.
    before = time.perf_counter()
    rules, aspect = [], None
    if subject.images is not None:
        train, test = subject.columns("train"), subject.columns("test")
        rules = shortcuts(train=train, test=test, num_classes=len(set(subject.classes)))
        aspect = aspect_correlation(train=train, test=test) if len(test.labels) else None
    seconds["shortcuts"] = round(time.perf_counter() - before, 1)

    content = {
        "format": FORMAT,
        "name": subject.name,
        "fingerprint": subject.fingerprint,
        "images": num,
        "blank": int(is_blank(subject.thumbnails).sum()),
        "compared": "volumes" if subject.of_volumes else "images",
        "thresholds": asdict(thresholds),
        **count_relations(own, [own["row_a"].to_numpy(), own["row_b"].to_numpy()]),
        "groups": {
            **describe_groups(groups, cut, within, list(subject.classes)),
            "given": len({group for group in subject.source_groups if group is not None}),
        },
        "leakage": leakage_of_splits(subject, groups, within[["a", "b"]].to_numpy()),
        "label_conflicts": label_conflicts(own),
        "shortcuts": {"rules": rules, "aspect_correlation": aspect},
        "cross": cross,
        "seconds": seconds,
    }
    pairs = pd.concat(tables, ignore_index=True)
    return Audit(content, pairs, groups, tuple(each.thumbnails for each in (subject, *others)))


def search(
    subjects: Sequence[Subject], *, thresholds: Thresholds, workers: int | None = None, say: Say
) -> pd.DataFrame:
    """Copies among the first of the subjects and between it and the others; rows are numbered one after another."""
    thumbnails = np.concatenate([subject.thumbnails for subject in subjects])
    hashes = [pixel_hash for subject in subjects for pixel_hash in subject.hashes]
    wanted = np.arange(len(thumbnails)) < len(subjects[0])
    with_ray = (workers is not None and workers > 0) or (workers is None and len(thumbnails) >= RAY_MIN_IMAGES)
    with _session(workers) if with_ray else nullcontext():
        return find_copies(
            thumbnails,
            hashes,
            thresholds=thresholds,
            wanted=wanted if len(subjects) > 1 else None,
            run=run_with_ray if with_ray else run_here,
            say=say,
        )


def _session(workers: int | None) -> Any:
    from raysynth.cluster.session import ray_session

    return ray_session(num_cpus=workers)


def _name_pairs(pairs: pd.DataFrame, subject: Subject, other: Subject, start: int) -> pd.DataFrame:
    """Row numbers with what they stand for: ids, paths, splits and classes of both images."""
    row_a, row_b = pairs["a"].to_numpy(), pairs["b"].to_numpy() - start
    columns: dict[str, Any] = {}
    for side, images, rows in (("a", subject, row_a), ("b", other, row_b)):
        columns[f"id_{side}"] = np.array(images.ids, dtype=object)[rows]
        columns[f"path_{side}"] = np.array(images.places(), dtype=object)[rows]
        columns[f"split_{side}"] = images.splits[rows]
        columns[f"class_{side}"] = images.classes[rows]
        columns[f"data_{side}"] = np.full(len(rows), images.name, dtype=object)
        columns[f"row_{side}"] = rows
    described = pairs.drop(columns=["a", "b"]).reset_index(drop=True)
    table = pd.concat([pd.DataFrame(columns), described], axis=1)
    first = [f"{name}_{side}" for name in ("id", "path") for side in "ab"] + ["relation", "score"]
    first += [f"{name}_{side}" for name in ("split", "class", "data") for side in "ab"]
    return table[first + [name for name in table.columns if name not in first]]
