"""The charts of an evaluation's scores: verdict and accuracy."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import isfinite
from typing import Any

import pandas as pd
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FuncFormatter, MaxNLocator

from raysynth.report.style import (
    COLOURS,
    INK,
    MUTED,
    REAL,
    clear_axis,
    house_style,
    new_figure,
    plain,
)
from raysynth.report.svg import hover_row
from raysynth.report.tables import format_percent, format_points

Kinds = Mapping[str, str]  # training set -> real, synthetic, mixed or distilled
Names = Mapping[str, str]  # training set or synthetic set -> what it is called in a figure, marks included
PERCENT = FuncFormatter(lambda value, _: f"{100 * value:g} %")
POINTS = FuncFormatter(lambda value, _: f"{value:+g}".replace("-", "−") if value else "0")


def draw_verdict(items: Sequence[Mapping[str, Any]], names: Names) -> Figure:
    """How far each synthetic set moves the accuracy, in percentage points with its interval, about zero.

    One panel for sets that are added to the real images and one for sets that replace them: their scales differ.
    """
    titles = {
        "mixed": "Added to the real images",
        "synthetic": "In place of the real images",
        "distilled": "In their place, distilled",
    }
    kinds = [kind for kind in titles if any(_kind(item) == kind for item in items)]
    places = {name: row for row, name in enumerate(names)}
    with house_style():
        figure = new_figure(0.95 + 0.36 * len(names), gap=0.12)
        panels = figure.subplots(1, len(kinds), sharey=True, squeeze=False)[0]
        for axes, kind in zip(panels, kinds, strict=True):
            limits, texts = [0.0], [""] * len(names)
            for item in (item for item in items if _kind(item) == kind):
                row = places[str(item.get("synthetic"))]
                middle, low, high = (100 * _number(item.get(key)) for key in ("difference", "low", "high"))
                axes.plot(
                    [low, high], [row, row], color=COLOURS[kind], linewidth=3.5, solid_capstyle="round", alpha=0.5
                )
                axes.plot(middle, row, "o", color=COLOURS[kind], markersize=8.5)
                limits += [value for value in (middle, low, high) if isfinite(value)]
                texts[row] = plain(item.get("conclusion", ""))
                hover_row(axes, row, _describe_comparison(item, names))
            room = max(0.08 * (max(limits) - min(limits)), 0.5)
            axes.set_xlim(min(limits) - room, max(limits) + room)
            axes.axvline(0, color=INK, linewidth=1.2, zorder=1)
            axes.xaxis.set_major_formatter(POINTS)
            axes.xaxis.set_major_locator(MaxNLocator(6, steps=[1, 2, 5, 10]))
            axes.set_title(titles[kind])
            axes.set_xlabel("percentage points of test accuracy")
            axes.set_yticks(range(len(names)), list(names.values()))
            clear_axis(axes, grid="x")
            right = axes.secondary_yaxis("right")
            right.set_yticks(range(len(names)), texts)
            right.tick_params(length=0)
            right.spines["right"].set_visible(False)
        panels[0].set_ylim(len(names) - 0.45, -0.55)
    return figure


def _describe_comparison(item: Mapping[str, Any], names: Names) -> str:
    difference, low, high = (format_points(item.get(key)) for key in ("difference", "low", "high"))
    baseline_name = plain(item.get("baseline", ""))
    accuracy, baseline = (format_percent(item.get(key)) for key in ("accuracy", "baseline_accuracy"))
    return (
        f"{names[str(item.get('synthetic'))]}: {plain(item.get('conclusion', ''))}\n"
        f"{difference} points, 95 % interval {low} to {high}\n{accuracy} % against {baseline} % ({baseline_name})"
    )


def _kind(item: Mapping[str, Any]) -> str:
    return {"mixed": "mixed", "distilled": "distilled"}.get(str(item.get("kind")), "synthetic")


def draw_accuracy(summary: pd.DataFrame, scores: pd.DataFrame, names: Names, kinds: Kinds) -> Figure:
    """Test accuracy of every training set: mean, 95 % Wilson interval, each seed; and the fit, hollow."""
    with house_style():
        figure = new_figure(1.0 + 0.42 * len(names))
        axes = figure.add_subplot()
        test = summary[summary["split"] == "test"].set_index("trained_on")
        fit = summary[summary["split"] == "fit"].set_index("trained_on")
        for row, name in enumerate(names):
            colour = COLOURS[kinds[name]]
            if name in fit.index:
                axes.plot(fit["accuracy_mean"][name], row, "D", color=colour, markersize=5, fillstyle="none", alpha=0.8)
            if name not in test.index:
                continue
            each = scores[(scores["trained_on"] == name) & (scores["split"] == "test")]["accuracy"]
            interval = test.loc[name, ["accuracy_low", "accuracy_high"]].astype(float)
            axes.plot(interval, [row, row], color=colour, linewidth=3, solid_capstyle="round", alpha=0.45)
            axes.plot(each, [row + 0.24] * len(each), "|", color=colour, markersize=6, alpha=0.9)
            axes.plot(test["accuracy_mean"][name], row, "o", color=colour, markersize=8)
            low, high = (format_percent(value) for value in interval)
            told = f"{names[name]}\n{format_percent(test['accuracy_mean'][name])} % of the test images"
            told += f"\n95 % interval {low} to {high}\nseeds: {', '.join(format_percent(value) for value in each)}"
            if name in fit.index:
                told += f"\nown training images: {format_percent(fit['accuracy_mean'][name])} %"
            hover_row(axes, row, told)
        real = next((name for name in names if kinds[name] == "real" and name in test.index), None)
        if real is not None:
            axes.axvline(test["accuracy_mean"][real], color=REAL, linewidth=1, linestyle=(0, (4, 3)), zorder=0)
        axes.set_yticks(range(len(names)), list(names.values()))
        axes.set_ylim(len(names) - 0.5, -0.5)
        axes.xaxis.set_major_formatter(PERCENT)
        axes.set_xlabel("accuracy")
        clear_axis(axes, grid="x")
        marks = [
            Line2D([], [], color=MUTED, marker="o", linewidth=3, markersize=7, alpha=0.7, label="test, 95 % interval"),
            Line2D([], [], color=MUTED, marker="|", linewidth=0, markersize=7, label="test, each seed"),
            Line2D([], [], color=MUTED, marker="D", linewidth=0, fillstyle="none", label="its own training images"),
        ]
        figure.legend(handles=marks, loc="outside upper right", ncols=3)
    return figure


def _number(value: Any) -> float:
    return float(value) if isinstance(value, (int, float)) else float("nan")
