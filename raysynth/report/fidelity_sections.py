"""What a report says of how like the real images the generated ones are."""

from __future__ import annotations

from typing import Any

from raysynth.report.evaluation_files import Evaluation
from raysynth.report.section import Notes, Section
from raysynth.report.tables import Cell, Row, Table, counts, format_score, scores, words


def fidelity_section(evaluation: Evaluation, notes: Notes) -> Section:
    """Frechet distance, KID, coverage, density, precision and recall, in the features of two networks."""
    values = {"fidelity": fidelity_table(evaluation)}
    return Section(name="fidelity", label="Fidelity", question="How like real images are they?", values=values)


def fidelity_table(evaluation: Evaluation) -> Table:
    """One row a set, network and class, the real train images first."""
    rows = []
    for row in fidelity_rows(evaluation):
        cell = Cell(row["name"], mark=row["mark"], kind=row["kind"])
        error = f"± {format_score(row['kid_error'])}" if row["kid_error"] == row["kid_error"] else ""
        distances = [row["frechet"], row["frechet_ratio"], Cell(row["kid"], spread=error), row["kid_error"]]
        shares = [row[name] for name in ("coverage", "density", "precision", "recall")]
        cells = [cell, row["features"], row["class"], row["n"], *distances, *shares]
        rows.append(Row(cells, strong=row["class"] == "all"))
    columns = [words("images"), words("features"), words("class"), counts("n")]
    columns += [scores("Frechet", 1), scores("x real", 1), scores("KID", 3), scores("KID error", 4, hidden=True)]
    columns += [scores(title, 2) for title in ("coverage", "density", "precision", "recall")]
    return Table(
        name="fidelity",
        title="Fidelity of the images",
        columns=columns,
        rows=rows,
        look="narrow",
        caption="Against the real validation images, n of each side, in the features of two networks: scoring, a small "
        "classifier of the real train images that no generator has learnt to please, and backbone, a network that has "
        "learnt ImageNet and none of these images. Frechet: distance of the two distributions, joint with the label "
        "where all classes stand together; small sets make it larger, so it is comparable for equal n only. x real: "
        "over that of the real train images, what can be hoped for. KID: kernel distance with its standard error, "
        "whose mean does not depend on n; 0 for equal distributions, hence now and then below it. Coverage: share of "
        "the real images that have a generated one in their neighbourhood; density: how many such neighbourhoods hold "
        "a generated image (real images: 1). Precision: share of the generated images that lie among the real ones; "
        "recall: share of the real ones that lie among the generated. The scoring network has learnt from the real "
        "train images, so they look a little better there than fresh ones would.",
    )


def fidelity_rows(evaluation: Evaluation) -> list[dict[str, Any]]:
    """How like real validation images each set's are, one row a set, network and class; the real train first."""
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
