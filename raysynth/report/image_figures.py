"""Images side by side, and the distributions of their intensities."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import ceil

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from raysynth.data.dataset import Dataset, tensor_column
from raysynth.report.style import (
    GENERATED,
    INK,
    MUTED,
    REAL,
    clear_axis,
    house_style,
    new_figure,
    plain,
)
from raysynth.report.svg import hover_column, hover_row

MAX_PANELS = 24
_MAX_TOLD = 8  # panels of one figure that tell their values: each has 64, which take time to draw
GAP = 2  # pixels between the images of a strip


def choose_images(dataset: Dataset, class_name: str, split: str, num_images: int) -> np.ndarray:
    """Up to `num_images` images (N, C, H, W) uint8 of a class, spread evenly over the order of the data set."""
    table = dataset.read(["label", "split"])
    is_wanted = (table["label"].to_numpy() == dataset.classes.index(class_name)) & (table["split"].to_numpy() == split)
    rows = np.flatnonzero(is_wanted)
    if len(rows):
        rows = rows[np.unique(np.linspace(0, len(rows) - 1, num_images).astype(int))]
    return tensor_column(dataset.take(["image"], rows), "image")


def join_images(images: np.ndarray, columns: int) -> np.ndarray:
    """Images (N, C, H, W) uint8 as one picture (C, H', W') of rows of `columns`, white between them."""
    num_images, channels, height, width = images.shape
    rows = ceil(num_images / columns)
    picture = np.full((channels, rows * (height + GAP) - GAP, columns * (width + GAP) - GAP), 255, np.uint8)
    for place, image in enumerate(images):
        top, left = (place // columns) * (height + GAP), (place % columns) * (width + GAP)
        picture[:, top : top + height, left : left + width] = image
    return picture


def draw_intensities(
    histograms: pd.DataFrame, ks: pd.DataFrame, synthetic: str, channels: Sequence[str], *, label: str
) -> Figure:
    """Pixel intensities of all real train images and of a synthetic set: histogram, and cumulated with the KS gap.

    `label` is what the figure calls the synthetic set.
    """
    rows = len(channels)
    with house_style():
        figure = new_figure(0.5 + 2.5 * rows)
        for row, channel in enumerate(channels):
            real, made = (shares(histograms, source, "all", channel) for source in ("real", synthetic))
            left, right = figure.add_subplot(rows, 2, 2 * row + 1), figure.add_subplot(rows, 2, 2 * row + 2)
            _draw_histogram(left, real, made, zero_note=True, tell=True)
            left.set_title(plain(f"{channel}: histogram"))
            left.set_ylabel("% of pixels")
            statistic = ks[(ks["synthetic"] == synthetic) & (ks["class"] == "all") & (ks["channel"] == channel)]
            _draw_cumulated(right, real, made, None if statistic.empty else float(statistic["statistic"].iloc[0]))
            right.set_title(plain(f"{channel}: cumulated"))
            if row == rows - 1:
                left.set_xlabel("intensity, 0 to 255")
                right.set_xlabel("intensity, 0 to 255")
        figure.legend(handles=_marks(label), loc="outside upper right", ncols=2)
    return figure


def draw_distances(ks: pd.DataFrame, labels: Mapping[str, str]) -> Figure:
    """KS statistics, one row a set (name -> what it is called; "real" is the validation images), a panel a view."""
    titles = {"all": "All pixels", "foreground": "Without background"}
    views = [pixels for pixels in titles if (ks["pixels"] == pixels).any()]
    names = [name for name in labels if (ks["synthetic"] == name).any()]
    worst = ks.groupby(["pixels", "synthetic", "class"])["statistic"].max()
    with house_style():
        figure = new_figure(0.95 + 0.36 * len(names), gap=0.08)
        panels = figure.subplots(1, len(views), sharex=True, sharey=True, squeeze=False)[0]
        for axes, pixels in zip(panels, views, strict=True):
            for row, name in enumerate(names):
                found = worst.get((pixels, name), pd.Series(dtype=float))
                colour = REAL if name == "real" else GENERATED
                of_class = found.drop("all", errors="ignore")
                axes.plot(of_class, [row] * len(of_class), "|", color=colour, markersize=11, alpha=0.7)
                if "all" in found:
                    axes.plot(found["all"], row, "o", color=colour, markersize=8)
                    if name == "real":
                        axes.axvline(found["all"], color=REAL, linewidth=1, linestyle=(0, (4, 3)), zorder=0)
                told = [f"{plain(class_name)}: {value:.4f}" for class_name, value in found.items()]
                hover_row(axes, row, "\n".join([labels[name], *told]))
            axes.set_title(titles[pixels])
            axes.set_yticks(range(len(names)), [labels[name] for name in names])
            axes.set_ylim(len(names) - 0.5, -0.5)
            axes.set_xlim(left=0)
            axes.set_xlabel("KS statistic")
            clear_axis(axes, grid="x")
    return figure


def draw_class_intensities(
    histograms: pd.DataFrame, synthetic: str, classes: Sequence[str], channels: Sequence[str], *, label: str
) -> Figure:
    """The histograms of `draw_intensities` for each class (and channel) on its own, at most 24 of them."""
    panels = [(name, channel) for channel in channels for name in classes][:MAX_PANELS]
    columns = min(4, len(panels))
    rows = ceil(len(panels) / columns)
    with house_style():
        figure = new_figure(0.5 + 1.75 * rows)
        for place, (name, channel) in enumerate(panels):
            axes = figure.add_subplot(rows, columns, place + 1)
            real, made = (shares(histograms, source, name, channel) for source in ("real", synthetic))
            _draw_histogram(axes, real, made, zero_note=False, tell=len(panels) <= _MAX_TOLD)
            axes.set_title(plain(name if len(channels) == 1 else f"{name}, {channel}", 28))
            if place % columns == 0:
                axes.set_ylabel("% of pixels")
        figure.legend(handles=_marks(label), loc="outside upper right", ncols=2)
    return figure


def shares(histograms: pd.DataFrame, source: str, class_name: str, channel: str) -> np.ndarray:
    """Share of pixels at each intensity, (256,); zeros when nothing was counted."""
    chosen = histograms[
        (histograms["source"] == source)
        & (histograms["class"] == class_name)
        & (histograms["channel"] == channel)
        & histograms["intensity"].between(0, 255)
    ]
    counts = np.bincount(chosen["intensity"].astype(int), weights=chosen["count"].fillna(0), minlength=256)
    return counts / counts.sum() if counts.sum() else counts


def _draw_histogram(axes: Axes, real: np.ndarray, made: np.ndarray, *, zero_note: bool, tell: bool) -> None:
    # Four intensities a step: single ones are jagged where resizing or a network leaves gaps.
    real, made = (100 * part.reshape(64, 4).sum(axis=1) for part in (real, made))
    edges = np.arange(0, 257, 4)
    axes.stairs(real, edges, fill=True, color=REAL, alpha=0.28)
    axes.stairs(real, edges, color=REAL, linewidth=1.1)
    axes.stairs(made, edges, color=GENERATED, linewidth=1.5)
    for left, real_share, made_share in zip(edges[:-1], real, made, strict=True) if tell else ():
        told = f"intensity {left} to {left + 3}\nreal {real_share:.2f} %\nsynthetic {made_share:.2f} %"
        hover_column(axes, left, left + 4, told)
    # A black background holds so many pixels that the rest would lie flat: its bar leaves the picture.
    rest = np.concatenate([real[1:-1], made[1:-1]])
    top = max(1.25 * float(np.max(rest)), 1e-3)
    highest = max(float(real.max()), float(made.max()))
    cut = highest > 1.6 * top
    axes.set_ylim(0, top if cut else max(1.08 * highest, 1e-3))
    axes.set_xlim(-2, 258)
    axes.set_xticks([0, 64, 128, 192, 255])
    clear_axis(axes, grid="y")
    if cut and zero_note:
        dark = max(real[0], made[0]) >= max(real[-1], made[-1])
        end, span = (0, "0 to 3") if dark else (-1, "252 to 255")
        note = f"off the scale at {span}: real {real[end]:.0f} %, synthetic {made[end]:.0f} %"
        place, side = (0.99, "right") if dark else (0.01, "left")
        axes.text(place, 0.97, note, transform=axes.transAxes, ha=side, va="top", color=MUTED, fontsize=8.5)


def _draw_cumulated(axes: Axes, real: np.ndarray, made: np.ndarray, statistic: float | None) -> None:
    intensities = np.arange(256)
    real, made = 100 * np.cumsum(real), 100 * np.cumsum(made)
    axes.step(intensities, real, where="post", color=REAL, linewidth=1.5)
    axes.step(intensities, made, where="post", color=GENERATED, linewidth=1.5)
    for start in range(0, 256, 4):
        told = f"up to intensity {start + 3}\nreal {real[start + 3]:.1f} %\nsynthetic {made[start + 3]:.1f} %"
        hover_column(axes, start, start + 4, told)
    if real.any() and made.any():
        widest = int(np.argmax(np.abs(real - made)))
        axes.plot([widest, widest], [real[widest], made[widest]], color=INK, linewidth=2, solid_capstyle="butt")
        gap = abs(real[widest] - made[widest]) / 100 if statistic is None else statistic
        # Cumulated curves rise to the right: below and right of the gap, or above and left of it, nothing is drawn.
        corner = (8, min, "left", "top") if widest < 150 else (-8, max, "right", "bottom")
        shift, edge, across, upright = corner
        y = edge(real[widest], made[widest])
        axes.text(widest + shift, y, f"KS {gap:.3f} at {widest}", ha=across, va=upright, fontweight="bold")
    axes.set_ylim(0, 103)
    axes.set_xlim(-2, 258)
    axes.set_xticks([0, 64, 128, 192, 255])
    axes.set_ylabel("% of pixels up to")
    clear_axis(axes, grid="y")


def _marks(label: str) -> list[Patch | Line2D]:
    return [
        Patch(facecolor=REAL, alpha=0.4, label="real, train"),
        Line2D([], [], color=GENERATED, linewidth=1.5, label=label),
    ]
