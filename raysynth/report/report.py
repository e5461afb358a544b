"""The report: one self-contained HTML file about an evaluation, made from files only."""

from __future__ import annotations

import math
import os
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from typing import Any

from jinja2 import Environment

from raysynth.data.locations import refuse_bucket
from raysynth.errors import UserError
from raysynth.files import write_text
from raysynth.report import image_sections, origin_sections, sections
from raysynth.report.evaluation_files import SCORES, Evaluation, load_evaluation

_FOLDER = Path(__file__).parent
_MISSING = "–"


def report(
    evaluation: Path,
    out: Path = Path("report.html"),
    *,
    allow_leakage: bool = False,
    say: Callable[[str], None] = print,
) -> Path:
    """Write the report of an evaluation folder to `out` and return that path; an older report is replaced.

    Reads files only. Sweeps, runs and data sets that are no longer where the evaluation found them are named in
    the report and left out. Raises UserError when `evaluation` is not an evaluation or `out` cannot be written, and
    when a synthetic set knows test images and neither the evaluation nor `allow_leakage` allows it.
    """
    evaluation, out = Path(evaluation), Path(out)
    _check_out(out)
    content = load_evaluation(evaluation)
    if not allow_leakage:
        _refuse_leakage(content)
    say(f"report of {evaluation}")
    html = render(content, say=say)
    _write(html, out)
    say(f"wrote {out} ({out.stat().st_size / 1e6:.1f} MB)")
    return out


def render(evaluation: Evaluation, *, say: Callable[[str], None] = lambda line: None) -> str:
    """The page of an evaluation as text."""
    environment = Environment(autoescape=True, trim_blocks=True, lstrip_blocks=True)
    environment.filters.update(percent=format_percent, score=format_score, number=format_number, points=format_points)
    template = environment.from_string((_FOLDER / "report.html").read_text(encoding="utf-8"))
    notes = list(evaluation.notes)
    values: dict[str, Any] = {
        "css": (_FOLDER / "report.css").read_text(encoding="utf-8"),
        "title": evaluation.real.get("name") or evaluation.path.name,
        "created": str(evaluation.content.get("created") or "")[:10],
        "version": version("raysynth"),
        "warnings": sections.warnings_about(evaluation),
        "verdict": sections.verdict(evaluation),
        "tiles": sections.key_figures(evaluation),
        "basis": sections.basis(evaluation),
        "mark_of": evaluation.mark,
        "score_names": SCORES,
        "score_rows": sections.score_rows(evaluation, ("fit", "test")),
        "all_score_rows": sections.score_rows(evaluation, tuple(sections.SPLIT_NAMES)),
        "panels": sections.score_panels(evaluation),
        "fidelity": sections.fidelity_rows(evaluation),
        "run_findings": sections.run_findings(evaluation),
        "class_rows": sections.class_score_rows(evaluation),
        "samples": image_sections.sample_grid(evaluation, notes),
        "distribution": image_sections.distribution_panel(evaluation),
        "intensities": image_sections.intensities(evaluation),
        "sweeps": origin_sections.sweeps(evaluation, notes),
        "families": origin_sections.family_figures(evaluation, notes, say),
        "trainings": evaluation.content.get("trainings") or [],
        "provenance": origin_sections.provenance(evaluation),
        "num_synthetic": len(evaluation.synthetic),
        "notes": notes,
    }
    return template.render(values)


def _refuse_leakage(evaluation: Evaluation) -> None:
    for entry in evaluation.synthetic:
        contact = entry.get("contact") or {}
        if contact.get("status") == "touches" and not evaluation.content.get("allow_leakage"):
            raise UserError(
                f"EVALUATION {evaluation.path}: {entry.get('name')} knows test images: {contact.get('detail')}; "
                "evaluate images made without them, or go on with --allow-leakage and every result marked"
            )


def _check_out(out: Path) -> None:
    refuse_bucket(out, "--out")
    if out.is_dir():
        raise UserError(f"--out {out}: is a folder; name a file, e.g. {out / 'report.html'}")
    if out.exists() and out.suffix.lower() not in (".html", ".htm"):
        raise UserError(f"--out {out}: exists and is not an HTML file; choose another name")
    parent = next(folder for folder in out.absolute().parents if folder.exists())
    if not parent.is_dir() or not os.access(parent, os.W_OK):
        raise UserError(f"--out {out}: {parent} cannot be written to; choose another place")


def _write(html: str, out: Path) -> None:
    try:
        write_text(out, html)
    except OSError as error:
        raise UserError(f"--out {out}: cannot be written ({error.strerror}); choose another place") from error


def _finite(value: Any) -> bool:
    return isinstance(value, (int, float)) and math.isfinite(value)


def format_percent(value: Any, digits: int = 1) -> str:
    """0.9452 as `94.5`; what is not a number as a dash."""
    return f"{100 * value:.{digits}f}" if _finite(value) else _MISSING


def format_score(value: Any, digits: int = 3) -> str:
    """0.9452 as `0.945`."""
    return f"{value:.{digits}f}" if _finite(value) else _MISSING


def format_number(value: Any) -> str:
    """12345 as `12,345`; a fraction keeps one digit."""
    if not _finite(value):
        return _MISSING
    return f"{value:,.0f}" if float(value).is_integer() or abs(value) >= 100 else f"{value:,.1f}"


def format_points(value: Any) -> str:
    """A difference of 0.012 as `+1.2`."""
    return f"{100 * value:+.1f}".replace("-", "−") if _finite(value) else _MISSING
