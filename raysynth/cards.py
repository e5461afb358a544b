"""What model cards and data cards share: Markdown in which names stay text, and the sentences that both need."""

from __future__ import annotations

import re
import warnings
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from raysynth.files import write_text

# Whatever begins something in Markdown, its dialects or HTML, or makes a link. An underscore within a word does not.
_SPECIAL = re.compile(r"[^\w\s.,;()/+'-]|(?<![^\W_])_|_(?![^\W_])|(?<=www)\.", re.IGNORECASE)

LICENCE = (
    "raysynth records no licence: that of the real images, and whether it allows models and images made from them to "
    "be passed on, is unknown here. Ask whoever the images are from."
)
NOT_FOR = (
    "Diagnosis, treatment or any other decision about a patient: this is no medical device.",
    "Showing that something is true of patients: numbers of images, of classes or of findings say nothing of how often "
    "a disease occurs.",
)


def text(value: Any) -> str:
    """A value as Markdown that shows it as it is, in one line, whatever it holds: `# x | y` and `<b>` stay text.

    Special characters become numeric entities, which never begin anything in Markdown.
    """
    line = "".join(character if character.isprintable() else " " for character in str(value))
    return _SPECIAL.sub(lambda found: f"&#{ord(found[0])};", " ".join(line.split()))


def table(header: Sequence[str], rows: Iterable[Sequence[Any]]) -> str:
    """A table of texts, None as `-`; nothing where there are no rows."""
    lines = [["-" if value is None else text(value) for value in row] for row in rows]
    if not lines:
        return ""
    return "\n".join("| " + " | ".join(row) + " |" for row in [list(header), ["---"] * len(header), *lines])


def settings_table(settings: Mapping[str, Any], *, only_name: Sequence[str] = ()) -> str:
    """Names and values of a config; of those in `only_name`, which are paths, the last part."""
    rows = [(key, Path(value).name if key in only_name and value else value) for key, value in settings.items()]
    return table(["option", "value"], rows)


def bullets(items: Iterable[str]) -> str:
    """A list of Markdown."""
    return "\n".join(f"- {item}" for item in items)


def card(title: str, summary: str, sections: Mapping[str, str]) -> str:
    """A whole card; sections without content are left out."""
    parts = [f"# {title}", summary]
    for heading, content in sections.items():
        if content:
            parts += [f"## {heading}", content]
    return "\n\n".join(parts) + "\n"


def write_card(path: Path, make: Callable[[], str]) -> None:
    """Write what `make` returns, or warn: what a card is about must not be lost with it."""
    try:
        write_text(path, make())
    except Exception as error:  # a full disk, or a file of another version: a run of hours has to end well all the same
        warnings.warn(f"{path} could not be written: {type(error).__name__}: {error}", stacklevel=2)


def describe_images(shape: Sequence[int]) -> str:
    """`grey images of 64 x 64 pixels`, by the shape (C, H, W) or (C, D, H, W)."""
    colour = {1: "grey", 3: "colour"}.get(shape[0], f"{shape[0]}-channel")
    kind, unit = ("volumes", "voxels") if len(shape) == 4 else ("images", "pixels")
    return f"{colour} {kind} of {' x '.join(map(str, shape[1:]))} {unit}"


def origins_table(entries: Iterable[Mapping[str, Any]]) -> str:
    """The data sets that a model was trained on (see `data.provenance.Provenance`), without their paths."""
    header = ["role", "data set", "fingerprint", "images", "splits"]
    rows = (
        (entry["role"], entry["name"], entry["fingerprint"], entry["num_images"], ", ".join(entry["splits"]))
        for entry in entries
    )
    return table(header, rows)


def versions_table(packages: Mapping[str, Any]) -> str:
    return table(["package", "version"], packages.items())
