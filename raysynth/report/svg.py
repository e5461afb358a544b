"""Charts as SVG: a file of its own for papers, and a part of the page that follows its theme and tells its values."""

from __future__ import annotations

import io
import re
import xml.etree.ElementTree as ElementTree
from collections.abc import Mapping
from itertools import pairwise
from math import ceil, isfinite

from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from matplotlib.transforms import Transform

_SVG, _XLINK = "{http://www.w3.org/2000/svg}", "{http://www.w3.org/1999/xlink}"
_ZONE = "zone:"
_LINE_END = "\u2028"  # a newline in an attribute is read back as a space
ElementTree.register_namespace("", _SVG[1:-1])
ElementTree.register_namespace("xlink", _XLINK[1:-1])


def hover_row(axes: Axes, y: float, text: str, *, height: float = 1.0) -> None:
    """Tell `text` of everything that a chart draws about `y` (data coordinates), over the whole width."""
    _add_zone(axes, (0, y - height / 2), 1, height, text, axes.get_yaxis_transform())


def hover_column(axes: Axes, left: float, right: float, text: str) -> None:
    """Tell `text` of everything between two x (data coordinates), over the whole height."""
    _add_zone(axes, (left, 0), right - left, 1, text, axes.get_xaxis_transform())


def hover_box(axes: Axes, left: float, top: float, width: float, height: float, text: str) -> None:
    """Tell `text` of a rectangle in data coordinates."""
    _add_zone(axes, (left, top), width, height, text, axes.transData)


def hover_lines(axes: Axes, lines: Mapping[str, Mapping[float, float]], heading: str) -> None:
    """Tell the values of lines (label -> x -> y) at the x nearest to the pointer, at 60 x at most."""
    places = sorted({x for line in lines.values() for x in line if isfinite(x)})
    places = places[:: ceil(len(places) / 60) or 1]
    if len(places) < 2:
        return
    middles = [(one + other) / 2 for one, other in pairwise(places)]
    edges = [2 * places[0] - middles[0], *middles, 2 * places[-1] - middles[-1]]
    for x, (left, right) in zip(places, pairwise(edges), strict=True):
        told = [f"{line[x]:.4g}  {label}" for label, line in lines.items() if x in line]
        hover_column(axes, left, right, "\n".join([f"{heading} {x:.4g}", *told]))


def _add_zone(
    axes: Axes, corner: tuple[float, float], width: float, height: float, text: str, transform: Transform
) -> None:
    words = "".join(letter if letter.isprintable() else _LINE_END if letter == "\n" else " " for letter in text)
    # What is told rides on the one name that matplotlib writes into the file; `_tell` makes a title of it.
    zone: Artist = Rectangle(
        corner, width, height, alpha=0, linewidth=0, zorder=9, gid=_ZONE + words, transform=transform
    )
    zone.set_in_layout(False)
    axes.add_artist(zone)


def to_svg(figure: Figure, fonts: str) -> str:
    """A figure as SVG whose text is set in `fonts`, with its zones. Call it inside `house_style()`."""
    stream = io.BytesIO()
    # Not `savefig`, which draws a figure twice where it has yet to give everything its place.
    FigureCanvasSVG(figure).print_svg(stream, metadata={"Date": None, "Creator": None})
    return re.sub(r"(font-family:|font:[^;\"]*?[\d.]+px) [^;\"]*", rf"\1 {fonts}", stream.getvalue().decode())


def as_file(svg: str) -> str:
    """An SVG for papers: without the zones, colours as drawn."""
    root = _clean(svg)
    for parent in list(root.iter()):
        for child in [child for child in parent if _is_zone(child)]:
            parent.remove(child)
    return ElementTree.tostring(root, encoding="unicode", xml_declaration=True)


def as_part_of_page(svg: str, *, prefix: str, alt: str, width: int, colours: dict[str, str]) -> str:
    """An SVG as an element of an HTML page.

    Its ids start with `prefix`, so that those of several do not meet; zones hold a title; colours become those custom
    properties of CSS that `colours` (`#rrggbb` -> name) has for them.
    """
    root = _clean(svg)
    for zone in [element for element in root.iter() if _is_zone(element)]:
        _tell(zone)
    for element in root.iter():
        if "id" in element.attrib:
            element.set("id", prefix + element.attrib["id"])
        for name, value in list(element.attrib.items()):
            if name in (f"{_XLINK}href", "href") and value.startswith("#"):
                del element.attrib[name]
                element.set("href", f"#{prefix}{value[1:]}")
            elif name == f"{_XLINK}href":
                element.set("href", element.attrib.pop(name))
            elif name in ("style", "clip-path"):
                value = re.sub(r"url\(#", f"url(#{prefix}", value)
                element.set(name, re.sub(r"#[0-9a-f]{6}\b", lambda found: _variable(found[0], colours), value))
        element.tag = str(element.tag).removeprefix(_SVG)
    size = root.get("viewBox") or "0 0 1 1"
    root.attrib.clear()
    root.attrib.update({"class": "chart", "viewBox": size, "width": str(width), "role": "img", "aria-label": alt})
    return ElementTree.tostring(root, encoding="unicode")


def _variable(colour: str, colours: dict[str, str]) -> str:
    return f"var({colours[colour]})" if colour in colours else colour


def _clean(svg: str) -> ElementTree.Element:
    """The drawing without its metadata, and without the style sheet, which would reach the rest of a page."""
    root = ElementTree.fromstring(svg)
    for parent in list(root.iter()):
        for child in list(parent):
            if child.tag in (f"{_SVG}metadata", f"{_SVG}style"):
                parent.remove(child)
        if parent.tag == f"{_SVG}defs" and not len(parent) and parent in list(root):
            root.remove(parent)
    for drawing in root.findall(f"{_SVG}g"):
        drawing.set("style", "stroke-linejoin: round; stroke-linecap: butt")
    return root


def _is_zone(element: ElementTree.Element) -> bool:
    return element.get("id", "").startswith(_ZONE)


def _tell(group: ElementTree.Element) -> None:
    """Make of a group with one invisible path that path, with a title that browsers show."""
    text = group.attrib.pop("id").removeprefix(_ZONE).replace(_LINE_END, "\n")
    path = group.find(f"{_SVG}path")
    outline = "" if path is None else path.get("d", "")
    group.clear()
    group.tag = f"{_SVG}path"
    group.attrib.update({"class": "zone", "d": " ".join(outline.split())})
    ElementTree.SubElement(group, f"{_SVG}title").text = text
