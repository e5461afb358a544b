"""A contact sheet of verified pairs, those first that a person should look at first."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
from PIL import Image, ImageDraw, ImageFont

MAX_PAIRS = 60
MAX_PAIRS_OF_ONE = 2
COLUMNS = 6
SCALE = 2
GAP, CAPTION = 12, 46
COLOURS = {"label conflict": "#c0392b", "across splits": "#d68910", "": "#7f8c8d"}


def draw_pairs(
    pairs: pd.DataFrame, thumbnails: Sequence[np.ndarray], file: Path, *, max_pairs: int = MAX_PAIRS
) -> None:
    """Write a PNG of at most `max_pairs` pairs, worst first: label conflicts, then pairs across splits, then by score.

    `thumbnails` holds those (N, 64, 64) of the data set, then those of each other one; a pair's images, `row_a` of the
    first and `row_b` of number `set_b`, stand side by side.
    """
    rows = worst_first(pairs).head(max_pairs)
    side = thumbnails[0].shape[-1] * SCALE
    width, height = 2 * side + GAP, side + CAPTION + GAP
    num_columns, num_lines = min(COLUMNS, max(len(rows), 1)), -(-max(len(rows), 1) // COLUMNS)
    sheet = Image.new("RGB", (num_columns * (width + GAP) + GAP, num_lines * height + GAP), "white")
    draw, font = ImageDraw.Draw(sheet), ImageFont.load_default(11)
    if not len(rows):
        draw.text((GAP, GAP), "no copies found", fill="black", font=font)
    for place, (_, pair) in enumerate(rows.iterrows()):
        left = GAP + place % COLUMNS * (width + GAP)
        top = GAP + place // COLUMNS * height
        pictures = (thumbnails[0][pair["row_a"]], thumbnails[pair["set_b"]][pair["row_b"]])
        for number, picture in enumerate(pictures):
            scaled = Image.fromarray(picture).resize((side, side), Image.Resampling.NEAREST)
            sheet.paste(scaled, (left + number * side, top))
        reason = _reason(pair)
        draw.rectangle((left - 2, top - 2, left + 2 * side + 1, top + side + 1), outline=COLOURS[reason], width=2)
        how = pair["relation"] if pair["orientation"] == "upright" else f"{pair['relation']}, {pair['orientation']}"
        lines = [
            f"{pair['score']:.3f} {how}" + (f": {reason}" if reason else ""),
            f"{pair['class_a']} {pair['split_a']} | {pair['class_b']} {pair['split_b']}",
            f"{Path(pair['path_a']).name} | {Path(pair['path_b']).name}",
        ]
        for number, line in enumerate(lines):
            draw.text((left, top + side + 3 + 14 * number), _fit(line, font, 2 * side + GAP), fill="black", font=font)
    sheet.save(file)


def worst_first(pairs: pd.DataFrame) -> pd.DataFrame:
    """Label conflicts, then pairs across splits, then the others; in each the least certain first.

    Of pairs with one image in common only a few are kept: many copies of one picture would fill the sheet.
    """
    order = np.where(pairs["class_a"] != pairs["class_b"], 0, np.where(pairs["split_a"] != pairs["split_b"], 1, 2))
    ordered = pairs.assign(order=order).sort_values(["order", "score"], kind="stable").drop(columns="order")
    before = [ordered.groupby(keys).cumcount().to_numpy() for keys in (["id_a"], ["data_b", "id_b"])]
    return ordered[np.maximum(*before) < MAX_PAIRS_OF_ONE]


def _reason(pair: pd.Series) -> str:
    if pair["class_a"] != pair["class_b"]:
        return "label conflict"
    return "across splits" if pair["split_a"] != pair["split_b"] else ""


def _fit(text: str, font: ImageFont.FreeTypeFont | ImageFont.ImageFont, width: int) -> str:
    while font.getlength(text) > width:
        text = text[:-2] + "…"
    return text
