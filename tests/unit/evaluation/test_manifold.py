"""Coverage, density, precision and recall in closed form, and beside a peer's."""

from __future__ import annotations

from math import prod

import numpy as np
import pytest

from raysynth.evaluation import manifold
from raysynth.evaluation.manifold import manifold_scores


def test_a_case_by_hand():
    """Real balls, k = 1: [-1, 1], [0, 2], [1, 3], [2, 18]; of the generated points 1.5 lies in two and 20 in none."""
    real, generated = np.array([[0.0], [1], [2], [10]]), np.array([[1.5], [20]])
    scores = manifold_scores(real, generated, k=1)
    assert scores == {"coverage": 2 / 4, "density": 2 / 2, "precision": 1 / 2, "recall": 1.0}


def test_the_peers_numbers():
    from prdc import compute_prdc

    rng = np.random.default_rng(0)
    real, generated = rng.normal(size=(70, 6)), rng.normal(0.4, 0.8, (90, 6))
    scores = manifold_scores(real, generated, k=4)
    assert scores == pytest.approx(compute_prdc(real, generated, nearest_k=4))
    assert 0 < scores["recall"] < 1


def test_equal_sets_are_perfect_and_far_ones_nothing():
    points = np.random.default_rng(0).normal(size=(40, 3))
    equal = manifold_scores(points, points)
    assert (equal["coverage"], equal["precision"], equal["recall"]) == (1, 1, 1)
    assert equal["density"] == pytest.approx(6 / 5)  # each point's own ball, and on average k others'
    assert set(manifold_scores(points, points + 100).values()) == {0}


def test_equal_distributions_have_the_expected_scores():
    """E[coverage] = 1 - prod_i (N - i) / (M + N - i), i = 1 .. k (Naeem et al. 2020, eq. 7); E[density] = 1."""
    rng = np.random.default_rng(0)
    n, m, k = 60, 90, 5
    found = [manifold_scores(rng.normal(size=(n, 4)), rng.normal(size=(m, 4)), k) for _ in range(60)]
    expected = 1 - prod((n - i) / (m + n - i) for i in range(1, k + 1))
    assert np.mean([scores["coverage"] for scores in found]) == pytest.approx(expected, abs=0.01)
    assert np.mean([scores["density"] for scores in found]) == pytest.approx(1, abs=0.04)


def test_what_is_missing_and_what_is_false_are_told_apart():
    rng = np.random.default_rng(0)
    left, right, far = (rng.normal(place, 1, (100, 2)) for place in (0, 50, 1000))
    half = manifold_scores(np.concatenate([left, right]), rng.normal(0, 1, (200, 2)))
    assert half["recall"] == pytest.approx(0.5, abs=0.05)
    assert half["coverage"] == pytest.approx(0.5, abs=0.05)
    assert half["precision"] > 0.95
    false = manifold_scores(np.concatenate([left, right]), np.concatenate([left, right, far]))
    assert false["precision"] == pytest.approx(2 / 3)
    assert false["coverage"] == 1


def test_scores_do_not_depend_on_chunks(monkeypatch):
    rng = np.random.default_rng(0)
    real, generated = rng.normal(size=(50, 3)), rng.normal(0.5, 1, (41, 3))
    whole = manifold_scores(real, generated)
    monkeypatch.setattr(manifold, "_CHUNK", 7)
    assert manifold_scores(real, generated) == whole


def test_too_few_points_are_our_own_mistake():
    with pytest.raises(ValueError, match="more than k"):
        manifold_scores(np.zeros((5, 2)), np.zeros((9, 2)), k=5)
