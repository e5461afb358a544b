"""How near to train images generated images are, beside real ones that no model has seen."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from raysynth.report.style import LINES, MUTED, REAL, clear_axis, house_style, new_figure
from raysynth.report.svg import hover_lines

_PLACES = 60  # at which a line has its values


def draw_distances(
    held_out: pd.DataFrame, sets: Mapping[str, pd.DataFrame], names: Mapping[str, str], threshold: float
) -> Figure:
    """Cumulated shares of `ratio` and `score` of held-out real images and of each set; tables with these columns."""
    with house_style():
        figure = new_figure(3.4, gap=0.06)
        left, right = figure.subplots(1, 2)
        lines = {"real, held out": (held_out, REAL, 2.2)}
        colours = [colour for colour in LINES if colour != REAL]
        for place, (name, rows) in enumerate(sets.items()):
            lines[names[name]] = (rows, colours[place % len(colours)], 1.5)
        for axes, column, title in (
            (left, "ratio", "distance to train over distance to held-out"),
            (right, "score", "score"),
        ):
            _draw_shares(axes, {label: (rows[column], *look) for label, (rows, *look) in lines.items()}, title)
        right.axvline(threshold, color=MUTED, linewidth=1, linestyle=(0, (4, 3)))
        right.text(threshold, 0.98, " threshold", color=MUTED, fontsize=8.5, va="top")
        marks = [
            Line2D([], [], color=colour, linewidth=width, label=label) for label, (_, colour, width) in lines.items()
        ]
        figure.legend(handles=marks, loc="outside upper right", ncols=min(len(marks), 4))
    return figure


def _draw_shares(axes: Axes, lines: Mapping[str, tuple], title: str) -> None:
    finite = np.concatenate([values[np.isfinite(values)] for values, *_ in lines.values()])
    top = float(np.quantile(finite, 0.99)) if len(finite) else 1.0
    places = np.linspace(0, max(top, 1e-3), _PLACES)
    told = {}
    for label, (values, colour, width) in lines.items():
        # An infinite score is of a blank image: it counts, far to the right.
        known = np.sort(values.dropna())
        shares = np.searchsorted(known, places, side="right") / max(len(known), 1)
        axes.plot(places, shares, color=colour, linewidth=width)
        told[label] = dict(zip(places.tolist(), shares.tolist(), strict=True))
    axes.set_xlim(0, places[-1])
    axes.set_ylim(0, 1)
    axes.set_xlabel(title)
    axes.set_ylabel("share of images below")
    clear_axis(axes, grid="y")
    hover_lines(axes, told, title)
