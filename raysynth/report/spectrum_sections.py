"""What a report says of the detail in the images: their power at each spatial frequency."""

from __future__ import annotations

import pandas as pd

from raysynth.report import spectrum_figures
from raysynth.report.evaluation_files import Evaluation
from raysynth.report.section import Notes, Section
from raysynth.report.style import Panel, join_words, panel, plain
from raysynth.report.tables import Cell, Row, Table, counts, scores, words


def spectrum_section(evaluation: Evaluation, notes: Notes) -> Section:
    """Radially averaged power of real and synthetic images."""
    return Section(
        name="spectrum",
        label="Detail",
        question="Are they as sharp?",
        answer=describe_detail(evaluation),
        values={"panels": spectrum_panels(evaluation), "table": spectrum_table(evaluation)},
    )


def describe_detail(evaluation: Evaluation) -> str:
    """How much fine detail each set has, in a sentence."""
    table = evaluation.table("spectrum_summary", **{"class": "all"}).dropna(subset=["log10_bias_high"])
    made = table[table["synthetic"] != "real"]
    parts = [
        f"{plain(name)} {10**bias:.2f}" for name, bias in zip(made["synthetic"], made["log10_bias_high"], strict=True)
    ]
    if not parts:
        return ""
    floor = table[table["synthetic"] == "real"]["log10_bias_high"]
    beside = f" (real validation images: {10 ** floor.iloc[0]:.2f})" if len(floor) else ""
    return f"Power in the upper half of the frequencies, times that of real train images{beside}: {join_words(parts)}."


def spectrum_table(evaluation: Evaluation) -> Table:
    """One row a set and class, the real validation images first."""
    rows = []
    for row in evaluation.tables["spectrum_summary"].to_dict("records"):
        synthetic = str(row["synthetic"])
        name, kind = ("real validation", "real") if synthetic == "real" else (synthetic, "synthetic")
        mark = evaluation.mark(synthetic, "validation" if synthetic == "real" else "test")
        values = [row["n"], row["log10_error"], row["log10_error_high"], 10 ** row["log10_bias_high"]]
        rows.append(Row([Cell(name, mark=mark, kind=kind), row["class"], *values], strong=row["class"] == "all"))
    columns = [words("images"), words("class"), counts("n"), scores("error", 3), scores("error, upper half", 3)]
    return Table(
        name="spectrum",
        title="Distances of spectra",
        columns=[*columns, scores("power, upper half", 2, note="1: as real")],
        rows=rows,
        look="narrow",
        caption="Against the real train images. Error: mean of |log10(power over that of the real images)| over "
        "frequencies, 0.3 is a factor of two; over the upper half (0.25 to 0.5 cycles per pixel) blur and grain show. "
        "Power, upper half: the geometric mean of that ratio; below 1 images are blurred, above 1 grainy. The real "
        "validation images, of which there are fewer, are what a perfect generator could reach.",
    )


def spectrum_panels(evaluation: Evaluation) -> list[Panel]:
    """The spectra of all classes together, and their ratios class by class."""
    labels = {str(entry.get("name")): evaluation.label(str(entry.get("name"))) for entry in evaluation.synthetic}
    of_class = {
        name: spectra for name in ("all", *evaluation.classes) if (spectra := _spectra(evaluation, name, labels))
    }
    if "all" not in of_class:
        return []
    basis = "Averages over all images of a set of the squared Fourier coefficients at each spatial frequency, 0.5 being"
    basis += " the finest that pixels can show. A line below 1 at high frequencies is blur, one above it grain."
    panels = [
        panel(
            spectrum_figures.draw_spectra(*of_class.pop("all")),
            title="Power spectrum: all classes",
            caption=f"{basis} Dotted: real validation images, as near as a perfect generator could come.",
            alt=f"Power by spatial frequency of real images and of {join_words(labels.values())}",
            name="spectrum",
        )
    ]
    if of_class:
        cut = len(of_class) > spectrum_figures.MAX_PANELS
        rest = f" The first {spectrum_figures.MAX_PANELS} only; all are in spectrum.csv." if cut else ""
        panels.append(
            panel(
                spectrum_figures.draw_class_spectra(of_class, list(labels.values())),
                title="Power spectrum: by class",
                caption=f"Power over that of the real train images of the class.{rest}",
                alt="Ratio of power to that of real images by spatial frequency, for each class",
                name="class_spectra",
            )
        )
    return panels


def _spectra(
    evaluation: Evaluation, class_name: str, labels: dict[str, str]
) -> tuple[pd.Series, pd.Series | None, dict[str, pd.Series]] | None:
    """Power by frequency of real train, real validation and synthetic images of a class; None without real ones."""
    table = evaluation.table("spectrum", **{"class": class_name})
    found = {
        (str(source), str(split)): rows.drop_duplicates("frequency").set_index("frequency")["power"].astype(float)
        for (source, split), rows in table.dropna().groupby(["source", "split"], sort=False)
    }
    if ("real", "train") not in found:
        return None
    made = {label: found[name, "train"] for name, label in labels.items() if (name, "train") in found}
    return found["real", "train"], found.get(("real", "validation")), made
