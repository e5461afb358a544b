"""KID: a peer's number, unbiased, with an error that tells how far estimates scatter."""

import numpy as np
import pytest
import torch

from raysynth.evaluation.kid import kernel_distance, kernel_distance_with_error, polynomial_kernel


def test_the_peers_number():
    from torch_fidelity.metric_kid import KEY_METRIC_KID_MEAN, kid_features_to_metric

    rng = np.random.default_rng(0)
    a, b = rng.normal(size=(60, 9)), rng.normal(0.3, 1.2, (60, 9))
    theirs = kid_features_to_metric(
        torch.from_numpy(a), torch.from_numpy(b), kid_subsets=1, kid_subset_size=60, verbose=False
    )
    assert kernel_distance(a, b) == pytest.approx(theirs[KEY_METRIC_KID_MEAN], rel=1e-9)


def test_by_hand_for_sets_of_two_sizes():
    rng = np.random.default_rng(0)
    a, b = rng.normal(size=(5, 3)), rng.normal(size=(4, 3))
    across = polynomial_kernel(a, b)
    wanted = np.mean([polynomial_kernel(a, a)[i, j] for i in range(5) for j in range(5) if i != j])
    wanted += np.mean([polynomial_kernel(b, b)[i, j] for i in range(4) for j in range(4) if i != j])
    assert kernel_distance(a, b) == pytest.approx(wanted - 2 * across.mean())
    assert kernel_distance(b, a) == pytest.approx(kernel_distance(a, b))
    assert polynomial_kernel(a, b)[1, 2] == pytest.approx((a[1] @ b[2] / 3 + 1) ** 3)


@pytest.mark.parametrize("shift", [0.0, 0.5])
def test_few_images_scatter_about_what_many_give(shift):
    rng = np.random.default_rng(0)

    def draw(n: int) -> tuple[np.ndarray, np.ndarray]:
        return rng.normal(size=(n, 4)), rng.normal(shift, 1, (n, 4))

    few = np.array([kernel_distance(*draw(12)) for _ in range(600)])
    many = kernel_distance(*draw(3000)) if shift else 0.0
    assert abs(few.mean() - many) < 4 * few.std() / np.sqrt(len(few)) + 0.01


def test_the_error_is_how_far_estimates_scatter():
    rng = np.random.default_rng(1)
    each = np.arange(100)
    found = [
        kernel_distance_with_error(rng.normal(size=(100, 5)), rng.normal(0.6, 1, (100, 5)), each, each)
        for _ in range(150)
    ]
    distances, errors = np.array(found).T
    assert errors.mean() == pytest.approx(distances.std(), rel=0.25)


def test_groups_make_the_error_larger():
    """Four copies of each real image are one: their number must not be taken for knowledge."""
    rng = np.random.default_rng(2)
    each = np.arange(100)
    known, naive, scatter = [], [], []
    for _ in range(40):
        real, groups = np.repeat(rng.normal(size=(25, 5)), 4, axis=0), np.repeat(np.arange(25), 4)
        generated = rng.normal(0.6, 1, (100, 5))
        distance, error = kernel_distance_with_error(real, generated, groups, each)
        scatter.append(distance)
        known.append(error)
        naive.append(kernel_distance_with_error(real, generated, each, each)[1])
    assert np.mean(known) > 1.2 * np.mean(naive)
    assert np.mean(known) > 0.7 * np.std(scatter)


def test_too_few_for_an_error_or_for_a_distance():
    rng = np.random.default_rng(0)
    a, b = rng.normal(size=(6, 2)), rng.normal(size=(6, 2))
    distance, error = kernel_distance_with_error(a, b, np.zeros(6), np.arange(6))
    assert distance == pytest.approx(kernel_distance(a, b))
    assert np.isnan(error)
    assert np.isnan(kernel_distance_with_error(a[:2], b[:2], np.arange(2), np.arange(2))[1])
    with pytest.raises(ValueError, match="at least two"):
        kernel_distance(a[:1], b)
