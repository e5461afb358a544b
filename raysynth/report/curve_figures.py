"""The charts of the curves: accuracy against the number of real images, and against the ratio of synthetic ones."""

from __future__ import annotations

from collections.abc import Mapping

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import NullLocator

from raysynth.report.figures import PERCENT
from raysynth.report.style import MIXED, MUTED, REAL, clear_axis, house_style, new_figure
from raysynth.report.svg import hover_column
from raysynth.report.tables import format_percent, format_points

COLOURS = {"real, not augmented": MUTED, "real": REAL, "real and synthetic": MIXED}
SPREAD = 1.035  # factor between the arms of one number of images, so that their intervals stand beside each other


def draw_by_number(points: pd.DataFrame, arms: Mapping[str, str]) -> Figure:
    """Three lines over the number of real images, on a logarithmic axis."""
    with house_style():
        figure = new_figure(3.6)
        axes = figure.add_subplot()
        axes.set_xscale("log")
        known = [arm for arm in arms if (points["arm"] == arm).any()]
        for place, arm in enumerate(known):
            rows = points[points["arm"] == arm].sort_values("num_real")
            shift = SPREAD ** (place - (len(known) - 1) / 2)
            _draw_line(axes, rows["num_real"] * shift, rows, COLOURS[arm], arms[arm])
        numbers = sorted(points["num_real"].unique())
        for number in numbers:
            told = "\n".join(
                f"{arms[row['arm']]}: {format_percent(row['accuracy'])} %"
                for row in points[points["num_real"] == number].to_dict("records")
                if row["arm"] in arms
            )
            hover_column(axes, number / 1.3, number * 1.3, f"{number:,.0f} real images\n{told}")
        axes.set_xticks(numbers, [f"{number:,.0f}" for number in numbers])
        axes.xaxis.set_minor_locator(NullLocator())
        _finish(axes, "real train images")
        axes.legend(loc="lower right")
    return figure


def draw_by_ratio(points: pd.DataFrame) -> Figure:
    """One line over the ratio, equal steps between the ratios that were tried."""
    with house_style():
        figure = new_figure(3.0)
        axes = figure.add_subplot()
        rows = points.sort_values("ratio").reset_index(drop=True)
        _draw_line(axes, pd.Series(rows.index, dtype=float), rows, MIXED, "")
        axes.axhline(rows["accuracy"].iloc[0], color=REAL, linewidth=1, linestyle=(0, (4, 3)), zorder=0)
        for place, row in enumerate(rows.to_dict("records")):
            told = f"{row['num_synthetic']:,.0f} synthetic images, {row['num_real']:,.0f} real ones\n"
            told += f"{format_percent(row['accuracy'])} %"
            if row["difference"] == row["difference"]:
                told += f": {format_points(row['difference'])} points"
            hover_column(axes, place - 0.5, place + 0.5, told)
        axes.set_xticks(range(len(rows)), [f"{ratio:g}" for ratio in rows["ratio"]])
        _finish(axes, "synthetic images for one real image")
    return figure


def _draw_line(axes: Axes, places: pd.Series, rows: pd.DataFrame, colour: str, label: str) -> None:
    axes.vlines(places, rows["accuracy_low"], rows["accuracy_high"], color=colour, linewidth=3, alpha=0.3)
    axes.plot(places, rows["accuracy"], "o-", color=colour, markersize=6, linewidth=1.6, label=label or None)


def _finish(axes: Axes, label: str) -> None:
    axes.set_xlabel(label)
    axes.set_ylabel("test accuracy")
    axes.yaxis.set_major_formatter(PERCENT)
    clear_axis(axes, grid="y")
