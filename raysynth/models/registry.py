"""Families by name. A module of `raysynth.models` that decorates a class with `@register` adds a family."""

from __future__ import annotations

import re
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from raysynth.config import suggest
from raysynth.errors import UserError

if TYPE_CHECKING:
    from raysynth.models.family import Family

FamilyClass = TypeVar("FamilyClass", bound="type[Family]")

REGISTERED = re.compile(r"^@register$", re.MULTILINE)

_FAMILIES: dict[str, type[Family]] = {}


def register(family: FamilyClass) -> FamilyClass:
    """Make a family known by the name of its module."""
    family.name = family.__module__.rpartition(".")[2]
    _FAMILIES[family.name] = family
    return family


def family_names() -> list[str]:
    """The names of all families, without importing any: modules here whose source has an `@register` class."""
    modules = sorted(Path(__file__).parent.glob("*.py"))
    return [module.stem for module in modules if REGISTERED.search(module.read_text(encoding="utf-8"))]


def get_family(name: str, origin: str = "family") -> type[Family]:
    """The class of a family.

    Raises UserError, naming `origin`, for an unknown name.
    """
    if name not in family_names():
        raise UserError(f"{origin} {name}: unknown family{suggest(name, family_names())}")
    import_module(f"raysynth.models.{name}")
    return _FAMILIES[name]
