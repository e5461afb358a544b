"""The terms of the evidence lower bound, by closed forms and by hand."""

import math

import pytest
import torch

from raysynth.models.elbo import (
    LARGEST_LOGIT,
    divergence_from_normal,
    reconstruction_error,
    saturation,
    structural_dissimilarity,
)


def test_the_divergence_is_torchs():
    mean, log_variance = torch.randn(5, 3), torch.randn(5, 3)
    posterior = torch.distributions.Normal(mean, (log_variance / 2).exp())
    expected = torch.distributions.kl_divergence(posterior, torch.distributions.Normal(0, 1)).sum(1)
    torch.testing.assert_close(divergence_from_normal(mean, log_variance), expected)


def test_the_divergence_by_hand():
    """N(2, 1) is 2 nats from N(0, 1); N(0, e^2) is (e^2 - 3) / 2."""
    found = divergence_from_normal(torch.tensor([[2.0, 0.0]]), torch.tensor([[0.0, 2.0]]))
    assert found.item() == pytest.approx(2 + (math.e**2 - 3) / 2, rel=1e-6)


def test_free_bits_cost_their_floor_and_have_no_gradient_below_it():
    mean = torch.tensor([[0.1, 2.0]], requires_grad=True)
    cost = divergence_from_normal(mean, torch.zeros(1, 2), free_bits=0.5)
    assert cost.item() == pytest.approx(0.5 + 2.0)
    cost.sum().backward()
    assert mean.grad.tolist() == [[0.0, 2.0]]


@pytest.mark.parametrize(("kind", "expected"), [("mse", 4 * 0.25**2), ("l1", 4 * 0.25), ("bce", 4 * math.log(2))])
def test_errors_are_sums_over_an_images_pixels(kind, expected):
    pixels = torch.full((2, 1, 2, 2), 0.25)
    assert reconstruction_error(torch.zeros(2, 1, 2, 2), pixels, kind).tolist() == pytest.approx([expected] * 2)


def test_structural_dissimilarity_of_equal_of_constant_and_of_inverted_images():
    images = torch.rand(2, 3, 12, 12)
    assert structural_dissimilarity(images, images).abs().max() < 1e-3
    # Constant images have no structure: only luminance counts, 2ab + C1 over a^2 + b^2 + C1.
    first, second = torch.full((1, 1, 9, 9), 0.2), torch.full((1, 1, 9, 9), 0.6)
    luminance = (2 * 0.2 * 0.6 + 1e-4) / (0.2**2 + 0.6**2 + 1e-4)
    assert structural_dissimilarity(first, second).item() == pytest.approx(81 * (1 - luminance) / 2, rel=1e-3)
    assert structural_dissimilarity(images, 1 - images).min() > 0.5 * 3 * 144  # correlation -1: SSIM below 0


def test_saturation_pulls_back_where_errors_of_pixels_do_not():
    logits = torch.tensor([[-30.0, 2.0], [LARGEST_LOGIT, -LARGEST_LOGIT]]).view(2, 1, 1, 2).requires_grad_()
    assert saturation(logits).tolist() == [pytest.approx((30 - LARGEST_LOGIT) ** 2), 0.0]
    (of_pixels,) = torch.autograd.grad(reconstruction_error(logits, torch.ones(2, 1, 1, 2), "mse").sum(), logits)
    (of_saturation,) = torch.autograd.grad(saturation(logits).sum(), logits)
    assert of_pixels[0, 0, 0, 0].abs() < 1e-9
    assert of_saturation.flatten().tolist() == [pytest.approx(-2 * (30 - LARGEST_LOGIT)), 0.0, 0.0, 0.0]
    assert round(255 * torch.tensor(-LARGEST_LOGIT).sigmoid().item()) == 0  # black is within reach
