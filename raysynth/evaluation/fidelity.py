"""How like real images are, how many kinds of them there are, and which are missing: in two networks' features.

Synthetic images are held against real *validation* images; the test split is not looked at. Real train images against
the same validation images stand beside them as the floor, what a very good generator may reach; the scoring network has
learnt from those train images, so their features there are a little sharper than those of fresh ones. The backbone has
seen neither.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from raysynth.evaluation.features import BACKBONE, SCORING, SPACES, FeatureSet
from raysynth.evaluation.frechet import MAX_FEATURES, joint_frechet
from raysynth.evaluation.histograms import ALL_CLASSES
from raysynth.evaluation.kid import kernel_distance_with_error
from raysynth.evaluation.manifold import NEIGHBOURS, manifold_scores
from raysynth.evaluation.plan import REAL
from raysynth.evaluation.scoring_network import feature_scale

NUM_DRAWS = 10  # of as many synthetic images as there are validation images: scores are means over them
SEED = 0
MANIFOLD_SCORES = ("coverage", "density", "precision", "recall")
COLUMNS = ("source", "features", "class", "n", "frechet", "frechet_ratio", "kid", "kid_error", *MANIFOLD_SCORES)


@dataclass(frozen=True)
class FeatureSpace:
    """How features of one network (N, D) become the vectors of the two kinds of scores.

    Neighbours and kernels are of the features over `scale`; a Frechet distance is of at most 64 of them, for a
    covariance of more cannot be estimated from a few hundred images: of D > 64 those projected on the 64 leading
    principal components of real train images, over one number, so that their mean variance is 1.
    """

    scale: np.ndarray
    components: np.ndarray | None = None

    @classmethod
    def fit(cls, train: np.ndarray, validation: np.ndarray) -> FeatureSpace:
        """From features (N, D) of real train and validation images; D <= 64 are scaled by their deviations."""
        if validation.shape[1] <= MAX_FEATURES:
            return cls(feature_scale(validation))
        components = leading_components(train)
        unit = np.sqrt(np.mean((validation @ components).var(axis=0)))
        return cls(np.ones(validation.shape[1]), components / max(float(unit), 1e-12))

    def vectors(self, features: np.ndarray) -> np.ndarray:
        """(N, D) for neighbours and kernels."""
        scaled: np.ndarray = features / self.scale
        return scaled

    def projected(self, vectors: np.ndarray) -> np.ndarray:
        """(N, 64 at most) of such vectors, for a Frechet distance."""
        return vectors if self.components is None else vectors @ self.components


def leading_components(features: np.ndarray, num_components: int = MAX_FEATURES) -> np.ndarray:
    """Directions (D, at most `num_components`), of length 1, in which features (N, D) vary most."""
    centred = features - features.mean(axis=0)
    _, _, directions = np.linalg.svd(centred, full_matrices=False)
    leading: np.ndarray = directions[:num_components].T
    return leading


def fidelity_table(
    train: FeatureSet, validation: FeatureSet, synthetic: Mapping[str, FeatureSet], classes: Sequence[str]
) -> pd.DataFrame:
    """Rows (source, features, class, n, frechet, frechet_ratio, kid, kid_error, coverage, density, precision, recall).

    Source "real" is the train images, the floor; `features` names the network. `n` images on either side: as many of
    each class as both have, a fresh draw of the larger side each time. The Frechet distance of all classes together is
    joint with the label; `frechet_ratio` is that over the floor's of equally many images. `kid_error` is a standard
    error. A class of 5 images or fewer has no scores; of a class that a set lacks nothing is covered or recalled,
    which counts in `all`. No rows without validation images.
    """
    if not len(validation.labels):
        return pd.DataFrame(columns=list(COLUMNS))
    rows = []
    for name in SPACES:
        reference, fresh = (each.features[name].astype(np.float64) for each in (validation, train))
        space = FeatureSpace.fit(fresh, reference)
        target = _Set(space.vectors(reference), validation.labels, validation.groups)
        floor: dict[str, dict[str, Any]] = {}
        for source, each in ((REAL, train), *synthetic.items()):
            vectors = space.vectors(each.features[name].astype(np.float64))
            found = _score_set(target, _Set(vectors, each.labels, each.groups), space, classes)
            floor = floor or {row["class"]: row for row in found}
            rows += [
                {"source": source, "features": name, **row, "frechet_ratio": _ratio(row, floor.get(row["class"], {}))}
                for row in found
            ]
    table = pd.DataFrame(rows, columns=list(COLUMNS))
    order = {source: place for place, source in enumerate((REAL, *synthetic))}
    return table.sort_values("source", key=lambda names: names.map(order), kind="stable", ignore_index=True)


@dataclass(frozen=True)
class _Set:
    vectors: np.ndarray  # (N, D)
    labels: np.ndarray  # (N,)
    groups: np.ndarray  # (N,)

    def take(self, rows: np.ndarray) -> _Set:
        return _Set(self.vectors[rows], self.labels[rows], self.groups[rows])


def _ratio(row: Mapping[str, Any], floor: Mapping[str, Any]) -> float:
    """NaN where the two are of different numbers of images: a Frechet distance grows as they become fewer."""
    comparable = row["n"] == floor.get("n") and floor.get("frechet", 0) > 0
    return row["frechet"] / floor["frechet"] if comparable and "frechet" in row else float("nan")


def _score_set(reference: _Set, candidate: _Set, space: FeatureSpace, classes: Sequence[str]) -> list[dict[str, Any]]:
    rng = np.random.default_rng(SEED)
    draws = [_draw_equal(reference, candidate, len(classes), rng) for _ in range(NUM_DRAWS)]
    rows: list[dict[str, Any]] = []
    for label, name in ((None, ALL_CLASSES), *((k, name) for k, name in enumerate(classes) if name != ALL_CLASSES)):
        scores = [_score_draw(*draw, label, space, len(classes)) for draw in draws]
        wanted = reference.labels if label is None else reference.labels[reference.labels == label]
        share = float(np.isin(wanted, candidate.labels).mean()) if len(wanted) else 0.0
        if scores[0]["n"]:
            means = {score: float(np.mean([draw[score] for draw in scores])) for score in scores[0]}
            means |= {score: means[score] * share for score in ("coverage", "recall") if score in means}
            rows.append({"class": name, **means, "n": int(scores[0]["n"])})
        elif len(wanted):  # a class that the set does not know
            rows.append({"class": name, "n": 0, "coverage": 0.0, "recall": 0.0})
    return rows


def _draw_equal(a: _Set, b: _Set, num_classes: int, rng: np.random.Generator) -> tuple[_Set, _Set]:
    """As many rows of each class from either set as both have."""
    chosen: tuple[list[np.ndarray], list[np.ndarray]] = ([], [])
    for label in range(num_classes):
        of_class = [np.flatnonzero(each.labels == label) for each in (a, b)]
        count = min(map(len, of_class))
        for rows, places in zip(chosen, of_class, strict=True):
            rows.append(rng.choice(places, count, replace=False))
    return a.take(np.concatenate(chosen[0])), b.take(np.concatenate(chosen[1]))


def _score_draw(
    reference: _Set, candidate: _Set, label: int | None, space: FeatureSpace, num_classes: int
) -> dict[str, float]:
    """Scores of one class, or of all where `label` is None; only `n` where there are too few."""
    if label is not None:
        reference, candidate = (each.take(np.flatnonzero(each.labels == label)) for each in (reference, candidate))
    scores: dict[str, float] = {"n": len(reference.labels)}
    if len(reference.labels) <= NEIGHBOURS:
        return scores
    # Of one class the label says nothing, and is left out.
    labels = [each.labels if label is None else np.zeros_like(each.labels) for each in (reference, candidate)]
    scores["frechet"] = joint_frechet(
        space.projected(reference.vectors),
        labels[0],
        space.projected(candidate.vectors),
        labels[1],
        num_classes if label is None else 1,
    )
    scores["kid"], scores["kid_error"] = kernel_distance_with_error(
        reference.vectors, candidate.vectors, reference.groups, candidate.groups
    )
    return scores | manifold_scores(reference.vectors, candidate.vectors)


def describe_fidelity(table: pd.DataFrame) -> list[str]:
    """One line a source, its scores over all classes: the scoring network's, then those of the backbone."""
    lines = []
    rows = table[table["class"] == ALL_CLASSES]
    for source, own in rows.groupby("source", sort=False):
        what = "real train images" if source == REAL else str(source)
        by_space: dict[Any, dict[Any, Any]] = {row["features"]: row for row in own.to_dict("records")}
        first = by_space[SCORING]
        if first["coverage"] != first["coverage"]:
            lines.append(f"{what}: too few images for fidelity ({first['n']})")
            continue
        scores = "  ".join(f"{name} {first[name]:.2f}" for name in MANIFOLD_SCORES)
        lines.append(
            f"{what}: {_distances(first, 2)}  {scores}  backbone: {_distances(by_space[BACKBONE], 4)}  "
            f"({first['n']} images)"
        )
    return lines


def _distances(row: Mapping[Any, Any], digits: int) -> str:
    ratio = row["frechet_ratio"]
    beside = f" ({ratio:.1f} x real)" if ratio == ratio and row["source"] != REAL else ""
    return f"Frechet {row['frechet']:.1f}{beside}  KID {row['kid']:.{digits}f} ± {row['kid_error']:.{digits}f}"
