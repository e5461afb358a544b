"""The figures of a sweep, from its files: the metric against epoch per trial, and samples, trial by class."""

from __future__ import annotations

import json
from dataclasses import dataclass
from math import isfinite
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import yaml
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator
from PIL import Image

from raysynth.data.slices import picture_size
from raysynth.files import replacing
from raysynth.report.style import (
    EDGE,
    LINES,
    MUTED,
    PAGE_WIDTH,
    PIXELS_PER_INCH,
    clear_axis,
    house_style,
    marked,
    new_figure,
    plain,
)
from raysynth.report.svg import hover_lines
from raysynth.training.grid import PADDING

MAX_LABELLED = 16  # trials in the legend and among the samples
SAMPLES_PER_CLASS = 4
MARKS = {"leaky": "leaky split", "touches": "knows held-out images"}  # by `leakage` of a run
_MAX_TOLD = 6  # trials whose values are told under the pointer
_MIN_ROW = 0.7  # inches: three lines of parameters and one of the metric


@dataclass(frozen=True)
class Trial:
    """One trial of a sweep. `curve` is the metric by epoch; `value` its last finite value, NaN without one.

    `mark` is what must stand beside the metric where its validation images are not unseen.
    """

    name: str
    run: Path
    parameters: dict[str, str]
    status: str
    curve: pd.Series
    value: float
    mark: str


@dataclass(frozen=True)
class Sweep:
    """A sweep folder in memory: its trials, the best first. `varied` names the parameters that differ."""

    path: Path
    metric: str
    table: pd.DataFrame
    trials: list[Trial]
    varied: list[str]
    best: str

    def title(self, trial: Trial) -> str:
        """The parameters by which a trial differs from the others, or its name."""
        parts = [
            f"{plain(key, 20)} {plain(trial.parameters[key], 20)}" for key in self.varied if key in trial.parameters
        ]
        return ", ".join(parts) or plain(trial.name)


def draw_sweep(sweep: Path) -> list[Path]:
    """Write `metric.png` and `samples.png` into a sweep folder; return those there was something to draw for."""
    content = read_sweep(sweep)
    written = []
    for name, figure in (("metric.png", draw_metric(content)), ("samples.png", draw_samples(content))):
        if figure is not None:
            path = sweep / name
            with house_style(), replacing(path) as file:
                figure.savefig(file, format="png", dpi=1.5 * PIXELS_PER_INCH, facecolor="white")
            written.append(path)
    return written


def read_sweep(sweep: Path) -> Sweep:
    """Read `table.csv`, `best.json`, `space.yaml` and the runs of a sweep, as far as they exist."""
    best = _read_mapping(sweep / "best.json")
    space = _read_mapping(sweep / "space.yaml")
    metric = str(best.get("metric") or space.get("metric") or "frechet")
    try:
        table = pd.read_csv(sweep / "table.csv", dtype=str, keep_default_na=False)
    except (OSError, ValueError):
        table = pd.DataFrame()
    names = list(table.columns)
    keys = names[names.index("trial") + 1 : names.index("status")] if {"trial", "status"} <= set(names) else []
    rows = {str(row["trial"]): row for _, row in table.iterrows()} if "trial" in names else {}
    of_data = (_read_mapping(sweep / "sweep.json").get("data") or {}).get("leakage")
    trials = []
    for name, folder in _find_runs(sweep, rows).items():
        row = rows.get(name, pd.Series(dtype=str))
        curve = _read_curve(folder / "metrics.csv", metric)
        finite = curve[np.isfinite(curve)]
        value = float(finite.iloc[-1]) if len(finite) else float("nan")
        parameters = {key: str(row[key]) for key in keys if key in row}
        mark = MARKS.get(str(row.get("leakage") or of_data), "")
        trials.append(Trial(name, folder, parameters, str(row.get("status", "")), curve, value, mark))
    sign = -1.0 if str(space.get("mode", "min")) == "max" else 1.0
    trials.sort(key=lambda trial: (not isfinite(trial.value), sign * trial.value if isfinite(trial.value) else 0))
    varied = [key for key in keys if len({trial.parameters.get(key) for trial in trials}) > 1]
    return Sweep(sweep, metric, table, trials, varied, str(best.get("trial", "")))


def _find_runs(sweep: Path, rows: dict[str, pd.Series]) -> dict[str, Path]:
    """Trial -> run folder: those of the table first, then those that it does not know yet."""
    folders = {
        # The last part of the path only: the sweep may have been moved.
        trial: sweep / "runs" / Path(str(row.get("run") or trial)).name
        for trial, row in rows.items()
    }
    known = set(folders.values())
    others = [path for path in sorted((sweep / "runs").glob("*")) if path.is_dir() and path not in known]
    return folders | {path.name: path for path in others}


def _read_mapping(file: Path) -> dict[str, Any]:
    try:
        text = file.read_text(encoding="utf-8")
        content = json.loads(text) if file.suffix == ".json" else yaml.safe_load(text)
    except (OSError, ValueError, yaml.YAMLError):
        return {}
    return content if isinstance(content, dict) else {}


def _read_curve(file: Path, metric: str) -> pd.Series:
    try:
        table = pd.read_csv(file)
        numbers = table[["epoch", metric]].apply(pd.to_numeric, errors="coerce").dropna()
    except (OSError, ValueError, KeyError):  # no file yet, a half-written one, or a metric that was not measured
        return pd.Series(dtype=float)
    return numbers.set_index("epoch")[metric].astype(float)


def draw_metric(sweep: Sweep) -> Figure | None:
    """The metric against epoch, one line a trial, the best one thicker; None when nothing was measured."""
    trials = [trial for trial in sweep.trials if len(trial.curve)]
    if not trials:
        return None
    measured = np.concatenate([trial.curve.to_numpy() for trial in trials])
    measured = measured[np.isfinite(measured)]
    keys = sweep.varied
    heading = f"{', '.join(plain(key, 20) for key in keys) or 'trial'}: last {plain(sweep.metric, 20)}"
    with house_style():
        figure = new_figure(max(3.6, 1.0 + 0.21 * min(len(trials), MAX_LABELLED)))
        axes = figure.add_subplot()
        for place, trial in reversed(list(enumerate(trials))):
            labelled = place < MAX_LABELLED
            best = trial.name == sweep.best
            values = ", ".join(plain(trial.parameters[key], 20) for key in keys if key in trial.parameters)
            text = f"{values or plain(trial.name)}: {trial.value:.4g}{'  (best)' if best else ''}"
            text = marked(text, trial.mark, limit=200, between="  ")
            axes.plot(
                trial.curve.index,
                trial.curve,
                color=LINES[place % len(LINES)] if labelled else EDGE,
                linestyle="-" if place < len(LINES) else (0, (4, 2)),
                linewidth=2.6 if best else 1.4,
                marker="o" if len(trial.curve) < 30 else None,
                markersize=5 if best else 3,
                label=text if labelled else "_",
            )
        told = {
            sweep.title(trial): dict(zip(trial.curve.index.astype(float), trial.curve, strict=True))
            for trial in trials[:_MAX_TOLD]
        }
        hover_lines(axes, told, "epoch")
        if len(measured) and measured.min() > 0 and measured.max() / measured.min() > 8:
            axes.set_yscale("log")
            axes.yaxis.set_major_locator(LogLocator(10, subs=(1, 2, 5)))
            axes.yaxis.set_minor_formatter(FuncFormatter(lambda value, _: ""))
        axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        axes.set_xlabel("epoch")
        axes.set_ylabel(plain(sweep.metric))
        clear_axis(axes, grid="y")
        axes.tick_params(which="minor", length=0)
        handles, labels = axes.get_legend_handles_labels()
        figure.legend(handles[::-1], labels[::-1], loc="outside right upper", title=heading, alignment="left")
    return figure


def draw_samples(sweep: Sweep) -> Figure | None:
    """The newest samples of each trial (rows, the best first) by class (columns); None when there are none."""
    rows = [(trial, samples) for trial in sweep.trials if (samples := _read_samples(trial.run))][:MAX_LABELLED]
    if not rows:
        return None
    classes = list(dict.fromkeys(name for _, samples in rows for name in samples))
    height, width = next(iter(rows[0][1].values())).shape[1:3]
    gap, left, top, aspect = 0.08, 2.2, 0.35, width / height  # inches, as everything below
    room = (PAGE_WIDTH - left) / len(classes) - gap
    count = max(1, min(SAMPLES_PER_CLASS, int(room / (_MIN_ROW * aspect))))
    row_height = min(max(_MIN_ROW, room / (count * aspect)), 1.3)
    cell_width = row_height * count * aspect
    figure_width = left + len(classes) * (cell_width + gap)
    figure_height = top + len(rows) * (row_height + gap)
    with house_style():
        figure = Figure(figsize=(figure_width, figure_height))

        def write(x: float, y: float, text: str, **look: Any) -> None:
            figure.text(x / figure_width, 1 - y / figure_height, text, **look)

        for column, name in enumerate(classes):
            write(left + column * (cell_width + gap), 0.08, plain(name, 26), va="top", fontsize=9, fontweight="bold")
        for row, (trial, samples) in enumerate(rows):
            y = top + row * (row_height + gap)
            weight = "bold" if trial.name == sweep.best else "normal"
            lines = sweep.title(trial).split(", ")
            lines = [*lines[:2], plain(", ".join(lines[2:]))] if len(lines) > 3 else lines
            write(0.06, y, "\n".join(lines), va="top", fontsize=8.5, fontweight=weight)
            value = f"{plain(sweep.metric, 16)} {trial.value:.4g}" if isfinite(trial.value) else plain(trial.status)
            note = marked(f"best: {value}" if trial.name == sweep.best else value, trial.mark)
            write(0.06, y + row_height, note, va="bottom", fontsize=8, color=MUTED)
            for column, name in enumerate(classes):
                if name in samples:
                    shown = np.concatenate(list(samples[name][:count]), axis=1)
                    x, wide = left + column * (cell_width + gap), cell_width * min(count, len(samples[name])) / count
                    bottom = figure_height - y - row_height
                    box = (x / figure_width, bottom / figure_height, wide / figure_width, row_height / figure_height)
                    axes = figure.add_axes(box)
                    axes.imshow(shown, cmap="gray", vmin=0, vmax=255, interpolation="nearest", aspect="auto")
                    axes.set_axis_off()
    return figure


def _read_samples(run: Path) -> dict[str, np.ndarray]:
    """Class -> images (N, H, W) or (N, H, W, 3) uint8 of a run's newest sample grid; empty when there is none."""
    config = _read_mapping(run / "config.yaml").get("data")
    files = sorted((run / "samples").glob("epoch_*.png"))
    if not isinstance(config, dict) or not files:
        return {}
    try:
        names = [str(name) for name in config["classes"]]
        height, width = picture_size(tuple(int(length) for length in config["shape"]))
        with Image.open(files[-1]) as image:
            grid = np.asarray(image if image.mode in ("L", "RGB") else image.convert("RGB"))
    except (OSError, KeyError, TypeError, ValueError):
        return {}
    step_y, step_x = height + PADDING, width + PADDING
    num_columns = (grid.shape[1] - PADDING) // step_x
    if num_columns < 1 or grid.shape[0] < PADDING + len(names) * step_y:
        return {}
    cells = grid[PADDING : PADDING + len(names) * step_y, PADDING : PADDING + num_columns * step_x]
    cells = cells.reshape(len(names), step_y, num_columns, step_x, *grid.shape[2:])[:, :height, :, :width]
    return dict(zip(names, np.moveaxis(cells, 2, 1), strict=True))
