"""The contact sheet of a data set: a strip of images for each class beside the number of images per split.

Of a volume three orthogonal slices are shown.
"""

from __future__ import annotations

import re
import textwrap
import warnings
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from raysynth.data.dataset import SPLITS, Dataset, load_dataset, tensor_column
from raysynth.data.locations import Location, refuse_bucket
from raysynth.data.slices import as_pictures, picture_size
from raysynth.errors import UserError

if TYPE_CHECKING:
    from matplotlib.figure import Figure

IMAGES_PER_ROW = 12
VOLUMES_PER_ROW = 4  # each is three slices wide
MAX_CLASSES = 60
MAX_NAME = 28
MAX_SHOWN_SIZE = 128  # pixels of an image, or of a slice of a volume, on the sheet; larger ones are thinned out
GAP = 2
SPLIT_COLOURS = {"train": "#4477aa", "validation": "#ddaa33", "test": "#bb5566"}


def show(data: Location | str, out: Path | str | None = None) -> Path:
    """Draw the contact sheet of the data set `data` as a PNG file and return where it is.

    `out` defaults to the name of the data set in the current folder. An older PNG there is replaced. Raises UserError
    when `data` is not a data set, or `out` is a folder or another kind of file.
    """
    dataset = load_dataset(data, "DIR")
    if out is not None:
        refuse_bucket(out, "--out")
    out = Path(out) if out is not None else Path(re.sub(r"[^\w.-]+", "_", dataset.name).strip("._") or "sheet")
    if out.is_dir():
        raise UserError(f"--out {out}: is a folder; name a file such as {out / 'sheet.png'}")
    if out.suffix.lower() != ".png":
        if out.suffix.lower() in (".jpg", ".jpeg", ".pdf", ".svg", ".gif", ".html"):
            raise UserError(f"--out {out}: the sheet is a PNG file; choose a name that ends in .png")
        out = out.with_name(out.name + ".png")
    from matplotlib import rc_context

    # Class names are plain text: a `$` in them starts no formula, and a letter that the font lacks is drawn as a box.
    with rc_context({"text.parse_math": False, "text.usetex": False}), warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Glyph .* missing")
        figure = draw_sheet(dataset)
        out.parent.mkdir(parents=True, exist_ok=True)
        figure.savefig(out, format="png", dpi=100)
    return out


def draw_sheet(dataset: Dataset) -> Figure:
    """The contact sheet as a figure: a row per class (two lines of images where there are few classes)."""
    from matplotlib.figure import Figure

    classes = dataset.classes[:MAX_CLASSES]
    lines = 2 if len(classes) <= 6 else 1
    strips = _strips(dataset, len(classes), lines)
    height, width = strips[0].shape[:2]
    sheet = np.concatenate(strips)

    row_height = lines * min(0.85, 0.6 * lines)  # inches
    image_width = min(row_height * width / height, 12.0)
    name_width, bar_width, head, foot = 2.4, 3.0, 1.0, 0.7
    total_width = name_width + image_width + 0.3 + bar_width + 0.5
    total_height = head + row_height * len(classes) + foot
    figure = Figure(figsize=(total_width, total_height), facecolor="white")

    def place(left: float, box_width: float) -> tuple[float, float, float, float]:
        """A box over all rows, from inches to parts of the figure."""
        rows = row_height * len(classes)
        return left / total_width, foot / total_height, box_width / total_width, rows / total_height

    images = figure.add_axes(place(name_width, image_width))
    images.imshow(sheet, aspect="auto", interpolation="nearest", extent=(0, 1, len(classes) - 0.5, -0.5))
    images.set_xticks([])
    images.set_yticks(range(len(classes)), [shorten(name) for name in classes])
    images.tick_params(length=0, labelsize=10)
    images.spines[:].set_visible(False)

    bars = figure.add_axes(place(name_width + image_width + 0.3, bar_width))
    _draw_bars(bars, dataset, classes)

    kind = "drawn" if "phantom" in dataset.source else dataset.kind
    things = "images" if len(dataset.shape) == 3 else "volumes"
    title = f"{shorten(dataset.name, 60)}: {dataset.num_images()} {kind} {things}, {_shape(dataset)}"
    if len(classes) < len(dataset.classes):
        title += f"; the first {len(classes)} of {len(dataset.classes)} classes"
    figure.text(0.15 / total_width, 1 - 0.22 / total_height, title, fontsize=14, fontweight="bold", va="top")
    leakage = dataset.leakage
    line = textwrap.shorten(f"leakage: {leakage.status}; {leakage.detail}".rstrip("; "), 140, placeholder=" …")
    colour = {"clean": "#226633", "leaky": "#aa2222"}.get(leakage.status, "#555555")
    figure.text(0.15 / total_width, 1 - 0.58 / total_height, line, fontsize=10, color=colour, va="top")
    return figure


def _draw_bars(axes, dataset: Dataset, classes: tuple[str, ...]) -> None:  # type: ignore[no-untyped-def]
    """A bar for each split in each class's row, with its number."""
    splits = [split for split in SPLITS if dataset.num_images(split)] or list(SPLITS[:1])
    thickness = 0.8 / len(splits)
    most = max([1, *(dataset.counts[split][name] for split in splits for name in classes)])
    for position, split in enumerate(splits):
        counts = [dataset.counts[split][name] for name in classes]
        rows = np.arange(len(classes)) - 0.4 + (position + 0.5) * thickness
        label = f"{split} ({dataset.num_images(split)})"
        axes.barh(rows, counts, height=0.92 * thickness, color=SPLIT_COLOURS[split], label=label)
        for row, count in zip(rows, counts, strict=True):
            axes.text(count + 0.015 * most, row, str(count), va="center", fontsize=8, color="#333333")
    axes.set_ylim(len(classes) - 0.5, -0.5)
    axes.set_xlim(0, 1.18 * most)
    axes.set_yticks([])
    axes.set_xlabel("images" if len(dataset.shape) == 3 else "volumes", fontsize=9)
    axes.tick_params(labelsize=8)
    axes.xaxis.get_major_locator().set_params(integer=True)
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(loc="lower left", bbox_to_anchor=(0, 1.0), ncols=len(splits), fontsize=8, frameon=False, handlelength=1)


def _strips(dataset: Dataset, num_classes: int, lines: int) -> list[np.ndarray]:
    """For each class, images evenly drawn from its rows: (height, width, 3) uint8, white where there are none."""
    labels = dataset.read(["label"])["label"].to_numpy()
    per_row = IMAGES_PER_ROW if len(dataset.shape) == 3 else VOLUMES_PER_ROW
    chosen: list[np.ndarray] = []
    for label in range(num_classes):
        rows = np.flatnonzero(labels == label)
        num_shown = min(len(rows), lines * per_row)
        chosen.append(rows[np.linspace(0, len(rows) - 1, num_shown).round().astype(int)] if num_shown else rows)
    images = iter(tensor_column(dataset.take(["image"], np.concatenate(chosen)), "image"))
    step = -(-max(dataset.shape[-2:]) // MAX_SHOWN_SIZE)
    height, width = (-(-length // step) for length in picture_size(dataset.shape))
    strips = []
    for rows in chosen:
        strip = np.full((lines * (height + GAP) + 2 * GAP, per_row * (width + GAP), 3), 255, dtype=np.uint8)
        for position in range(len(rows)):
            line, column = divmod(position, per_row)
            top, left = GAP + line * (height + GAP), column * (width + GAP)
            strip[top : top + height, left : left + width] = _picture(next(images))[::step, ::step]
        strips.append(strip)
    return strips


def _picture(image: np.ndarray) -> np.ndarray:
    """An image (C, H, W), or slices of a volume (C, D, H, W), as (h, w, 3); one channel or three are shown."""
    (picture,) = as_pictures(image[None])
    if len(picture) != 3:
        picture = np.repeat(picture[:1], 3, axis=0)
    return np.moveaxis(picture, 0, -1)


def _shape(dataset: Dataset) -> str:
    channels, *rest = dataset.shape
    kind = {1: "grey", 3: "colour"}.get(channels, f"{channels} channels")
    return " x ".join(str(size) for size in rest) + f" {kind}"


def shorten(name: str, length: int = MAX_NAME) -> str:
    """A name on one line, with an ellipsis in its middle where it is longer than `length`."""
    name = " ".join(name.split())
    if len(name) <= length:
        return name
    return f"{name[: length // 2]}…{name[-(length - length // 2 - 1) :]}"
