"""What of a verb can be checked on this machine before it is sent to a cluster."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from raysynth.cluster.job_command import WRITTEN, option_of, places_of
from raysynth.config import build_config, parse_overrides
from raysynth.data.dataset import load_dataset
from raysynth.data.locations import Location
from raysynth.errors import UserError
from raysynth.models.registry import get_family
from raysynth.training.find_run import find_run
from raysynth.tuning.space import SearchSpace, load_space

# What a place must hold, by the name of the parameter.
HOLDS: dict[str, Callable[[Any, str], Any]] = {
    "data": load_dataset,
    "real": load_dataset,
    "synthetic": load_dataset,
    "like": load_dataset,
    "exclude": load_dataset,
    "run": find_run,
}


def check_here(values: Mapping[str, Any]) -> tuple[list[tuple[str, Any]], list[str]]:
    """Check the names, values and places that a verb's parameters hold.

    Returned are the config values that may name a place, each after where it comes from, and a line for each place
    that only the cluster sees. Raises UserError for what is wrong.
    """
    overrides = parse_overrides(values.get("set_") or [])
    settings = [(f"--set {key}", value) for key, value in overrides.items()]
    if (family := values.get("family")) is not None:
        build_config(get_family(family, "FAMILY").Config, overrides, origin="--set")
    for name in _each(values, "space", "spaces"):
        if not Path(name).is_absolute() or Path(name).exists():
            settings += _values_of(load_space(name, overrides), f"SPACE {name}:")
    not_checked = []
    for name, place in places_of(values):
        if name in WRITTEN:
            continue
        if not _is_here(place):
            not_checked.append(f"not checked here, where it cannot be seen: {option_of(name)} {place}")
        elif name in HOLDS:
            HOLDS[name](place, option_of(name))
    return settings, not_checked


def _values_of(space: SearchSpace, origin: str) -> list[tuple[str, Any]]:
    varied = [(key, v) for key, domain in space.space.items() for v in [*(domain.grid or []), *(domain.choice or [])]]
    return [(f"{origin} {key}", value) for key, value in [*space.fixed.items(), *varied]]


def _is_here(place: Location) -> bool:
    with suppress(UserError, OSError):  # a bucket that this machine may not read
        return place.exists()
    return False


def _each(values: Mapping[str, Any], *names: str) -> list[str]:
    found: list[Any] = []
    for name in names:
        value = values.get(name)
        found += value if isinstance(value, (list, tuple)) else [value] if value is not None else []
    return [str(each) for each in found]
