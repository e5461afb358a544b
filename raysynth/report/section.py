"""A section of the page: what every `*_sections.py` makes, and what a template of its own shows."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from raysynth.report.style import Panel, Picture
from raysynth.report.tables import Table


@dataclass
class Notes:
    """What could not be shown, for the end of the page (`texts`), and progress for the person who waits (`say`)."""

    texts: list[str] = field(default_factory=list)
    say: Callable[[str], None] = lambda line: None


@dataclass(frozen=True)
class Section:
    """A question and its answer. `templates/sections/<name>.html` shows it and sees each of `values` by its key.

    `name` is the anchor too, `label` stands in the list of contents, `answer` is a sentence under the question. Every
    Table, Panel and Picture in `values` is also written as a file beside the page.
    """

    name: str
    label: str
    question: str
    answer: str = ""
    values: Mapping[str, Any] = field(default_factory=dict)

    def contents(self) -> Iterator[Table | Panel | Picture]:
        """The tables, panels and pictures in `values`, in their order."""
        return _find(self.values)


def _find(value: Any) -> Iterator[Table | Panel | Picture]:
    if isinstance(value, (Table, Panel, Picture)):
        yield value
    elif isinstance(value, Mapping):
        for inner in value.values():
            yield from _find(inner)
    elif isinstance(value, (list, tuple)):
        for inner in value:
            yield from _find(inner)
