"""What a report says about the classifiers: their scores, the comparisons behind the verdict, the classes."""

from __future__ import annotations

from math import isfinite, nan

from raysynth.intervals import wilson_interval
from raysynth.report import class_figures, figures
from raysynth.report.evaluation_files import SCORES, Evaluation
from raysynth.report.section import Notes, Section
from raysynth.report.sections import SPLIT_NAMES, basis
from raysynth.report.style import Panel, join_words, panel, plain
from raysynth.report.tables import (
    Cell,
    Row,
    Table,
    counts,
    format_percent,
    format_points,
    format_score,
    percents,
    points,
    scores,
    words,
)

SCORES_CAPTION = (
    "Own training: the images that the classifier was trained on. Mean ± standard deviation over seeds: {basis}. Each "
    "image has one label, so the micro scores equal the accuracy. A mix sees more images than the real set: the "
    "real-only classifier was therefore also trained for as many steps as the mix, and a mix has to beat the better of "
    "the two. Intervals of accuracy are Wilson's, of macro scores a bootstrap over groups of images and seeds. Floors "
    "are rules that know nothing of anatomy, as the audit of the real images found them."
)


def score_section(evaluation: Evaluation, notes: Notes) -> Section:
    """Accuracy and the other scores of every training set."""
    return Section(
        name="scores",
        label="Scores",
        question="How well do the classifiers do?",
        answer=describe_scores(evaluation),
        values={
            "accuracy": accuracy_panel(evaluation),
            "scores": score_table(evaluation, "scores", ("fit", "test")),
            "comparisons": comparison_table(evaluation),
            "all_scores": score_table(evaluation, "scores_every_split", tuple(SPLIT_NAMES)),
        },
    )


def class_section(evaluation: Evaluation, notes: Notes) -> Section:
    """Scores and confusions class by class."""
    table = class_table(evaluation)
    return Section(
        name="classes",
        label="Classes",
        question="Which classes gain, which lose?",
        answer=describe_classes(evaluation),
        values={"panels": class_panels(evaluation), "classes": table, "label_counts": label_count_table(evaluation)},
    )


def describe_scores(evaluation: Evaluation) -> str:
    """The best test accuracy of each kind of training set, in a sentence."""
    summary = evaluation.table("scores_summary", split="test").dropna(subset=["accuracy_mean"])
    best = summary.groupby(summary["trained_on"].map(evaluation.kinds))["accuracy_mean"].max()
    titles = {"real": "real images alone", "mixed": "real and generated ones", "synthetic": "generated ones alone"}
    parts = [f"{titles[kind]} {format_percent(best[kind])} %" for kind in titles if kind in best.index]
    return f"Best test accuracy: {join_words(parts)}." if parts else ""


def describe_classes(evaluation: Evaluation) -> str:
    """Where synthetic images move the recall most, up and down, beside the best of the real images, in a sentence."""
    table = evaluation.table("class_scores", split="test").dropna(subset=["recall"])
    recall = table.groupby(["trained_on", "class"], sort=False)["recall"].mean().unstack()
    kinds = evaluation.kinds
    real, mixed = (recall[[kinds.get(str(name)) == kind for name in recall.index]] for kind in ("real", "mixed"))
    if real.empty or mixed.empty:
        return ""
    gains = (mixed - real.max()).to_dict("index")
    moved = [
        (float(gain), f"{plain(class_name)} ({plain(name)})")
        for name, by_class in gains.items()
        for class_name, gain in by_class.items()
        if isfinite(gain)
    ]
    if not moved:
        return ""
    parts = [f"{format_points(gain)} points for {where}" for gain, where in dict.fromkeys([max(moved), min(moved)])]
    return f"Recall with synthetic images added, against the best of the real images: from {' to '.join(parts)}."


def score_table(evaluation: Evaluation, name: str, splits: tuple[str, ...]) -> Table:
    """The study's table: one row a training set and split."""
    summary = evaluation.tables["scores_summary"]
    rows = []
    for trained_on in evaluation.trained_on:
        for split in splits:
            chosen = summary[(summary["trained_on"] == trained_on) & (summary["split"] == split)]
            if chosen.empty:
                continue
            values = chosen.iloc[0]
            low, high = values["accuracy_low"], values["accuracy_high"]
            several = (values["num_seeds"] or 0) > 1
            spreads = [values[f"{score}_std"] if several else None for score in SCORES]
            cells = [
                Cell(
                    values[f"{score}_mean"],
                    spread="" if spread is None else f"± {format_score(spread)}",
                    note=f"{format_score(values[f'{score}_low'])} to {format_score(values[f'{score}_high'])}"
                    if f"{score}_low" in summary
                    else "",
                )
                for score, spread in zip(SCORES, spreads, strict=True)
            ]
            rows.append(
                Row(
                    [
                        Cell(trained_on, kind=evaluation.kinds[trained_on]),
                        Cell(SPLIT_NAMES.get(split, split), mark=evaluation.mark(trained_on, split)),
                        *(values["n"], values["steps"], *cells, low, high, values["num_seeds"], *spreads),
                    ],
                    strong=split == "test",
                )
            )
    if "test" in splits:
        rows += _floor_rows(evaluation)
    columns = [words("trained on"), words("scored on"), counts("images"), counts("steps")]
    columns.append(scores("accuracy", note="95 % interval"))
    for score in SCORES[1:]:
        group, kind = _words_of(score).split()
        columns.append(scores(kind, group=group))
    columns += [scores("accuracy low", hidden=True), scores("accuracy high", hidden=True), counts("seeds", hidden=True)]
    columns += [scores(f"{_words_of(score)} standard deviation", hidden=True) for score in SCORES]
    return Table(
        name=name,
        title="Scores of the classifiers" + ("" if name == "scores" else " on every split"),
        columns=columns,
        rows=rows,
        look="wide",
        caption=SCORES_CAPTION.format(basis=basis(evaluation)) if name == "scores" else "",
    )


def _floor_rows(evaluation: Evaluation) -> list[Row]:
    """What rules reach on the test split that know nothing of anatomy, in the columns of `score_table`."""
    rows = []
    for floor in evaluation.tables["floors"].to_dict("records"):
        low, high = floor["accuracy_low"], floor["accuracy_high"]
        accuracy = Cell(floor["accuracy"], note=f"{format_score(low)} to {format_score(high)}")
        name = Cell(f"floor: {floor['rule']}", note=f"looks at {floor['looks_at']}")
        split = Cell(SPLIT_NAMES["test"], mark=evaluation.mark("real"))
        empty = [None] * (len(SCORES) - 1)
        rows.append(
            Row([name, split, floor["num_test"], None, accuracy, *empty, low, high, None, *([None] * len(SCORES))])
        )
    return rows


def _words_of(score: str) -> str:
    return score.replace("_", " ").replace("f1", "F1")


def comparison_table(evaluation: Evaluation) -> Table:
    """What the verdict was derived from: each synthetic set against the real images."""
    rows = []
    for item in (evaluation.content.get("verdict") or {}).get("items") or []:
        name = str(item.get("synthetic"))
        kind = {"mixed": "mixed", "distilled": "distilled"}.get(str(item.get("kind")), "synthetic")
        low, high = item.get("low"), item.get("high")
        difference = Cell(item.get("difference"), note=f"{format_points(low)} to {format_points(high)}")
        rows.append(
            Row(
                [
                    *(Cell(name, mark=evaluation.mark(name), kind=kind), item.get("kind"), item.get("accuracy")),
                    *(item.get("baseline"), item.get("baseline_accuracy"), difference, low, high),
                    *(item.get("p_corrected"), item.get("smallest_detectable"), item.get("conclusion")),
                ]
            )
        )
    columns = [
        *(words("synthetic set"), words("how"), percents("accuracy, %")),
        *(words("against"), percents("accuracy of it, %"), points("difference, points", note="95 % interval")),
        *(points("low", hidden=True), points("high", hidden=True)),
        *(scores("p", note="corrected"), percents("detectable, points"), words("conclusion")),
    ]
    return Table(
        name="comparisons",
        title="Comparisons behind the verdict",
        columns=columns,
        rows=rows,
        caption="Differences in percentage points of test accuracy, each with its own interval (paired bootstrap over "
        "groups of test images and seeds). p: chance of such a difference where there is none, corrected for the "
        "number of synthetic sets (Holm); the conclusion rests on it. Detectable: a true difference below it would "
        f"mostly go unseen with this many test images. {basis(evaluation)}.",
    )


def class_table(evaluation: Evaluation) -> Table:
    """Mean recall, precision and F1 on the test split, one row a training set and class."""
    table = evaluation.table("class_scores", split="test")
    names = ["n", "recall", "precision", "f1"]
    rows = []
    for (name, class_name), group in table.groupby(["trained_on", "class"], sort=False):
        cell = Cell(name, mark=evaluation.mark(str(name)), kind=evaluation.kinds.get(str(name), ""))
        n, recall, precision, f1 = (float(group[score].mean()) for score in names)
        low, high = wilson_interval(min(recall, 1.0), int(n)) if isfinite(recall) else (nan, nan)
        noted = Cell(recall, note=f"{format_score(low)} to {format_score(high)}")
        rows.append(Row([cell, class_name, n, noted, precision, f1, low, high]))
    columns = [words("trained on"), words("class"), counts("test images"), scores("recall", note="95 % interval")]
    columns += [
        scores("precision"),
        scores("F1"),
        scores("recall low", hidden=True),
        scores("recall high", hidden=True),
    ]
    return Table("class_scores", "Scores by class", columns, rows)


def label_count_table(evaluation: Evaluation) -> Table:
    """Test images of each class beside how many were taken for it, mean over seeds."""
    table = evaluation.table("label_counts", split="test")
    rows = []
    for (name, class_name), group in table.groupby(["trained_on", "class"], sort=False):
        cell = Cell(name, mark=evaluation.mark(str(name)), kind=evaluation.kinds.get(str(name), ""))
        real, predicted = float(group["real"].mean()), float(group["predicted"].mean())
        rows.append(Row([cell, class_name, real, predicted, predicted - real]))
    columns = [words("trained on"), words("class"), counts("real labels"), counts("predicted"), counts("difference")]
    return Table("label_counts", "Label counts", columns, rows)


def accuracy_panel(evaluation: Evaluation) -> Panel | None:
    """Test accuracy of every training set; None without scores."""
    names, summary = evaluation.labels, evaluation.tables["scores_summary"]
    if summary.empty:
        return None
    return panel(
        figures.draw_accuracy(summary, evaluation.tables["scores"], names, evaluation.kinds),
        title="Accuracy",
        caption="Dots: mean accuracy on the real test images; bars: its 95 % Wilson interval, which knows the number "
        "of images but not the choice of seeds; ticks: the single seeds; diamonds: accuracy on the images that the "
        f"classifier was trained on. The dashed line is the classifier of the real images. {basis(evaluation)}.",
        alt=f"Test accuracy with intervals of the classifiers trained on: {join_words(names)}",
        name="accuracy",
    )


def class_panels(evaluation: Evaluation) -> dict[str, Panel]:
    """Per-class scores, confusion and label counts, each where its table has rows."""
    names, kinds, classes, rests_on = evaluation.labels, evaluation.kinds, evaluation.classes, basis(evaluation)
    panels: dict[str, Panel] = {}
    class_scores = evaluation.table("class_scores", split="test")
    if len(class_scores):
        panels["classes"] = panel(
            class_figures.draw_class_scores(class_scores, classes, names, kinds),
            title="Scores by class",
            caption=f"Marks: mean over seeds; lines: from the lowest to the highest seed. {rests_on}.",
            alt=f"Recall, precision and F1 of the classes {join_words(classes)}",
            name="class_scores",
        )
    confusion = evaluation.table("confusion", split="test")
    if len(confusion):
        panels["confusion"] = panel(
            class_figures.draw_confusion(confusion, classes, names),
            title="Confusion",
            caption="Rows: true classes; columns: predicted ones. Counts are summed over seeds; shade and percentage "
            f"are shares of the row. {rests_on}.",
            alt=f"Confusion matrices over the classes {join_words(classes)}",
            name="confusion",
        )
    counts = evaluation.table("label_counts", split="test")
    if len(counts):
        panels["label_counts"] = panel(
            class_figures.draw_label_counts(counts, classes, names, kinds),
            title="Label counts",
            caption="How many test images belong to each class, and how many each classifier takes for it: mean over "
            f"seeds, with a line from the lowest to the highest. {rests_on}.",
            alt=f"Real and predicted counts of the classes {join_words(classes)}",
            name="label_counts",
        )
    return panels
