"""The report: complete, self-contained, escaped, and not broken by what is missing."""

from __future__ import annotations

import json
import re
import shutil
import sys
import xml.etree.ElementTree as ElementTree
from collections.abc import Callable
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from matplotlib.figure import Figure as MatplotlibFigure

from raysynth.errors import UserError
from raysynth.report.evaluation_files import load_evaluation
from raysynth.report.origin_sections import flatten
from raysynth.report.report import report
from raysynth.report.sections import split_clauses, verdict, warnings_about
from raysynth.report.tables import format_number, format_percent, format_points

EVIL = "<img src=x onerror=alert(1)>"


class Page(HTMLParser):
    """The elements of a page, and its text."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.html = html
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.words: list[str] = []
        self.feed(html)
        self.text = " ".join(" ".join(self.words).split())

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.words.append(data)

    @property
    def sources(self) -> list[str]:
        return [attributes["src"] or "" for tag, attributes in self.elements if tag == "img"]

    @property
    def charts(self) -> list[ElementTree.Element]:
        """Charts are part of the page, and of the same letters as SVG files."""
        return [ElementTree.fromstring(svg) for svg in re.findall(r'<svg class="chart".*?</svg>', self.html, re.DOTALL)]

    @property
    def chart_text(self) -> str:
        return "\n".join(text for chart in self.charts for text in chart.itertext())


@pytest.fixture(autouse=True)
def no_family(monkeypatch: pytest.MonkeyPatch) -> None:
    """Tests of the page need no torch: the registry is one that knows nothing."""
    set_family(monkeypatch, lambda run: [])


def set_family(monkeypatch: pytest.MonkeyPatch, figures: Callable[[Path], list[Any]]) -> None:
    registry = type(sys)("raysynth.models.registry")
    family = type("Fake", (), {"figures": staticmethod(figures)})
    registry.get_family = lambda name: family  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "raysynth.models.registry", registry)


def make_page(evaluation: Path, tmp_path: Path) -> Page:
    out = report(evaluation, tmp_path / "out" / "report.html", say=lambda line: None)
    assert {file.name for file in out.parent.iterdir()} == {"report.html", "report_files"}
    return Page(out.read_text(encoding="utf-8"))


def test_everything_is_there(study: Any, tmp_path: Path) -> None:
    page = make_page(study.evaluation, tmp_path)
    ids = [attributes.get("id") for _, attributes in page.elements]
    assert {"scores", "classes", "images", "intensities", "search", "models", "provenance"} <= set(ids)
    assert "Adding the images of gan_small: cannot tell, difference +1.8 points (95 % interval" in page.text
    for words in (
        "real, 300 steps",
        "generated: gan_small",
        "mixed: gan_large",
        "own training",
        "Wasserstein",
        "trial_00002",
    ):
        assert words in page.text
    for title in ("Accuracy", "Scores by class", "Confusion", "Label counts", "Images by class", "frechet by epoch"):
        assert title in page.text
    assert "20 real test images, 3 trainings each (seeds 0, 1, 2)" in page.text
    assert "Not shown" not in page.text
    # verdict, accuracy, classes, confusion, counts, distribution, KS, 2 x 2 intensities, 2 spectra, copies, search
    assert len(page.charts) == 15
    # strips, the trials' grid, and of 2 sets the 10 most suspicious images, each with its two neighbours
    assert sum(source.startswith("data:image/png") for source in page.sources) == 3 * 4 + 1 + 2 * 10 * 3
    charts = page.chart_text
    assert all(name in charts for name in ("meningioma_tumor", "mixed: gan_small", "Recall", "KS 0."))


@pytest.mark.usefixtures("loose_charts")
def test_loads_nothing(study: Any, tmp_path: Path) -> None:
    page = make_page(study.evaluation, tmp_path)
    tags = {tag for tag, _ in page.elements}
    assert not tags & {"link", "iframe", "object", "embed", "base", "form", "image"}
    assert not [attributes for tag, attributes in page.elements if tag == "script" and attributes]  # one, in the page
    assert page.sources
    assert all(source.startswith("data:image/") for source in page.sources)
    links = [attributes["href"] or "" for tag, attributes in page.elements if "href" in attributes]
    assert all(link.startswith("#") for link in links)
    html = (tmp_path / "out" / "report.html").read_text(encoding="utf-8")
    assert not re.search(r"https?://|url\((?!#chart)|@import", html)
    for chart in page.charts:
        references = [v for e in chart.iter() for k, v in e.attrib.items() if k.split("}")[-1] in ("href", "src")]
        assert all(reference.startswith(("#", "data:")) for reference in references)


@pytest.mark.usefixtures("loose_charts")
def test_names_are_text(new_study: Callable[..., Any], tmp_path: Path) -> None:
    classes = [EVIL, "$\\frac{1}{0}$ & <b>", "NA", "脳 \u202e\x07腫瘍\n2"]
    study = new_study(classes=classes, per_class=10, seeds=(0,))

    def edit(content: dict[str, Any]) -> None:
        content["real"]["name"] = EVIL
        content["verdict"]["sentence"] = f"{EVIL} helps"
        content["real"]["leakage"] = {"status": "leaky", "detail": EVIL, "num_test": 3, "num_validation": 0}
        content["synthetic"][0]["provenance"] = {"run": f"/gone/{EVIL}", "sweep": f"/gone/{EVIL}", "family": EVIL}

    study.change(edit)
    page = make_page(study.evaluation, tmp_path)
    assert all(attributes.get("src", "").startswith("data:") for tag, attributes in page.elements if tag == "img")
    assert not [attributes for _, attributes in page.elements if any(name.startswith("on") for name in attributes)]
    assert page.text.count(EVIL) > 10
    assert any(EVIL in (attributes.get("alt") or "") for _, attributes in page.elements)
    assert any(EVIL in (attributes.get("aria-label") or "") for _, attributes in page.elements)
    charts = page.chart_text  # parsed as XML: had a name been markup, it would not be text
    assert all(text in charts for text in ("<img src=x onerror=alert", "$\\frac{1}{0}$ &", "NA", "脳"))


TOUCHES = {
    "status": "touches",
    "detail": "7 of 20 test images have a copy among its pre-training images (public)",
    "num_test_images": 7,
    "num_validation_images": 2,
}


def touch(content: dict[str, Any]) -> None:
    """The first synthetic set, gan_small, knows test images."""
    warning = f"gan_small knows test images: {TOUCHES['detail']}"
    content["synthetic"][0].update(contact=TOUCHES, warnings=[warning])
    content["allow_leakage"] = True


@pytest.mark.usefixtures("loose_charts")
def test_all_that_rests_on_a_set_that_knows_test_images_is_marked(study: Any, tmp_path: Path) -> None:
    study.change(touch)
    page = make_page(study.evaluation, tmp_path)
    assert "Leaky synthetic images. Gan_small knows test images: 7 of 20 test images" in page.text
    mark = "knows test images"
    evaluation = load_evaluation(study.evaluation)
    marked = {name: evaluation.mark(name) for name in [*evaluation.trained_on, "gan_small", "gan_large"]}
    assert {name for name, found in marked.items() if found} == {
        "generated: gan_small",
        "mixed: gan_small",
        "gan_small",
    }
    assert evaluation.mark("mixed: gan_small", "validation") == "knows validation images"
    assert evaluation.mark("mixed: gan_small", "fit") == ""
    tags = " ".join(page.words).count(f" {mark} ")
    # h1, two tiles at most, 2 + 2 score rows, 2 comparisons, 2 class tables, samples, intensities, 2 x 3 trainings
    assert tags >= 1 + 4 + 2 + 2 + 1 + 1 + 6
    for chart in page.charts[:-1]:  # all but the sweep's, which has its own split to rest on
        words = re.sub(r"\s*\n\s*", "\n", "\n".join(chart.itertext()))
        if "gan_small" in words:
            assert f"gan_small\n[{mark}]" in words
            assert f"gan_large\n[{mark}]" not in words
    assert sum(f"[{mark}]" in "\n".join(chart.itertext()) for chart in page.charts) == 12


@pytest.mark.usefixtures("loose_charts")
def test_a_leaky_split_marks_every_figure(study: Any, tmp_path: Path) -> None:
    leaky = {"status": "leaky", "detail": "18 test images have a twin", "num_test": 18, "num_validation": 0}
    study.change(lambda content: content["real"].update(leakage=leaky))
    page = make_page(study.evaluation, tmp_path)
    assert all("[leaky split]" in "\n".join(chart.itertext()) for chart in page.charts[:-1])
    evaluation = load_evaluation(study.evaluation)
    assert (evaluation.mark("real"), evaluation.mark("real", "validation")) == ("leaky split", "")


@pytest.mark.usefixtures("quick_charts")
def test_what_an_evaluation_did_not_allow_is_refused(study: Any, tmp_path: Path) -> None:
    study.change(touch)
    study.change(lambda content: content.update(allow_leakage=False))
    out = tmp_path / "report.html"
    with pytest.raises(UserError, match=r"gan_small knows test images: 7 of 20 .* --allow-leakage") as caught:
        report(study.evaluation, out, say=lambda line: None)
    assert "\n" not in str(caught.value)
    assert not out.exists()
    report(study.evaluation, out, allow_leakage=True, say=lambda line: None)
    assert "knows test images" in Page(out.read_text()).text


@pytest.mark.usefixtures("quick_charts")
def test_leaky_and_unknown_are_said_aloud(study: Any, tmp_path: Path) -> None:
    leaky = {"status": "leaky", "detail": "18 test images have a twin", "num_test": 18, "num_validation": 0}
    study.change(lambda content: content["real"].update(leakage=leaky))
    text = make_page(study.evaluation, tmp_path).text
    assert "Leaky split. The test scores are too high: 18 test images have a twin" in text
    assert "real test leaky split" in text
    study.change(lambda content: content["real"].pop("leakage"))
    assert "Leakage unknown" in {warning["title"] for warning in warnings_about(load_evaluation(study.evaluation))}


def test_warnings_of_synthetic_sets_are_said_once(study: Any) -> None:
    def add_warning(content: dict[str, Any]) -> None:
        content["synthetic"][1].update(warnings=["the origin of <b> is unknown"])
        content["verdict"]["sentence"] = content["verdict"]["sentence"][:-1] + "; the origin of <b> is unknown."

    assert warnings_about(load_evaluation(study.evaluation)) == []
    study.change(add_warning)
    evaluation = load_evaluation(study.evaluation)
    assert [warning["text"] for warning in warnings_about(evaluation)] == ["The origin of <b> is unknown."]
    assert not any("origin" in clause for clause in verdict(evaluation)["further"])
    evaluation.content["verdict"]["sentence"] += " Mind the gap."
    assert any("origin" in clause for clause in verdict(evaluation)["further"])


def test_without_synthetic_sets(new_study: Callable[..., Any], tmp_path: Path) -> None:
    page = make_page(new_study(num_synthetic=0, seeds=(0,)).evaluation, tmp_path)
    assert "No synthetic set was evaluated." in page.text
    assert "1 training each (seed 0)" in page.text
    scores, _, rest = page.text.partition("How like real images are they?")
    assert rest
    assert "±" not in scores.replace("Mean ± standard deviation", "")  # one seed has no spread


@pytest.mark.usefixtures("loose_charts")
def test_colour_images(new_study: Callable[..., Any], tmp_path: Path) -> None:
    study = new_study(num_synthetic=1, channels=3, per_class=10)
    table = pd.read_csv(study.evaluation / "ks.csv")
    table["channel"] = table["channel"].map({"red": 0, "green": 1, "blue": 2})
    table.to_csv(study.evaluation / "ks.csv", index=False)
    page = make_page(study.evaluation, tmp_path)
    assert "red, all pixels red, without background green, all pixels" in page.text
    assert "blue: cumulated" in page.chart_text


def test_everything_but_the_verdict_may_be_gone(study: Any, tmp_path: Path) -> None:
    for table in study.evaluation.glob("*.csv"):
        table.unlink()
    shutil.rmtree(study.real)
    shutil.rmtree(study.sweep)
    shutil.rmtree(study.synthetic[0])
    (study.synthetic[1] / "dataset.json").write_text("{}")
    text = make_page(study.evaluation, tmp_path).text
    assert "Adding the images of gan_small: cannot tell, difference +1.8 points (95 % interval" in text
    for note in (
        "scores_summary.csv is missing",
        "The real data set is no longer at",
        "The sweep of gan_small, gan_large",
        "The run of gan_small, gan_large is no longer",
        "gan_large: data set",
    ):
        assert note in text

    study.change(lambda content: [content.pop(key) for key in list(content) if key != "format"])
    assert "This evaluation holds no verdict." in make_page(study.evaluation, tmp_path).text


@pytest.mark.usefixtures("loose_charts")
def test_holes_in_the_tables(study: Any, tmp_path: Path) -> None:
    absent = study.classes[1]
    for name, column in (
        ("class_scores", "class"),
        ("ks", "class"),
        ("histograms", "class"),
        ("label_counts", "class"),
    ):
        file = study.evaluation / f"{name}.csv"
        table = pd.read_csv(file)
        numbers = table.select_dtypes("number").columns[-1]
        table[numbers] = table[numbers].astype(float).mask(table.index % 7 == 0)
        table[table[column] != absent].to_csv(file, index=False)
    summary = pd.read_csv(study.evaluation / "scores_summary.csv")
    summary.loc[summary["trained_on"] == "generated: gan_small", ["accuracy_mean", "accuracy_low"]] = float("nan")
    summary.drop(columns="f1_macro_std").to_csv(study.evaluation / "scores_summary.csv", index=False)
    (study.evaluation / "confusion.csv").write_text("")

    def edit(content: dict[str, Any]) -> None:
        content["verdict"]["items"][0].update(difference=float("nan"), low=None, high=None)
        content["verdict"]["items"][1].pop("conclusion")
        del content["synthetic"][1]["counts"]["train"][absent]

    study.change(edit)
    text = make_page(study.evaluation, tmp_path).text
    assert "scores_summary.csv has no column f1_macro_std" in text
    assert "confusion.csv cannot be read" in text
    assert "nan" not in text.lower().replace("provenance", "")


@pytest.mark.usefixtures("quick_charts")
def test_class_that_a_synthetic_set_lacks(new_study: Callable[..., Any], tmp_path: Path) -> None:
    study = new_study(per_class=6, seeds=(0,))
    file = study.synthetic[0] / "dataset.json"
    content = json.loads(file.read_text())
    content["classes"][2] = "something else"
    file.write_text(json.dumps(content))
    assert "none" in make_page(study.evaluation, tmp_path).text


@pytest.mark.usefixtures("quick_charts")
def test_changed_data_set_is_not_shown(study: Any, tmp_path: Path) -> None:
    study.change(lambda content: content["real"].update(fingerprint="other"))
    page = make_page(study.evaluation, tmp_path)
    assert "has changed since the evaluation" in page.text
    assert not any("real images of the class" in (attributes.get("alt") or "") for _, attributes in page.elements)


def test_many_classes_with_long_names(new_study: Callable[..., Any], tmp_path: Path) -> None:
    classes = [f"class {i} " + "of a very long-winded nomenclature " * 3 for i in range(14)]
    page = make_page(new_study(classes=classes, per_class=5, seeds=(0,), num_synthetic=1).evaluation, tmp_path)
    assert classes[13].strip() in page.text
    assert len(page.charts) == 13


@pytest.mark.usefixtures("quick_charts")
def test_family_figures(study: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []

    def figures(run: Path) -> list[Any]:
        asked.append(run)
        line, picture = MatplotlibFigure(), MatplotlibFigure()
        line.add_subplot().plot([1, 2])
        picture.add_subplot().imshow([[0, 1]])
        words = {"name": "x", "caption": "What <is> seen."}
        return [type("F", (), {**words, "title": t, "figure": f}) for t, f in (("Curves", line), ("Images", picture))]

    set_family(monkeypatch, figures)
    page = make_page(study.evaluation, tmp_path)
    assert len(asked) == 1  # one run made both sets
    assert "Curves" in page.text
    assert page.text.count("What <is> seen.") == 2

    def fail(run: Path) -> list[Any]:
        raise RuntimeError("<no> checkpoint")

    set_family(monkeypatch, fail)
    assert "could not be drawn: RuntimeError: <no> checkpoint" in make_page(study.evaluation, tmp_path).text


@pytest.mark.usefixtures("quick_charts")
def test_mistakes(study: Any, tmp_path: Path) -> None:
    def message(evaluation: Path, out: Path = tmp_path / "report.html") -> str:
        with pytest.raises(UserError) as caught:
            report(evaluation, out, say=lambda line: None)
        assert "\n" not in str(caught.value)
        assert not [path for path in tmp_path.iterdir() if "report" in path.name]
        return str(caught.value)

    assert "there, it is not a folder" in message(tmp_path / "nowhere")
    assert message(tmp_path).startswith(f"EVALUATION {tmp_path}: no evaluation.json in this folder")
    assert f"did you mean {study.evaluation}?" in message(study.evaluation.parent)
    assert "is a folder; name a file" in message(study.evaluation, study.folder)
    assert "not an HTML file" in message(study.evaluation, study.evaluation / "scores.csv")
    blocked = study.evaluation / "scores.csv" / "report.html"
    assert "cannot be written to" in message(study.evaluation, blocked)
    study.change(lambda content: content.update(format=99))
    assert "evaluation format 99, this version reads 2" in message(study.evaluation)
    (study.evaluation / "evaluation.json").write_text('{"format": 2,')
    assert "evaluation.json cannot be read" in message(study.evaluation)


@pytest.mark.usefixtures("quick_charts")
def test_an_older_report_is_replaced_only_by_a_whole_one(
    study: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("raysynth.report.page.SECTIONS", ())  # the head is a page too
    out = tmp_path / "report.html"
    out.write_text("old")
    with monkeypatch.context() as patch:
        patch.setattr(Path, "replace", lambda *_: (_ for _ in ()).throw(OSError(28, "No space left on device")))
        with pytest.raises(UserError, match="No space left"):
            report(study.evaluation, out, say=lambda line: None)
    assert out.read_text() == "old"
    assert not list(tmp_path.glob(".report*"))
    report(study.evaluation, out, say=lambda line: None)
    assert out.read_text().startswith("<!doctype html>")


def test_tables_keep_names_and_numbers_apart(study: Any) -> None:
    file = study.evaluation / "class_scores.csv"
    table = pd.read_csv(file, dtype=str)
    table["class"] = table["class"].replace({study.classes[0]: "001", study.classes[1]: "NA"})
    table.to_csv(file, index=False)
    evaluation = load_evaluation(study.evaluation)
    assert {"001", "NA"} <= set(evaluation.tables["class_scores"]["class"])
    assert evaluation.tables["class_scores"]["recall"].dtype == float
    assert evaluation.kinds["real, 300 steps"] == "real"
    assert evaluation.kinds["mixed: gan_large"] == "mixed"


def test_lists_of_records_are_flattened() -> None:
    content = {"seeds": [0, 1], "trained_on": [{"name": "a", "splits": ["train"]}, {"name": "b"}], "none": []}
    assert flatten(content) == [
        ("seeds", "0, 1"),
        ("trained_on.1.name", "a"),
        ("trained_on.1.splits", "train"),
        ("trained_on.2.name", "b"),
        ("none", ""),
    ]


def test_verdict_is_cut_into_clauses() -> None:
    clauses = ["adding A helps (95 % interval 1 to 2; 3 seeds)", "training on A alone hurts"]
    sentence = "Adding A helps (95 % interval 1 to 2; 3 seeds); training on A alone hurts; on a leaky split."
    assert split_clauses(sentence, clauses) == [
        "Adding A helps (95 % interval 1 to 2; 3 seeds).",
        "Training on A alone hurts.",
        "On a leaky split.",
    ]
    assert split_clauses("Something else; altogether.", clauses) == ["Something else; altogether."]
    assert split_clauses("Something else.", []) == ["Something else."]


def test_formats() -> None:
    assert (format_percent(0.94524), format_percent(None)) == ("94.5", "–")
    assert (format_points(-0.012), format_points(float("nan"))) == ("−1.2", "–")
    assert (format_number(12345), format_number(12.34)) == ("12,345", "12.3")


@pytest.mark.usefixtures("quick_charts")
def test_figures_of_one_name_from_several_runs_stand_beside_each_other(
    study: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tops = {}

    def figures(run: Path) -> list[Any]:
        chart, own = MatplotlibFigure(), MatplotlibFigure()
        tops[run.name] = chart.add_subplot()
        tops[run.name].plot([1, 2 if run.name == "first" else 50])
        own.add_subplot().plot([1, 2])
        words = {"caption": "How steep it is.", "same_scale": True}
        shared = {**words, "name": "gradients", "title": "Gradient norms", "figure": chart}
        alone = {**words, "name": f"of_{run.name}", "title": f"Only of {run.name}", "figure": own}
        return [type("F", (), shared), type("F", (), alone)]

    for name in ("first", "second"):
        (tmp_path / name).mkdir()

    def edit(content: dict[str, Any]) -> None:
        for entry, name, family in zip(content["synthetic"], ("first", "second"), ("wgan", "wgan_gp"), strict=True):
            entry["provenance"] = {"run": str(tmp_path / name), "family": family}

    study.change(edit)
    set_family(monkeypatch, figures)
    page = make_page(study.evaluation, tmp_path)
    assert page.text.count("Gradient norms") == 1  # one heading, and one figure of each run under it
    assert page.text.count("How steep it is.") == 1 + 2
    assert page.text.index("Only of second") < page.text.index("Gradient norms")
    after = page.text[page.text.index("Gradient norms") :]
    assert after.index("wgan: gan_small") < after.index("wgan_gp: gan_large")
    assert tops["first"].get_ylim() == tops["second"].get_ylim()


@pytest.mark.usefixtures("loose_charts")
def test_four_sets_of_colour_images_stay_under_8_mb(new_study: Callable[..., Any], tmp_path: Path) -> None:
    study = new_study(num_synthetic=4, channels=3, size=64, per_class=10, seeds=(0,))
    out = report(study.evaluation, tmp_path / "out" / "report.html", say=lambda line: None)
    page = Page(out.read_text(encoding="utf-8"))
    # Of scores, of the sets, of all sets' and each one's intensities, of their spectra, of copies, of the search.
    assert len(page.charts) == 5 + 1 + 1 + 4 * 2 + 2 + 1 + 1
    assert len(page.sources) == 5 * 4 + 1 + 4 * 10 * 3
    assert out.stat().st_size < 8e6
