"""Typed configs: keyword-only, unknown keys refused, values from `--set key=value` parsed as YAML."""

from __future__ import annotations

import difflib
import hashlib
import json
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, TypeVar

import yaml
from pydantic import BaseModel, ConfigDict, ValidationError

from raysynth.errors import UserError


class Config(BaseModel):
    """Base of every config: frozen, and an unknown key is an error."""

    model_config = ConfigDict(extra="forbid", frozen=True, validate_default=True)


ConfigType = TypeVar("ConfigType", bound=Config)


def build_config(config_class: type[ConfigType], values: Mapping[str, Any], *, origin: str) -> ConfigType:
    """A validated config. `origin` names the option or file that `values` came from.

    Raises UserError with the first thing that is wrong: the key, the value, what would be right.
    """
    for key in values:
        if key not in config_class.model_fields:
            raise UserError(f"{origin} {key}: unknown key{suggest(str(key), config_class.model_fields)}")
    try:
        return config_class(**values)
    except ValidationError as error:
        first = error.errors()[0]
        key = ".".join(str(part) for part in first["loc"]) or "config"
        message = first["msg"].removeprefix("Value error, ")
        value = f"={first['input']!r}" if first["type"] != "missing" and first["loc"] else ""
        raise UserError(f"{origin} {key}{value}: {message[:1].lower()}{message[1:]}") from error


def parse_overrides(assignments: Iterable[str], option: str = "--set") -> dict[str, Any]:
    """`["latent_dim=64", "critic=dropout"]` as a dict; values are YAML scalars or lists.

    Raises UserError for a text without `=` or a value that is not YAML.
    """
    overrides: dict[str, Any] = {}
    for assignment in assignments:
        key, equals, text = assignment.partition("=")
        if not equals or not key.strip():
            raise UserError(f"{option} {assignment}: want key=value, e.g. {option} latent_dim=64")
        try:
            value = yaml.safe_load(text)
        except yaml.YAMLError as error:
            raise UserError(f"{option} {assignment}: the value is not YAML; quote it") from error
        overrides[key.strip()] = _number(value)
    return overrides


def load_yaml(path: Path, what: str) -> Any:
    """Parse a YAML file with the safe loader.

    Raises UserError with the line where it breaks.
    """
    try:
        return yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"{what} {path}: cannot be read ({error})") from error
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        where = f" at line {mark.line + 1}, column {mark.column + 1}" if mark else ""
        problem = " ".join(str(getattr(error, "problem", None) or error).split())
        raise UserError(f"{what} {path}: malformed YAML{where}: {problem}; mend that line") from error


def _number(value: Any) -> Any:
    # YAML 1.1 reads `1e-4` as text; nobody who types it means text.
    if isinstance(value, str) and re.fullmatch(r"[+-]?\d+(\.\d*)?[eE][+-]?\d+", value):
        return float(value)
    return value


def numbers_from_text(content: Any) -> Any:
    """The same nested content with texts like `1e-4` read as numbers."""
    if isinstance(content, dict):
        return {key: numbers_from_text(value) for key, value in content.items()}
    if isinstance(content, list):
        return [numbers_from_text(value) for value in content]
    return _number(content)


def suggest(word: str, known: Iterable[str]) -> str:
    """The end of a message about an unknown word: the nearest known one, and all of them."""
    names = sorted(known)
    near = difflib.get_close_matches(word, names, n=1)
    return (f"; did you mean {near[0]}?" if near else "") + f" (known: {', '.join(names)})"


def hash_content(content: Any) -> str:
    """12 hex digits that depend on plain nested content, whatever the order of its keys."""
    text = json.dumps(content, sort_keys=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()[:12]
