"""How every figure of a report looks, and how a figure becomes part of an HTML file."""

from __future__ import annotations

import base64
import io
import re
import unicodedata
import warnings
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Literal

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine
from PIL import Image

# Blue, vermilion and green of Okabe and Ito's palette: told apart with any common colour blindness.
REAL, GENERATED, MIXED = "#0072B2", "#D55E00", "#009E73"
COLOURS = {"real": REAL, "synthetic": GENERATED, "mixed": MIXED}
LIGHT = {"real": "#8fbfdc", "synthetic": "#efb48c", "mixed": "#86cdb8"}
INK, MUTED, RULE = "#1c2128", "#66707c", "#dfe3e8"
# For lines that are many of one kind, the trials of a sweep: the rest of that palette, then the same again dashed.
LINES = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#1c2128", "#8c6bb1")
PAGE_WIDTH = 11.2  # inches, at 96 pixels each: the width of the report's text column
PIXELS_PER_INCH = 96

FONTS = "-apple-system, 'Segoe UI', Roboto, 'Noto Sans', 'Liberation Sans', Arial, sans-serif"
_SETTINGS: dict[Any, Any] = {
    "text.parse_math": False,  # a class may be called `$\alpha$` or just cost money
    "svg.fonttype": "none",  # text stays text: small files, and the browser has the letters of every script
    "svg.hashsalt": "raysynth",
    "font.size": 9.5,
    "axes.titlesize": 10,
    "axes.titleweight": "bold",
    "axes.titlelocation": "left",
    "axes.labelsize": 9,
    "axes.labelcolor": MUTED,
    "axes.edgecolor": "#b8bfc8",
    "axes.linewidth": 0.8,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.axisbelow": True,
    "axes.unicode_minus": True,
    "text.color": INK,
    "xtick.color": MUTED,
    "ytick.color": MUTED,
    "xtick.labelcolor": INK,
    "ytick.labelcolor": INK,
    "xtick.labelsize": 9,
    "ytick.labelsize": 9,
    "grid.color": RULE,
    "grid.linewidth": 0.8,
    "legend.frameon": False,
    "legend.fontsize": 9,
    "figure.facecolor": "none",
    "axes.facecolor": "none",
    "savefig.facecolor": "none",
}


@dataclass(frozen=True)
class Panel:
    """A figure in the page: `source` is a data URI, `width` its size in CSS pixels, `caption` what it rests on."""

    title: str
    caption: str
    alt: str
    source: str
    width: int
    kind: Literal["chart", "picture"] = "chart"


@contextmanager
def house_style() -> Iterator[None]:
    """Everything drawn or saved inside looks like the rest of the report, and no text is read as mathematics."""
    with matplotlib.rc_context(_SETTINGS), warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Glyph .* missing from font")  # the browser has it
        yield


def new_figure(height: float, *, gap: float = 0.02) -> Figure:
    """An empty figure as wide as the page, `height` in inches; `gap` is the room between its axes as a share.

    Call it inside `house_style()`.
    """
    return Figure(figsize=(PAGE_WIDTH, height), layout=ConstrainedLayoutEngine(wspace=gap))


def clear_axis(axes: Axes, *, grid: Literal["x", "y"] | None = None) -> None:
    """Quieten an axes: no tick marks, and a grid along one axis only."""
    axes.tick_params(length=0)
    if grid:
        axes.grid(axis=grid)
        axes.spines["left" if grid == "x" else "bottom"].set_visible(grid == "y")
        axes.spines["bottom" if grid == "x" else "left"].set_visible(False)


def plain(text: object, limit: int = 34) -> str:
    """A name as one line of at most `limit` characters that SVG and HTML can hold, in the order it was written."""
    name = str(text).encode("utf-8", "replace").decode("utf-8")
    name = "".join(" " if unicodedata.category(letter) in ("Cc", "Zl", "Zp") else letter for letter in name)
    name = re.sub("[\ufffe\uffff\u202a-\u202e\u2066-\u2069]", "", name).strip()
    return name if len(name) <= limit else f"{name[: limit * 2 // 3]}…{name[-(limit // 3) + 1 :]}"


def marked(name: object, mark: str, *, limit: int = 34, between: str = "\n") -> str:
    """A plain name and, mostly on a line of its own, in brackets what has to be known of it."""
    return f"{plain(name, limit)}{between}[{mark}]" if mark else plain(name, limit)


def join_words(words: Iterable[object]) -> str:
    """`a, b, c`"""
    return ", ".join(str(word) for word in words)


def svg_uri(figure: Figure) -> str:
    """A figure as a data URI, its text in the reader's own fonts."""
    stream = io.BytesIO()
    with house_style():
        figure.savefig(stream, format="svg", metadata={"Date": None, "Creator": None})
    text = re.sub(r"(font-family:|font:[^;\"]*?[\d.]+px) [^;\"]*", rf"\1 {FONTS}", stream.getvalue().decode())
    return "data:image/svg+xml;base64," + base64.b64encode(text.encode()).decode()


def png_uri(picture: Figure | np.ndarray) -> str:
    """A figure, or pixels (C, H, W) uint8, as a data URI."""
    stream = io.BytesIO()
    if isinstance(picture, Figure):
        with house_style():
            picture.savefig(stream, format="png", dpi=1.5 * PIXELS_PER_INCH)
    else:
        as_image(picture).save(stream, format="png", optimize=True)
    return "data:image/png;base64," + base64.b64encode(stream.getvalue()).decode()


def as_image(pixels: np.ndarray) -> Image.Image:
    """Pixels (C, H, W) uint8 as an image, grey or colour; what is neither shows its first channel."""
    if len(pixels) == 3:
        return Image.fromarray(np.ascontiguousarray(np.moveaxis(pixels, 0, -1)))
    return Image.fromarray(np.ascontiguousarray(pixels[0]))


def panel(figure: Figure, *, title: str, caption: str, alt: str) -> Panel:
    """A chart as a panel of the page."""
    width = round(figure.get_figwidth() * PIXELS_PER_INCH)
    return Panel(plain(title, 120), caption, plain(alt, 400), svg_uri(figure), width)


def picture_panel(figure: Figure, *, title: str, caption: str, alt: str) -> Panel:
    """A figure that holds images as a panel of the page: pixels, and never turned dark."""
    width = round(figure.get_figwidth() * PIXELS_PER_INCH)
    return Panel(plain(title, 120), caption, plain(alt, 400), png_uri(figure), width, "picture")
