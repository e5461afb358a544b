"""The page in a browser: nothing is asked of the network, no script fails, and what a reader can do works."""

from __future__ import annotations

import csv
import shutil
import xml.etree.ElementTree as ElementTree
from collections.abc import Callable, Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from raysynth.report.report import report

pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
from playwright.sync_api import Page, Route, sync_playwright

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="no chromium, chromium-browser or google-chrome on the PATH")

EVIL = "<img src=x onerror=alert(1)>"
CLASSES = [EVIL, "meningioma", "=1+1", "pituitary"]
SCORES = "#scores table.sortable"  # the first of them


@pytest.fixture(scope="module")
def page_file(tmp_path_factory: pytest.TempPathFactory, build_study: Callable[..., Any]) -> Path:
    """The report of a small evaluation with a class, a data set and a sentence that try to be markup."""
    folder = tmp_path_factory.mktemp("browser")
    study = build_study(folder, classes=CLASSES, per_class=10, seeds=(0, 1))

    def edit(content: dict[str, Any]) -> None:
        content["real"]["name"] = EVIL
        content["verdict"]["sentence"] = f"{EVIL} helps"
        for entry in content["synthetic"]:
            entry["provenance"].pop("family")  # its figures need torch

    study.change(edit)
    return report(study.evaluation, folder / "report.html", say=lambda line: None)


@pytest.fixture(scope="module")
def new_page() -> Iterator[Callable[..., Page]]:
    """Opens pages in one headless browser that may reach nothing but files."""
    with sync_playwright() as playwright:
        arguments = ["--no-sandbox", "--disable-gpu", "--disable-background-networking"]
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=arguments)
        yield browser.new_page
        browser.close()


@pytest.fixture
def page(page_file: Path, new_page: Callable[..., Page]) -> Iterator[Page]:
    """The report, open at 1200 pixels; complaints and requests of any kind fail the test at its end."""
    complaints: list[str] = []
    opened = new_page(viewport={"width": 1200, "height": 900}, color_scheme="light")
    watch(opened, page_file, complaints)
    yield opened
    opened.close()
    assert complaints == []


def watch(page: Page, file: Path, complaints: list[str]) -> None:
    """Open a page and note all that goes wrong from then on."""

    def pass_on(route: Route) -> None:
        if route.request.url.split("#")[0] == file.as_uri() or route.request.url.startswith("data:"):
            route.continue_()
        else:
            complaints.append(f"asked for {route.request.url}")
            route.abort()

    page.route("**/*", pass_on)
    page.on("console", lambda message: complaints.append(message.text))
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.on("dialog", lambda dialog: (complaints.append("alert"), dialog.dismiss()))
    page.goto(file.as_uri())


def column(page: Page, selector: str, number: int) -> list[str]:
    """The texts of a column of the first such table."""
    return page.locator(selector).first.locator(f"tbody tr > :nth-child({number})").all_inner_texts()


def test_names_stay_text(page: Page) -> None:
    assert page.locator("h1").inner_text() == f"{EVIL} helps."
    assert page.locator("img[src]:not([src^='data:'])").count() == 0
    assert page.locator("svg.chart").count() > 8
    assert page.locator("svg.chart img, svg.chart script, [onerror]").count() == 0
    zone = page.locator("#classes svg.chart .zone").first
    zone.hover()
    assert EVIL in page.locator(".tip").inner_text()
    assert page.locator(".tip *").count() == 0


def test_names_stay_text_in_the_files(page_file: Path) -> None:
    folder = page_file.with_name("report_files")
    files = [path for path in folder.rglob("*") if path.is_file()]
    assert all(set(path.stem) <= set("abcdefghijklmnopqrstuvwxyz0123456789_") for path in files)
    charts = [ElementTree.parse(path).getroot() for path in files if path.suffix == ".svg"]
    assert any(EVIL[:20] in "".join(chart.itertext()) for chart in charts)
    assert {element.tag.split("}")[-1] for chart in charts for element in chart.iter()}.isdisjoint({"img", "script"})
    with (folder / "tables" / "class_scores.csv").open(encoding="utf-8", newline="") as file:
        assert {row["class"] for row in csv.DictReader(file)} == set(CLASSES)


def test_a_table_sorts_by_click(page: Page) -> None:
    heading = page.locator(f"{SCORES} >> nth=0 >> th[data-column='4']")
    before = column(page, SCORES, 5)
    heading.get_by_role("button").click()
    ascending = column(page, SCORES, 5)
    assert heading.get_attribute("aria-sort") == "ascending"
    assert ascending == sorted(before, key=lambda text: float(text.split()[0]))
    heading.get_by_role("button").click()
    values = [float(text.split()[0]) for text in column(page, SCORES, 5)]
    assert heading.get_attribute("aria-sort") == "descending"
    assert values == sorted(values, reverse=True)
    heading.get_by_role("button").click()
    assert heading.get_attribute("aria-sort") == "none"
    assert column(page, SCORES, 5) == before
    assert before != ascending


def test_a_table_sorts_by_keyboard_and_says_every_name_then(page: Page) -> None:
    table = page.locator("#fidelity table.sortable")
    repeated = table.locator("tr.again .name").first
    assert repeated.evaluate("name => getComputedStyle(name).opacity") == "0"
    numeric = table.locator("th[data-column='4'] button")  # Frechet, measured over all classes only
    numeric.focus()
    page.keyboard.press("Enter")
    values = column(page, "#fidelity table.sortable", 5)
    assert values[:6] == ["7.3"] * 6  # of three sets, in either network's features
    assert set(values[6:]) == {"–"}
    page.keyboard.press("Space")
    assert column(page, "#fidelity table.sortable", 5)[:6] == ["7.3"] * 6  # what is missing stays last
    assert repeated.evaluate("name => getComputedStyle(name).opacity") == "1"


def test_lightbox_by_mouse(page: Page) -> None:
    box = page.locator("dialog.lightbox")
    pictures = page.locator("#images .zoom")
    assert pictures.count() == 12
    pictures.first.click()
    assert box.is_visible()
    shown = box.locator("img").get_attribute("src")
    assert shown == pictures.first.locator("img").get_attribute("src")
    box.get_by_label("Next picture").click()
    assert box.locator("img").get_attribute("src") == pictures.nth(1).locator("img").get_attribute("src")
    assert "2 of 12" in box.inner_text()
    box.get_by_label("Close").click()
    assert not box.is_visible()


def test_lightbox_by_keyboard(page: Page) -> None:
    box = page.locator("dialog.lightbox")
    opener = page.locator("#images .zoom").nth(1)
    opener.focus()
    page.keyboard.press("Enter")
    assert box.is_visible()
    page.keyboard.press("ArrowLeft")
    page.keyboard.press("ArrowLeft")
    assert "12 of 12" in box.inner_text()  # from the first to the last
    page.keyboard.press("ArrowRight")
    assert "1 of 12" in box.inner_text()
    for _ in range(5):
        page.keyboard.press("Tab")
        assert page.evaluate("document.activeElement.closest('header, nav, main') === null")  # it lies behind
    page.keyboard.press("Escape")
    assert not box.is_visible()
    assert opener.evaluate("button => button === document.activeElement")


def test_theme_follows_the_system_until_it_is_chosen(page: Page) -> None:
    def lightness(selector: str, colour: str) -> float:
        script = (
            f"element => getComputedStyle(element).{colour}.match(/[0-9]+/g).slice(0, 3).reduce((a, b) => a + +b, 0)"
        )
        return page.locator(selector).first.evaluate(script) / 765

    text = "svg.chart text"
    assert lightness("body", "backgroundColor") > 0.95
    assert lightness(text, "fill") < 0.3
    page.emulate_media(color_scheme="dark")
    assert lightness("body", "backgroundColor") < 0.15
    assert lightness(text, "fill") > 0.7  # charts are drawn in the colours of the theme
    page.get_by_role("button", name="Light theme").click()
    assert lightness("body", "backgroundColor") > 0.95
    page.get_by_role("button", name="Dark theme").click()
    assert lightness("body", "backgroundColor") < 0.15
    page.emulate_media(media="print")
    assert lightness("body", "backgroundColor") > 0.95  # paper is white
    assert not page.locator("nav").is_visible()


def test_print_unfolds(page: Page) -> None:
    folded = page.locator("details:not([open])")
    before = folded.count()
    assert before > 3
    page.evaluate("dispatchEvent(new Event('beforeprint'))")
    assert folded.count() == 0
    page.evaluate("dispatchEvent(new Event('afterprint'))")
    assert folded.count() == before


def test_reading_order_and_names(page: Page) -> None:
    levels = page.locator("h1, h2, h3").evaluate_all("all => all.map(heading => Number(heading.tagName[1]))")
    assert levels[0] == 1
    assert levels.count(1) == 1
    assert all(after <= before + 1 for before, after in pairwise(levels))
    assert page.locator("html").get_attribute("lang") == "en"
    assert page.locator("img:not([alt]), svg.chart:not([aria-label])").count() == 0
    ids = page.locator("[id]").evaluate_all("all => all.map(element => element.id)")
    assert len(ids) == len(set(ids))
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.textContent") == "Skip to the results"
    page.keyboard.press("Enter")
    assert page.evaluate("document.activeElement.id") == "content"


def test_colours_of_text_are_told_from_the_ground(page: Page) -> None:
    """Contrast of WCAG 2.2 at least 4.5 for each colour of text on each ground that it stands on, in both themes."""
    script = """() => {
      const style = getComputedStyle(document.documentElement);
      const canvas = document.createElement("canvas").getContext("2d", {willReadFrequently: true});
      const light = (name) => {
        canvas.fillStyle = style.getPropertyValue(name).trim();
        canvas.fillRect(0, 0, 1, 1);
        const linear = [...canvas.getImageData(0, 0, 1, 1).data].slice(0, 3)
          .map((v) => (v /= 255) <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4);
        return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2];
      };
      const contrast = (one, other) => {
        const [a, b] = [light(one), light(other)];
        return (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
      };
      const grounds = ["--paper", "--tint"];
      const pairs = ["--ink", "--muted", "--link"].flatMap((text) => grounds.map((ground) => [text, ground]));
      return Object.fromEntries([...pairs, ["--ink", "--warn"], ["--ink", "--raised"]]
        .map(([text, ground]) => [`${text} on ${ground}`, contrast(text, ground)]));
    }"""
    for scheme in ("light", "dark"):
        page.emulate_media(color_scheme=scheme)  # type: ignore[arg-type]
        contrasts = page.evaluate(script)
        assert {pair: value for pair, value in contrasts.items() if value < 4.5} == {}


def test_a_phone_scrolls_in_one_direction(page: Page) -> None:
    page.set_viewport_size({"width": 390, "height": 844})
    assert page.evaluate("document.documentElement.scrollWidth") == 390
    wide = page.locator("#scores .scroll").first
    assert wide.evaluate("box => box.scrollWidth > box.clientWidth && box.tabIndex === 0")


def test_all_is_there_without_scripts(page_file: Path, new_page: Callable[..., Page]) -> None:
    plain = new_page(java_script_enabled=False)
    plain.goto(page_file.as_uri())
    assert plain.get_by_role("button").count() == 0  # nothing that would do nothing
    assert plain.locator("#scores table.sortable").first.is_visible()
    plain.locator("#classes summary").first.click()
    assert plain.locator("#classes details table").first.is_visible()
    titles = plain.locator("#scores svg.chart .zone > title").all_text_contents()
    assert any("95 % interval" in title for title in titles)
    plain.close()
