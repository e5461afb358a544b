"""What a report says of how many real and how many synthetic images are worth what."""

from __future__ import annotations

import pandas as pd

from raysynth.report import curve_figures
from raysynth.report.evaluation_files import Evaluation
from raysynth.report.section import Notes, Section
from raysynth.report.sections import basis
from raysynth.report.style import Panel, panel
from raysynth.report.tables import Cell, Row, Table, counts, format_points, points, scores, words

BY_NUMBER, BY_RATIO = "number of real images", "ratio"
ARMS = {
    "real, not augmented": "real images as they are",
    "real": "real images, augmented",
    "real and synthetic": "real images, augmented, and synthetic ones",
}
LEVEL = 0.05


def curve_section(evaluation: Evaluation, notes: Notes) -> Section | None:
    """Accuracy against the number of real images and against the ratio; None where the evaluation has no curves."""
    table = evaluation.tables["curves"]
    if table.empty:
        return None
    return Section(
        name="curves",
        label="Curves",
        question="How many real images are they worth?",
        answer=describe_curves(table),
        values={"panels": curve_panels(evaluation), "table": curve_table(evaluation)},
    )


def describe_curves(table: pd.DataFrame) -> str:
    """Where synthetic images help, where they hurt, in a sentence."""
    mixed = table[(table["curve"] == BY_NUMBER) & (table["arm"] == "real and synthetic")]
    found = mixed[mixed["p_corrected"] < LEVEL]
    parts = []
    for word, rows in (("help", found[found["difference"] > 0]), ("hurt", found[found["difference"] < 0])):
        if len(rows):
            numbers = ", ".join(f"{count:,.0f}" for count in rows["num_real"])
            ends = [format_points(value) for value in (rows["difference"].min(), rows["difference"].max())]
            parts.append(f"{word} beside {numbers} real ones ({' to '.join(dict.fromkeys(ends))} points)")
    rest = "at the other numbers no difference can be told" if len(found) < len(mixed) else ""
    if not parts:
        return "Synthetic images make no difference that this test can tell, however few the real ones."
    return f"Synthetic images {' and '.join(parts)}{'; ' if rest else ''}{rest}."


def curve_panels(evaluation: Evaluation) -> list[Panel]:
    """The two curves, each where it has points."""
    table = evaluation.tables["curves"]
    common = f"Dots: mean over seeds on the real test images, bars: 95 % Wilson interval. {basis(evaluation)}."
    by_number, by_ratio = (table[table["curve"] == curve] for curve in (BY_NUMBER, BY_RATIO))
    panels = []
    if len(by_number):
        panels.append(
            panel(
                curve_figures.draw_by_number(by_number, ARMS),
                title="Accuracy by the number of real images",
                caption="Every classifier takes equally many steps. The generator has seen all the real train images: "
                "beside a part of them, its images also tell of those that are left out. " + common,
                alt="Test accuracy against the number of real train images, for three training sets",
                name="curve_by_number",
            )
        )
    if len(by_ratio) > 1:
        panels.append(
            panel(
                curve_figures.draw_by_ratio(by_ratio),
                title="Accuracy by the ratio of synthetic to real images",
                caption=f"With all the real train images; ratio 0 is these alone. {common}",
                alt="Test accuracy against the number of synthetic images for one real one",
                name="curve_by_ratio",
            )
        )
    return panels


def curve_table(evaluation: Evaluation) -> Table:
    """A row a point: its accuracy, and the difference to as many real images alone."""
    marks = [mark for mark in (evaluation.mark(str(entry.get("name"))) for entry in evaluation.synthetic) if mark]
    rows = []
    for row in evaluation.tables["curves"].to_dict("records"):
        mixed = row["arm"] == "real and synthetic"
        mark = "; ".join(marks) if mixed else evaluation.mark("real")
        interval = f"{format_points(row['low'])} to {format_points(row['high'])}" if row["low"] == row["low"] else ""
        rows.append(
            Row(
                [
                    Cell(ARMS.get(row["arm"], row["arm"]), kind="mixed" if mixed else "real", mark=mark),
                    *(row["num_real"], row["num_synthetic"], row["ratio"]),
                    Cell(row["accuracy"], note=f"{row['accuracy_low']:.3f} to {row['accuracy_high']:.3f}"),
                    *(row["accuracy_std"], Cell(row["difference"], note=interval), row["p_corrected"]),
                ]
            )
        )
    columns = [words("trained on"), counts("real"), counts("synthetic"), scores("ratio", 2)]
    columns += [scores("accuracy", note="95 % interval"), scores("standard deviation", hidden=True)]
    columns += [points("difference, points", note="95 % interval"), scores("p", note="corrected")]
    return Table(
        name="curves",
        title="Points of the curves",
        columns=columns,
        rows=rows,
        caption="Difference: to as many real images, augmented, alone; paired bootstrap over groups of test images and "
        "over seeds. p is corrected for the number of points of its kind (Holm).",
    )
