"""How like real images are, how many kinds of them there are, and which are missing: in the scoring network's features.

Synthetic images are held against real *validation* images; the test split is not looked at. Real train images against
the same validation images stand beside them, as what a very good generator may reach; the network has learnt from
those train images, so their features are a little sharper than those of fresh ones.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from scipy.spatial.distance import cdist

from raysynth.data.dataset import Dataset
from raysynth.evaluation.classes import label_mapping
from raysynth.evaluation.frechet import joint_frechet
from raysynth.evaluation.histograms import ALL_CLASSES
from raysynth.evaluation.plan import REAL
from raysynth.evaluation.scoring_network import ScoringNetwork, feature_scale

NEIGHBOURS = 5  # k of Naeem et al.
NUM_DRAWS = 10  # of as many synthetic images as there are validation images: scores are means over them
SEED = 0
COLUMNS = ("source", "class", "n", "frechet", "coverage", "density", "precision", "recall")
_CHUNK = 1024  # rows of a matrix of distances at a time


def manifold_scores(real: np.ndarray, generated: np.ndarray, k: int = NEIGHBOURS) -> dict[str, float]:
    """Coverage, density, precision and recall of generated (M, D) against real (N, D) features; N, M > k.

    The ball of a point reaches to its k-th nearest neighbour in its own set. Coverage: share of the real points whose
    ball holds a generated point; density: mean number of real balls that hold a generated point, over k (Naeem et al.
    2020, eqs. 4 and 3). Precision: share of the generated points in any real ball; recall: share of the real points
    in any generated ball (Kynkaanniemi et al. 2019, eqs. 1 and 2).
    Equal distributions have a density of 1 and a coverage of about 1 - 2 ** -k for N = M.
    """
    if min(len(real), len(generated)) <= k:
        raise ValueError(f"want more than k = {k} points in either set: {len(real)}, {len(generated)}")
    real_radii, generated_radii = neighbour_distances(real, k), neighbour_distances(generated, k)
    num_balls = np.zeros(len(generated), dtype=np.int64)  # real balls around each generated point
    covered = np.zeros(len(real), dtype=bool)
    recalled = np.zeros(len(real), dtype=bool)
    for start in range(0, len(real), _CHUNK):
        rows = slice(start, start + _CHUNK)
        distances = cdist(real[rows], generated)
        in_real_ball = distances <= real_radii[rows, None]
        num_balls += in_real_ball.sum(axis=0)
        covered[rows] = in_real_ball.any(axis=1)
        recalled[rows] = (distances <= generated_radii[None, :]).any(axis=1)
    return {
        "coverage": float(covered.mean()),
        "density": float(num_balls.mean() / k),
        "precision": float((num_balls > 0).mean()),
        "recall": float(recalled.mean()),
    }


def neighbour_distances(points: np.ndarray, k: int) -> np.ndarray:
    """Distance (N,) of each point (N, D) to its k-th nearest other one."""
    chunks = [
        # Place 0 is the point itself.
        np.partition(cdist(points[start : start + _CHUNK], points), k, axis=1)[:, k]
        for start in range(0, len(points), _CHUNK)
    ]
    return np.concatenate(chunks)


def fidelity_table(real: Dataset, synthetic: Mapping[str, Dataset], network: ScoringNetwork) -> pd.DataFrame:
    """Rows (source, class, n, frechet, coverage, density, precision, recall); source "real" is the train images.

    `n` images on either side: as many of each class as both have, a fresh draw of the larger side each time. The
    Frechet distance, joint with the label, is of all classes together only. A class of 5 images or fewer has no
    scores; of a class that a set lacks nothing is covered or recalled, which counts in `all`. No rows without
    validation images.
    """
    images, labels = real.pixels("validation")
    if not len(images):
        return pd.DataFrame(columns=list(COLUMNS))
    features = network.features(images)
    scale = feature_scale(features)
    reference = (features / scale, labels)
    rows = []
    for source, dataset in ((REAL, real), *synthetic.items()):
        images, own_labels = dataset.pixels("train")
        features = network.features(images) / scale
        candidate = (features, label_mapping(dataset.classes, real.classes)[own_labels])
        rows += [{"source": source, **row} for row in _score_set(reference, candidate, real.classes)]
    return pd.DataFrame(rows, columns=list(COLUMNS))


_Set = tuple[np.ndarray, np.ndarray]  # features (N, D), labels (N,)


def _score_set(reference: _Set, candidate: _Set, classes: Sequence[str]) -> list[dict[str, Any]]:
    rng = np.random.default_rng(SEED)
    draws = [_draw_equal(reference, candidate, len(classes), rng) for _ in range(NUM_DRAWS)]
    rows: list[dict[str, Any]] = []
    for label, name in ((None, ALL_CLASSES), *((k, name) for k, name in enumerate(classes) if name != ALL_CLASSES)):
        scores = [_score_draw(*draw, label, len(classes)) for draw in draws]
        wanted = reference[1] if label is None else reference[1][reference[1] == label]
        share = float(np.isin(wanted, candidate[1]).mean()) if len(wanted) else 0.0
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
        of_class = [np.flatnonzero(labels == label) for _, labels in (a, b)]
        count = min(map(len, of_class))
        for rows, places in zip(chosen, of_class, strict=True):
            rows.append(rng.choice(places, count, replace=False))
    rows_a, rows_b = (np.concatenate(rows) for rows in chosen)
    return (a[0][rows_a], a[1][rows_a]), (b[0][rows_b], b[1][rows_b])


def _score_draw(reference: _Set, candidate: _Set, label: int | None, num_classes: int) -> dict[str, float]:
    """Scores of one class, or of all where `label` is None; only `n` where there are too few."""
    (real, real_labels), (generated, generated_labels) = reference, candidate
    if label is not None:
        real, generated = real[real_labels == label], generated[generated_labels == label]
    scores: dict[str, float] = {"n": len(real)}
    if len(real) <= NEIGHBOURS:
        return scores
    if label is None:
        scores["frechet"] = joint_frechet(real, real_labels, generated, generated_labels, num_classes)
    return scores | manifold_scores(real, generated)


def describe_fidelity(table: pd.DataFrame) -> list[str]:
    """One line a source, its scores over all classes."""
    lines = []
    for row in table[table["class"] == ALL_CLASSES].to_dict("records"):
        what = "real train images" if row["source"] == REAL else row["source"]
        if row["coverage"] != row["coverage"]:
            lines.append(f"{what}: too few images for fidelity ({row['n']})")
            continue
        scores = "  ".join(f"{name} {row[name]:.2f}" for name in ("coverage", "density", "precision", "recall"))
        lines.append(f"{what}: Frechet {row['frechet']:.1f}  {scores}  ({row['n']} images)")
    return lines
