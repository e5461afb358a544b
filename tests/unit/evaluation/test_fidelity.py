"""Coverage, density, precision and recall in closed form, and the table of them."""

from __future__ import annotations

from math import prod

import numpy as np
import pytest

from raysynth.data.dataset import Dataset
from raysynth.evaluation import fidelity
from raysynth.evaluation.fidelity import describe_fidelity, fidelity_table, manifold_scores
from raysynth.evaluation.scoring_network import ensure_scoring_network, load_scoring_network


def test_a_case_by_hand():
    """Real balls, k = 1: [-1, 1], [0, 2], [1, 3], [2, 18]; of the generated points 1.5 lies in two and 20 in none."""
    real, generated = np.array([[0.0], [1], [2], [10]]), np.array([[1.5], [20]])
    scores = manifold_scores(real, generated, k=1)
    assert scores == {"coverage": 2 / 4, "density": 2 / 2, "precision": 1 / 2, "recall": 1.0}


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
    monkeypatch.setattr(fidelity, "_CHUNK", 7)
    assert manifold_scores(real, generated) == whole


def test_too_few_points_are_our_own_mistake():
    with pytest.raises(ValueError, match="more than k"):
        manifold_scores(np.zeros((5, 2)), np.zeros((9, 2)), k=5)


def test_the_table_holds_each_set_against_validation_images(make_dataset, monkeypatch):
    classes = ("a", "b", "c", "d")
    real = make_dataset("real", classes=classes, num_train=160, num_validation=80, num_test=40)
    network = load_scoring_network(ensure_scoring_network(real, threads=1))
    good = make_dataset("good", classes=classes, num_train=240, seed=1)
    images, _ = good.pixels()
    one = images[np.arange(240) % 4]  # one image a class, again and again
    collapsed = make_dataset("collapsed", classes=classes, num_train=240, images=one)
    partial = make_dataset("partial", classes=("d", "b"), num_train=14, seed=2)
    read = Dataset.pixels
    splits: list[str | None] = []
    monkeypatch.setattr(Dataset, "pixels", lambda self, split=None: (splits.append(split), read(self, split))[1])
    table = fidelity_table(real, {"good": good, "collapsed": collapsed, "partial": partial}, network)
    assert set(splits) == {"train", "validation"}
    assert list(table.columns) == list(fidelity.COLUMNS)

    scores = table.set_index(["source", "class"])
    assert scores.loc[("real", "all"), "n"] == scores.loc[("good", "all"), "n"] == 80
    assert scores.loc[("good", "a"), "n"] == 20
    assert scores.loc[("good", "all"), "coverage"] > 0.8
    assert scores.loc[("collapsed", "all"), "coverage"] < 0.5
    assert scores.loc[("collapsed", "all"), "frechet"] > 2 * scores.loc[("good", "all"), "frechet"]
    assert scores["frechet"].notna().sum() == 4
    assert scores.loc[("partial", "a"), ["n", "coverage", "recall"]].tolist() == [0, 0, 0]
    assert scores.loc[("partial", "all"), "coverage"] <= 0.5  # two of four classes, equally many of each
    assert scores.loc[("partial", "d"), "n"] == 7
    first, *_, last = describe_fidelity(table)
    assert first.startswith("real train images: Frechet")
    assert last.endswith("(14 images)")


def test_nothing_is_said_without_validation_images(make_dataset):
    real = make_dataset("real", num_train=40, num_test=8)
    network = load_scoring_network(ensure_scoring_network(real, threads=1))
    table = fidelity_table(real, {"made": make_dataset("made", num_train=20)}, network)
    assert table.empty
    assert describe_fidelity(table) == []


def test_a_class_with_few_images_has_no_scores(make_dataset):
    real = make_dataset("real", num_train=40, num_validation=10)
    network = load_scoring_network(ensure_scoring_network(real, threads=1))
    table = fidelity_table(real, {"made": make_dataset("made", num_train=10)}, network).set_index(["source", "class"])
    assert table.loc[("made", "a"), "n"] == 5
    assert table.loc[("made", "a"), ["coverage", "density"]].isna().all()
    assert table.loc[("made", "all"), ["coverage", "frechet"]].notna().all()
