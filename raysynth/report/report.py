"""The report: one self-contained HTML file about an evaluation, and its figures and tables beside it."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

from raysynth.data.locations import Location, naming, refuse_bucket
from raysynth.errors import UserError
from raysynth.files import write_text
from raysynth.report.evaluation_files import Evaluation, open_evaluation
from raysynth.report.page import render
from raysynth.report.report_files import folder_beside, refuse_foreign, replacing_folder, write_files


def report(
    evaluation: Location | str,
    out: Path = Path("report.html"),
    *,
    allow_leakage: bool = False,
    say: Callable[[str], None] = print,
) -> Path:
    """Write the report of an evaluation folder to `out` and return that path; an older report is replaced.

    Its figures (SVG, PNG) and tables (CSV) are written too, to a folder beside it: `report.html` -> `report_files`.
    Reads files only. Sweeps, runs and data sets that are no longer where the evaluation found them are named in
    the report and left out. Raises UserError when `evaluation` is not an evaluation or `out` cannot be written, when
    that folder holds other files, and when a synthetic set knows test images and neither the evaluation nor
    `allow_leakage` allows it.
    """
    out = Path(out)
    _check_out(out)
    folder = folder_beside(out)
    refuse_foreign(folder)
    with naming("EVALUATION"):
        content = open_evaluation(evaluation)
    if not allow_leakage:
        _refuse_leakage(content)
    say(f"report of {evaluation}")
    page = render(content, say=say)
    try:
        with replacing_folder(folder) as partial:
            numbers = write_files(page.sections, partial)
            write_text(out, page.html)
    except OSError as error:
        raise UserError(f"--out {out}: cannot be written ({error.strerror}); choose another place") from error
    say(f"wrote {out} ({out.stat().st_size / 1e6:.1f} MB)")
    kinds = ", ".join(f"{number} {suffix.upper()}" for suffix, number in sorted(numbers.items(), reverse=True))
    say(f"wrote its figures and tables to {folder} ({kinds})")
    return out


def _refuse_leakage(evaluation: Evaluation) -> None:
    for entry in evaluation.synthetic:
        contact = entry.get("contact") or {}
        if contact.get("status") == "touches" and not evaluation.content.get("allow_leakage"):
            raise UserError(
                f"EVALUATION {evaluation.place}: {entry.get('name')} knows test images: {contact.get('detail')}; "
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
