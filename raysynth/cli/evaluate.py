"""`raysynth evaluate` and `raysynth report`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from raysynth.cli.console import print_json, say, say_to_stderr
from raysynth.cli.storage import Storage, existing, named

if TYPE_CHECKING:
    import pandas as pd

    from raysynth.data.locations import Location


def evaluate_verb(
    real: str | None = typer.Option(
        None, metavar="DIR", help="Real data set folder. Default: the embedded phantom, drawn once."
    ),
    synthetic: list[str] = typer.Option(
        [], metavar="DIR", help="Synthetic data set folder; repeat for more. Required."
    ),
    seeds: int | None = typer.Option(
        None, help="Classifiers trained on each training set. Default: 5 of cnn, 3 of transfer."
    ),
    classifier: str = typer.Option(
        "cnn", help="Which classifier: cnn, small and quick, or transfer, pre-trained on ImageNet and fine-tuned."
    ),
    backbone: str | None = typer.Option(
        None,
        help="Pre-trained network of transfer, e.g. resnet18. Default: efficientnet_lite0, which needs no download.",
    ),
    weights: str | None = typer.Option(None, metavar="FILE", help="Its weights. Default: the published ones."),
    input_size: int | None = typer.Option(None, help="Pixels a side, 64 to 224, that it is given. Default: 128."),
    epochs: int | None = typer.Option(
        None, help="Epochs of every classifier. Default: about 1200 steps on the real images; of transfer 480."
    ),
    curves: bool = typer.Option(
        False, "--curves", help="Accuracy against the number of real images and the ratio of synthetic ones; 2 seeds."
    ),
    soft_labels: bool = typer.Option(
        False,
        "--soft-labels",
        help="Train on each synthetic set also with the labels that a classifier of the real images gives: "
        "distillation, reported apart.",
    ),
    out: str = typer.Option("evaluations", help="Parent folder of the evaluation and of its classifiers."),
    storage: Storage = None,
    allow_leakage: bool = typer.Option(
        False, "--allow-leakage", help="Go on with synthetic images that know test images, and mark every result."
    ),
    json_: bool = typer.Option(
        False, "--json", help="Print the result as JSON on standard output, progress on standard error."
    ),
) -> None:
    """Train classifiers on real, synthetic and mixed images and say whether the synthetic ones help."""
    from raysynth.data.mirror import fetched
    from raysynth.evaluation.evaluate import evaluate

    progress = say_to_stderr if json_ else say
    place = evaluate(
        existing(real, storage, "--real"),
        [existing(each, storage, "--synthetic") for each in synthetic],
        seeds=seeds,
        classifier=classifier,
        backbone=backbone,
        weights=weights,
        input_size=input_size,
        out=named(out, storage),
        epochs=epochs,
        curves=curves,
        soft_labels=soft_labels,
        allow_leakage=allow_leakage,
        say=progress,
    )
    with fetched(place, "*.csv", "evaluation.json") as folder:
        if json_:
            print_json(summarise_evaluation(folder, place))
        else:
            print_evaluation(folder, place)


def report_verb(
    evaluation: str = typer.Argument(help="Evaluation folder."),
    storage: Storage = None,
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

    say(f"report: {report(existing(evaluation, storage, 'EVALUATION'), out, allow_leakage=allow_leakage)}")


def print_evaluation(folder: Path, place: Location) -> None:
    """The scores, the distance of the images, the verdict, and the `place` where all of it is kept."""
    import json

    import pandas as pd

    from raysynth.evaluation.copies import describe_copies
    from raysynth.evaluation.curves import describe_curves
    from raysynth.evaluation.fidelity import describe_fidelity
    from raysynth.evaluation.ks import describe_ks
    from raysynth.evaluation.spectrum import describe_spectra

    # A class may be called `NA`: only an empty field is a missing one.
    summary, floors, distances, spectra, fidelity = (
        pd.read_csv(folder / f"{name}.csv", keep_default_na=False, na_values=[""])
        for name in ("scores_summary", "floors", "ks", "spectrum_summary", "fidelity")
    )
    say("\n" + _score_table(summary, floors))
    for title, table, source, describe in (
        ("Pixel intensities of real train images (KS 0: alike) against those of:", distances, "synthetic", describe_ks),
        ("Fine detail beside that of real train images:", spectra, "synthetic", describe_spectra),
        ("Fidelity: features of real validation images against those of:", fidelity, "source", describe_fidelity),
    ):
        if lines := describe(table):
            marks = table[table["class"] == "all"].groupby(source, sort=False)["leakage"].first().map(_mark)
            say("\n".join([f"\n{title}", *(f"  {line}{mark}" for line, mark in zip(lines, marks, strict=True))]))
    copies = pd.read_csv(folder / "copies_summary.csv", keep_default_na=False, na_values=[""])
    if len(copies):
        say("\nCopies of train images:")
        for row in copies.to_dict("records"):
            say(f"  {describe_copies(row)}{_mark(row['leakage'])}")
    if (file := folder / "curves.csv").is_file():
        say("\nCurves: test accuracy, with the difference to the augmented real images alone and its 95 % interval")
        say("\n".join(describe_curves(pd.read_csv(file, keep_default_na=False, na_values=[""]))))
    content = json.loads((folder / "evaluation.json").read_text(encoding="utf-8"))
    say(f"\n{content['verdict']['sentence']}\n\nevaluation: {place}")


def _score_table(summary: pd.DataFrame, floors: pd.DataFrame) -> str:
    """Accuracy (mean ± standard deviation over seeds) on every split and macro F1 on test, a row a training set.

    Below them the floors: rules that know nothing of anatomy, on test images."""
    splits = list(dict.fromkeys(summary["split"]))
    rows = [["trained on", "steps", *(f"accuracy {split}" for split in splits), "macro F1 test"]]
    for name, group in summary.groupby("trained_on", sort=False):
        by_split = group.set_index("split").to_dict("index")
        accuracies = [_mean_and_spread(by_split[split], "accuracy") if split in by_split else "-" for split in splits]
        steps = str(group["steps"].iloc[0])
        name = f"{name}{_mark(group['leakage'].iloc[0])}"
        rows.append([name, steps, *accuracies, _mean_and_spread(by_split["test"], "f1_macro")])
    test_column = 2 + splits.index("test")
    for floor in floors.to_dict("records"):
        cells = ["-"] * (len(rows[0]) - 1)
        cells[test_column - 1] = f"{floor['accuracy']:.3f}"
        rows.append([f"floor: {floor['rule']}{_mark(floor['leakage'])}", *cells])
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


def summarise_evaluation(folder: Path, place: Location) -> dict[str, Any]:
    """What `print_evaluation` prints, for programs."""
    import json

    import pandas as pd

    content = json.loads((folder / "evaluation.json").read_text(encoding="utf-8"))
    tables = {
        # By way of pandas' JSON, which writes an empty field as null.
        name: json.loads(
            pd.read_csv(folder / f"{name}.csv", keep_default_na=False, na_values=[""]).to_json(orient="records")
        )
        for name in ("scores_summary", "floors", "ks", "spectrum_summary", "fidelity", "copies_summary", "curves")
        if (folder / f"{name}.csv").is_file()
    }
    return {"evaluation": str(place), "verdict": content["verdict"], **tables, "seconds": content["seconds"]}
