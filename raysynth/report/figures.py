"""The charts of an evaluation's scores: verdict, accuracy, classes, confusion, predicted labels."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from math import ceil, isfinite
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from matplotlib.ticker import FuncFormatter, MaxNLocator

from raysynth.report.style import (
    COLOURS,
    INK,
    LIGHT,
    MUTED,
    REAL,
    RULE,
    clear_axis,
    house_style,
    new_figure,
    plain,
)

Kinds = Mapping[str, str]  # training set -> real, synthetic or mixed
Names = Mapping[str, str]  # training set or synthetic set -> what it is called in a figure, marks included
PERCENT = FuncFormatter(lambda value, _: f"{100 * value:g} %")
POINTS = FuncFormatter(lambda value, _: f"{value:+g}".replace("-", "−") if value else "0")
MARKERS = "osD^vP*Xh"
_SHARES = LinearSegmentedColormap.from_list("shares", ["#ffffff", "#d3e3f0", "#5b9bc8", "#0a4a78"])


def draw_verdict(items: Sequence[Mapping[str, Any]], names: Names) -> Figure:
    """How far each synthetic set moves the accuracy, in percentage points with its interval, about zero.

    One panel for sets that are added to the real images and one for sets that replace them: their scales differ.
    """
    titles = {"mixed": "Added to the real images", "synthetic": "In place of the real images"}
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


def _kind(item: Mapping[str, Any]) -> str:
    return "mixed" if item.get("kind") == "mixed" else "synthetic"


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


def draw_class_scores(class_scores: pd.DataFrame, classes: Sequence[str], names: Names, kinds: Kinds) -> Figure:
    """Recall, precision and F1 of each class, one mark a training set: mean over seeds, and their range."""
    with house_style():
        figure = new_figure(1.1 + len(classes) * max(0.36, 0.12 * len(names) + 0.12))
        panels = figure.subplots(1, 3, sharey=True, sharex=True, squeeze=False)[0]
        look = _marks(names, kinds)
        groups = class_scores.groupby(["trained_on", "class"])[["recall", "precision", "f1"]]
        low, mean, high = groups.min(), groups.mean(), groups.max()
        for axes, score, title in zip(
            panels, ("recall", "precision", "f1"), ("Recall", "Precision", "F1"), strict=True
        ):
            for place, name in enumerate(names):
                shift = (place - (len(names) - 1) / 2) * 0.72 / max(len(names), 1)
                for row, class_name in enumerate(classes):
                    if (key := (name, class_name)) in mean.index:
                        y = row + shift
                        axes.plot([low[score][key], high[score][key]], [y, y], color=COLOURS[kinds[name]], alpha=0.4)
                        axes.plot(mean[score][key], y, **look[name])
            axes.set_title(title)
            axes.xaxis.set_major_formatter(PERCENT)
            axes.xaxis.set_major_locator(MaxNLocator(5))
            axes.set_yticks(range(len(classes)), [plain(name, 22) for name in classes])
            axes.set_ylim(len(classes) - 0.5, -0.5)
            for edge in range(len(classes) - 1):
                axes.axhline(edge + 0.5, color=RULE, linewidth=0.8)
            clear_axis(axes, grid="x")
        marks = [Line2D([], [], label=label, **look[name]) for name, label in names.items()]
        figure.legend(handles=marks, loc="outside lower left", ncols=min(4, max(len(names), 1)))
    return figure


def _marks(names: Names, kinds: Kinds) -> dict[str, dict[str, Any]]:
    """Colour by kind of training set, shape by the order within the kind."""
    seen: dict[str, int] = {}
    look: dict[str, dict[str, Any]] = {}
    for name in names:
        kind = kinds[name]
        place = seen[kind] = seen.get(kind, -1) + 1
        look[name] = {
            "color": COLOURS[kind],
            "marker": MARKERS[place % len(MARKERS)],
            "linestyle": "none",
            "markersize": 5.5,
            "fillstyle": "none" if kind == "real" and place else "full",
        }
    return look


def _columns(num_panels: int) -> int:
    """Panels side by side: at most three, and no lonely one in the second row."""
    return 2 if num_panels == 4 else min(3, max(num_panels, 1))


def draw_confusion(confusion: pd.DataFrame, classes: Sequence[str], names: Names) -> Figure:
    """One matrix a training set: rows are true classes, cells are counts coloured by the share of their row."""
    columns = _columns(len(names))
    rows = ceil(len(names) / columns) or 1
    size = len(classes)
    words = [re.sub(r"[\s_-]+", "\n", plain(name, 22), count=1) for name in classes]
    longest = max((len(line) for word in words for line in word.split("\n")), default=0)
    turned = longest * size * columns > 150  # too long to stand side by side
    if turned:
        words = [plain(name, 16) for name in classes]
    with house_style():
        figure = new_figure(0.7 + 0.8 * turned + rows * (0.4 + max(size, 2) * (0.5 if size <= 6 else 0.3)), gap=0.06)
        panels = list(figure.subplots(rows, columns, sharex=True, sharey=True, squeeze=False).flat)
        for axes in panels:
            axes.set_visible(False)
        for place, (name, axes) in enumerate(zip(names, panels, strict=False)):
            axes.set_visible(True)
            counts = (
                confusion[confusion["trained_on"] == name]
                .pivot_table(index="label", columns="predicted", values="count", aggfunc="sum", fill_value=0)
                .reindex(index=list(classes), columns=list(classes), fill_value=0)
                .to_numpy(dtype=float)
            )
            shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
            axes.pcolormesh(shares, cmap=_SHARES, vmin=0, vmax=1, edgecolors="white", linewidth=1)
            if size <= 12:
                _write_cells(axes, counts, shares)
            axes.set_title(names[name])
            axes.set_xlim(0, size)
            axes.set_ylim(size, 0)
            axes.set_xticks(np.arange(size) + 0.5, words, rotation=90 if turned else 0)
            axes.set_yticks(np.arange(size) + 0.5, words)
            lowest = place + columns >= len(names)
            axes.tick_params(length=0, labelsize=8.5 if size <= 6 else 7, labelbottom=lowest)
            axes.spines[:].set_visible(False)
            axes.set_xlabel("predicted" if lowest else "")
            axes.set_ylabel("true" if place % columns == 0 else "")
    return figure


def _write_cells(axes: Axes, counts: np.ndarray, shares: np.ndarray) -> None:
    size = 9 if len(counts) <= 6 else 7
    for (row, column), count in np.ndenumerate(counts):
        share = shares[row, column]
        text = f"{count:,.0f}\n{100 * share:.0f} %" if len(counts) <= 6 else f"{count:,.0f}"
        colour = "white" if share > 0.55 else INK if count else MUTED
        axes.text(column + 0.5, row + 0.5, text, ha="center", va="center", color=colour, fontsize=size)


def draw_label_counts(counts: pd.DataFrame, classes: Sequence[str], names: Names, kinds: Kinds) -> Figure:
    """Test images of each class beside how many were predicted as it (mean over seeds, their range as a line)."""
    columns = _columns(len(names))
    rows = ceil(len(names) / columns) or 1
    places = np.arange(len(classes))
    with house_style():
        figure = new_figure(0.4 + rows * (0.75 + 0.36 * max(len(classes), 2)))
        panels = iter(figure.subplots(rows, columns, sharex=True, sharey=True, squeeze=False).flat)
        for name, axes in zip(names, panels, strict=False):
            groups = counts[counts["trained_on"] == name].groupby("class")[["real", "predicted"]]
            mean, low, high = (part.reindex(list(classes)) for part in (groups.mean(), groups.min(), groups.max()))
            colour = COLOURS[kinds[name]]
            axes.barh(places - 0.2, mean["real"], 0.36, color="#b8bfc8")
            axes.barh(places + 0.2, mean["predicted"], 0.36, color=colour)
            axes.hlines(places + 0.2, low["predicted"], high["predicted"], color=INK, linewidth=1.2)
            axes.set_title(names[name])
            axes.set_yticks(places, [plain(class_name, 20) for class_name in classes])
            axes.set_ylim(len(classes) - 0.5, -0.5)
            axes.xaxis.set_major_locator(MaxNLocator(5, integer=True))
            clear_axis(axes, grid="x")
        for axes in panels:  # those left over
            axes.set_visible(False)
        present = [kind for kind in COLOURS if kind in {kinds[name] for name in names}]
        words = {"real": "real", "synthetic": "generated", "mixed": "mixed"}
        marks = [Patch(color="#b8bfc8", label="real labels of the test images")]
        marks += [Patch(color=COLOURS[kind], label=f"predicted, trained on {words[kind]} images") for kind in present]
        figure.legend(handles=marks, loc="outside upper right", ncols=len(marks))
    return figure


def draw_class_distribution(
    sets: Sequence[tuple[str, str, Mapping[str, Mapping[str, int]]]], classes: Sequence[str]
) -> Figure:
    """Images of each class in every data set, real splits stacked, the sum beside the bar.

    `sets` holds (label, kind, split -> class -> count).
    """
    columns = _columns(len(sets))
    rows = ceil(len(sets) / columns) or 1
    shades = {"train": REAL, "validation": LIGHT["real"], "test": "#b8bfc8"}
    with house_style():
        figure = new_figure(0.4 + rows * (0.75 + 0.3 * max(len(classes), 2)))
        panels = iter(figure.subplots(rows, columns, sharex=True, sharey=True, squeeze=False).flat)
        for (label, kind, counts), axes in zip(sets, panels, strict=False):
            total = np.zeros(len(classes))
            for split, colour in shades.items():
                number = np.array([float(counts.get(split, {}).get(c, 0)) for c in classes])
                axes.barh(
                    range(len(classes)), number, 0.62, left=total, color=colour if kind == "real" else COLOURS[kind]
                )
                total = total + number
            for row, count in enumerate(total):
                axes.text(count, row, f" {count:,.0f}", va="center", color=MUTED, fontsize=8.5)
            axes.set_title(label)
            axes.set_yticks(range(len(classes)), [plain(class_name, 20) for class_name in classes])
            axes.set_ylim(len(classes) - 0.5, -0.5)
            axes.xaxis.set_major_locator(MaxNLocator(4, integer=True))
            clear_axis(axes, grid="x")
        most = max((sum(s.get(c, 0) for s in counts.values()) for _, _, counts in sets for c in classes), default=0)
        axes.set_xlim(0, 1.16 * max(most, 1))  # shared by all
        for axes in panels:  # those left over
            axes.set_visible(False)
        marks = [Patch(color=colour, label=f"real, {split}") for split, colour in shades.items()]
        marks += [Patch(color=COLOURS["synthetic"], label="synthetic")] if len(sets) > 1 else []
        figure.legend(handles=marks, loc="outside upper right", ncols=len(marks))
    return figure


def _number(value: Any) -> float:
    return float(value) if isinstance(value, (int, float)) else float("nan")
