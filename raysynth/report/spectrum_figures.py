"""The spectra of real and synthetic images: how much detail there is at each size."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import ceil
from typing import Any

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, NullFormatter

from raysynth.report.style import LINES, MUTED, REAL, clear_axis, house_style, new_figure, plain
from raysynth.report.svg import hover_lines

MAX_PANELS = 24
Spectra = Mapping[str, pd.Series]  # label -> power by frequency
FACTORS = FuncFormatter(lambda value, _: f"{value:g}")
_OTHERS = [colour for colour in LINES if colour != REAL]


def draw_spectra(real: pd.Series, held_out: pd.Series | None, made: Spectra) -> Figure:
    """Power by frequency of real and synthetic images, and the ratio to that of the real train images."""
    with house_style():
        figure = new_figure(3.6, gap=0.08)
        left, right = figure.subplots(1, 2)
        shown = {"real, train": real} | ({} if held_out is None else {"real, validation": held_out}) | dict(made)
        for label, power in shown.items():
            left.plot(power.index, power, **_look(label, list(made)), label=label)
        left.set_yscale("log")
        left.set_ylabel("power, grey values squared")
        left.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,g}"))
        left.yaxis.set_minor_formatter(NullFormatter())
        left.set_title("power")
        hover_lines(left, _values(shown), "cycles per pixel")
        draw_ratios(right, real, held_out, made)
        right.set_title("power over that of real train images")
        for axes in (left, right):
            axes.set_xlabel("spatial frequency, cycles per pixel")
            clear_axis(axes, grid="y")
        figure.legend(*left.get_legend_handles_labels(), loc="outside upper right", ncols=4)
    return figure


def draw_class_spectra(
    spectra: Mapping[str, tuple[pd.Series, pd.Series | None, Spectra]], names: Sequence[str]
) -> Figure:
    """The ratios of `draw_spectra` for each class, at most 24: class -> (real train, real validation, made)."""
    chosen = list(spectra)[:MAX_PANELS]
    columns = min(4, len(chosen))
    rows = ceil(len(chosen) / columns)
    with house_style():
        figure = new_figure(0.5 + 2.0 * rows)
        panels = figure.subplots(rows, columns, sharex=True, sharey=True, squeeze=False).ravel()
        for axes, name in zip(panels, chosen, strict=False):
            draw_ratios(axes, *spectra[name], names=names)
            axes.set_title(plain(name, 28))
            clear_axis(axes, grid="y")
        for axes in panels[len(chosen) :]:
            axes.set_visible(False)
        handles, labels = panels[0].get_legend_handles_labels()
        figure.legend(handles, labels, loc="outside upper right", ncols=4)
        figure.supxlabel("spatial frequency, cycles per pixel", fontsize=9, color=MUTED)
    return figure


def draw_ratios(
    axes: Axes, real: pd.Series, held_out: pd.Series | None, made: Spectra, *, names: Sequence[str] = ()
) -> None:
    """Lines of power over that of real train images, on a logarithmic axis about 1."""
    shown = ({} if held_out is None else {"real, validation": held_out}) | dict(made)
    ratios = {label: (power / real).clip(lower=1e-4) for label, power in shown.items()}
    axes.axhline(1, color=REAL, linewidth=1.8)
    for label, ratio in ratios.items():
        axes.plot(ratio.index, ratio, **_look(label, list(names or made)), label=label)
    axes.set_yscale("log")
    lowest = min([0.5, *(float(ratio.min()) for ratio in ratios.values())])
    highest = max([2.0, *(float(ratio.max()) for ratio in ratios.values())])
    axes.set_ylim(lowest / 1.15, highest * 1.15)
    ticks = [0.001, 0.01, 0.03, 0.1, 0.2, 0.5, 1, 2, 5, 10, 30, 100, 1000]
    axes.set_yticks([tick for tick in ticks if lowest / 1.15 <= tick <= highest * 1.15])
    axes.yaxis.set_major_formatter(FACTORS)
    axes.yaxis.set_minor_formatter(NullFormatter())
    axes.minorticks_off()
    hover_lines(axes, _values(ratios), "cycles per pixel")


def _values(lines: Spectra) -> dict[str, dict[float, float]]:
    return {label: dict(zip(line.index.astype(float), line, strict=True)) for label, line in lines.items()}


def _look(label: str, made: Sequence[str]) -> dict[str, Any]:
    if label not in made:
        return {"color": REAL, "linewidth": 1.8, "linestyle": "-" if label == "real, train" else (0, (2, 2))}
    place = made.index(label)
    return {
        "color": _OTHERS[place % len(_OTHERS)],
        "linewidth": 1.5,
        "linestyle": "-" if place < len(_OTHERS) else "--",
    }
