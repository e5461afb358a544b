"""`raysynth clean`: checkpoints of ended runs that nothing needs any more, listed and, when told so, removed."""

from __future__ import annotations

import json
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any
from zipfile import is_zipfile

import yaml

from raysynth.data.buckets import BucketPath
from raysynth.data.locations import Location, locate, naming
from raysynth.data.provenance import makers
from raysynth.errors import UserError
from raysynth.locking.lock import is_in_use, locked
from raysynth.training.disk_need import format_bytes
from raysynth.training.find_run import sweep_of
from raysynth.training.run_folder import ENDED

DEFAULT_DAYS = 30.0  # a run is let alone so long after it has ended
NS_PER_DAY = 86_400 * 10**9

Versions = Mapping[str, tuple[int, int]]  # of all files below a folder: path in it -> (bytes, nanosecond of writing)


@dataclass(frozen=True)
class Removable:
    """Checkpoints of one run that can go, their size and why."""

    run: Location
    files: list[Location]
    num_bytes: int
    reason: str


def clean(
    folder: Location | str = ".",
    *,
    days: float = DEFAULT_DAYS,
    yes: bool = False,
    say: Callable[[str], None] = print,
) -> int:
    """List, and with `yes` remove, checkpoints below `folder` that nothing needs any more; their bytes.

    Of a run that ended more than `days` ago the newest checkpoint stays, for drawing images. Of a sweep's trials all
    go but those of the best run and of runs that a synthetic set or another run below `folder` was made from. Runs that
    are not at their end, or in use, and sweeps without a best run are let alone. Metrics, samples and configs stay.
    `folder` may be in a bucket. Raises UserError when it is none.
    """
    with naming("FOLDER"):
        folder = locate(folder)
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


def find_removable(folder: Location, *, days: float) -> Iterator[Removable]:
    """What `clean` would remove, run by run."""
    versions = folder.versions() if isinstance(folder, BucketPath) else _versions(folder)
    needed = _needed_runs(folder, versions)
    files_in: dict[str, list[str]] = defaultdict(list)
    for name in versions:
        parent, slash, file = name.rpartition("/")
        files_in[parent + slash].append(file)
    for name in versions:
        if PurePosixPath(name).name != "config.yaml":
            continue
        prefix = name.removesuffix("config.yaml")
        run = _below(folder, prefix)
        inside = files_in.get(f"{prefix}checkpoints/", [])
        if not inside or _read_json(run / "status.json").get("state") not in ENDED:
            continue
        _, ended_ns = versions.get(f"{prefix}status.json", (0, time.time_ns()))  # written since the listing
        if time.time_ns() - ended_ns < days * NS_PER_DAY:
            continue
        names = sorted(each for each in inside if each.startswith("epoch_") and each.endswith(".pt"))
        whole = next((i for i in reversed(range(len(names))) if _is_whole(run / "checkpoints" / names[i])), 0)
        gone, reason = names[:whole], "all but the newest of its checkpoints"
        if (sweep := sweep_of(run)) is not None:
            best = _read_json(sweep / "best.json")
            if not best:
                continue
            if _identity(run) not in needed and PurePosixPath(best["run"]).name != run.name:
                gone, reason = names, f"not the best of its sweep, which is {best['trial']}"
        gone = [*gone, *(each for each in inside if each.startswith(".") and ".partial-" in each)]
        if gone and not _in_use(run):
            num_bytes = sum(versions[f"{prefix}checkpoints/{each}"][0] for each in gone)
            yield Removable(run, [run / "checkpoints" / each for each in gone], num_bytes, reason)


def _versions(folder: Path) -> Versions:
    versions = {}
    for path in sorted(folder.rglob("*")):
        with suppress(FileNotFoundError):  # a training may go on beside
            if path.is_file():
                stat = path.stat()
                versions[path.relative_to(folder).as_posix()] = (stat.st_size, stat.st_mtime_ns)
    return versions


def _below(folder: Location, name: str) -> Location:
    return folder / name.rstrip("/") if name else folder


def _is_whole(checkpoint: Location) -> bool:
    """As far as its end tells."""
    try:
        with checkpoint.open("rb") if isinstance(checkpoint, Path) else checkpoint.open() as file:
            return is_zipfile(file)
    except OSError:
        return False


def _needed_runs(folder: Location, versions: Versions) -> set[str]:
    """Runs that synthetic sets were drawn from, and that others started from."""
    needed = set()
    for name in versions:
        if PurePosixPath(name).name == "dataset.json":
            provenance = _read_json(folder / name).get("provenance")
            needed |= {_identity(locate(maker["run"])) for maker in makers(provenance) if maker.get("run")}
        elif PurePosixPath(name).name == "config.yaml" and (pretrained := _pretrained_of(folder / name)):
            needed.add(_identity(locate(pretrained)))
    return needed


def _read_json(file: Location) -> dict[str, Any]:
    """Its content; nothing where there is no such file, or it is not one of ours."""
    try:
        content = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return content if isinstance(content, dict) else {}


def _pretrained_of(config: Location) -> str | None:
    """The run that another one, of which this is the `config.yaml`, started from."""
    try:
        pretrained = yaml.safe_load(config.read_text(encoding="utf-8"))["config"].get("pretrained")
    except (OSError, ValueError, yaml.YAMLError, TypeError, KeyError, AttributeError):
        return None  # not a run
    return str(pretrained) if pretrained else None


def _identity(run: Location) -> str:
    """The same for each way in which the place can be written."""
    return f"{run.protocol}://{run.bucket}/{run.key}" if isinstance(run, BucketPath) else str(run.resolve())


def _in_use(run: Location) -> bool:
    return any(folder is not None and is_in_use(folder) for folder in (sweep_of(run), run))


def _holding(run: Location) -> ExitStack:
    with ExitStack() as locks:
        for folder in (sweep_of(run), run):
            if folder is not None:
                locks.enter_context(locked(folder, "clean"))
        return locks.pop_all()


def _remove(removable: Removable, say: Callable[[str], None]) -> int:
    """Remove the files unless somebody has begun to use the run since it was looked at; the bytes that are freed."""
    try:
        with _holding(removable.run):
            for file in removable.files:
                with suppress(FileNotFoundError):
                    file.unlink()
            return removable.num_bytes
    except UserError as error:
        say(str(error))
        return 0
