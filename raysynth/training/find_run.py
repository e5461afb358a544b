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
    in_sweep = path.resolve().parent.name == "runs" and (path.resolve().parents[1] / "sweep.json").is_file()
    return RunFolder(path), path.resolve().parents[1] if in_sweep else None
