"""What a report says of copies of train images: how many, which, and what of the train images a set gives away."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from raysynth.data.dataset import tensor_column
from raysynth.data.slices import as_pictures
from raysynth.report import copy_figures
from raysynth.report.evaluation_files import Evaluation
from raysynth.report.section import Notes, Section
from raysynth.report.style import Panel, Picture, as_image, join_words, panel, plain, to_png
from raysynth.report.tables import Cell, Row, Table, counts, percents, scores, words

PAIRS_FILE = "suspicious_pairs.parquet"
NUM_PAIRS = 10  # of each set that are shown
_CELL = 72  # CSS pixels of the height of an image
_ROWS = {"image": "generated", "train_image": "nearest train image", "held_out_image": "nearest held-out image"}


def copy_section(evaluation: Evaluation, notes: Notes) -> Section | None:
    """The count, the distances, and the most suspicious pairs; None for an evaluation that looked for no copies."""
    if evaluation.tables["copies_summary"].empty:
        return None
    values = {
        "table_of_sets": copy_table(evaluation),
        "distances": distance_panel(evaluation),
        "pairs": suspicious_pairs(evaluation, notes.texts),
    }
    return Section(
        name="copies",
        label="Copies",
        question="Are they copies of patients?",
        answer=describe_copies(evaluation),
        values=values,
    )


def describe_copies(evaluation: Evaluation) -> str:
    """For each set how many copies were found, and whether that is more than of real images, in a sentence."""
    alarms = _false_alarms(evaluation)
    parts, without, nearer = [], [], []
    for row in evaluation.tables["copies_summary"].to_dict("records"):
        name = plain(row["synthetic"])
        if row["auc_low"] > 0.5:
            nearer.append(name)
        if not row["num_copies"]:
            without.append(name)
            continue
        much = "more" if row["share_low"] > alarms else "no more"
        found = f"{row['num_copies']:,.0f} of {row['n']:,.0f} images of {name} are called copies"
        parts.append(f"{found}, {much} than the {alarms:.0%} of real images that would be")
    if without:
        parts.append(
            f"{'none' if parts else 'no image'} of {join_words(without)}{'' if parts else ' is called a copy'}"
        )
    if nearer:
        parts.append(f"as a whole, {join_words(nearer)} lie nearer to train images than to held-out ones")
    sentence = "; ".join(parts)
    return f"{sentence[:1].upper()}{sentence[1:]}.".replace("%", "\u00a0%")


def _false_alarms(evaluation: Evaluation) -> float:
    return float((evaluation.content.get("copies") or {}).get("false_alarms", 0.01))


def copy_table(evaluation: Evaluation) -> Table:
    """One row a set."""
    rows = []
    for row in evaluation.tables["copies_summary"].to_dict("records"):
        name = str(row["synthetic"])
        interval = f"{100 * row['share_low']:.1f}–{100 * row['share_high']:.1f}"
        rows.append(
            Row(
                [
                    Cell(name, mark=evaluation.mark(name, "validation"), kind="synthetic"),
                    row["n"],
                    row["num_copies"],
                    Cell(row["share"], spread=interval),
                    row["authenticity"],
                    Cell(row["membership_auc"], spread=f"{row['auc_low']:.3f}–{row['auc_high']:.3f}"),
                ]
            )
        )
    num_held_out = evaluation.tables["copies_summary"]["num_held_out"].max()
    columns = [words("synthetic set"), counts("images"), counts("called copies"), percents("share, %")]
    columns += [scores("authenticity", 2), scores("membership AUC", 3)]
    return Table(
        name="copies",
        title="Copies of train images",
        columns=columns,
        rows=rows,
        look="narrow",
        caption="Called a copy: an image that is so much nearer to one train image, as it is or mirrored, than to all "
        f"other patients' and than these are to each other, as {_false_alarms(evaluation):.0%} of {num_held_out:,.0f} "
        "held-out real images are (validation images; slices of one patient in train and validation, which nobody "
        "knows of, make the test stricter). Found are copies that are mirrored, darker, or a little noisy or blurred. "
        "Hardly found are noise as strong as the image, shifts, and most blurred reconstructions by an autoencoder: "
        "that no copy is found does not prove that there is none. Authenticity: share of images that are farther from "
        "their nearest train image than this is from its own nearest one of another patient. Membership AUC: the "
        "chance that a train image is nearer to the generated ones than a held-out image is; above 0.5, with its 95 % "
        "interval over patients, the set tells who was in train.",
    )


def distance_panel(evaluation: Evaluation) -> Panel | None:
    """How near to train images the generated ones are, beside real held-out images."""
    copies, held_out = evaluation.tables["copies"], evaluation.tables["copies_held_out"]
    if copies.empty or held_out.empty:
        return None
    threshold = float(evaluation.tables["copies_summary"]["threshold"].iloc[0])
    sets = {name: copies[copies["synthetic"] == name] for name in dict.fromkeys(copies["synthetic"])}
    drawn = copy_figures.draw_distances(held_out, sets, {name: evaluation.label(name) for name in sets}, threshold)
    return panel(
        drawn,
        title="Nearness to train images",
        caption="Share of the images below a value. Left: distance to the nearest train image over that to the nearest "
        "held-out one; with more train images than held-out ones most are below 1. A set left of the real held-out "
        "images is nearer to the train images than fresh real ones are. Right: the score, the smallest of several "
        f"views; what is below {threshold:.2f} is called a copy. {len(held_out):,} real held-out images, "
        + join_words(f"{len(rows):,} of {plain(name)}" for name, rows in sets.items())
        + ".",
        alt="Distribution of the ratio of distances and of the score, real held-out images and each synthetic set",
        name="copy_distances",
    )


def suspicious_pairs(evaluation: Evaluation, notes: list[str]) -> list[dict[str, Any]]:
    """For each set the lowest scores: `name`, `mark`, and `heads` and `rows` of a grid of pictures."""
    file = evaluation.path / PAIRS_FILE
    try:
        table = pq.read_table(file)
    except (OSError, pa.ArrowException) as error:
        reason = "is missing from the evaluation" if not file.exists() else f"cannot be read ({error})"
        notes.append(f"{PAIRS_FILE} {reason}: the most suspicious pairs are not shown.")
        return []
    names = table["synthetic"].to_pylist()
    found = []
    for name in dict.fromkeys(names):
        rows = np.array([row for row, other in enumerate(names) if other == name][:NUM_PAIRS])
        found.append(_grid(name, table.take(rows), evaluation))
    return found


def _grid(name: str, table: pa.Table, evaluation: Evaluation) -> dict[str, Any]:
    columns = {column: tensor_column(table, column) for column in _ROWS}
    mirrored = np.array(table["mirrored"].to_pylist())
    # The train image as the generated one shows it.
    columns["train_image"] = np.where(
        mirrored.reshape(-1, *[1] * (columns["train_image"].ndim - 1)),
        columns["train_image"][..., ::-1],
        columns["train_image"],
    )
    heads = [
        (f"{score:.2f}", "", "copy" if is_copy else "")
        for score, is_copy in zip(table["score"].to_pylist(), table["is_copy"].to_pylist(), strict=True)
    ]
    ids = {"image": "id", "train_image": "nearest_train_id", "held_out_image": "nearest_held_out_id"}
    rows = []
    for column, title in _ROWS.items():
        known = table[ids[column]].to_pylist()
        pictures = as_pictures(columns[column])
        rows.append(
            (title, [_picture(p, f"{title}: {plain(i)}") if i else None for p, i in zip(pictures, known, strict=True)])
        )
    return {"name": name, "mark": evaluation.mark(name, "validation"), "heads": heads, "rows": rows}


def _picture(pixels: np.ndarray, alt: str) -> Picture:
    scale = max(1, _CELL // pixels.shape[-2])  # enlarged by whole pixels here, not smoothed by the browser
    enlarged = pixels.repeat(scale, axis=-2).repeat(scale, axis=-1)
    width = round(_CELL * pixels.shape[-1] / pixels.shape[-2])
    return Picture(to_png(as_image(enlarged)), alt, width, name="")
