"""A run by its own path, or as the best of a sweep."""

from __future__ import annotations

from raysynth.data.locations import Location, locate, naming
from raysynth.errors import UserError
from raysynth.training.run_folder import RunFolder
from raysynth.tuning.sweep_folder import SweepFolder


def find_run(place: Location | str, option: str = "RUN") -> tuple[RunFolder, Location | None]:
    """The run at `place`, or the best run of the sweep at `place`, and that sweep.

    Raises UserError, naming `option`, when it is neither, or a sweep that has no best run yet.
    """
    with naming(option):
        path = locate(place)
        is_sweep, is_run = ((path / name).is_file() for name in ("sweep.json", "config.yaml"))
    if is_sweep:
        best = SweepFolder.open(path, option).best()
        if best is None:
            raise UserError(f"{option} {path}: has no best run yet; finish it with `raysynth tune --resume {path}`")
        return RunFolder.open(path / best["run"], option), path
    if not is_run:
        raise UserError(f"{option} {path}: neither a run nor a sweep; `raysynth train` or `raysynth tune` makes one")
    return RunFolder.open(path, option), sweep_of(path)


def sweep_of(run: Location) -> Location | None:
    """The sweep whose run this is; None of one that was trained by itself."""
    runs = run.resolve().parent
    return runs.parent if runs.name == "runs" and (runs.parent / "sweep.json").is_file() else None
