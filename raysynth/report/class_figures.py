"""Charts of the classes: their scores, confusions and predicted labels, and how many images there are of each."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from math import ceil
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.colors import to_rgba
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch, Rectangle
from matplotlib.ticker import MaxNLocator

from raysynth.report.figures import PERCENT, Kinds, Names
from raysynth.report.style import (
    COLOURS,
    EDGE,
    INK,
    LIGHT,
    MUTED,
    REAL,
    RULE,
    SHADE,
    clear_axis,
    house_style,
    new_figure,
    plain,
)
from raysynth.report.svg import hover_box, hover_row
from raysynth.report.tables import format_number, format_percent

MARKERS = "osD^vP*Xh"


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
                        told = f"{title} of {plain(class_name)}: {format_percent(mean[score][key])} %\n{names[name]}"
                        if high[score][key] > low[score][key]:
                            ends = (format_percent(edge[score][key]) for edge in (low, high))
                            told += f"\nseeds: {' to '.join(ends)} %"
                        hover_row(axes, y, told, height=0.72 / max(len(names), 1))
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
    """Panels side by side: three or four, whichever leaves fewer places of the last row empty; four as two by two."""
    if num_panels <= 4:
        return 2 if num_panels == 4 else max(num_panels, 1)
    return min((3, 4), key=lambda columns: -num_panels % columns)


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
            _draw_cells(axes, counts, shares, [plain(name) for name in classes], names[name])
            axes.set_title(names[name])
            axes.set_xlim(0, size)
            axes.set_ylim(size, 0)
            axes.set_xticks(np.arange(size) + 0.5, words, rotation=90 if turned else 0)
            axes.set_yticks(np.arange(size) + 0.5, words)
            lowest = place // columns == rows - 1  # of this row only: labels elsewhere would drive the rows apart
            axes.tick_params(length=0, labelsize=8.5 if size <= 6 else 7, labelbottom=lowest)
            axes.spines[:].set_visible(False)
            axes.set_xlabel("predicted" if lowest else "")
            axes.set_ylabel("true" if place % columns == 0 else "")
    return figure


def _draw_cells(axes: Axes, counts: np.ndarray, shares: np.ndarray, classes: Sequence[str], training_set: str) -> None:
    """Cells as dark as their share, by opacity, so that they also look right on a dark page; counts where they fit."""
    size = len(counts)
    font_size = 9 if size <= 6 else 7
    for (row, column), count in np.ndenumerate(counts):
        share = float(shares[row, column])
        shade = to_rgba(SHADE, 0.04 + 0.96 * share)
        axes.add_patch(Rectangle((column + 0.015, row + 0.015), 0.97, 0.97, facecolor=shade, linewidth=0))
        if size <= 12:
            text = f"{count:,.0f}\n{100 * share:.0f} %" if size <= 6 else f"{count:,.0f}"
            colour = "white" if share > 0.65 else INK if count else MUTED
            axes.text(column + 0.5, row + 0.5, text, ha="center", va="center", color=colour, fontsize=font_size)
        told = f"{classes[row]}, taken for {classes[column]}" if row != column else f"{classes[row]}, recognised"
        told = f"{training_set}\n{told}\n{count:,.0f} of {counts[row].sum():,.0f} ({100 * share:.1f} %)"
        hover_box(axes, column, row, 1, 1, told)


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
            axes.barh(places - 0.2, mean["real"], 0.36, color=EDGE)
            axes.barh(places + 0.2, mean["predicted"], 0.36, color=colour)
            axes.hlines(places + 0.2, low["predicted"], high["predicted"], color=INK, linewidth=1.2)
            for place, class_name in enumerate(classes):
                real, predicted = (format_number(mean[column].iloc[place]) for column in ("real", "predicted"))
                told = f"{names[name]}\n{plain(class_name)}: {predicted} predicted, {real} real"
                hover_row(axes, place, told)
            axes.set_title(names[name])
            axes.set_yticks(places, [plain(class_name, 20) for class_name in classes])
            axes.set_ylim(len(classes) - 0.5, -0.5)
            axes.xaxis.set_major_locator(MaxNLocator(5, integer=True))
            clear_axis(axes, grid="x")
        for axes in panels:  # those left over
            axes.set_visible(False)
        present = [kind for kind in COLOURS if kind in {kinds[name] for name in names}]
        words = {"real": "real", "synthetic": "generated", "mixed": "mixed", "distilled": "generated, softly labelled"}
        marks = [Patch(color=EDGE, label="real labels of the test images")]
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
    shades = {"train": REAL, "validation": LIGHT["real"], "test": EDGE}
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
                parts = [(split, counts.get(split, {}).get(classes[row], 0)) for split in shades]
                told = "".join(f"\n{part:,.0f} {split}" for split, part in parts if part)
                hover_row(axes, row, f"{label}\n{plain(classes[row])}: {count:,.0f} images{told}")
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
