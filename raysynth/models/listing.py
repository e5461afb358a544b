"""What there is to train: the families, and the options of each."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from raysynth.models.registry import family_names, get_family

_TYPES = {"integer": "int", "number": "float", "boolean": "bool", "string": "text", "null": "none", "object": "mapping"}
_BOUNDS = {"exclusiveMinimum": ">", "minimum": ">=", "exclusiveMaximum": "<", "maximum": "<="}


@dataclass(frozen=True)
class Option:
    """One key of a family's config, as `--set KEY=VALUE` takes it. `type` names the choices where there are any."""

    key: str
    type: str
    default: Any
    description: str


@dataclass(frozen=True)
class Listing:
    """A family: its summary in one line, what a search may rank it by, and its options."""

    family: str
    summary: str
    metrics: tuple[str, ...]
    options: tuple[Option, ...]


def models(family: str | None = None) -> list[Listing]:
    """All families, or the one that is named.

    Raises UserError for an unknown name.
    """
    return [_list_family(name) for name in ([family] if family is not None else family_names())]


def _list_family(name: str) -> Listing:
    family = get_family(name, "FAMILY")
    schema = family.Config.model_json_schema()
    options = [
        Option(key, describe_type(content, schema.get("$defs", {})), content.get("default"), _description(content))
        for key, content in schema["properties"].items()
    ]
    return Listing(name, family.summary, family.metrics, tuple(options))


def describe_type(content: dict[str, Any], definitions: dict[str, Any]) -> str:
    """The part of a JSON schema that says what a value may be, in words: `int > 0`, `float >= 0, < 1`, `a | b`."""
    if "$ref" in content:
        return describe_type(definitions[content["$ref"].rpartition("/")[2]], definitions)
    if "enum" in content:
        return " | ".join(map(str, content["enum"]))
    if "const" in content:
        return str(content["const"])
    if "anyOf" in content:
        return " | ".join(dict.fromkeys(describe_type(part, definitions) for part in content["anyOf"]))
    if content.get("type") == "array":
        parts = content.get("prefixItems") or [content.get("items") or {}]
        return f"list of {', '.join(dict.fromkeys(describe_type(part, definitions) for part in parts))}"
    bounds = ", ".join(f"{sign} {content[key]:g}" for key, sign in _BOUNDS.items() if key in content)
    return f"{_TYPES.get(content.get('type', ''), 'any')} {bounds}".strip()


def _description(content: dict[str, Any]) -> str:
    return " ".join(str(content.get("description", "")).split())
