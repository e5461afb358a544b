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
from cycler import cycler
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine
from PIL import Image

from raysynth.report.svg import to_svg

# Blue, vermilion and green of Okabe and Ito's palette: told apart with any common colour blindness.
REAL, GENERATED, MIXED, DISTILLED = "#0072B2", "#D55E00", "#009E73", "#CC79A7"
COLOURS = {"real": REAL, "synthetic": GENERATED, "mixed": MIXED, "distilled": DISTILLED}
LIGHT = {"real": "#8fbfdc", "synthetic": "#efb48c", "mixed": "#86cdb8", "distilled": "#e6bcd3"}
INK, MUTED, RULE, EDGE = "#1c2128", "#5d6772", "#dfe3e8", "#b8bfc8"
SHADE = "#0a4a78"  # of cells, by its opacity
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
    "axes.prop_cycle": cycler(color=LINES),
    "axes.titlesize": 10,
    "axes.titleweight": "bold",
    "axes.titlelocation": "left",
    "axes.labelsize": 9,
    "axes.labelcolor": MUTED,
    "axes.edgecolor": EDGE,
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


# The custom property of report.css that stands for a colour, so that charts follow the theme of the page.
THEME = {
    "#000000": "--ink",
    INK: "--ink",
    MUTED: "--muted",
    RULE: "--rule",
    EDGE: "--edge",
    SHADE: "--shade",
    LINES[5]: "--sky",
    **{COLOURS[kind]: f"--{kind}" for kind in COLOURS},
    **{LIGHT[kind]: f"--{kind}-light" for kind in LIGHT},
}
THEME = {colour.lower(): name for colour, name in THEME.items()}


@dataclass(frozen=True)
class Panel:
    """A figure of the page: a chart (`svg`) or, where it holds images, a picture (`png`).

    `width` is its size in CSS pixels, `caption` says what it rests on, `name` becomes its file name.
    """

    title: str
    caption: str
    alt: str
    width: int
    svg: str = ""
    png: bytes = b""
    name: str = "figure"

    @property
    def source(self) -> str:
        """The picture as a data URI."""
        return data_uri(self.png)


@dataclass(frozen=True)
class Picture:
    """Images in one PNG file, `width` CSS pixels wide; a click shows it enlarged. Without a `name` it gets no file."""

    png: bytes
    alt: str
    width: int
    name: str = "picture"

    @property
    def source(self) -> str:
        """The picture as a data URI."""
        return data_uri(self.png)


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


def to_png(picture: Figure | Image.Image) -> bytes:
    """A figure or an image as a PNG file."""
    stream = io.BytesIO()
    if isinstance(picture, Figure):
        with house_style():
            picture.savefig(stream, format="png", dpi=1.5 * PIXELS_PER_INCH)
    else:
        picture.save(stream, format="png", optimize=True)
    return stream.getvalue()


def data_uri(png: bytes) -> str:
    """A PNG file as a data URI."""
    return "data:image/png;base64," + base64.b64encode(png).decode()


def as_image(pixels: np.ndarray) -> Image.Image:
    """Pixels (C, H, W) uint8 as an image, grey or colour; what is neither shows its first channel."""
    if len(pixels) == 3:
        return Image.fromarray(np.ascontiguousarray(np.moveaxis(pixels, 0, -1)))
    return Image.fromarray(np.ascontiguousarray(pixels[0]))


def panel(figure: Figure, *, title: str, caption: str, alt: str, name: str = "figure") -> Panel:
    """A chart as a panel of the page; `name` (letters, digits and `_`, never a name of the data) is for its file."""
    with house_style():
        svg = to_svg(figure, FONTS)
    return Panel(plain(title, 120), caption, plain(alt, 400), _css_width(figure), svg=svg, name=name)


def picture_panel(figure: Figure, *, title: str, caption: str, alt: str, name: str = "picture") -> Panel:
    """A figure that holds images as a panel of the page: pixels, and never turned dark."""
    return Panel(plain(title, 120), caption, plain(alt, 400), _css_width(figure), png=to_png(figure), name=name)


def _css_width(figure: Figure) -> int:
    return round(figure.get_figwidth() * PIXELS_PER_INCH)
