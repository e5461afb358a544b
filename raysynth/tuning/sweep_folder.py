"""The folder of a sweep: its space, its runs, and the table of them. Plain text only: nothing in it is unpickled."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd
import yaml

from raysynth.config import build_config
from raysynth.data.dataset import Dataset
from raysynth.data.locations import Location, naming
from raysynth.data.mirror import KeptFolder, Mirror
from raysynth.errors import UserError
from raysynth.files import write_text
from raysynth.training.health import at_the_end
from raysynth.training.run_folder import NOTES, RunFolder, describe_dataset, describe_environment
from raysynth.tuning.space import SearchSpace


@dataclass(frozen=True)
class Trial:
    """One run of a sweep: its name is its folder's; `parameters` are the varied keys."""

    name: str
    parameters: dict[str, Any]


class SweepFolder(KeptFolder):
    """Reading and writing a sweep: `space.yaml`, `sweep.json`, `runs/<trial>/`, `table.csv`, `best.json`.

    `location` and `path` are as in `RunFolder`, and so are `refresh` and `keep`.
    """

    @classmethod
    def create(
        cls,
        place: Location | str,
        *,
        space: SearchSpace,
        dataset: Dataset,
        scoring_network: Location,
        mirror: Mirror | None = None,
        **more: Any,
    ) -> SweepFolder:
        """Write what makes the folder a sweep, beside the runs that are in it; `sweep.json` last."""
        sweep = cls(place, mirror)
        path = sweep.path
        path.mkdir(parents=True, exist_ok=True)
        content = space.model_dump(exclude_none=True)
        write_text(path / "space.yaml", yaml.safe_dump(content, sort_keys=False, allow_unicode=True))
        write_text(path / "environment.json", json.dumps(describe_environment(), indent=2) + "\n")
        settings = {"data": describe_dataset(dataset), "scoring_network": str(scoring_network.resolve()), **more}
        write_text(path / "sweep.json", json.dumps(settings, indent=2) + "\n")
        return sweep

    @classmethod
    def open(cls, place: Location | str, option: str) -> SweepFolder:
        """An existing sweep.

        Raises UserError, naming `option`, when the folder is none.
        """
        with naming(option):
            sweep = cls(place)
            sweep.refresh()
        if not (sweep.path / "sweep.json").is_file():
            raise UserError(f"{option} {place}: not a sweep (no sweep.json in it); `raysynth tune` makes one")
        return sweep

    def refresh(self) -> None:
        """Bring here what the trials, and others, have written: tables and what runs say of themselves."""
        if self.mirror is not None:
            self.mirror.fetch(*NOTES, *(f"runs/*/{name}" for name in NOTES))

    def keep(self) -> None:
        """Take what was written here to the bucket. Raises NotUploaded when it cannot be done."""
        if self.mirror is not None:
            self.mirror.push_at_last()

    def settings(self) -> dict[str, Any]:
        """`sweep.json`."""
        file = self.path / "sweep.json"
        try:
            content: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
        except ValueError as error:
            raise UserError(f"SWEEP {self.path}: sweep.json cannot be read ({error}); start a new sweep") from error
        return content

    def space(self) -> SearchSpace:
        """`space.yaml`."""
        content = yaml.safe_load((self.path / "space.yaml").read_text(encoding="utf-8"))
        return build_config(SearchSpace, content, origin=f"{self.path / 'space.yaml'}:")

    def run(self, trial: Trial) -> RunFolder:
        mirror = self.mirror.below(f"runs/{trial.name}") if self.mirror else None
        return RunFolder(self.location / f"runs/{trial.name}", mirror)

    def best(self) -> dict[str, Any] | None:
        """`best.json`, or None while the sweep has none."""
        file = self.path / "best.json"
        if not file.is_file():
            return None
        content: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
        return content

    def table(self, space: SearchSpace) -> pd.DataFrame:
        """One row a trial, in the order of the space: parameters, status, last epoch and its metric, speed, run."""
        rows = []
        for trial in name_trials(space):
            run = self.run(trial)
            history, status = run.history(), run.status()
            findings = at_the_end(run.findings(), history)
            measured = [row[space.metric] for row in history if space.metric in row]
            rows.append(
                {"trial": trial.name, **trial.parameters}
                | {
                    "status": status["state"],
                    "epoch": len(history),
                    space.metric: measured[-1] if measured else float("nan"),
                    "leakage": run.leakage(),  # of the validation split that the metric is measured on
                    "images_per_s": pd.Series([row["images_per_s"] for row in history], dtype=float).median(),
                    "seconds": sum(row["seconds"] for row in history),
                    "findings": ", ".join(finding.kind for finding in findings),  # what was wrong at its end
                    "run": str(Path("runs") / trial.name),
                    "message": status["message"],
                }
            )
        return pd.DataFrame(rows)

    def _last_scored_epoch(self, trial: str, space: SearchSpace) -> int:
        history = RunFolder(self.path / "runs" / trial).history()
        return max(int(row["epoch"]) for row in history if space.metric in row)

    def write_results(self, space: SearchSpace) -> dict[str, Any] | None:
        """Write `table.csv` and `best.json`; the best run (by its last score), or None if no run has one.

        A run that has collapsed is the best only if all have.
        """
        table = self.table(space)
        write_text(self.path / "table.csv", table.to_csv(index=False))
        scored = table[table[space.metric].notna() & (table["status"] != "failed")]
        if scored.empty:
            return None
        collapsed = scored["findings"].str.contains("collapse")
        candidates = scored if collapsed.all() else scored[~collapsed]
        row = candidates.sort_values(space.metric, ascending=space.mode == "min", kind="stable").iloc[0]
        best = {
            "trial": row["trial"],
            "run": row["run"],
            "metric": space.metric,
            "value": float(row[space.metric]),
            "epoch": self._last_scored_epoch(row["trial"], space),
            "leakage": row["leakage"],
            "collapsed": bool(collapsed.all()),
        }
        write_text(self.path / "best.json", json.dumps(best, indent=2) + "\n")
        return best


def name_trials(space: SearchSpace) -> list[Trial]:
    """The trials of a space with their names: a number and the varied values."""
    trials = space.trials()
    digits = len(str(len(trials) - 1))
    named = []
    for index, parameters in enumerate(trials):
        values = "-".join(f"{v:.4g}" if isinstance(v, float) else str(v) for v in parameters.values())
        safe = re.sub(r"[^A-Za-z0-9._-]+", "_", values)[:60]
        named.append(Trial(f"{index:0{digits}d}-{safe}" if safe else f"{index:0{digits}d}", parameters))
    return named


def format_parameters(parameters: dict[str, Any]) -> str:
    """`generator=upsample latent_dim=64`."""
    return " ".join(f"{k}={v:.4g}" if isinstance(v, float) else f"{k}={v}" for k, v in parameters.items())


def format_trials(space: SearchSpace) -> str:
    """The trials of a space as lines, for `--dry-run`."""
    lines = [f"{trial.name}  {format_parameters(trial.parameters)}" for trial in name_trials(space)]
    fixed = f", fixed: {format_parameters(space.fixed)}" if space.fixed else ""
    return "\n".join([*lines, f"{len(lines)} trials of {space.family}, {space.epochs} epochs each{fixed}"])
