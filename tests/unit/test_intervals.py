import math

import numpy as np
import pytest
from scipy.stats import ttest_1samp

from raysynth.intervals import BOOTSTRAP_SAMPLES, bootstrap_difference, holm, wilson_interval


def test_wilson_matches_published_values():
    # The study's baseline and mixed accuracy, each on 327 test images.
    assert wilson_interval(315 / 327, 327) == pytest.approx((0.937, 0.979), abs=5e-4)
    assert wilson_interval(306 / 327, 327) == pytest.approx((0.904, 0.958), abs=5e-4)


@pytest.mark.parametrize("n", [1, 10, 327])
def test_wilson_at_the_ends_has_a_closed_form(n):
    z2 = 1.959963984540054**2
    assert wilson_interval(0.0, n) == pytest.approx((0.0, z2 / (n + z2)), abs=1e-12)
    assert wilson_interval(1.0, n) == pytest.approx((n / (n + z2), 1.0), abs=1e-12)


def test_wilson_ends_solve_the_score_equation():
    p, n, z = 0.7, 50, 1.959963984540054
    for end in wilson_interval(p, n):
        assert abs(p - end) == pytest.approx(z * math.sqrt(end * (1 - end) / n), abs=1e-12)


def test_wilson_of_nothing_says_nothing_and_wrong_input_is_refused():
    assert wilson_interval(0.0, 0) == (0.0, 1.0)
    with pytest.raises(ValueError, match="proportion"):
        wilson_interval(1.2, 10)


def test_bootstrap_of_one_seed_agrees_with_the_standard_error_of_a_mean():
    random = np.random.default_rng(0)
    values = random.normal(0.05, 1, (400, 1))
    found = bootstrap_difference(values, np.arange(400))
    assert found.mean == pytest.approx(values.mean())
    assert found.standard_error == pytest.approx(values.std() / 20, rel=0.06)
    assert found.high - found.low == pytest.approx(2 * 1.96 * values.std() / 20, rel=0.1)


def test_bootstrap_draws_groups_not_images():
    values = np.repeat(np.random.default_rng(0).normal(size=(50, 1)), 4, axis=0)
    alone = bootstrap_difference(values, np.arange(200)).standard_error
    grouped = bootstrap_difference(values, np.repeat(np.arange(50), 4)).standard_error
    assert grouped == pytest.approx(2 * alone, rel=0.1)


def test_bootstrap_over_seeds_is_not_too_narrow():
    # Differences vary by seed only, deviations -1, 0, 1: the standard error of their mean is sd / sqrt(3).
    values = np.tile([[-1.0, 0.0, 1.0]], (100, 1))
    found = bootstrap_difference(values, np.arange(100))
    assert found.standard_error == pytest.approx(1 / math.sqrt(3), rel=0.05)
    assert found.num_differing_groups == 0


def test_few_seeds_are_paid_for_with_students_t():
    """Differences that vary by seed only: three seeds have two degrees of freedom, and t is 4.30 in place of 1.96."""
    found = bootstrap_difference(np.tile([[-1.0, 0.0, 1.0]], (100, 1)), np.arange(100))
    assert found.high == pytest.approx(math.sqrt(1.5) * 4.303 / 1.960, rel=0.02)  # one seed drawn thrice: 1 of 27


def test_intervals_cover_the_truth_although_seeds_are_few():
    """No true difference, a spread of the seeds that is larger than that of the images: about 5 % may miss zero."""
    random = np.random.default_rng(0)
    missed = 0
    for repeat in range(60):
        rates = random.normal(0.1, 0.035, (2, 3)).clip(0.01, 0.99)
        right = [random.random((300, 3)) > rate for rate in rates]
        found = bootstrap_difference(right[0].astype(float) - right[1], np.arange(300), seed=repeat)
        missed += not found.low <= 0 <= found.high
    assert missed <= 9  # P(more than 9 of 60) < 0.1 % at 5 %


def test_bootstrap_is_reproducible():
    values = np.random.default_rng(2).normal(size=(30, 2))
    assert bootstrap_difference(values, np.arange(30)) == bootstrap_difference(values, np.arange(30))


def test_the_p_value_is_one_less_the_confidence_that_ends_at_zero():
    values = np.random.default_rng(1).normal(0.12, 1, (300, 1))
    found = bootstrap_difference(values, np.arange(300))
    at_zero = bootstrap_difference(values, np.arange(300), confidence=1 - found.p_value)
    assert at_zero.low == pytest.approx(0, abs=2e-3)
    assert found.p_value == pytest.approx(ttest_1samp(values[:, 0], 0).pvalue, abs=0.02)
    assert (found.p_value < 0.05) == (found.low > 0)


def test_p_values_of_nothing_and_of_everything():
    zeros = np.zeros((40, 2))
    assert bootstrap_difference(zeros, np.arange(40)).p_value == pytest.approx(1)
    assert bootstrap_difference(zeros + 1, np.arange(40)).p_value == pytest.approx(1 / BOOTSTRAP_SAMPLES)


def test_holm_by_hand():
    assert holm([0.01, 0.04, 0.03]) == pytest.approx([0.03, 0.06, 0.06])
    assert holm([0.5, 0.9]) == [1.0, 1.0]
    assert holm([]) == []
    assert holm([0.2]) == [0.2]
