"""A run by its own path, or as the best of a sweep."""

from __future__ import annotations

from pathlib import Path

from raysynth.errors import UserError
from raysynth.training.run_folder import RunFolder
from raysynth.tuning.sweep_folder import SweepFolder


def find_run(path: Path | str, option: str = "RUN") -> tuple[RunFolder, Path | None]:
    """The run at `path`, or the best run of the sweep at `path`, and that sweep.

    Raises UserError, naming `option`, when it is neither, or a sweep that has no best run yet.
    """
    path = Path(path)
    if (path / "sweep.json").is_file():
        best = SweepFolder(path).best()
        if best is None:
            raise UserError(f"{option} {path}: has no best run yet; finish it with `raysynth tune --resume {path}`")
        return RunFolder(path / best["run"]), path
    if not (path / "config.yaml").is_file():
        raise UserError(f"{option} {path}: neither a run nor a sweep; `raysynth train` or `raysynth tune` makes one")
    return RunFolder(path), sweep_of(path)


def sweep_of(run: Path) -> Path | None:
    """The sweep whose run this is; None of one that was trained by itself."""
    runs = run.resolve().parent
    return runs.parent if runs.name == "runs" and (runs.parent / "sweep.json").is_file() else None
