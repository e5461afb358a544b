"""The head of a report: the verdict, what has to be known before believing it, and a few numbers."""

from __future__ import annotations

import re
from itertools import pairwise
from typing import Any

import numpy as np

from raysynth.report import figures
from raysynth.report.evaluation_files import Evaluation
from raysynth.report.section import Section
from raysynth.report.style import join_words, panel, plain

SPLIT_NAMES = {
    "fit": "own training",
    "train": "real train",
    "validation": "real validation",
    "test": "real test",
}


def head(evaluation: Evaluation) -> Section:
    """The top of the page, which the template of the page itself shows."""
    values = {
        "verdict": verdict(evaluation),
        "warnings": warnings_about(evaluation),
        "tiles": key_figures(evaluation),
    }
    return Section(name="verdict", label="Verdict", question="Do the synthetic images help?", values=values)


def describe_seeds(evaluation: Evaluation) -> str:
    """`3 trainings each (seeds 0, 1, 2)`: the end of most captions."""
    seeds = evaluation.seeds
    if not seeds:
        return "seeds unknown"
    many = "s" if len(seeds) > 1 else ""
    return f"{len(seeds)} training{many} each (seed{many} {join_words(seeds)})"


def num_test(evaluation: Evaluation) -> int:
    """Number of real test images."""
    counts = (evaluation.real.get("counts") or {}).get("test") or {}
    return sum(int(count) for count in counts.values())


def leaks_into_test(evaluation: Evaluation) -> bool:
    """Whether test images are known to have twins among those that classifiers learn from."""
    leakage = evaluation.real.get("leakage") or {}
    return leakage.get("status") == "leaky" and leakage.get("num_test") != 0


def basis(evaluation: Evaluation) -> str:
    """What a score on the test split rests on."""
    text = f"{num_test(evaluation):,} real test images, {describe_seeds(evaluation)}"
    if any((entry.get("contact") or {}).get("status") == "touches" for entry in evaluation.synthetic):
        text += "; scores marked 'knows test images' are too high"
    if leaks_into_test(evaluation):
        return f"{text}; the split is leaky, so the scores are too high"
    known = (evaluation.real.get("leakage") or {}).get("status") in ("clean", "leaky")
    return text if known else f"{text}; whether the split leaks is unknown"


def verdict(evaluation: Evaluation) -> dict[str, Any]:
    """The sentence, its figure, and the comparisons behind it.

    The sentence is split for reading: `claim` and its `doubt` (the interval) are its first clause, `further` the rest.
    """
    content = evaluation.content.get("verdict") or {}
    items = content.get("items") or []
    synthetic = list(dict.fromkeys(str(item.get("synthetic")) for item in items))
    marks = [mark for mark in dict.fromkeys(evaluation.mark(name) for name in synthetic) if mark]
    chart = None
    if items:
        chart = panel(
            figures.draw_verdict(items, {name: evaluation.label(name) for name in synthetic}),
            title="",
            caption="Difference of test accuracy to training on the real images alone, with its 95 % interval. A mix "
            "is held against real images at equal exposures or at equal steps, whichever did better on validation "
            "images, and helps only if it beats both. An interval that holds zero decides nothing, "
            "nor does one whose p, corrected for the number of sets, is 0.05 or more. "
            f"{basis(evaluation)}.",
            alt="Difference of test accuracy and its interval for each synthetic set",
            name="verdict",
        )
    sentence = typeset(content.get("sentence") or "This evaluation holds no verdict.")
    clauses = [typeset(item.get("sentence") or "") for item in items]
    first, *further = split_clauses(sentence, clauses)
    claim, doubt = re.fullmatch(r"(.*?)( \(95\u00a0% interval .*)?", first, re.DOTALL).groups("")  # type: ignore[union-attr]
    further = [clause for clause in further if not _is_in_banners(clause, evaluation)]
    return {"claim": claim, "doubt": doubt, "marks": marks, "further": further, "items": items, "chart": chart}


def typeset(text: object) -> str:
    """A sentence with real minus signs, and percent signs that stay on the line of their number."""
    return re.sub(r"(?<=[\s(])-(?=\d)", "−", str(text).replace(" %", "\u00a0%"))


def _is_in_banners(clause: str, evaluation: Evaluation) -> bool:
    """Whether the end of a verdict only repeats what `warnings_about` shows below it."""
    said = {typeset(warning).lower() for entry in evaluation.synthetic for warning in entry.get("warnings") or []}
    parts = clause.lower().rstrip(".").split("; ")
    leaky = (evaluation.real.get("leakage") or {}).get("status") == "leaky"
    return all(part in said or (leaky and part.startswith("on a leaky split")) for part in parts)


def split_clauses(sentence: str, clauses: list[str]) -> list[str]:
    """A sentence cut before each of its known clauses, each part a sentence of its own."""
    lower = sentence.lower()
    starts = sorted({lower.find(clause.lower()) for clause in clauses if clause} | {0})
    ends = {lower.find(clause.lower()) + len(clause) for clause in clauses if clause and clause.lower() in lower}
    cuts = sorted({start for start in starts if start >= 0} | ends | {len(sentence)})
    parts = [sentence[cut:end].strip(" ;.") for cut, end in pairwise(cuts)]
    return [f"{part[:1].upper()}{part[1:]}." for part in parts if part] or [sentence]


def warnings_about(evaluation: Evaluation) -> list[dict[str, str]]:
    """What a reader has to know before believing a score."""
    found = []
    leakage = evaluation.real.get("leakage") or {}
    status, detail = leakage.get("status", "unknown"), leakage.get("detail") or ""
    if status == "leaky":
        harmed = "test" if leaks_into_test(evaluation) else "validation"
        text = f"The {harmed} scores are too high: {detail}. Import with --split grouped for scores to rely on."
        found.append({"title": "Leaky split", "text": text})
    elif status != "clean":
        text = "It is unknown whether test images have twins in train: read the scores as upper bounds."
        found.append({"title": "Leakage unknown", "text": f"{text} {detail}".strip()})
    for synthetic in evaluation.synthetic:
        leaks = (synthetic.get("contact") or {}).get("status") == "touches"
        for warning in synthetic.get("warnings") or []:
            text = f"{str(warning)[:1].upper()}{str(warning)[1:]}."
            found.append({"title": "Leaky synthetic images" if leaks else "Synthetic images", "text": text})
    return found


def key_figures(evaluation: Evaluation) -> list[dict[str, str]]:
    """A few numbers that answer most questions: (label, value, note)."""
    tiles = []
    summary = evaluation.table("scores_summary", split="test")
    kinds = evaluation.kinds
    headings = {"real": "Real images", "mixed": "Real and generated", "synthetic": "Generated images alone"}
    for kind, heading in headings.items():
        rows = summary[summary["trained_on"].map(kinds) == kind].dropna(subset=["accuracy_mean"])
        if len(rows):
            best = rows.sort_values("accuracy_mean", kind="stable").iloc[-1]
            note = f"95 % interval {100 * best['accuracy_low']:.1f} to {100 * best['accuracy_high']:.1f}"
            tiles.append(
                {
                    "label": heading,
                    "value": f"{100 * best['accuracy_mean']:.1f} %",
                    "note": note,
                    "detail": plain(best["trained_on"]) + (" (best)" if len(rows) > 1 else ""),
                    "mark": evaluation.mark(best["trained_on"]),
                    "kind": kind,
                }
            )
    ks = evaluation.table("ks", **{"class": "all", "pixels": "all"})
    if statistics := [value for value in ks[ks["synthetic"] != "real"]["statistic"] if np.isfinite(value)]:
        low, high = f"{min(statistics):.2f}", f"{max(statistics):.2f}"
        tiles.append(
            {
                "label": "KS of intensities",
                "value": low if low == high else f"{low}–{high}",
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
