"""The features that reconstructions are compared in."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F

from raysynth.models.context import Context
from raysynth.models.feature_matching import FeatureMatching


def build(**of_context) -> FeatureMatching:
    context = Context(**{"num_epochs": 10, "steps_per_epoch": 10, **of_context})
    return FeatureMatching(shape=(1, 32, 32), num_classes=2, share=0.5, context=context)


def bars(num_images: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Upright bars and lying ones."""
    labels = torch.arange(num_images) % 2
    wave = (torch.arange(32) // 4 % 2).float() * 2 - 1
    lying = wave.view(1, 32, 1).expand(1, 32, 32)
    return torch.stack([lying if label else lying.transpose(1, 2) for label in labels]), labels


def test_an_image_is_at_no_distance_from_itself_and_noise_is_farther_than_a_little_of_it():
    matching = build()
    images = torch.rand(3, 1, 32, 32) * 2 - 1
    assert matching.distance(images, images).tolist() == pytest.approx([0, 0, 0], abs=1e-6)
    noise = torch.randn_like(images)
    little, much = (matching.distance(images, images + share * noise) for share in (0.05, 1.0))
    assert (little < much).all()
    assert little.shape == (3,)


def test_it_learns_the_classes_over_its_share_and_then_stands_still():
    matching = build()
    images, labels = bars(16)
    for epoch in range(1, 6):
        for step in range(10):
            matching.context.at(epoch, step)
            matching.learn(images, labels)
    matching.network.eval()
    assert (matching.network.logits(images).argmax(1) == labels).all()
    matching.context.at(6, 1)
    assert matching.trust == 1
    before = {name: value.clone() for name, value in matching.network.state_dict().items()}
    matching.learn(images, labels)
    assert all(torch.equal(value, before[name]) for name, value in matching.network.state_dict().items())


def test_its_trust_grows_with_the_training():
    matching = build()
    trusts = []
    for epoch in (1, 3, 6, 9):
        matching.context.at(epoch, 0)
        trusts.append(matching.trust)
    assert trusts == pytest.approx([0, 0.4, 1, 1])


def test_the_distance_moves_the_reconstruction_and_not_the_network():
    matching = build()
    images, _ = bars(4)
    drawn = (images * 0.5).requires_grad_()
    matching.distance(images, drawn).sum().backward()
    assert drawn.grad is not None
    assert drawn.grad.abs().sum() > 0
    assert all(parameter.grad is None for parameter in matching.network.parameters())


def test_it_leaves_the_seed_of_other_networks_alone():
    torch.manual_seed(3)
    expected = torch.rand(1)
    torch.manual_seed(3)
    build()
    assert torch.equal(torch.rand(1), expected)


def test_blur_is_farther_than_its_pixels_say():
    """Of two reconstructions with one error of pixels, the blurred one is the farther: what the term is for."""
    matching = build()
    images, labels = bars(16)
    for step in range(50):
        matching.context.at(1 + step // 10, step % 10)
        matching.learn(images, labels)
    images = images * 0.6
    blurred = F.avg_pool2d(images, 5, 1, 2, count_include_pad=False)
    error = (blurred - images).square().mean()
    darker = images - error.sqrt()
    assert matching.distance(images, blurred).mean() > matching.distance(images, darker).mean()
