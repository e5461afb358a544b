"""From a verb's options to the command that a job runs: which of them travel, and which must be there already."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from raysynth.cluster.job_package import FILES_FOLDER
from raysynth.data.locations import Location, locate
from raysynth.errors import UserError

# By the names of parameters, which mean the same in every verb.
PLACES = ("run", "data", "real", "synthetic", "like", "exclude", "resume", "out", "storage")
FILES = ("space", "spaces", "weights")  # small enough to be sent, where they are files of this machine
WRITTEN = ("out", "storage")  # of which one must be given: a job has no folder of its own that lasts
REMEDY = "give a bucket (s3://, gs://) or the absolute path of a folder that all of the cluster's nodes share"


@dataclass
class JobCommand:
    """The values of a verb's parameters as the job is to have them, and the files that they name in its package."""

    values: dict[str, Any]
    files: dict[str, Path] = field(default_factory=dict)


def for_cluster(values: Mapping[str, Any], given: Collection[str], settings: Iterable[tuple[str, Any]]) -> JobCommand:
    """The command for a job. `given` names the parameters that the user gave; `settings` are config values, each
    after where it comes from, e.g. `--set pretrained`.

    Raises UserError for what only this machine could see.
    """
    command = JobCommand({name: value for name, value in values.items() if name in given})
    for name, place in places_of(command.values):
        _refuse_local(place, option_of(name))
    for origin, value in settings:
        if isinstance(value, str) and value and Path(value).exists():
            _refuse_local(Path(value), origin)
    if "out" in values and values.get("resume") is None and not set(WRITTEN) & set(given):
        raise UserError(f"--out: not given, and this machine's folders are not the cluster's; {REMEDY}")
    for name in FILES:
        if name in command.values:
            command.values[name] = _ship(command.values[name], name, command.files)
    return command


def option_of(name: str) -> str:
    """How a parameter is called on the command line."""
    return name.upper() if name in ("run", "space", "spaces", "family") else f"--{name}"


def places_of(values: Mapping[str, Any]) -> Iterator[tuple[str, Location]]:
    """Each place that a verb's parameters name, with the name of its parameter; names in a storage by its path."""
    storage = values.get("storage")
    for name in PLACES:
        value = values.get(name)
        for each in value if isinstance(value, (list, tuple)) else [value]:
            if each is None:
                continue
            place = locate(each)
            if storage is not None and name != "storage" and _is_relative(place) and not str(each).startswith("."):
                place = locate(storage) / str(place)
            yield name, place


def _is_relative(place: Location) -> bool:
    return isinstance(place, Path) and not place.is_absolute()


def _refuse_local(place: Location, option: str) -> None:
    if _is_relative(place):
        raise UserError(f"{option} {place}: a path of this machine, which the cluster does not see; {REMEDY}")


def _ship(value: Any, name: str, files: dict[str, Path]) -> Any:
    """The value with files of this machine replaced by their places in the package."""
    if isinstance(value, (list, tuple)):
        return [_ship(each, name, files) for each in value]
    file = Path(value)
    if not file.is_file():  # a name, or a file that is on the cluster already
        if str(value) != file.name and not file.is_absolute():
            raise UserError(f"{option_of(name)} {value}: no such file; give one of this machine, or of the cluster")
        return value
    place = f"{FILES_FOLDER}/{len(files)}/{file.name}"
    files[place] = file
    return place
