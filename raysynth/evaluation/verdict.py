"""The verdict: do the synthetic images help, by how much, and how sure is that?"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any, Literal, get_args

import numpy as np
import pandas as pd

from raysynth.evaluation.correctness import correctness
from raysynth.intervals import Difference, bootstrap_difference, holm

# A sign test at 5 % needs six differing groups that all point the same way; fewer prove nothing.
MIN_DIFFERING_GROUPS = 6
# Standard errors at which a two-sided 5 % test finds a difference in 80 % of cases.
DETECTABLE_STANDARD_ERRORS = 1.96 + 0.84

LEVEL = 0.05  # of the chance to call any difference of a kind that is none one that helps or hurts

Conclusion = Literal["helps", "hurts", "cannot tell"]
How = Literal["mixed", "generated", "distilled"]  # added to the real images, alone, alone with soft labels


@dataclass(frozen=True)
class Comparison:
    """What is compared with what: `candidate` with the best of `baselines` (values of `trained_on`)."""

    synthetic: str
    kind: How
    candidate: str
    baselines: Sequence[str]


@dataclass(frozen=True)
class VerdictItem:
    """One comparison on the real test images; accuracies and differences are fractions, means over seeds.

    `low` and `high` are the 95 % interval of this difference alone, `p_value` is that of no difference, and
    `p_corrected` is corrected (Holm) for the `num_comparisons` of its kind, one a synthetic set; the conclusion rests
    on it. `leakage` is the synthetic set's (`raysynth.data.contact.Status`); the sentence says so where it touches the
    test.
    """

    synthetic: str
    kind: How
    accuracy: float
    baseline: str
    baseline_accuracy: float
    difference: float
    low: float
    high: float
    p_value: float
    p_corrected: float
    num_comparisons: int
    conclusion: Conclusion
    smallest_detectable: float
    num_seeds: int
    num_test_images: int
    leakage: str
    sentence: str


def verdict(
    predictions: pd.DataFrame,
    comparisons: Sequence[Comparison],
    *,
    leakage: Mapping[str, Any],
    leakage_of: Mapping[str, str] | None = None,
    warnings: Sequence[str] = (),
) -> dict[str, Any]:
    """`{"sentence": ..., "items": [...]}` from the predictions; `leakage` has the keys status and num_test.

    Of several synthetic sets the sentence says first what they come to together.

    `leakage_of` is that of each synthetic set, where it differs from the real split's own.
    `warnings` are what else the reader of the sentence must know, e.g. that a synthetic set holds test images.

    Of several baselines the one with the best mean validation accuracy is taken, so that the choice owes nothing
    to the test split (where there are no validation images, the one with the best test accuracy). But a mix helps
    only if it beats every baseline: where it would help against the chosen one, the hardest on test takes its place.
    Of several synthetic sets some seem to help by chance: p-values are corrected for their number (Holm).
    """
    accuracies = _mean_accuracies(predictions)
    test = predictions[predictions["split"] == "test"]
    known = leakage_of or {}
    items = _conclude_all(
        [
            _compare(test, accuracies, comparison, known.get(comparison.synthetic, leakage["status"]))
            for comparison in comparisons
        ]
    )
    notes = list(warnings)
    if leakage["status"] == "leaky":
        twins = {split: leakage.get(f"num_{split}", 0) for split in ("test", "validation")}
        counts = " and ".join(f"{count} {split}" for split, count in twins.items() if count) or "some"
        notes.insert(0, f"on a leaky split ({counts} images have a twin in another split)")
    # The question is whether images help beside real ones: mixes come first.
    ordered = sorted(items, key=lambda item: get_args(How).index(item.kind))
    sentence = "; ".join([*_summary(ordered), *(item.sentence for item in ordered), *notes]) + "."
    return {"sentence": sentence[:1].upper() + sentence[1:], "items": [asdict(item) for item in items]}


def _mean_accuracies(predictions: pd.DataFrame) -> dict[tuple[str, str], float]:
    """(trained_on, split) -> mean accuracy over seeds."""
    right = predictions["label"] == predictions["predicted"]
    means = right.groupby([predictions["trained_on"], predictions["split"]], observed=True).mean()
    return {(str(key[0]), str(key[1])): float(mean) for key, mean in zip(means.index, means, strict=True)}


def _compare(
    test: pd.DataFrame, accuracies: dict[tuple[str, str], float], comparison: Comparison, leakage: str
) -> VerdictItem:
    has_validation = (comparison.baselines[0], "validation") in accuracies
    judged_on = "validation" if has_validation else "test"
    baseline = max(comparison.baselines, key=lambda name: accuracies[name, judged_on])
    candidate_right, groups = correctness(test, comparison.candidate)
    rights = {name: correctness(test, name)[0] for name in comparison.baselines}
    num_seeds = min(right.shape[1] for right in (candidate_right, *rights.values()))
    differences = {
        name: bootstrap_difference((candidate_right - right)[:, :num_seeds], groups) for name, right in rights.items()
    }
    if conclude(differences[baseline]) == "helps":
        baseline = min(differences, key=lambda name: differences[name].low)
    found, baseline_right = differences[baseline], rights[baseline]
    num_groups = len(np.unique(groups))
    detectable = max(DETECTABLE_STANDARD_ERRORS * found.standard_error, MIN_DIFFERING_GROUPS / num_groups)
    return VerdictItem(
        synthetic=comparison.synthetic,
        kind=comparison.kind,
        accuracy=float(candidate_right.mean()),
        baseline=baseline,
        baseline_accuracy=float(baseline_right.mean()),
        difference=found.mean,
        low=found.low,
        high=found.high,
        p_value=found.p_value,
        p_corrected=found.p_value,
        num_comparisons=1,
        conclusion=conclude(found),
        smallest_detectable=min(1.0, detectable),
        num_seeds=num_seeds,
        num_test_images=len(groups),
        leakage=leakage,
        sentence="",
    )


def _conclude_all(items: Sequence[VerdictItem]) -> list[VerdictItem]:
    """The items with p-values corrected for the number of their kind, what these allow to conclude, and sentences."""
    corrected: dict[int, tuple[float, int]] = {}
    for kind in dict.fromkeys(item.kind for item in items):
        places = [place for place, item in enumerate(items) if item.kind == kind]
        for place, p in zip(places, holm([items[place].p_value for place in places]), strict=True):
            corrected[place] = p, len(places)
    concluded = []
    for place, item in enumerate(items):
        p, num_comparisons = corrected[place]
        stands = item.conclusion if p < LEVEL else "cannot tell"
        found = replace(item, p_corrected=p, num_comparisons=num_comparisons, conclusion=stands)
        concluded.append(replace(found, sentence=_sentence(found)))
    return concluded


def conclude(difference: Difference) -> Conclusion:
    """What a difference alone allows to say: nothing, unless its interval excludes zero and enough groups differ."""
    if difference.num_differing_groups < MIN_DIFFERING_GROUPS or difference.low <= 0 <= difference.high:
        return "cannot tell"
    return "helps" if difference.mean > 0 else "hurts"


def _summary(items: Sequence[VerdictItem]) -> list[str]:
    """What all comparisons of the first kind come to, in one clause; nothing where there is only one."""
    same_kind = [item for item in items if item.kind == items[0].kind]
    if len(same_kind) < 2:
        return []
    how = {
        "mixed": "added to the real images",
        "generated": "each trained on alone",
        "distilled": "each trained on alone with labels that a classifier gives",
    }[items[0].kind]
    parts = []
    for conclusion, one, many, none_or_all in (
        ("helps", "helps", "help", "all help"),
        ("hurts", "hurts", "hurt", "all hurt"),
        ("cannot tell", *("cannot be told from real images alone",) * 2, "none can be told from real images alone"),
    ):
        names = [_name(item) for item in same_kind if item.conclusion == conclusion]
        if len(names) == len(same_kind):
            parts.append(none_or_all)
        elif names:
            parts.append(f"{len(names)} {one if len(names) == 1 else many} ({', '.join(names)})")
    unseen = [item.smallest_detectable for item in same_kind if item.conclusion == "cannot tell"]
    doubt = f" (differences below about {_points(max(unseen))} points could go unseen)" if unseen else ""
    return [f"of {len(same_kind)} synthetic sets, {how}, {', '.join(parts)}{doubt}"]


def _sentence(item: VerdictItem) -> str:
    """One clause without a full stop, e.g. for joining with others."""
    name = _name(item)
    alone = {
        "helps": "is better than training on real images",
        "hurts": "is worse than training on real images",
        "cannot tell": "cannot be told from training on real images",
    }
    subject, claims = {
        "mixed": (
            f"adding the synthetic images {name} to the real ones",
            {"helps": "helps", "hurts": "hurts", "cannot tell": "makes no difference that this test can tell"},
        ),
        "generated": (f"training on {name} alone", alone),
        "distilled": (
            f"training on {name} with labels that a classifier of the real images gives (distillation)",
            alone,
        ),
    }[item.kind]
    seeds = f"{item.num_seeds} seeds" if item.num_seeds > 1 else "1 seed, whose own variation is not in the interval"
    doubt = ""
    if item.conclusion == "cannot tell":
        doubt = f", and a difference below about {_points(item.smallest_detectable)} points would go unseen"
    interval = f"{_points(item.low, signed=True)} to {_points(item.high, signed=True)}"
    if item.num_comparisons > 1:
        least = "<" if item.p_corrected < 0.001 else ""
        interval += f", p {least or '='} {max(item.p_corrected, 0.001):.3f} corrected for {item.num_comparisons} sets"
    return (
        f"{subject} {claims[item.conclusion]}: test accuracy {item.accuracy:.3f} against {item.baseline_accuracy:.3f} "
        f"for training on {item.baseline!r}, difference {_points(item.difference, signed=True)} points "
        f"(95 % interval {interval}; {seeds}, {item.num_test_images} test images{doubt})"
    )


def _name(item: VerdictItem) -> str:
    return f"{item.synthetic} (which know test images)" if item.leakage == "touches" else item.synthetic


def _points(fraction: float, *, signed: bool = False) -> str:
    """A fraction as percentage points."""
    return f"{100 * fraction:{'+' if signed else ''}.1f}"
