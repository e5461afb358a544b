"""Curves of a run's metrics, for the figures of families."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pandas as pd
from matplotlib.figure import Figure as MatplotlibFigure
from matplotlib.ticker import MaxNLocator

from raysynth.models.family import Curve, Figure


def draw_curves(run: Path, curves: Sequence[Curve]) -> list[Figure]:
    """One figure for each (name, title, columns of metrics.csv, caption) of which the run has a column. Where a phase
    begins, after the first, stands a line."""
    file = run / "metrics.csv"
    if not file.is_file():
        return []
    metrics = pd.read_csv(file)
    figures = []
    for name, title, columns, caption in curves:
        present = [column for column in columns if column in metrics]
        if not present:
            continue
        figure = MatplotlibFigure(figsize=(5.2, 3.0), layout="constrained")
        axes = figure.subplots()
        for column in present:
            measured = metrics[["epoch", column]].dropna()
            axes.plot(measured["epoch"], measured[column], marker="." if len(measured) < 40 else "", label=column)
        if "phase" in metrics:
            for begins in metrics["epoch"][metrics["phase"].diff() > 0]:
                axes.axvline(begins - 0.5, color="grey", linestyle="--", linewidth=1)
        axes.set_xlabel("epoch")
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        axes.grid(alpha=0.25)
        axes.legend(frameon=False)
        figures.append(Figure(name, title, caption, figure))
    return figures
