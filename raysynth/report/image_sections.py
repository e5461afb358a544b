"""What a report shows of the images themselves: samples, classes, intensities."""

from __future__ import annotations

import io
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from raysynth.data.dataset import Dataset, load_dataset
from raysynth.data.locations import Location, locate
from raysynth.data.slices import as_pictures, picture_size
from raysynth.errors import UserError
from raysynth.report import class_figures, image_figures
from raysynth.report.evaluation_files import Evaluation
from raysynth.report.section import Notes, Section
from raysynth.report.style import Panel, Picture, as_image, join_words, marked, panel, plain, to_png
from raysynth.report.tables import Cell, Column, Row, Table, scores, words

_STRIP_WIDTH = 940  # CSS pixels for all strips of a row of the sample grid
_CELL = 64  # CSS pixels of the height of one image, or of the slices of a volume, in it


def open_sets(evaluation: Evaluation, notes: list[str]) -> dict[str, Dataset]:
    """The data sets that are still where the evaluation found them, the real one under an empty name."""
    found: dict[str, Dataset] = {}
    for name, entry in [("", evaluation.real), *((str(s.get("name")), s) for s in evaluation.synthetic)]:
        shown = name or "The real data set"
        try:
            place = _find(entry.get("path") or "", evaluation)
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


def _find(path: str, evaluation: Evaluation) -> Location | None:
    place = locate(path)
    return evaluation.locate(path) if isinstance(place, Path) else place


def sample_grid(evaluation: Evaluation, notes: list[str]) -> dict[str, Any] | None:
    """Real train images beside each synthetic set's, one row a class, each cell a strip of images."""
    sets = open_sets(evaluation, notes)
    if not sets:
        return None
    widest = max(_cell_width(dataset.shape) for dataset in sets.values())
    fewest = 3 if widest == _CELL else 2  # volumes are three slices wide: the table may then be scrolled sideways
    count = max(fewest, min(10, _STRIP_WIDTH // len(sets) // (widest + image_figures.GAP)))
    rows = [(name, [_strip(dataset, name, count) for dataset in sets.values()]) for name in evaluation.classes]
    heads = [("real, train", "real", "")] if "" in sets else []
    heads += [(name, "synthetic", evaluation.mark(name)) for name in sets if name]
    shapes = [(title, dataset.shape) for (title, _, _), dataset in zip(heads, sets.values(), strict=True)]
    volumes = any(len(dataset.shape) == 4 for dataset in sets.values())
    sheets = [
        _sheet(title, {class_name: pictures[place] for class_name, pictures in rows})
        for place, (title, _, _) in enumerate(heads)
    ]
    return {"heads": heads, "rows": rows, "sheets": sheets, "shapes": shapes, "count": count, "volumes": volumes}


def _sheet(title: str, strips: Mapping[str, Picture | None]) -> Picture:
    """The strips of a set below each other, for its file: on the page they are cells of a table."""
    images = {name: Image.open(io.BytesIO(strip.png)) for name, strip in strips.items() if strip}
    width = max((image.width for image in images.values()), default=1)
    height = sum(image.height + image_figures.GAP for image in images.values())
    sheet = Image.new("RGB", (width, max(height, 1)), "white")
    top = 0
    for image in images.values():
        sheet.paste(image, (0, top), mask=image.getchannel("A"))
        top += image.height + image_figures.GAP
    return Picture(to_png(sheet), f"{title}; from top to bottom: {join_words(images)}", width, name="samples")


def _strip(dataset: Dataset, class_name: str, count: int) -> Picture | None:
    """Images of a class side by side; None when the set has none."""
    if class_name not in dataset.classes:
        return None
    images = image_figures.choose_images(dataset, class_name, "train", count)
    if not len(images):
        return None
    things = "images" if images.ndim == 4 else "volumes"
    pictures = as_pictures(images)
    scale = max(1, _CELL // pictures.shape[-2])  # enlarged by whole pixels here, not smoothed by the browser
    pictures = pictures.repeat(scale, axis=-2).repeat(scale, axis=-1)
    gap = image_figures.GAP
    alt = f"{len(images)} {dataset.kind} {things} of the class {plain(class_name)} ({plain(dataset.name)})"
    width = len(images) * (_cell_width(dataset.shape) + gap) - gap
    return Picture(to_png(_let_through_gaps(pictures)), alt, width, name="")


def _let_through_gaps(pictures: np.ndarray) -> Image.Image:
    """Pictures (N, C, H, W) uint8 side by side, transparent between them: the page may be light or dark."""
    image = as_image(image_figures.join_images(pictures, len(pictures)))
    step = pictures.shape[-1] + image_figures.GAP
    opaque = np.arange(image.width) % step < pictures.shape[-1]
    image.putalpha(Image.fromarray(np.tile(np.where(opaque, 255, 0).astype(np.uint8), (image.height, 1))))
    return image


def _cell_width(shape: tuple[int, ...]) -> int:
    """CSS pixels of the width of one image, or of three slices of a volume, that is `_CELL` high."""
    height, width = picture_size(shape)
    return round(_CELL * width / height)


def distribution_panel(evaluation: Evaluation) -> Panel | None:
    """Images per class in the real splits and in each synthetic set."""
    counts = evaluation.real.get("counts")
    if not counts:
        return None
    real = str(evaluation.real.get("name", "real"))
    sets = [(marked(real, evaluation.mark("real")), "real", counts)]
    for entry in evaluation.synthetic:
        sets.append((evaluation.label(str(entry.get("name"))), "synthetic", entry.get("counts") or {}))
    return panel(
        class_figures.draw_class_distribution(sets, evaluation.classes),
        title="Images by class",
        caption="Number of images of each class: the real set by split, stacked, and each synthetic set.",
        alt=f"Number of images of the classes {join_words(evaluation.classes)} in each data set",
        name="images_by_class",
    )


def images(evaluation: Evaluation, notes: Notes) -> Section:
    """Samples of every set and class, and how many images there are."""
    return Section(
        name="images",
        label="Images",
        question="What do the images look like?",
        values={
            "num_synthetic": len(evaluation.synthetic),
            "samples": sample_grid(evaluation, notes.texts),
            "distribution": distribution_panel(evaluation),
        },
    )


def intensities(evaluation: Evaluation, notes: Notes) -> Section:
    """Pixel intensities of real and synthetic images: the KS table, and the histograms of each synthetic set."""
    ks, histograms = evaluation.tables["ks"], evaluation.tables["histograms"]
    channels = list(dict.fromkeys([*ks["channel"], *histograms["channel"]]))
    return Section(
        name="intensities",
        label="Intensities",
        question="Do the intensities agree?",
        answer=describe_intensities(evaluation),
        values={"table": intensity_table(evaluation, channels), "panels": intensity_panels(evaluation, channels)},
    )


def describe_intensities(evaluation: Evaluation) -> str:
    """How far the sets are from the real images, in a sentence."""
    table = evaluation.table("ks", **{"class": "all"}).dropna(subset=["statistic"])
    worst = table.groupby("synthetic", sort=False)["statistic"].max().sort_values()
    parts = [f"{plain(name)} {statistic:.3f}" for name, statistic in worst.items()]
    if not parts:
        return ""
    what = "over all channels and classes" if table["channel"].nunique() > 1 else "over all classes"
    return f"Largest KS statistic {what} (0: the same, 1: disjoint): {join_words(parts)}."


def intensity_table(evaluation: Evaluation, channels: list[str]) -> Table:
    """KS statistic and Wasserstein distance, one row a synthetic set and class, two columns a channel."""
    rows: list[Row] = []
    for (synthetic, class_name), group in evaluation.tables["ks"].groupby(["synthetic", "class"], sort=False):
        found = group.drop_duplicates("channel").set_index("channel")[["statistic", "wasserstein"]]
        values = [value for c in channels for value in (found.loc[c] if c in found.index else (None, None))]
        name = Cell(synthetic, mark=evaluation.mark(str(synthetic)), kind="synthetic")
        rows.append(Row([name, class_name, *values], strong=class_name == "all"))
    columns: list[Column] = [words("synthetic set"), words("class")]
    for channel in channels:
        columns += [scores("KS", 4, group=plain(channel)), scores("Wasserstein", 2, group=plain(channel))]
    return Table(
        name="intensities",
        title="Distances of pixel intensities",
        columns=columns,
        rows=rows,
        look="narrow",
        caption="Pixel intensities of the real train images against those of a synthetic set. KS: Kolmogorov-Smirnov "
        "statistic, the widest gap between the two cumulated distributions (0 to 1). Wasserstein: their mean distance "
        "in grey levels (0 to 255). Equal distributions do not make images realistic; unequal ones show that they are "
        "not.",
    )


def intensity_panels(evaluation: Evaluation, channels: list[str]) -> list[Panel]:
    """The histograms of each synthetic set, over all classes and class by class."""
    ks, histograms = evaluation.tables["ks"], evaluation.tables["histograms"]
    train = sum(((evaluation.real.get("counts") or {}).get("train") or {}).values())
    panels = []
    for entry in evaluation.synthetic:
        name = str(entry.get("name"))
        own = histograms[histograms["source"] == name]
        if own.empty:
            continue
        made = sum((entry.get("counts") or {}).get("train", {}).values())
        label = evaluation.label(name)
        rests_on = f"All pixels of {train:,} real train images and {made:,} images of {label}"
        panels.append(
            panel(
                figure=image_figures.draw_intensities(histograms, ks, name, channels, label=label),
                title=f"{label}: all classes",
                caption=f"Left: share of pixels by intensity, four intensities a step. Right: share of pixels up to an "
                f"intensity; the KS statistic is the widest gap. {rests_on}.",
                alt=f"Histograms of pixel intensities, real images and {name}",
                name="intensities",
            )
        )
        if present := [c for c in evaluation.classes if c in set(own["class"])]:
            limit = image_figures.MAX_PANELS
            cut = len(present) * len(channels) > limit
            rest = f" The first {limit} only; all are in histograms.csv." if cut else ""
            panels.append(
                panel(
                    figure=image_figures.draw_class_intensities(histograms, name, present, channels, label=label),
                    title=f"{label}: by class",
                    caption=f"The same by class; what is higher than the frame is cut off. {rests_on}.{rest}",
                    alt=f"Histograms of pixel intensities by class, real images and {name}",
                    name="class_intensities",
                )
            )
    return panels
