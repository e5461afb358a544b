"""Noise and its measure."""

from __future__ import annotations

import math

import pytest
import torch

from raysynth.models.noise import add_noise, peak_signal_to_noise

GREY = torch.zeros(4, 1, 32, 32)  # 0.5 for pixels from 0 to 1
BLACK = GREY - 1


def noised(images, kind, strength):
    normal = torch.randn(len(images), 2, *images.shape[1:], generator=torch.Generator().manual_seed(0))
    return add_noise(images, kind, torch.full((len(images),), strength), normal)


@pytest.mark.parametrize("kind", ["gaussian", "rician", "salt_pepper"])
def test_no_strength_is_no_noise_and_any_keeps_the_range(kind):
    images = torch.rand(4, 3, 16, 16) * 2 - 1
    assert torch.allclose(noised(images, kind, 0.0), images, atol=1e-6)
    assert noised(images, kind, 0.7).abs().max() <= 1
    assert not torch.equal(noised(images, kind, 0.1), images)


def test_strength_is_the_deviation_of_gaussian_noise():
    pixels = (noised(GREY, "gaussian", 0.1) + 1) / 2
    assert pixels.std().item() == pytest.approx(0.1, rel=0.05)
    assert pixels.mean().item() == pytest.approx(0.5, abs=0.01)


def test_rician_noise_lifts_the_background_by_the_mean_of_a_rayleigh_distribution():
    pixels = (noised(BLACK, "rician", 0.1) + 1) / 2
    assert pixels.mean().item() == pytest.approx(0.1 * math.sqrt(math.pi / 2), rel=0.03)
    assert pixels.min() >= 0


def test_salt_and_pepper_take_their_share_of_pixels():
    pixels = (noised(GREY, "salt_pepper", 0.3) + 1) / 2
    for value in (0.0, 1.0):
        assert (pixels == value).float().mean().item() == pytest.approx(0.15, abs=0.02)


def test_each_image_has_its_own_strength():
    strengths = torch.tensor([0.0, 0.05, 0.1, 0.2])
    whole = add_noise(GREY, "gaussian", strengths, torch.randn(4, 2, 1, 32, 32))
    assert torch.equal(whole[0], GREY[0])
    assert (whole.flatten(1).std(1) / 2).tolist() == pytest.approx(strengths.tolist(), rel=0.15)


def test_psnr_of_a_known_error():
    first = torch.zeros(2, 1, 4, 4)
    second = first + torch.tensor([0.2, 0.02]).view(2, 1, 1, 1)  # 0.1 and 0.01 of pixels from 0 to 1
    assert peak_signal_to_noise(first, second).tolist() == pytest.approx([20, 40], abs=1e-3)
