"""What each section of a report shows, as plain values and figures for the template."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from raysynth.data.dataset import Dataset, load_dataset
from raysynth.errors import UserError
from raysynth.report import figures, image_figures, sweep_figures
from raysynth.report.evaluation_files import SCORES, Evaluation
from raysynth.report.style import Panel, join_words, panel, plain, png_uri

SPLIT_NAMES = {
    "fit": "its own training images",
    "train": "real, train",
    "validation": "real, validation",
    "test": "real, test",
}
_STRIP_WIDTH = 940  # CSS pixels for all strips of a row of the sample grid
_CELL = 64  # CSS pixels of one image in it


def describe_seeds(evaluation: Evaluation) -> str:
    """`3 trainings each (seeds 0, 1, 2)`: the end of most captions."""
    seeds = evaluation.seeds
    if not seeds:
        return "seeds unknown"
    return f"{len(seeds)} training{'s' if len(seeds) > 1 else ''} each (seed{'s' if len(seeds) > 1 else ''} {join_words(seeds)})"


def num_test(evaluation: Evaluation) -> int:
    """Number of real test images."""
    counts = (evaluation.real.get("counts") or {}).get("test") or {}
    return sum(int(count) for count in counts.values())


def basis(evaluation: Evaluation) -> str:
    """What a score on the test split rests on."""
    text = f"{num_test(evaluation):,} real test images, {describe_seeds(evaluation)}"
    status = (evaluation.real.get("leakage") or {}).get("status")
    warning = {"leaky": "; the split is leaky, so the scores are too high", "clean": ""}
    return text + warning.get(str(status), "; whether the split leaks is unknown")


def verdict(evaluation: Evaluation) -> dict[str, Any]:
    """The sentence, its figure, and the comparisons behind it."""
    content = evaluation.content.get("verdict") or {}
    items = content.get("items") or []
    chart = None
    if items:
        chart = panel(
            figures.draw_verdict(items),
            title="",
            caption="Difference of test accuracy to the better of the classifiers trained on real images alone, with its "
            f"95 % interval. An interval that holds zero decides nothing. {basis(evaluation)}.",
            alt="Difference of test accuracy and its interval for each synthetic set",
        )
    sentence = content.get("sentence") or "This evaluation holds no verdict."
    return {"sentence": sentence, "items": items, "chart": chart}


def warnings_about(evaluation: Evaluation) -> list[dict[str, str]]:
    """What a reader has to know before believing a score."""
    found = []
    leakage = evaluation.real.get("leakage") or {}
    status, detail = leakage.get("status", "unknown"), leakage.get("detail") or ""
    if status == "leaky":
        text = f"The test scores are too high: {detail}. Import with --split grouped for scores to rely on."
        found.append({"title": "Leaky split", "text": text})
    elif status != "clean":
        text = "It is unknown whether test images have twins among the training images: read the scores as upper bounds."
        found.append({"title": "Leakage unknown", "text": f"{text} {detail}".strip()})
    for synthetic in evaluation.synthetic:
        origin = synthetic.get("provenance") or {}
        trained_on = origin.get("training_fingerprint")
        name = synthetic.get("name", "")
        if not origin:
            text = f"Nothing says what made {name}: its model may have seen the test images."
            found.append({"title": "Origin unknown", "text": text})
        elif trained_on and evaluation.real.get("fingerprint") and trained_on != evaluation.real["fingerprint"]:
            text = f"{name} comes from a model of another data set or split: it may have seen these test images."
            found.append({"title": "Other training data", "text": text})
    return found


def key_figures(evaluation: Evaluation) -> list[dict[str, str]]:
    """A few numbers that answer most questions: (label, value, note)."""
    tiles = []
    summary = evaluation.table("scores_summary", split="test")
    kinds = evaluation.kinds
    headings = {"real": "Real images", "mixed": "Real and generated", "synthetic": "Generated images alone"}
    for kind, heading in headings.items():
        rows = summary[[kinds.get(name) == kind for name in summary["trained_on"]]].dropna(subset=["accuracy_mean"])
        if len(rows):
            best = rows.sort_values("accuracy_mean", kind="stable").iloc[-1]
            note = f"{100 * best['accuracy_low']:.1f} to {100 * best['accuracy_high']:.1f} %, 95 % interval"
            tiles.append(
                {
                    "label": heading,
                    "value": f"{100 * best['accuracy_mean']:.1f} %",
                    "note": note,
                    "detail": plain(best["trained_on"]) + (" (best)" if len(rows) > 1 else ""),
                    "kind": kind,
                }
            )
    ks = evaluation.table("ks", **{"class": "all"})
    if statistics := [value for value in ks["statistic"] if np.isfinite(value)]:
        low, high = f"{min(statistics):.3f}", f"{max(statistics):.3f}"
        tiles.append(
            {
                "label": "KS of intensities",
                "value": low if low == high else f"{low} to {high}",
                "note": "0: same distribution, 1: disjoint",
                "detail": "real train against synthetic",
            }
        )
    counts = evaluation.real.get("counts") or {}
    if counts:
        train, test = (sum((counts.get(split) or {}).values()) for split in ("train", "test"))
        tiles.append(
            {
                "label": "Real test images",
                "value": f"{test:,}",
                "note": f"{train:,} to train on, {len(evaluation.classes)} classes",
                "detail": "",
            }
        )
    return tiles


def score_rows(evaluation: Evaluation, splits: tuple[str, ...]) -> list[dict[str, Any]]:
    """The study's table: one row a training set and split, scores as (mean, standard deviation)."""
    summary = evaluation.tables["scores_summary"]
    kinds = evaluation.kinds
    rows = []
    for name in evaluation.trained_on:
        for split in splits:
            chosen = summary[(summary["trained_on"] == name) & (summary["split"] == split)]
            if chosen.empty:
                continue
            values = chosen.iloc[0]
            spread = (values["num_seeds"] or 0) > 1
            rows.append(
                {
                    "trained_on": name,
                    "kind": kinds[name],
                    "split": split,
                    "split_name": SPLIT_NAMES.get(split, split),
                    "first": not rows or rows[-1]["trained_on"] != name,
                    "steps": values["steps"],
                    "n": values["n"],
                    "num_seeds": values["num_seeds"],
                    "low": values["accuracy_low"],
                    "high": values["accuracy_high"],
                    "scores": [
                        (values[f"{score}_mean"], values[f"{score}_std"] if spread else None) for score in SCORES
                    ],
                }
            )
    return rows


def score_panels(evaluation: Evaluation) -> dict[str, Panel]:
    """Accuracy, per-class scores, confusion and label counts, each where its table has rows."""
    names, kinds, classes, rests_on = evaluation.trained_on, evaluation.kinds, evaluation.classes, basis(evaluation)
    panels: dict[str, Panel] = {}
    summary, scores = evaluation.tables["scores_summary"], evaluation.tables["scores"]
    if len(summary):
        panels["accuracy"] = panel(
            figures.draw_accuracy(summary, scores, names, kinds),
            title="Accuracy",
            caption="Dots: mean accuracy on the real test images; bars: its 95 % Wilson interval, which knows the number "
            "of images but not the choice of seeds; ticks: the single seeds; diamonds: accuracy on the images that the "
            f"classifier was trained on. The dashed line is the classifier of the real images. {rests_on}.",
            alt=f"Test accuracy with intervals of the classifiers trained on: {join_words(names)}",
        )
    class_scores = evaluation.table("class_scores", split="test")
    if len(class_scores):
        panels["classes"] = panel(
            figures.draw_class_scores(class_scores, classes, names, kinds),
            title="Scores by class",
            caption=f"Marks: mean over seeds; lines: from the lowest to the highest seed. {rests_on}.",
            alt=f"Recall, precision and F1 of the classes {join_words(classes)}",
        )
    confusion = evaluation.table("confusion", split="test")
    if len(confusion):
        panels["confusion"] = panel(
            figures.draw_confusion(confusion, classes, names),
            title="Confusion",
            caption="Rows: true classes; columns: predicted ones. Counts are summed over seeds; shade and percentage are "
            f"shares of the row. {rests_on}.",
            alt=f"Confusion matrices over the classes {join_words(classes)}",
        )
    counts = evaluation.table("label_counts", split="test")
    if len(counts):
        panels["label_counts"] = panel(
            figures.draw_label_counts(counts, classes, names, kinds),
            title="Label counts",
            caption="How many test images belong to each class, and how many each classifier takes for it: mean over "
            f"seeds, with a line from the lowest to the highest. {rests_on}.",
            alt=f"Real and predicted counts of the classes {join_words(classes)}",
        )
    return panels


def class_score_rows(evaluation: Evaluation) -> list[dict[str, Any]]:
    """Mean recall, precision and F1 on the test split, one row a training set and class."""
    table = evaluation.table("class_scores", split="test")
    mean = table.groupby(["trained_on", "class"])[["n", "recall", "precision", "f1"]].mean()
    return [
        {"trained_on": name, "first": place == 0, "class": c, **{str(k): v for k, v in mean.loc[(name, c)].items()}}
        for name in evaluation.trained_on
        for place, c in enumerate([c for c in evaluation.classes if (name, c) in mean.index])
    ]


def open_sets(evaluation: Evaluation, notes: list[str]) -> dict[str, Dataset]:
    """The data sets that are still where the evaluation found them, the real one under the name ``."""
    found: dict[str, Dataset] = {}
    for name, entry in [("", evaluation.real), *((str(s.get("name")), s) for s in evaluation.synthetic)]:
        shown = name or "The real data set"
        place = evaluation.locate(entry.get("path"))
        try:
            dataset = load_dataset(place, "data set") if place else None
        except UserError as error:
            notes.append(f"{shown}: {error}; its images are not shown.")
            continue
        if dataset is None:
            notes.append(f"{shown} is no longer at {entry.get('path')}: its images are not shown.")
        elif entry.get("fingerprint") and dataset.fingerprint != entry["fingerprint"]:
            notes.append(f"{shown} at {entry.get('path')} has changed since the evaluation: its images are not shown.")
        else:
            found[name] = dataset
    return found


def sample_grid(evaluation: Evaluation, notes: list[str]) -> dict[str, Any] | None:
    """Real train images beside each synthetic set's, one row a class, each cell a strip of images."""
    sets = open_sets(evaluation, notes)
    if not sets:
        return None
    count = max(3, min(10, _STRIP_WIDTH // len(sets) // (_CELL + 2)))
    rows = []
    for class_name in evaluation.classes:
        cells = []
        for name, dataset in sets.items():
            images = np.zeros((0, *dataset.shape), np.uint8)
            if class_name in dataset.classes:
                images = image_figures.choose_images(dataset, class_name, "train", count)
            if not len(images):
                cells.append(None)
                continue
            strip = image_figures.join_images(images if images.ndim == 4 else images[:, :, images.shape[2] // 2], count)
            width = len(images) * (_CELL + 2) - 2
            alt = f"{len(images)} {'synthetic' if name else 'real'} images of the class {plain(class_name)}"
            cells.append({"source": png_uri(strip[..., : _strip_width(images)]), "width": width, "alt": alt})
        rows.append({"class": class_name, "cells": cells})
    heads = [("real, train" if not name else name, dataset.shape) for name, dataset in sets.items()]
    return {"heads": heads, "rows": rows, "count": count}


def _strip_width(images: np.ndarray) -> int:
    return len(images) * (images.shape[-1] + image_figures.GAP) - image_figures.GAP


def distribution_panel(evaluation: Evaluation) -> Panel | None:
    """Images per class in the real splits and in each synthetic set."""
    counts = evaluation.real.get("counts")
    if not counts:
        return None
    sets = [(str(evaluation.real.get("name", "real")), "real", counts)]
    sets += [(str(s.get("name")), "synthetic", s.get("counts") or {}) for s in evaluation.synthetic]
    return panel(
        figures.draw_class_distribution(sets, evaluation.classes),
        title="Images by class",
        caption="Number of images of each class: the real set by split (stacked, the sum beside the bar) and each synthetic set.",
        alt=f"Number of images of the classes {join_words(evaluation.classes)} in each data set",
    )


def intensities(evaluation: Evaluation) -> dict[str, Any]:
    """The KS table (rows: synthetic set and class; columns: channels) and the histograms of each synthetic set."""
    ks, histograms = evaluation.tables["ks"], evaluation.tables["histograms"]
    channels = list(dict.fromkeys([*ks["channel"], *histograms["channel"]]))
    rows = []
    for (synthetic, class_name), group in ks.groupby(["synthetic", "class"], sort=False):
        found = group.drop_duplicates("channel").set_index("channel")[["statistic", "wasserstein"]]
        cells = [tuple(found.loc[channel]) if channel in found.index else (None, None) for channel in channels]
        first = not rows or rows[-1]["synthetic"] != synthetic
        rows.append({"synthetic": synthetic, "class": class_name, "cells": cells, "first": first})
    train = sum(((evaluation.real.get("counts") or {}).get("train") or {}).values())
    panels = []
    for entry in evaluation.synthetic:
        name = str(entry.get("name"))
        own = histograms[histograms["source"] == name]
        if own.empty:
            continue
        made = sum((entry.get("counts") or {}).get("train", {}).values())
        rests_on = f"All pixels of {train:,} real train images and {made:,} images of {plain(name)}"
        panels.append(
            panel(
                figure=image_figures.draw_intensities(histograms, ks, name, channels),
                title=f"{name}: all classes",
                caption=f"Left: share of pixels by intensity, four intensities a step. Right: share of pixels up to an "
                f"intensity; the KS statistic is the widest gap. {rests_on}.",
                alt=f"Histograms of pixel intensities, real images and {name}",
            )
        )
        if present := [c for c in evaluation.classes if c in set(own["class"])]:
            limit = image_figures.MAX_PANELS
            rest = f" The first {limit} only; all are in histograms.csv." if len(present) * len(channels) > limit else ""
            panels.append(
                panel(
                    figure=image_figures.draw_class_intensities(histograms, name, present, channels),
                    title=f"{name}: by class",
                    caption=f"The same by class; what is higher than the frame is cut off. {rests_on}.{rest}",
                    alt=f"Histograms of pixel intensities by class, real images and {name}",
                )
            )
    return {"channels": channels, "rows": rows, "panels": panels}


def sweeps(evaluation: Evaluation, notes: list[str]) -> list[dict[str, Any]]:
    """Table and figures of every sweep that a synthetic set came from."""
    shown: list[dict[str, Any]] = []
    origins: dict[str, list[str]] = {}
    for entry in evaluation.synthetic:
        if path := (entry.get("provenance") or {}).get("sweep"):
            origins.setdefault(str(path), []).append(str(entry.get("name")))
    for path, names in origins.items():
        folder = evaluation.locate(path)
        if folder is None:
            notes.append(f"The sweep of {join_words(names)} is no longer at {path}: it is not shown.")
            continue
        sweep = sweep_figures.read_sweep(folder)
        panels = []
        if (chart := sweep_figures.draw_metric(sweep)) is not None:
            panels.append(
                panel(
                    chart,
                    title=f"{sweep.metric} by epoch",
                    caption=f"One line a trial, {len(sweep.trials)} trials, one training each; on validation images. The "
                    "thick line is the trial that was chosen.",
                    alt=f"{sweep.metric} against epoch of {len(sweep.trials)} trials",
                )
            )
        if (pictures := sweep_figures.draw_samples(sweep)) is not None:
            caption = "The newest samples of each trial, the best trial first; the same seeds in every trial."
            panels.append(picture_panel(pictures, "Samples, trial by class", caption, "Sample images of each trial"))
        table = sweep.table
        shown.append(
            {
                "path": path,
                "names": names,
                "columns": list(table.columns),
                "rows": [[str(value) for value in row] for row in table.itertuples(index=False)],
                "best": sweep.best,
                "metric": sweep.metric,
                "panels": panels,
            }
        )
    return shown


def picture_panel(figure: Any, title: str, caption: str, alt: str) -> Panel:
    """A figure that holds images as a panel of pixels."""
    width = round(figure.get_figwidth() * 96)
    return Panel(plain(title, 120), caption, plain(alt, 400), png_uri(figure), width, "picture")


def family_figures(
    evaluation: Evaluation, notes: list[str], say: Callable[[str], None] = lambda line: None
) -> list[dict[str, Any]]:
    """What each family has to say about the run that made a synthetic set."""
    shown: list[dict[str, Any]] = []
    seen: set[str] = set()
    for entry in evaluation.synthetic:
        origin = entry.get("provenance") or {}
        name, path = origin.get("family"), origin.get("run")
        if not name or not path or path in seen:
            continue
        seen.add(path)
        folder = evaluation.locate(path)
        if folder is None:
            notes.append(f"The run of {entry.get('name')} is no longer at {path}: its figures are not shown.")
            continue
        say(f"figures of {name} from {path}")
        try:
            from raysynth.models.registry import get_family  # torch, so only when there is a run to ask about

            drawn = get_family(str(name)).figures(folder)
            panels = [_family_panel(figure) for figure in drawn]
        except Exception as error:  # a family is anybody's code: its failure must not take the report with it
            notes.append(f"The figures of {name} from {path} could not be drawn: {type(error).__name__}: {error}")
            continue
        if panels:
            shown.append({"name": entry.get("name"), "family": name, "run": path, "panels": panels})
    return shown


def _family_panel(drawn: Any) -> Panel:
    if any(axes.images for axes in drawn.figure.axes):
        return picture_panel(drawn.figure, drawn.title, drawn.caption, drawn.title)
    return panel(drawn.figure, title=drawn.title, caption=drawn.caption, alt=drawn.title)


def flatten(content: Mapping[str, Any], prefix: str = "") -> list[tuple[str, str]]:
    """Nested plain content as (dotted key, text)."""
    rows: list[tuple[str, str]] = []
    for key, value in content.items():
        if isinstance(value, Mapping) and value:
            rows += flatten(value, f"{prefix}{key}.")
        elif isinstance(value, list):
            rows.append((f"{prefix}{key}", join_words(value)))
        else:
            rows.append((f"{prefix}{key}", "none" if value is None else str(value)))
    return rows


def provenance(evaluation: Evaluation) -> list[dict[str, Any]]:
    """Titles and (key, value) rows of everything that the evaluation rests on."""
    content = evaluation.content
    blocks = [
        ("Evaluation", {"folder": str(Path(evaluation.path)), **{k: content.get(k) for k in ("created", "seeds")}}),
        ("Real data set", {k: v for k, v in evaluation.real.items() if k != "counts"}),
        *((f"Synthetic set {s.get('name')}", {k: v for k, v in s.items() if k != "counts"}) for s in evaluation.synthetic),
        ("Classifier", content.get("classifier") or {}),
        ("Seconds", content.get("seconds") or {}),
        ("Software", content.get("software") or {}),
    ]
    return [{"title": title, "rows": flatten(block)} for title, block in blocks if block]
