"""The page of a report: its sections in order, and the templates that show them."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from importlib.metadata import version
from itertools import count
from pathlib import Path

from jinja2 import Environment, FileSystemLoader
from markupsafe import Markup

from raysynth.report import (
    copy_sections,
    curve_sections,
    fidelity_sections,
    image_sections,
    origin_sections,
    score_sections,
    sections,
    spectrum_sections,
)
from raysynth.report.evaluation_files import Evaluation
from raysynth.report.section import Notes, Section
from raysynth.report.style import THEME, Panel
from raysynth.report.svg import as_part_of_page
from raysynth.report.tables import format_number, format_percent, format_points, format_score

_FOLDER = Path(__file__).parent

# The page from top to bottom. To add a section: write such a function, give its Section's name to a file in
# templates/sections/, and put it here. Tables and panels among its values are written as files without more.
SECTIONS: tuple[Callable[[Evaluation, Notes], Section | None], ...] = (
    score_sections.score_section,
    score_sections.class_section,
    curve_sections.curve_section,
    image_sections.images,
    fidelity_sections.fidelity_section,
    copy_sections.copy_section,
    image_sections.intensities,
    spectrum_sections.spectrum_section,
    origin_sections.search,
    origin_sections.models,
    origin_sections.provenance,
)


@dataclass(frozen=True)
class Page:
    """A rendered page, and the sections that it was rendered from; the first one, without a template, is the head."""

    html: str
    sections: list[Section]


def render(evaluation: Evaluation, *, say: Callable[[str], None] = lambda line: None) -> Page:
    """The page of an evaluation."""
    environment = _environment()
    notes = Notes(say=say)
    shown = [section for make in SECTIONS if (section := make(evaluation, notes)) is not None]
    head = sections.head(evaluation)
    shared = {"basis": sections.basis(evaluation), "mark_of": evaluation.mark}
    script = (_FOLDER / "report.js").read_text(encoding="utf-8")
    bodies = [
        (
            section,
            Markup(environment.get_template(f"sections/{section.name}.html").render(shared, **section.values)),
        )
        for section in shown
    ]
    html = environment.get_template("page.html").render(
        shared,
        **head.values,
        bodies=bodies,
        css=Markup((_FOLDER / "report.css").read_text(encoding="utf-8")),
        script=Markup(script),
        # The one script that may run is the one that was put there.
        script_hash=base64.b64encode(hashlib.sha256(script.encode()).digest()).decode(),
        title=evaluation.real.get("name") or evaluation.place.name,
        created=str(evaluation.content.get("created") or "")[:10],
        version=version("raysynth"),
    )
    return Page(html, [head, *shown])


def _environment() -> Environment:
    environment = Environment(
        loader=FileSystemLoader(_FOLDER / "templates"), autoescape=True, trim_blocks=True, lstrip_blocks=True
    )
    charts = count(1)

    def inline(panel: Panel) -> Markup:
        prefix = f"chart{next(charts)}-"
        return Markup(as_part_of_page(panel.svg, prefix=prefix, alt=panel.alt, width=panel.width, colours=THEME))

    environment.filters.update(
        percent=format_percent, score=format_score, number=format_number, points=format_points, inline=inline
    )
    return environment
