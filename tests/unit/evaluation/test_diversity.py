"""What the measure of diversity sees: constructed collapses, and what is none."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter

from raysynth.evaluation.diversity import COARSE_SIDE, Diversity, coarsen, mean_distance
from raysynth.evaluation.scoring_network import FrechetScorer, ensure_scoring_network, load_scoring_network
from raysynth.training.health import MIN_DIVERSITY


def blobs(num_images: int, seed: int, side: int = 32) -> np.ndarray:
    """Images (N, 1, side, side) uint8 of a bright disc of any size, anywhere."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[:side, :side] / side
    centres, radii = rng.uniform(0.3, 0.7, (2, num_images, 1, 1)), rng.uniform(0.1, 0.3, (num_images, 1, 1))
    discs = np.hypot(y - centres[0], x - centres[1]) < radii
    return (20 + 200 * discs[:, None]).astype(np.uint8)


@pytest.fixture(scope="module")
def images() -> np.ndarray:
    return blobs(60, seed=0)


def measure(real: np.ndarray, generated: np.ndarray) -> float:
    """Diversity on pixels: the features are coarse pixels too."""
    labels = np.zeros(len(real), int)
    lowest = Diversity(coarsen(real), real, labels).lowest(coarsen(generated), generated, np.zeros(len(generated), int))
    assert lowest is not None
    return lowest[0]


def test_other_real_images_are_as_diverse(images):
    assert measure(images, blobs(60, seed=1)) == pytest.approx(1, abs=0.2)


@pytest.mark.parametrize("noise", [0, 5, 25])
def test_one_image_again_and_again_is_a_collapse_also_under_noise(images, noise):
    rng = np.random.default_rng(0)
    one = images[:1].repeat(60, 0) + rng.normal(0, noise, images.shape)
    assert measure(images, one.clip(0, 255).astype(np.uint8)) < MIN_DIVERSITY


def test_blurred_images_are_none(images):
    blurred = np.stack([gaussian_filter(image, (0, 2, 2)) for image in images])
    assert measure(images, blurred) > 2 * MIN_DIVERSITY


def test_the_least_diverse_class_is_named(images):
    labels = np.repeat([0, 1, 2], 20)
    generated = blobs(60, seed=3)
    generated[labels == 1] = generated[20]
    lowest = Diversity(coarsen(images), images, labels).lowest(coarsen(generated), generated, labels)
    assert lowest == (0, 1)


def test_either_view_can_see_it(images):
    labels = np.zeros(60, int)
    features, alike = np.random.default_rng(0).normal(size=(2, 60, 4)) * np.array([1, 0.1])[:, None, None]
    diversity = Diversity(features, images, labels)
    assert diversity.lowest(alike, images, labels)[0] == pytest.approx(mean_distance(alike) / mean_distance(features))
    assert diversity.lowest(features, images[:1].repeat(60, 0), labels)[0] == 0


def test_classes_that_cannot_be_judged_are_left_out(images):
    labels = np.array([0] * 4 + [1] * 6)
    real = np.concatenate([images[:4], images[:1].repeat(6, 0)])  # too few, and all equal
    assert Diversity(coarsen(real), real, labels).lowest(coarsen(images[:10]), images[:10], labels) is None


@pytest.mark.parametrize("shape", [(3, 2, 16, 24), (3, 1, 20, 12), (3, 1, 16, 16, 16)])
def test_coarse_pixels_are_means_over_blocks(shape):
    values = np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)
    vectors = coarsen(values)
    assert vectors.shape == (3, shape[1] * COARSE_SIDE ** (len(shape) - 2))
    if all(length % COARSE_SIDE == 0 for length in shape[2:]):
        assert vectors.mean(axis=1) == pytest.approx(values.reshape(3, -1).mean(axis=1), rel=1e-5)


def test_the_mean_distance_is_that_of_all_pairs():
    assert mean_distance(np.array([[0.0], [3], [9]])) == pytest.approx((3 + 9 + 6) / 3)


def test_it_is_measured_with_the_frechet_score(make_dataset):
    real = make_dataset("real", num_train=40, num_validation=40)
    scorer = FrechetScorer(real, load_scoring_network(ensure_scoring_network(real)))
    images, labels = make_dataset("made", num_train=len(scorer.labels), seed=1).pixels()
    good = scorer.measure(images, labels)
    assert good["frechet"] == scorer.score(images, labels)
    assert good["diversity"] > 0.8
    images = images.copy()
    images[labels == 1] = images[labels == 1][0]
    assert scorer.measure(images, labels) | {"frechet": 0} == {"frechet": 0, "diversity": 0, "diversity_class": 1}
