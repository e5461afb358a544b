"""Charts in the page and as files: ids apart, colours of the theme, values under the pointer."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ElementTree

import pytest

from raysynth.report.style import COLOURS, FONTS, INK, THEME, house_style, new_figure
from raysynth.report.svg import as_file, as_part_of_page, hover_box, hover_column, hover_lines, hover_row, to_svg

EVIL = "</title><img src=x onerror=alert(1)> & \x07\n2nd"


@pytest.fixture(scope="module")
def svg() -> str:
    with house_style():
        figure = new_figure(1.5)
        axes = figure.add_subplot()
        axes.plot([0, 1], [0, 1], "o", color=COLOURS["real"])
        axes.set_title("A <title>", color=INK)
        hover_row(axes, 0.5, EVIL)
        hover_column(axes, 0, 1, "column")
        hover_box(axes, 0, 0, 1, 1, "box")
        return to_svg(figure, FONTS)


def in_page(svg: str, prefix: str = "a-") -> str:
    return as_part_of_page(svg, prefix=prefix, alt='A "chart"', width=700, colours=THEME)


def test_zones_tell_their_text_in_the_page_only(svg: str) -> None:
    chart = ElementTree.fromstring(in_page(svg))
    titles = [title.text for title in chart.iter("title")]
    assert titles == [EVIL.replace("\x07", " "), "column", "box"]
    assert len(chart.findall(".//path[@class='zone']")) == 3
    assert "onerror" not in as_file(svg)
    assert "zone" not in as_file(svg)


def test_ids_of_two_charts_differ_and_every_reference_is_met(svg: str) -> None:
    first, second = (ElementTree.fromstring(in_page(svg, prefix)) for prefix in ("a-", "b-"))
    ids = [{element.attrib["id"] for element in chart.iter() if "id" in element.attrib} for chart in (first, second)]
    assert ids[0].isdisjoint(ids[1])
    text = in_page(svg)
    references = set(re.findall(r"url\(#([^)]+)\)", text)) | set(re.findall(r'href="#([^"]+)"', text))
    assert references
    assert references <= ids[0]


def test_colours_are_those_of_the_theme_in_the_page_and_as_drawn_in_the_file(svg: str) -> None:
    assert "var(--real)" in in_page(svg)
    assert "var(--ink)" in in_page(svg)
    assert COLOURS["real"].lower() in as_file(svg)
    assert "var(" not in as_file(svg)
    style = as_file(svg) + in_page(svg)
    assert "<style" not in style  # matplotlib's reaches every element of a page
    assert "metadata" not in style


def test_lines_tell_at_most_sixty_places() -> None:
    with house_style():
        figure = new_figure(1.5)
        axes = figure.add_subplot()
        hover_lines(axes, {"loss": {float(x): 2.0 * x for x in range(100)}, "other": {1.0: -0.5}}, "epoch")
        hover_lines(axes, {"single": {1.0: 1.0}}, "epoch")
        titles = [title.text or "" for title in ElementTree.fromstring(in_page(to_svg(figure, FONTS))).iter("title")]
    assert len(titles) == 50
    assert titles[1] == "epoch 2\n4  loss"
