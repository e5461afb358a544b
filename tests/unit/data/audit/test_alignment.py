"""Alignment finds the map that made a copy, to a fraction of a pixel, and correlates nothing that is no copy."""

import numpy as np
import pytest
import torch

from raysynth.data.audit.alignment import MIN_OVERLAP, align, compose, invert
from raysynth.data.audit.appearance import embed, sample
from raysynth.data.audit.thresholds import Thresholds


@pytest.fixture(scope="module")
def phantoms(draw):
    return draw(24)


def affine(*, angle_degrees: float = 0.0, scale=(1.0, 1.0), shift=(0.0, 0.0), mirrored: bool = False) -> torch.Tensor:
    """A map (1, 2, 3): mirror, scale, turn, then shift by shares of the half frame."""
    cos, sin = np.cos(np.radians(angle_degrees)), np.sin(np.radians(angle_degrees))
    linear = np.array([[cos, -sin], [sin, cos]]) @ np.diag(scale) @ np.diag([-1.0 if mirrored else 1.0, 1.0])
    return torch.from_numpy(np.concatenate([linear, np.array(shift)[:, None]], 1)[None].astype(np.float32))


def moved(images: np.ndarray, maps: torch.Tensor) -> np.ndarray:
    """Copies that show at p what the images show at `maps` p."""
    return sample(torch.from_numpy(images.astype(np.float32)), maps, 64).round().numpy().astype(np.uint8)


def error_in_pixels(found: np.ndarray, true: torch.Tensor) -> np.ndarray:
    """The largest distance (N,) between where two maps put the corners of the middle half of the frame."""
    corners = np.array([[x, y, 1.0] for x in (-0.5, 0.5) for y in (-0.5, 0.5)])
    difference = np.einsum("nij,cj->nci", found - true.numpy(), corners)
    return np.linalg.norm(difference, axis=2).max(1) * 32


def ones(num: int) -> torch.Tensor:
    return torch.ones(num)


def test_maps_are_composed_and_inverted_as_matrices_are():
    outer, inner = affine(angle_degrees=20, scale=(1.2, 0.9), shift=(0.1, 0.3)), affine(mirrored=True, shift=(-0.2, 0))
    point = torch.tensor([0.3, -0.7])

    def at(maps: torch.Tensor, where: torch.Tensor) -> torch.Tensor:
        return maps[0, :, :2] @ where + maps[0, :, 2]

    torch.testing.assert_close(at(compose(outer, inner), point), at(outer, at(inner, point)))
    torch.testing.assert_close(compose(invert(outer), outer), torch.eye(2, 3)[None], atol=1e-6, rtol=0)


@pytest.mark.parametrize(
    "change",
    [
        {},
        {"shift": (0.08, -0.06)},
        {"scale": (0.9, 0.86)},
        {"scale": (1.1, 1.05), "shift": (0.0, 0.05)},
        {"angle_degrees": 6.0},
        {"angle_degrees": -5.0, "scale": (0.95, 0.9), "shift": (0.04, 0.04)},
        {"mirrored": True, "angle_degrees": 4.0},
    ],
    ids=str,
)
def test_a_known_map_is_found_from_a_guess_beside_it(phantoms, change):
    made_with = affine(**change).repeat(len(phantoms), 1, 1)
    truth = invert(made_with)  # a point of the image -> where the copy shows it
    copies = moved(phantoms, made_with)
    beside = affine(angle_degrees=2.5, scale=(1.03, 0.98), shift=(0.05, -0.04)).repeat(len(phantoms), 1, 1)
    guess = compose(beside, truth)
    assert error_in_pixels(guess.numpy(), truth).min() > 1.5
    found = align(phantoms, copies, guess, ones(len(phantoms)))
    assert np.median(error_in_pixels(found.maps, truth)) < 0.2
    assert error_in_pixels(found.maps, truth).max() < 0.7
    assert found.score.min() > 0.9


def test_a_faded_copy_is_aligned_as_well(phantoms):
    made_with = affine(scale=(1.08, 1.0), shift=(0.08, -0.06)).repeat(len(phantoms), 1, 1)
    faded = (moved(phantoms, made_with) * 0.1).round().astype(np.uint8)
    found = align(phantoms, faded, affine().repeat(len(phantoms), 1, 1), ones(len(phantoms)))
    assert np.median(error_in_pixels(found.maps, invert(made_with))) < 0.3


def test_an_image_correlates_with_itself_and_overlaps_wholly(phantoms):
    found = align(phantoms, phantoms, affine().repeat(len(phantoms), 1, 1), ones(len(phantoms)))
    np.testing.assert_allclose(found.score, 1.0, atol=1e-3)
    np.testing.assert_allclose(found.overlap, 1.0, atol=0.05)


def test_different_patients_stay_under_the_threshold(phantoms):
    """Every pair, from the guess that lays head on head."""
    heads = torch.from_numpy(embed(phantoms)[1][:, 1])
    a, b = np.triu_indices(len(phantoms), 1)
    found = align(phantoms[a], phantoms[b], compose(heads[b], invert(heads[a])), ones(len(a)))
    assert np.abs(found.score).max() < Thresholds().score
    assert np.median(np.abs(found.score)) < 0.3


def test_the_inverse_of_an_image_correlates_negatively_where_it_is_guessed_to_be_one(phantoms):
    maps = affine(shift=(0.02, 0.02)).repeat(len(phantoms), 1, 1)
    assert align(phantoms, 255 - phantoms, maps, -ones(len(phantoms))).score.max() < -0.95
    np.testing.assert_array_equal(align(phantoms, 255 - phantoms, maps, ones(len(phantoms))).score, 0.0)


def test_pairs_that_are_given_up_do_not_disturb_the_others(phantoms):
    """Copies among others give the same scores as copies alone."""
    num = len(phantoms)
    copies = moved(phantoms, affine(shift=(0.05, 0.0)).repeat(num, 1, 1))
    partners = np.where((np.arange(num) % 2 == 0)[:, None, None], copies, np.full_like(copies, 128))
    together = align(phantoms, partners, affine().repeat(num, 1, 1), ones(num))
    alone = align(phantoms[::2], copies[::2], affine().repeat(num // 2, 1, 1), ones(num // 2))
    np.testing.assert_allclose(together.score[::2], alone.score, atol=1e-3)
    np.testing.assert_array_equal(together.score[1::2], 0.0)


def test_images_that_hardly_overlap_are_not_compared(phantoms):
    """A corner of a quarter of the frame, laid where it belongs."""
    corner = affine(scale=(0.5, 0.5), shift=(-0.5, -0.5)).repeat(len(phantoms), 1, 1)
    found = align(phantoms, moved(phantoms, corner), invert(corner), ones(len(phantoms)))
    assert found.overlap.max() < MIN_OVERLAP
    np.testing.assert_array_equal(found.score, 0.0)


def test_the_guesses_are_left_as_they_are(phantoms):
    guess = affine(shift=(0.05, 0.0)).repeat(len(phantoms), 1, 1)
    before = guess.clone()
    align(phantoms, phantoms, guess, ones(len(phantoms)))
    torch.testing.assert_close(guess, before)
