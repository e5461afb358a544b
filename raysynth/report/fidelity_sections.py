"""What a report says of how like the real images the generated ones are."""

from __future__ import annotations

from typing import Any

from raysynth.report.evaluation_files import Evaluation
from raysynth.report.section import Notes, Section
from raysynth.report.tables import Cell, Row, Table, counts, scores, words


def fidelity_section(evaluation: Evaluation, notes: Notes) -> Section:
    """Frechet distance, coverage, density, precision and recall."""
    values = {"fidelity": fidelity_table(evaluation)}
    return Section(name="fidelity", label="Fidelity", question="How like real images are they?", values=values)


def fidelity_table(evaluation: Evaluation) -> Table:
    """One row a set and class, the real train images first."""
    rows = []
    names = ("n", "frechet", "coverage", "density", "precision", "recall")
    for row in fidelity_rows(evaluation):
        cell = Cell(row["name"], mark=row["mark"], kind=row["kind"])
        rows.append(Row([cell, row["class"], *(row[name] for name in names)], strong=row["class"] == "all"))
    columns = [words("images"), words("class"), counts("n"), scores("Frechet", 1)]
    columns += [scores(title, 2) for title in ("coverage", "density", "precision", "recall")]
    return Table(
        name="fidelity",
        title="Fidelity of the images",
        columns=columns,
        rows=rows,
        look="narrow",
        caption="Against the real validation images, n of each side, in the features of a network that no generator "
        "has learnt to please. Coverage: share of the real images that have a generated one in their neighbourhood; "
        "density: how many such neighbourhoods hold a generated image (real images: 1). Precision: share of the "
        "generated images that lie among the real ones; recall: share of the real ones that lie among the generated. "
        "Frechet: distance of the two distributions joint with the label, lower is better; comparable for equal n "
        "only. The real train images show what can be hoped for; that network has learnt from them, so they look a "
        "little better than fresh ones would.",
    )


def fidelity_rows(evaluation: Evaluation) -> list[dict[str, Any]]:
    """How like real validation images each set's are, one row a set and class; the real train images first."""
    table = evaluation.tables["fidelity"]
    rows: list[dict[str, Any]] = []
    for row in table.to_dict("records"):
        source = str(row["source"])
        first = not rows or rows[-1]["source"] != source
        # The scores of the real train images are what images that know nothing of the validation split can reach.
        name, kind = ("real train", "real") if source == "real" else (source, "synthetic")
        mark = evaluation.mark(source, "validation")
        values = {str(column): value for column, value in row.items()}
        rows.append({**values, "source": source, "name": name, "kind": kind, "first": first, "mark": mark})
    return rows
