"""`raysynth evaluate` and `raysynth report`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from raysynth.cli.console import print_json, say, say_to_stderr

if TYPE_CHECKING:
    import pandas as pd


def evaluate_verb(
    real: str | None = typer.Option(
        None, metavar="DIR", help="Real data set folder. Default: the embedded phantom, drawn once."
    ),
    synthetic: list[str] = typer.Option(
        [], metavar="DIR", help="Synthetic data set folder; repeat for more. Required."
    ),
    seeds: int = typer.Option(3, help="Classifiers trained on each training set."),
    epochs: int | None = typer.Option(
        None, help="Epochs of every classifier. Default: as many as make about 1200 steps on the real images."
    ),
    out: Path = typer.Option(Path("evaluations"), help="Parent folder of the evaluation."),
    allow_leakage: bool = typer.Option(
        False, "--allow-leakage", help="Go on with synthetic images that know test images, and mark every result."
    ),
    json_: bool = typer.Option(
        False, "--json", help="Print the result as JSON on standard output, progress on standard error."
    ),
) -> None:
    """Train classifiers on real, synthetic and mixed images and say whether the synthetic ones help."""
    from raysynth.evaluation.evaluate import evaluate

    progress = say_to_stderr if json_ else say
    folder = evaluate(real, synthetic, seeds=seeds, out=out, epochs=epochs, allow_leakage=allow_leakage, say=progress)
    if json_:
        print_json(summarise_evaluation(folder))
    else:
        print_evaluation(folder)


def report_verb(
    evaluation: Path = typer.Argument(help="Evaluation folder."),
    out: Path = typer.Option(
        Path("report.html"),
        help="HTML file to write; its figures and tables go to a folder beside it (report_files). Both are replaced if "
        "there. Default: report.html.",
    ),
    allow_leakage: bool = typer.Option(
        False, "--allow-leakage", help="Report, marked, what knows test images though its evaluation did not allow it."
    ),
) -> None:
    """Write one self-contained HTML file about an evaluation, and its figures (SVG, PNG) and tables (CSV) beside it."""
    from raysynth.report.report import report

    say(f"report: {report(evaluation, out, allow_leakage=allow_leakage)}")


def print_evaluation(folder: Path) -> None:
    """The scores, the distance of the images, the verdict, and where all of it is kept."""
    import json

    import pandas as pd

    from raysynth.evaluation.copies import describe_copies
    from raysynth.evaluation.fidelity import describe_fidelity

    # A class may be called `NA`: only an empty field is a missing one.
    summary = pd.read_csv(folder / "scores_summary.csv", keep_default_na=False, na_values=[""])
    distances = pd.read_csv(folder / "ks.csv", keep_default_na=False, na_values=[""])
    say("\n" + _score_table(summary))
    say("\nKolmogorov-Smirnov statistic of pixel intensity (0: alike), real train images against:")
    for name, rows in distances[distances["class"] == "all"].groupby("synthetic", sort=False):
        statistics = "  ".join(f"{value:.4f}" for value in rows["statistic"])
        say(f"  {name}: {statistics}{_mark(rows['leakage'].iloc[0])}")
    fidelity = pd.read_csv(folder / "fidelity.csv", keep_default_na=False, na_values=[""])
    if lines := describe_fidelity(fidelity):
        say("\nFidelity: features of real validation images against those of:")
        marks = fidelity[fidelity["class"] == "all"]["leakage"].map(_mark)
        say("\n".join(f"  {line}{mark}" for line, mark in zip(lines, marks, strict=True)))
    copies = pd.read_csv(folder / "copies_summary.csv", keep_default_na=False, na_values=[""])
    if len(copies):
        say("\nCopies of train images:")
        for row in copies.to_dict("records"):
            say(f"  {describe_copies(row)}{_mark(row['leakage'])}")
    content = json.loads((folder / "evaluation.json").read_text(encoding="utf-8"))
    say(f"\n{content['verdict']['sentence']}\n\nevaluation: {folder}")


def _score_table(summary: pd.DataFrame) -> str:
    """Accuracy (mean ± standard deviation over seeds) on every split and macro F1 on test, a row a training set."""
    splits = list(dict.fromkeys(summary["split"]))
    rows = [["trained on", "steps", *(f"accuracy {split}" for split in splits), "macro F1 test"]]
    for name, group in summary.groupby("trained_on", sort=False):
        by_split = group.set_index("split").to_dict("index")
        accuracies = [_mean_and_spread(by_split[split], "accuracy") if split in by_split else "-" for split in splits]
        steps = str(group["steps"].iloc[0])
        name = f"{name}{_mark(group['leakage'].iloc[0])}"
        rows.append([name, steps, *accuracies, _mean_and_spread(by_split["test"], "f1_macro")])
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    return "\n".join(
        f"{row[0]:<{widths[0]}}"
        + "".join(f"  {cell:>{width}}" for cell, width in zip(row[1:], widths[1:], strict=True))
        for row in rows
    )


def _mark(leakage: str) -> str:
    return "" if leakage == "clean" else f" [leakage: {leakage}]"


def _mean_and_spread(row: dict[Any, Any], score: str) -> str:
    mean, deviation = row[f"{score}_mean"], row[f"{score}_std"]
    return f"{mean:.3f}" if deviation != deviation else f"{mean:.3f} ± {deviation:.3f}"


def summarise_evaluation(folder: Path) -> dict[str, Any]:
    """What `print_evaluation` prints, for programs."""
    import json

    import pandas as pd

    content = json.loads((folder / "evaluation.json").read_text(encoding="utf-8"))
    tables = {
        # By way of pandas' JSON, which writes an empty field as null.
        name: json.loads(
            pd.read_csv(folder / f"{name}.csv", keep_default_na=False, na_values=[""]).to_json(orient="records")
        )
        for name in ("scores_summary", "ks", "fidelity", "copies_summary")
    }
    return {"evaluation": str(folder), "verdict": content["verdict"], **tables, "seconds": content["seconds"]}
