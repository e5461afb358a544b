"""Losses against cases worked out by hand."""

from __future__ import annotations

import math

import pytest
import torch

from raysynth.models.losses import (
    cross_entropy_of_generated,
    cross_entropy_of_scores,
    gradient_penalty,
    wasserstein_estimate,
)


def test_wasserstein_estimate_is_the_difference_of_means():
    estimate = wasserstein_estimate(torch.tensor([3.0, 5.0]), torch.tensor([1.0, 1.0]))
    assert estimate.item() == 3.0


def test_penalty_of_a_linear_critic_is_its_slope():
    """For D(x) = w . x the gradient is w everywhere: the penalty is (||w|| - 1)^2."""
    weight = torch.tensor([3.0, 4.0])
    penalty = gradient_penalty(lambda x: x @ weight, torch.zeros(5, 2), torch.ones(5, 2), torch.rand(5))
    assert penalty.item() == pytest.approx((5 - 1) ** 2)


def test_penalty_of_a_quadratic_critic_depends_on_the_point():
    """For D(x) = x^2 / 2 the gradient is x; at x = w * real + (1 - w) * generated = 0.25 * 8 = 2 it is (2 - 1)^2."""
    real, generated = torch.full((1, 1), 8.0), torch.zeros(1, 1)
    penalty = gradient_penalty(lambda x: (x**2 / 2).squeeze(1), real, generated, torch.tensor([0.25]))
    assert penalty.item() == pytest.approx(1.0)


def test_penalty_can_be_differentiated():
    """d/dw (|w| - 1)^2 = 2 (w - 1) for w > 0."""
    weight = torch.tensor(3.0, requires_grad=True)
    gradient_penalty(lambda x: weight * x[:, 0], torch.zeros(2, 1), torch.ones(2, 1), torch.rand(2)).backward()
    assert weight.grad is not None
    assert weight.grad.item() == pytest.approx(4.0)


def test_an_undecided_discriminator_pays_ln_2_for_each_kind():
    zeros = torch.zeros(3)
    assert cross_entropy_of_scores(zeros, zeros).item() == pytest.approx(2 * math.log(2))
    assert cross_entropy_of_generated(zeros).item() == pytest.approx(math.log(2))


def test_cross_entropy_of_odds():
    """A score of ln 3 is D = 3/4: -ln 3/4 where it is right, -ln 1/4 where it is wrong."""
    score = torch.tensor([math.log(3)])
    assert cross_entropy_of_scores(score, score).item() == pytest.approx(-math.log(3 / 4) - math.log(1 / 4))
    assert cross_entropy_of_generated(score).item() == pytest.approx(-math.log(3 / 4))


def test_smoothing_is_one_sided():
    """With a target of 0.75 for real images the loss is least at D = 0.75 there; generated images keep target 0."""
    score = torch.tensor([math.log(3)], requires_grad=True)
    cross_entropy_of_scores(score, torch.tensor([-50.0]), real_target=0.75).backward()
    assert score.grad is not None
    assert score.grad.item() == pytest.approx(0, abs=1e-6)
    smoothed = cross_entropy_of_scores(torch.zeros(1), torch.tensor([1.0]), real_target=0.75)
    assert smoothed.item() == pytest.approx(math.log(2) + math.log(1 + math.e))
