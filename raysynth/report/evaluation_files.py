"""What an evaluation folder holds, read for a report: `evaluation.json` and the tables beside it."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pandas as pd

from raysynth.data.buckets import BucketError, BucketPath
from raysynth.data.locations import Location, locate
from raysynth.data.mirror import Mirror
from raysynth.errors import UserError
from raysynth.report.style import marked

FORMAT = 2
SCORES = (
    "accuracy",
    "recall_micro",
    "recall_macro",
    "precision_micro",
    "precision_macro",
    "f1_micro",
    "f1_macro",
)
# Table -> (columns of names, columns of numbers). Names are never guessed at: a class may be called `1` or `NA`.
TABLES: dict[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    "scores": (("trained_on", "split"), ("seed", "steps", "n", *SCORES, "accuracy_low", "accuracy_high")),
    "scores_summary": (
        ("trained_on", "split"),
        (
            *("steps", "n", "num_seeds", "accuracy_low", "accuracy_high"),
            *(f"{score}_{statistic}" for score in SCORES for statistic in ("mean", "std")),
            *(f"{score}_{end}" for score in SCORES if "macro" in score for end in ("low", "high")),
        ),
    ),
    "floors": (("rule", "looks_at"), ("accuracy", "accuracy_low", "accuracy_high", "num_test")),
    "curves": (
        ("curve", "arm"),
        (
            *("num_real", "num_synthetic", "real_share", "ratio", "num_seeds", "accuracy", "accuracy_std"),
            *("accuracy_low", "accuracy_high", "difference", "low", "high", "p_value", "p_corrected"),
        ),
    ),
    "class_scores": (
        ("trained_on", "split", "class"),
        ("seed", "n", "recall", "recall_low", "recall_high", "precision", "f1"),
    ),
    "confusion": (("trained_on", "split", "label", "predicted"), ("seed", "count")),
    "label_counts": (("trained_on", "split", "class"), ("seed", "real", "predicted")),
    "ks": (("synthetic", "pixels", "class", "channel"), ("n", "statistic", "wasserstein", "p_value")),
    "fidelity": (
        ("source", "features", "class"),
        ("n", "frechet", "frechet_ratio", "kid", "kid_error", "coverage", "density", "precision", "recall"),
    ),
    "spectrum": (("source", "split", "class"), ("frequency", "power")),
    "spectrum_summary": (("synthetic", "class"), ("n", "log10_error", "log10_error_high", "log10_bias_high")),
    "copies_summary": (
        ("synthetic",),
        (
            *("n", "num_copies", "share", "share_low", "share_high", "threshold", "authenticity"),
            *("membership_auc", "auc_low", "auc_high", "num_train", "num_held_out"),
        ),
    ),
    "copies": (("synthetic", "id", "class", "nearest_train_id", "is_copy"), ("ratio", "score")),
    "copies_held_out": (("id", "class"), ("ratio", "score")),
    "histograms": (("source", "class", "channel"), ("intensity", "count")),
}
_COPIED = ("*.yaml", "*.json", "*.csv", "samples/*")  # of a run or a sweep's runs
OPTIONAL = ("curves",)  # tables that an evaluation has only where they were asked for


@dataclass(frozen=True)
class Evaluation:
    """An evaluation folder in memory. A table that is missing is empty, and `notes` says so.

    `path` is the folder on this machine, which `mirrors` keep where the evaluation is in a bucket.
    """

    path: Path
    content: dict[str, Any]
    tables: dict[str, pd.DataFrame]
    notes: list[str] = field(default_factory=list)
    mirrors: dict[Location, Mirror] = field(default_factory=dict)

    @property
    def place(self) -> Location:
        """Where the evaluation is, on this machine or in a bucket."""
        return next((mirror.location for mirror in self.mirrors.values() if mirror.path == self.path), self.path)

    @property
    def real(self) -> dict[str, Any]:
        return self.content.get("real") or {}

    @property
    def synthetic(self) -> list[dict[str, Any]]:
        return self.content.get("synthetic") or []

    @property
    def classes(self) -> list[str]:
        return [str(name) for name in self.real.get("classes") or []]

    @property
    def seeds(self) -> list[int]:
        return self.content.get("seeds") or []

    @property
    def trained_on(self) -> list[str]:
        """Every training set in the order of the evaluation: real ones first."""
        trainings = [str(training.get("trained_on")) for training in self.content.get("trainings") or []]
        return list(dict.fromkeys([*trainings, *self.tables["scores_summary"]["trained_on"]]))

    @property
    def kinds(self) -> dict[str, str]:
        """`real`, `synthetic`, `mixed` or `distilled` for every training set."""
        known = {str(t.get("trained_on")): str(t.get("kind")) for t in self.content.get("trainings") or []}
        prefixes = {"generated:": "synthetic", "mixed:": "mixed", "distilled:": "distilled"}
        return {
            name: known[name]
            if known.get(name) in ("real", "synthetic", "mixed", "distilled")
            else prefixes.get(name.split(" ")[0], "real")
            for name in self.trained_on
        }

    def mark(self, name: str, split: str = "test") -> str:
        """What must stand beside every score on `split` of a training set, or beside a synthetic set; mostly nothing.

        `knows test images` where what made the synthetic images has seen some, `leaky split` where the real data set
        has copies of them in another split.
        """
        trainings = self.content.get("trainings") or []
        made_from = {str(t.get("trained_on")): str(t.get("synthetic")) for t in trainings}.get(name, name)
        contacts = {str(entry.get("name")): entry.get("contact") or {} for entry in self.synthetic}
        contact, leakage = contacts.get(made_from, {}), self.real.get("leakage") or {}
        if contact.get("status") != "leaky" and contact.get(f"num_{split}_images"):
            return f"knows {split} images"
        leaks = split in ("validation", "test") and leakage.get("status") == "leaky"
        return "leaky split" if leaks and leakage.get(f"num_{split}") != 0 else ""

    def label(self, name: str) -> str:
        """A training set or synthetic set as figures name it, with its mark."""
        return marked(name, self.mark(name))

    @property
    def labels(self) -> dict[str, str]:
        """Training set -> its label, in the order of the evaluation."""
        return {name: self.label(name) for name in self.trained_on}

    def table(self, name: str, **equal: str) -> pd.DataFrame:
        """Rows of a table whose columns have these values, e.g. `split="test"`."""
        rows = self.tables[name]
        for column, value in equal.items():
            rows = rows[rows[column] == value]
        return rows

    def locate(self, path: str | None) -> Path | None:
        """The folder that a path in `evaluation.json` means, or None when it is no longer there.

        Of a run or a sweep in a bucket it is a copy, which stays as long as this object.
        """
        if not path:
            return None
        if isinstance(place := locate(path), BucketPath):
            return self._copy(place)
        places = (Path(path), self.path / path)
        return next((place for place in places if place.is_dir()), None)

    def _copy(self, place: BucketPath) -> Path | None:
        if place not in self.mirrors:
            mirror = Mirror(place)
            try:
                mirror.fetch("checkpoints/*", *(f"{above}{name}" for above in ("", "runs/*/") for name in _COPIED))
            except BucketError:
                return None
            self.mirrors[place] = mirror
        path = self.mirrors[place].path
        return path if any(path.iterdir()) else None


def open_evaluation(place: Location | str) -> Evaluation:
    """Read an evaluation folder, which may be in a bucket; raises what `load_evaluation` does, and BucketError."""
    location = locate(place)
    if not isinstance(location, BucketPath):
        return load_evaluation(location)
    if not (location / "evaluation.json").is_file():
        raise UserError(f"EVALUATION {place}: no evaluation.json there; make one with `raysynth evaluate`")
    mirror = Mirror(location)
    mirror.fetch("*.json", "*.csv", "suspicious_pairs.parquet")
    evaluation = load_evaluation(mirror.path)
    evaluation.mirrors[location] = mirror
    return evaluation


def load_evaluation(path: Path) -> Evaluation:
    """Read an evaluation folder.

    Raises UserError when it has no readable `evaluation.json`; anything else that is missing becomes a note.
    """
    file = path / "evaluation.json"
    if not file.is_file():
        inside = sorted(path.glob("*/evaluation.json")) if path.is_dir() else []
        remedy = f"did you mean {inside[-1].parent}?" if inside else "make one with `raysynth evaluate`"
        place = "in this folder" if path.is_dir() else "there, it is not a folder"
        raise UserError(f"EVALUATION {path}: no evaluation.json {place}; {remedy}")
    try:
        content = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        message = " ".join(str(error).split())
        raise UserError(
            f"EVALUATION {path}: evaluation.json cannot be read ({message}); run `raysynth evaluate` again"
        ) from error
    found = content.get("format") if isinstance(content, dict) else None
    if found != FORMAT:
        raise UserError(
            f"EVALUATION {path}: evaluation format {found}, this version reads {FORMAT}; run `raysynth evaluate` again"
        )
    notes: list[str] = []
    tables = {name: _read_table(path / f"{name}.csv", *columns, notes) for name, columns in TABLES.items()}
    # An evaluation by an earlier version knew one kind of each.
    tables["ks"]["pixels"] = tables["ks"]["pixels"].replace("", "all")
    tables["fidelity"]["features"] = tables["fidelity"]["features"].replace("", "scoring")
    for name in ("ks", "histograms"):
        tables[name]["channel"] = _name_channels(tables[name]["channel"])
    return Evaluation(path, content, tables, notes)


def _name_channels(channels: pd.Series) -> pd.Series:
    """Channels that are counted, named."""
    numbers = sorted(set(channels))
    names = {("0",): ("grey",), ("0", "1", "2"): ("red", "green", "blue")}.get(tuple(numbers), numbers)
    return channels.replace(dict(zip(numbers, names, strict=True)))


def _read_table(file: Path, names: tuple[str, ...], numbers: tuple[str, ...], notes: list[str]) -> pd.DataFrame:
    columns = [*names, *numbers]
    try:
        table = pd.read_csv(file, dtype=str, keep_default_na=False)
        if missing := [column for column in columns if column not in table]:
            notes.append(f"{file.name} has no column {', '.join(missing)}.")
    except FileNotFoundError:
        if file.stem not in OPTIONAL:
            notes.append(f"{file.name} is missing from the evaluation: what rests on it is not shown.")
        table = pd.DataFrame()
    except (OSError, ValueError) as error:  # pandas' parser errors are ValueErrors
        notes.append(f"{file.name} cannot be read ({error}): what rests on it is not shown.")
        table = pd.DataFrame()
    table = table.reindex(columns=columns)
    text = {column: table[column].fillna("").astype(str) for column in names}
    values = {column: pd.to_numeric(table[column], errors="coerce").astype(float) for column in numbers}
    return pd.DataFrame(text | values)
