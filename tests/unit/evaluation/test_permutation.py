"""p-values: exact where all permutations can be listed, uniform where there is no difference."""

from itertools import combinations

import numpy as np
import pytest

from raysynth.evaluation.ks import ks_statistic
from raysynth.evaluation.permutation import ks_p_values, sum_by_group


def draw_groups(rng: np.random.Generator, num_groups: int, *, brighter: float = 0.0) -> np.ndarray:
    """Groups whose pixels hang together: each has a brightness of its own. (G, 1, 256)."""
    means = rng.normal(100 + brighter, 20, num_groups)
    sizes = rng.integers(1, 4, num_groups)
    rows = [
        np.bincount(rng.normal(mean, 5, 50 * size).clip(0, 255).astype(int), minlength=256)
        for mean, size in zip(means, sizes, strict=True)
    ]
    return np.stack(rows)[:, None]


def test_close_to_the_share_of_all_permutations():
    rng = np.random.default_rng(0)
    a, b = draw_groups(rng, 4), draw_groups(rng, 4, brighter=20)
    pooled = np.concatenate([a, b])[:, 0]
    observed = ks_statistic(a.sum((0, 1)), b.sum((0, 1)))
    found = [
        ks_statistic(pooled[list(rows)].sum(0), pooled[[row for row in range(8) if row not in rows]].sum(0))
        for rows in combinations(range(8), 4)
    ]
    exact = np.mean(np.array(found) >= observed - 1e-12)
    assert ks_p_values(a, b, num_permutations=20_000)[0] == pytest.approx(exact, abs=0.01)


def test_equal_distributions_are_rejected_as_often_as_the_level_says():
    rng = np.random.default_rng(1)
    p_values = [
        float(ks_p_values(draw_groups(rng, 20), draw_groups(rng, 30), num_permutations=99)[0]) for _ in range(300)
    ]
    assert np.mean(np.array(p_values) <= 0.05) == pytest.approx(0.05, abs=0.04)
    assert np.mean(p_values) == pytest.approx(0.5, abs=0.06)


def test_a_difference_is_found_in_the_view_that_has_it():
    rng = np.random.default_rng(2)
    same, other = draw_groups(rng, 60), draw_groups(rng, 60)
    shifted = draw_groups(rng, 60, brighter=40)
    p_values = ks_p_values(np.concatenate([same, same], axis=1), np.concatenate([other, shifted], axis=1))
    assert p_values[0] > 0.01
    assert p_values[1] == pytest.approx(0.001)


def test_one_group_a_side_says_nothing():
    one = draw_groups(np.random.default_rng(0), 1)
    assert ks_p_values(one, np.roll(one, 50, axis=-1)).tolist() == [1.0]
    with pytest.raises(ValueError, match="groups on both sides"):
        ks_p_values(one, one[:0])


def test_a_side_without_pixels_does_not_break_it():
    counts = draw_groups(np.random.default_rng(0), 4)
    p_values = ks_p_values(np.concatenate([counts, np.zeros_like(counts)]), np.zeros((2, 1, 256)))
    assert np.isfinite(p_values).all()


def test_histograms_add_up_by_group():
    counts = np.arange(12).reshape(4, 3)
    assert sum_by_group(counts, np.array(["b", "a", "b", "c"])).tolist() == [[3, 4, 5], [6, 8, 10], [9, 10, 11]]
    assert sum_by_group(counts[:0], np.array([], dtype=str)).shape == (0, 3)
