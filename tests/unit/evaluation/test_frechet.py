import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from raysynth.evaluation.frechet import frechet_distance, joint_frechet

NUM_CLASSES = 4


def draw(seed: int, n: int = 256, separation: float = 2.0) -> tuple[np.ndarray, np.ndarray]:
    """Features of classes whose means differ, with balanced labels."""
    random = np.random.default_rng(seed)
    means = separation * np.random.default_rng(99).normal(size=(NUM_CLASSES, 16))
    labels = np.arange(n) % NUM_CLASSES
    features = means[labels] + random.normal(size=(n, 16))
    return features / np.sqrt(1 + separation**2), labels


def test_closed_form_in_one_dimension():
    found = frechet_distance(np.array([1.0]), np.array([[4.0]]), np.array([3.0]), np.array([[9.0]]))
    assert found == pytest.approx((1 - 3) ** 2 + (2 - 3) ** 2)


@given(st.lists(st.floats(0.1, 10), min_size=3, max_size=3), st.lists(st.floats(0.1, 10), min_size=3, max_size=3))
@settings(max_examples=30, deadline=None)
def test_closed_form_of_covariances_that_commute(a, b):
    rotation, _ = np.linalg.qr(np.random.default_rng(0).normal(size=(3, 3)))
    cov_a, cov_b = (rotation @ np.diag(np.square(s)) @ rotation.T for s in (a, b))
    wanted = float(np.sum((np.array(a) - b) ** 2))
    assert frechet_distance(np.zeros(3), cov_a, np.zeros(3), cov_b) == pytest.approx(wanted, abs=1e-6)


def test_closed_form_of_singular_covariances():
    """A square root makes 1e-7 of a rounding error of 1e-14 where an eigenvalue is zero: less can be asked for."""
    rotation, _ = np.linalg.qr(np.random.default_rng(0).normal(size=(3, 3)))
    cov_a, cov_b = (rotation @ np.diag(np.square(s)) @ rotation.T for s in ([0.0, 0.0, 5.0], [0.0, 5.0, 0.0]))
    assert frechet_distance(np.zeros(3), cov_a, np.zeros(3), cov_b) == pytest.approx(50, abs=1e-4)


def test_general_covariances_agree_with_scipys_matrix_root():
    from scipy.linalg import sqrtm

    random = np.random.default_rng(3)
    a, b = (m @ m.T for m in random.normal(size=(2, 5, 5)))
    wanted = np.trace(a + b - 2 * sqrtm(a @ b).real)
    found = frechet_distance(np.zeros(5), a, np.zeros(5), b)
    assert found == pytest.approx(wanted, abs=1e-8)
    assert found == pytest.approx(frechet_distance(np.zeros(5), b, np.zeros(5), a), abs=1e-10)


def test_the_peers_number():
    from torch_fidelity.metric_fid import KEY_METRIC_FID, fid_features_to_statistics, fid_statistics_to_metric

    random = np.random.default_rng(4)
    parts = [fid_features_to_statistics(torch.from_numpy(random.normal(m, 1 + m, (90, 7)))) for m in (0.0, 0.4)]
    theirs = fid_statistics_to_metric(*parts, verbose=False)[KEY_METRIC_FID]
    (a, b) = ((part["mu"], part["sigma"]) for part in parts)
    assert frechet_distance(*a, *b) == pytest.approx(theirs, rel=1e-9)


def test_equal_sets_are_at_distance_zero():
    features, labels = draw(0)
    assert joint_frechet(features, labels, features, labels, NUM_CLASSES) == pytest.approx(0, abs=1e-9)


def test_ignoring_the_label_scores_far_worse_than_another_draw():
    features, labels = draw(0)
    again, _ = draw(1)
    good = joint_frechet(features, labels, again, labels, NUM_CLASSES)
    permuted = np.random.default_rng(5).permutation(labels)
    assert joint_frechet(features, labels, features, permuted, NUM_CLASSES) > 10 * good


def test_two_swapped_classes_are_noticed():
    features, labels = draw(0)
    again, _ = draw(1)
    swapped = np.array([1, 0, 2, 3])[labels]
    good = joint_frechet(features, labels, again, labels, NUM_CLASSES)
    assert joint_frechet(features, labels, again, swapped, NUM_CLASSES) > 3 * good


def test_worse_images_are_further_away():
    features, labels = draw(0)
    again, _ = draw(1)
    noise = np.random.default_rng(2).normal(size=features.shape)
    distances = [joint_frechet(features, labels, again + s * noise, labels, NUM_CLASSES) for s in (0, 0.5, 1.0, 2.0)]
    assert distances == sorted(distances)


@pytest.mark.parametrize("n", [4, 20])
def test_few_images_and_one_class_are_fine(n):
    features, labels = draw(0, n=n)
    again, _ = draw(1, n=256)
    assert np.isfinite(joint_frechet(features, labels, again, np.arange(256) % 4, NUM_CLASSES))
    zeros = np.zeros(n, dtype=int)
    assert np.isfinite(joint_frechet(features, zeros, features + 1, zeros, 1))


def test_too_many_features_are_refused():
    with pytest.raises(ValueError, match="features"):
        joint_frechet(np.zeros((3, 65)), np.zeros(3, int), np.zeros((3, 65)), np.zeros(3, int), 2)
