"""Where the synthetic images come from: the sweeps, the runs, and everything else that was written down."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pandas as pd

from raysynth.report import sweep_figures
from raysynth.report.evaluation_files import Evaluation
from raysynth.report.style import Panel, house_style, join_words, panel, picture_panel

if TYPE_CHECKING:
    from raysynth.models.family import Figure  # imports torch


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
                )
            )
        if (pictures := sweep_figures.draw_samples(sweep)) is not None:
            caption = "The newest samples of each trial, the best trial first; the same seeds in every trial."
            alt = "Sample images of each trial and class"
            panels.append(picture_panel(pictures, title="Samples, trial by class", caption=caption, alt=alt))
        table = sweep.table.apply(_shorten_numbers)
        shown.append(
            {
                "path": path,
                "names": names,
                "columns": list(table.columns),
                "rows": [{"best": row.get("trial") == sweep.best, "values": list(row)} for _, row in table.iterrows()],
                "numeric": [_is_numeric(sweep.table[name]) for name in table.columns],
                "best": sweep.best,
                "metric": sweep.metric,
                "panels": panels,
            }
        )
    return shown


def _shorten_numbers(column: pd.Series) -> pd.Series:
    """Texts of numbers with four digits that count; other columns as they are."""
    return column.map(lambda text: f"{float(text):.4g}" if "." in text else text) if _is_numeric(column) else column


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
        origin = entry.get("provenance") or {}
        if origin.get("family") and origin.get("run"):
            runs.setdefault((str(origin["family"]), str(origin["run"])), []).append(str(entry.get("name")))
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
    return draw(drawn.figure, title=title, caption=drawn.caption, alt=f"{drawn.title}: {title}")


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


def provenance(evaluation: Evaluation) -> list[dict[str, Any]]:
    """Titles and (key, value) rows of everything that the evaluation rests on."""
    content = evaluation.content
    blocks = [
        ("Evaluation", {"folder": str(evaluation.path), **{k: content.get(k) for k in ("created", "seeds")}}),
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
