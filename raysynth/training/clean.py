"""`raysynth clean`: checkpoints of ended runs that nothing needs any more, listed and, when told so, removed."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from zipfile import is_zipfile

from raysynth.data.provenance import makers
from raysynth.errors import UserError
from raysynth.lock import locked
from raysynth.training.checkpoints import checkpoint_paths
from raysynth.training.disk_need import format_bytes
from raysynth.training.find_run import sweep_of
from raysynth.training.run_folder import ENDED, RunFolder
from raysynth.tuning.sweep_folder import SweepFolder

DEFAULT_DAYS = 30.0  # a run is let alone so long after it has ended
SECONDS_PER_DAY = 86_400


@dataclass(frozen=True)
class Removable:
    """Checkpoints of one run that can go, and why."""

    run: Path
    files: list[Path]
    reason: str

    @property
    def num_bytes(self) -> int:
        return sum(file.stat().st_size for file in self.files if file.exists())


def clean(
    folder: Path | str = ".",
    *,
    days: float = DEFAULT_DAYS,
    yes: bool = False,
    say: Callable[[str], None] = print,
) -> int:
    """List, and with `yes` remove, checkpoints below `folder` that nothing needs any more; their bytes.

    Of a run that ended more than `days` ago the newest checkpoint stays, for drawing images. Of a sweep's trials all
    go but those of the best run and of runs that a synthetic set or another run below `folder` was made from. Runs that
    are not at their end, or in use, and sweeps without a best run are let alone. Metrics, samples and configs stay.
    Raises UserError when `folder` is none.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise UserError(f"FOLDER {folder}: no such folder; name one with runs or sweeps in it")
    if days < 0:
        raise UserError(f"--days {days:g}: want 0 or more")
    found = list(find_removable(folder, days=days))
    for removable in found:
        say(f"{format_bytes(removable.num_bytes):>9}  {removable.run}: {removable.reason}")
    total = sum(removable.num_bytes for removable in found)
    if yes:
        total = sum(_remove(removable, say) for removable in found)
    what = f"checkpoints of {len(found)} runs below {folder}"
    say(
        f"{format_bytes(total)} {'freed' if yes else 'can be freed'}: {what}"
        if found
        else f"nothing to free below {folder}"
    )
    return total


def find_removable(folder: Path, *, days: float) -> Iterator[Removable]:
    """What `clean` would remove, run by run."""
    needed = _needed_runs(folder)
    for file in sorted(folder.rglob("config.yaml")):
        run = RunFolder(file.parent)
        if not run.checkpoints.is_dir() or run.status()["state"] not in ENDED:
            continue
        if time.time() - (run.path / "status.json").stat().st_mtime < days * SECONDS_PER_DAY:
            continue
        paths = checkpoint_paths(run.checkpoints)
        whole = [place for place, path in enumerate(paths) if is_zipfile(path)]  # as far as that tells, in no time
        files, reason = paths[: max(whole, default=0)], "all but the newest of its checkpoints"
        if (sweep := sweep_of(run.path)) is not None:
            best = SweepFolder(sweep).best()
            if best is None:
                continue
            if run.path.resolve() not in needed and Path(best["run"]).name != run.path.name:
                files, reason = paths, f"not the best of its sweep, which is {best['trial']}"
        files = [*files, *run.checkpoints.glob(".*.partial-*")]
        if files and not _in_use(run.path):
            yield Removable(run.path, files, reason)


def _needed_runs(folder: Path) -> set[Path]:
    """Runs that synthetic sets were drawn from, and that others started from."""
    needed = set()
    for file in folder.rglob("dataset.json"):
        try:
            provenance = json.loads(file.read_text(encoding="utf-8")).get("provenance")
        except (OSError, ValueError):
            continue  # not a data set of ours
        needed |= {Path(maker["run"]).resolve() for maker in makers(provenance) if maker.get("run")}
    for file in folder.rglob("config.yaml"):
        try:
            pretrained = RunFolder(file.parent).settings()["config"].get("pretrained")
        except UserError:
            continue  # not a run
        if pretrained:
            needed.add(Path(pretrained).resolve())
    return needed


def _in_use(run: Path) -> bool:
    try:
        with _holding(run):
            return False
    except UserError:
        return True


def _holding(run: Path) -> ExitStack:
    with ExitStack() as locks:
        for folder in (sweep_of(run), run):
            if isinstance(folder, Path):
                locks.enter_context(locked(folder, "clean"))
        return locks.pop_all()


def _remove(removable: Removable, say: Callable[[str], None]) -> int:
    """Remove the files unless somebody has begun to use the run since it was looked at; the bytes that are freed."""
    try:
        with _holding(removable.run):
            freed = removable.num_bytes
            for file in removable.files:
                file.unlink(missing_ok=True)
            return freed
    except UserError as error:
        say(str(error))
        return 0
