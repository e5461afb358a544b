"""Where the synthetic images come from: the sweeps, the runs, and everything else that was written down."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from matplotlib.lines import Line2D
from matplotlib.ticker import LogFormatter

from raysynth.data.provenance import makers
from raysynth.report import sweep_figures
from raysynth.report.evaluation_files import Evaluation
from raysynth.report.section import Notes, Section
from raysynth.report.style import Panel, house_style, join_words, panel, picture_panel
from raysynth.report.svg import hover_lines
from raysynth.report.tables import Cell, Column, Row, Table, counts, format_number, words
from raysynth.training.health import at_the_end
from raysynth.training.run_folder import RunFolder

if TYPE_CHECKING:
    from raysynth.models.family import Figure  # imports torch


def search(evaluation: Evaluation, notes: Notes) -> Section | None:
    """The searches that the synthetic sets came from; None when none of them did."""
    if not any((entry.get("provenance") or {}).get("sweep") for entry in evaluation.synthetic):
        return None
    values = {"sweeps": sweeps(evaluation, notes.texts)}
    return Section(name="search", label="Search", question="How were the models found?", values=values)


def models(evaluation: Evaluation, notes: Notes) -> Section:
    """What the families have to show of their trainings."""
    return Section(
        name="models",
        label="Models",
        question="How did the models train?",
        values={
            "run_findings": run_findings(evaluation),
            "families": family_figures(evaluation, notes.texts, notes.say),
        },
    )


def provenance(evaluation: Evaluation, notes: Notes) -> Section:
    """Everything that the results rest on. It comes last: it says what the sections before it could not show."""
    return Section(
        name="provenance",
        label="Provenance",
        question="What does all this rest on?",
        values={
            "trainings": training_table(evaluation),
            "blocks": provenance_blocks(evaluation),
            "notes": [*evaluation.notes, *notes.texts],
        },
    )


def training_table(evaluation: Evaluation) -> Table:
    """Every training of the classifier."""
    keys = ("num_images", "epochs", "steps", "real_exposures", "seconds")
    rows = []
    for training in evaluation.content.get("trainings") or []:
        name = str(training.get("trained_on"))
        kind = evaluation.kinds.get(name, "")
        cell = Cell(name, mark=evaluation.mark(name), kind=kind)
        rows.append(Row([cell, training.get("seed"), *(training.get(key) for key in keys)]))
    titles = ("seed", "images", "epochs", "steps", "real images seen", "seconds")
    columns = [words("trained on"), *(counts(title) for title in titles)]
    return Table("trainings", "Trainings of the classifier", columns, rows)


def sweeps(evaluation: Evaluation, notes: list[str]) -> list[dict[str, Any]]:
    """Table and figures of every sweep that a synthetic set came from."""
    shown: list[dict[str, Any]] = []
    origins: dict[str, list[str]] = {}
    for entry in evaluation.synthetic:
        if path := (entry.get("provenance") or {}).get("sweep"):
            origins.setdefault(str(path), []).append(str(entry.get("name")))
    for path, names in origins.items():
        folder = evaluation.locate(path)
        if folder is None:
            notes.append(f"The sweep of {join_words(names)} is no longer at {path}: it is not shown.")
            continue
        sweep = sweep_figures.read_sweep(folder)
        panels: list[Panel] = []
        measured = sum(len(trial.curve) > 0 for trial in sweep.trials)
        if (chart := sweep_figures.draw_metric(sweep)) is not None:
            panels.append(
                panel(
                    chart,
                    title=f"{sweep.metric} by epoch",
                    caption=f"One line a trial, one training each ({measured} of {len(sweep.trials)} trials have one), "
                    "measured on validation images. The thick line is the best trial.",
                    alt=f"{sweep.metric} against epoch of {len(sweep.trials)} trials",
                    name="search",
                )
            )
        if (pictures := sweep_figures.draw_samples(sweep)) is not None:
            caption = "The newest samples of each trial, the best trial first; the same seeds in every trial."
            alt = "Sample images of each trial and class"
            title = "Samples, trial by class"
            panels.append(picture_panel(pictures, title=title, caption=caption, alt=alt, name="trials"))
        shown.append(
            {
                "path": path,
                "names": names,
                "table": _trial_table(sweep),
                "best": sweep.best,
                "metric": sweep.metric,
                "panels": panels,
            }
        )
    return shown


def _trial_table(sweep: sweep_figures.Sweep) -> Table:
    """The table of a sweep as its folder holds it, the best trial shaded."""
    numeric = {name: _is_numeric(sweep.table[name]) for name in sweep.table.columns}
    rows = []
    for _, row in sweep.table.iterrows():
        values = [_as_number(row[name]) if numeric[name] else row[name] for name in sweep.table.columns]
        rows.append(Row(values, best=row.get("trial") == sweep.best))
    columns = [Column(name, _shorten if numeric[name] else None) for name in sweep.table.columns]
    return Table("trials", "Trials of the search", columns, rows, look="wide")


def _as_number(text: str) -> float | None:
    return None if text == "" else float(text)


def _shorten(value: Any) -> str:
    """A number with the four digits that count, whole ones in full; empty where there is none."""
    if value is None:
        return ""
    return format_number(value).replace(",", "") if float(value).is_integer() else f"{value:.4g}"


def _is_numeric(column: pd.Series) -> bool:
    filled = column[column != ""]
    return bool(len(filled)) and bool(pd.to_numeric(filled, errors="coerce").notna().all())


def family_figures(
    evaluation: Evaluation, notes: list[str], say: Callable[[str], None] = lambda line: None
) -> list[dict[str, Any]]:
    """What each family has to show of the runs that made the synthetic sets.

    One entry a run, with the figures that are its own; then one (with a `title`) for each name of a figure that several
    runs have, with those next to each other.
    """
    runs: dict[tuple[str, str], list[str]] = {}
    for entry in evaluation.synthetic:
        for maker in makers(entry.get("provenance")):
            if maker.get("family") and maker.get("run"):
                runs.setdefault((str(maker["family"]), str(maker["run"])), []).append(str(entry.get("name")))
    drawn: list[tuple[str, str, list[str], list[Figure]]] = []  # family, path of the run, names of its sets, figures
    for (family, path), names in runs.items():
        folder = evaluation.locate(path)
        if folder is None:
            notes.append(f"The run of {join_words(names)} is no longer at {path}: its figures are not shown.")
            continue
        say(f"figures of {family} from {path}")
        try:
            from raysynth.models.registry import get_family  # torch, so only when there is a run to ask about

            with house_style():
                figures = get_family(family).figures(folder)
        except Exception as error:  # a family is anybody's code: its failure must not take the report with it
            notes.append(f"The figures of {family} from {path} could not be drawn: {type(error).__name__}: {error}")
            continue
        if figures:
            drawn.append((family, path, names, figures))

    counts = Counter(name for *_, figures in drawn for name in {figure.name for figure in figures})
    shared = [name for name, count in counts.items() if count > 1]
    shown: list[dict[str, Any]] = []
    beside: dict[str, list[tuple[str, Figure]]] = {name: [] for name in shared}
    for family, path, names, figures in drawn:
        mark = next((mark for mark in map(evaluation.mark, names) if mark), "")
        own = []
        for figure in figures:
            if figure.name in beside:
                title = f"{family}: {join_words(names)}" + (f" [{mark}]" if mark else "")
                beside[figure.name].append((title, figure))
            else:
                own.append(_family_panel(figure, f"{figure.title} [{mark}]" if mark else figure.title))
        shown.append({"names": names, "family": family, "run": path, "panels": own})
    return shown + [_lay_beside(figures) for figures in beside.values()]


def _lay_beside(titled: Sequence[tuple[str, Figure]]) -> dict[str, Any]:
    """Figures of one name from several runs, under one title and caption where these are the same."""
    figures = [figure for _, figure in titled]
    _share_scale([figure for figure in figures if figure.same_scale])
    one_title = len({figure.title for figure in figures}) == 1
    one_caption = len({figure.caption for figure in figures}) == 1
    return {
        "title": figures[0].title if one_title else "",
        "caption": figures[0].caption if one_caption else "",
        "panels": [
            replace(
                _family_panel(figure, title if one_title else f"{title}: {figure.title}"),
                caption="" if one_caption else figure.caption,
            )
            for title, figure in titled
        ],
    }


def _share_scale(figures: Sequence[Figure]) -> None:
    """Give figures of one axes each the same range of y, so that heights can be compared."""
    axes = [figure.figure.axes[0] for figure in figures if len(figure.figure.axes) == 1]
    if len(axes) > 1:
        lows, highs = zip(*(each.get_ylim() for each in axes), strict=True)
        for each in axes:
            each.set_ylim(min(lows), max(highs))


def _family_panel(drawn: Figure, title: str) -> Panel:
    draw = picture_panel if any(axes.images for axes in drawn.figure.axes) else panel
    for axes in drawn.figure.axes if draw is panel else []:
        for axis in (axes.xaxis, axes.yaxis):
            if axis.get_scale() == "log":  # the formatter of such axes writes mathematics, and here text is text
                axis.set_major_formatter(LogFormatter())
                axis.set_minor_formatter(LogFormatter(labelOnlyBase=False))
        lines = [line for line in axes.lines if not str(line.get_label()).startswith("_")]
        told = {str(line.get_label()): _points(line) for line in lines[:8]}
        hover_lines(axes, told, axes.get_xlabel())
    name = "model_" + re.sub("[^a-z0-9_]", "", drawn.name.lower())
    return draw(drawn.figure, title=title, caption=drawn.caption, alt=f"{drawn.title}: {title}", name=name)


def _points(line: Line2D) -> dict[float, float]:
    x, y = (np.asarray(data, dtype=float) for data in line.get_data(orig=False))
    return dict(zip(x.tolist(), y.tolist(), strict=True))


def run_findings(evaluation: Evaluation) -> list[dict[str, Any]]:
    """What went wrong in the runs behind the synthetic sets and still did at their end: (names, run, message)."""
    runs: dict[str, list[str]] = {}
    for entry in evaluation.synthetic:
        for maker in makers(entry.get("provenance")):
            if path := maker.get("run"):
                runs.setdefault(str(path), []).append(str(entry.get("name")))
    found = []
    for path, names in runs.items():
        folder = evaluation.locate(path)
        if folder is None:
            continue  # said where its figures would be
        run = RunFolder(folder)
        try:
            messages = [finding.message for finding in at_the_end(run.findings(), run.history())]
        except (OSError, ValueError, TypeError, KeyError):  # a file that is none of ours, or cut short
            continue
        found += [{"names": names, "run": path, "message": message} for message in messages]
    return found


def flatten(content: Mapping[str, Any], prefix: str = "") -> list[tuple[str, str]]:
    """Nested plain content as (dotted key, text)."""
    rows: list[tuple[str, str]] = []
    for key, value in content.items():
        if isinstance(value, Mapping) and value:
            rows += flatten(value, f"{prefix}{key}.")
        elif isinstance(value, list) and value and all(isinstance(item, Mapping) for item in value):
            for place, item in enumerate(value, 1):
                rows += flatten(item, f"{prefix}{key}.{place}.")
        elif isinstance(value, list):
            rows.append((f"{prefix}{key}", join_words(value)))
        else:
            rows.append((f"{prefix}{key}", "none" if value is None else str(value)))
    return rows


def provenance_blocks(evaluation: Evaluation) -> list[dict[str, Any]]:
    """Titles and (key, value) rows of everything that the evaluation rests on."""
    content = evaluation.content
    blocks = [
        ("Evaluation", {"folder": str(evaluation.place), **{k: content.get(k) for k in ("created", "seeds")}}),
        ("Real data set", {k: v for k, v in evaluation.real.items() if k != "counts"}),
        *(
            (f"Synthetic set {s.get('name')}", {k: v for k, v in s.items() if k != "counts"})
            for s in evaluation.synthetic
        ),
        ("Classifier", content.get("classifier") or {}),
        ("Seconds", content.get("seconds") or {}),
        ("Software", content.get("software") or {}),
    ]
    return [{"title": title, "rows": flatten(block)} for title, block in blocks if block]
