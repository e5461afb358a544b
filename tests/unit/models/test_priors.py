"""Priors that are learnt from latents."""

from __future__ import annotations

import pytest
import torch

from raysynth.models import priors
from raysynth.models.context import Context
from raysynth.models.priors import ClassGaussians


@pytest.fixture(params=[True, False], ids=["full", "diagonal"])
def full(request, monkeypatch) -> bool:
    if not request.param:
        monkeypatch.setattr(priors, "MAX_FULL", 1)
    return request.param


def test_the_moments_of_each_class_are_found_again(full):
    torch.manual_seed(0)
    means = torch.tensor([[1.0, -2, 0], [0, 5, 5]])
    factors = torch.stack(
        [torch.diag(torch.tensor([0.5, 1.0, 2.0])), torch.tensor([[1.0, 0, 0], [0.8, 0.5, 0], [0, 0, 3]])]
    )
    labels = torch.arange(20_000) % 2
    latents = means[labels] + (factors[labels] @ torch.randn(20_000, 3, 1)).squeeze(2)
    prior = ClassGaussians(2, 3)
    context = Context(steps_per_epoch=20)
    for part, of_part in zip(latents.split(1000), labels.split(1000), strict=True):
        prior.follow(part, of_part, context)
    drawn = prior.place(torch.randn(20_000, 3), labels)
    for label in (0, 1):
        rows, seen = drawn[labels == label], latents[labels == label]
        assert rows.mean(0) == pytest.approx(seen.mean(0), abs=0.1)
        wanted = torch.cov(seen.T) if full else seen.var(0).diag()
        assert torch.cov(rows.T) == pytest.approx(wanted, abs=0.5)


def test_a_class_that_was_not_seen_is_standard_normal(full):
    prior = ClassGaussians(2, 3)
    prior.follow(torch.randn(8, 3) + 7, torch.zeros(8, dtype=torch.long), Context())
    normal = torch.randn(4, 3)
    assert prior.place(normal, torch.ones(4, dtype=torch.long)).square().sum() == pytest.approx(normal.square().sum())
    assert prior.place(normal, torch.zeros(4, dtype=torch.long)).mean() > 4


def test_latents_far_from_zero_that_hardly_differ_have_a_gaussian_too(full):
    prior = ClassGaussians(1, 4)
    labels = torch.zeros(32, dtype=torch.long)
    prior.follow(1000 + 0.01 * torch.randn(32, 4) * torch.tensor([1.0, 1, 1, 0]), labels, Context())
    drawn = prior.place(torch.randn(500, 4), torch.zeros(500, dtype=torch.long))
    assert drawn.mean(0) == pytest.approx(torch.full((4,), 1000.0), abs=0.05)
    assert drawn.std(0)[:3].max() < 0.05


def test_old_latents_are_forgotten(full):
    prior, context = ClassGaussians(1, 2), Context(steps_per_epoch=4)
    labels = torch.zeros(64, dtype=torch.long)
    for shift in (0, 10):
        for _ in range(40):
            prior.follow(torch.randn(64, 2) + shift, labels, context)
    mean, _ = prior.moments()
    assert mean == pytest.approx(torch.full((1, 2), 10.0), abs=0.3)


def test_a_latent_does_not_depend_on_its_company(full):
    prior = ClassGaussians(3, 5)
    prior.follow(torch.randn(60, 5), torch.arange(60) % 3, Context())
    normal, labels = torch.randn(7, 5), torch.tensor([0, 1, 2, 0, 1, 2, 0])
    together = prior.place(normal, labels)
    assert torch.equal(together[3:4], prior.place(normal[3:4], labels[3:4]))
