"""What autoencoders share: terms beside the pixels, and samples of classes that are Gaussians."""

from __future__ import annotations

import pytest
import torch

from raysynth.config import build_config
from raysynth.models.context import Context
from raysynth.models.registry import get_family

SMALL = {"batch_size": 8, "width": 4, "latent_dim": 6, "encoder": "conv3", "decoder": "deconv3"}


def build(name: str, **options):
    family = get_family(name)
    config = build_config(family.Config, {**SMALL, **options}, origin="test")
    context = Context(num_epochs=10, steps_per_epoch=2)
    return family(config, shape=(1, 16, 16), num_classes=3, context=context)


def batch() -> tuple[torch.Tensor, torch.Tensor]:
    """Three classes, each its own shade."""
    labels = torch.arange(12) % 3
    noise = torch.rand(12, 1, 16, 16, generator=torch.Generator().manual_seed(0))
    return (labels.view(-1, 1, 1, 1) * 0.8 - 0.9 + 0.1 * noise), labels


@pytest.mark.parametrize("name", ["autoencoder", "vae"])
def test_classes_of_networks_without_labels_are_told_apart_by_their_latents(name):
    family = build(name, ema_decay=0.9, learning_rate=3e-3)
    images, labels = batch()
    for epoch in range(1, 11):
        for step in range(20):
            family.context.at(epoch, step)
            family.train_step(images, labels)
    drawn = family.sample(torch.arange(60) % 3, torch.arange(60)).mean((1, 2, 3))
    means = [drawn[label::3].mean().item() for label in range(3)]
    assert means == pytest.approx([images[label::3].mean().item() for label in range(3)], abs=0.25)


def test_an_autoencoder_has_no_noise_and_no_divergence():
    family = build("autoencoder")
    losses = set()
    for _ in range(2):
        fresh = build("autoencoder")
        fresh.context.at(1, 0)
        losses.add(float(fresh.train_step(*batch())["reconstruction"]))
    assert len(losses) == 1
    assert not family.draws_latents
    assert "beta" not in type(family.config).model_fields


@pytest.mark.parametrize(
    ("option", "part", "metric"),
    [("feature_weight", "features", "feature_distance"), ("adversarial_weight", "adversary", "critic_loss")],
)
def test_a_term_is_learnt_logged_kept_and_weighed(option, part, metric):
    plain, with_term = build("cvae"), build("cvae", **{option: 5.0})
    assert getattr(plain, part) is None
    images, labels = batch()
    losses = []
    for family in (plain, with_term):
        family.context.at(9, 0)  # the term counts in full
        metrics = family.train_step(images, labels)
        losses.append(float(metrics["loss"]))
    assert float(metrics[metric]) > 0
    assert losses[1] > losses[0] + 0.1
    other = build("cvae", **{option: 5.0, "seed": 1})
    other.load_state_dict(with_term.state_dict())
    names = [name for name, _ in _tensors(with_term.state_dict()[part])]
    assert names
    for (name, value), (_, same) in zip(
        _tensors(with_term.state_dict()[part]), _tensors(other.state_dict()[part]), strict=True
    ):
        assert torch.equal(value, same), name


def test_a_term_counts_nothing_at_first():
    losses = []
    for options in ({}, {"feature_weight": 5.0, "adversarial_weight": 5.0}):
        family = build("cvae", **options)
        family.context.at(1, 0)
        losses.append(float(family.train_step(*batch())["loss"]))
    assert losses[0] == losses[1]


def test_the_critic_learns_to_tell_reconstructions():
    family = build("cvae", adversarial_weight=1e-6, learning_rate=1e-9)
    images, labels = batch()
    first = last = 0.0
    for step in range(40):
        family.context.at(1, step)
        last = float(family.train_step(images, labels)["critic_loss"])
        first = first or last
    assert last < 0.5 * first


def _tensors(state, name=""):
    if isinstance(state, torch.Tensor):
        yield name, state
    elif isinstance(state, dict):
        for key, value in state.items():
            yield from _tensors(value, f"{name}.{key}")


@pytest.mark.parametrize("reconstruction", ["mse", "l1", "bce"])
def test_a_decoder_that_has_gone_black_comes_back(reconstruction):
    family = build("autoencoder", reconstruction=reconstruction, learning_rate=1e-2)
    images, labels = batch()
    with torch.no_grad():
        family.network.decoder.layers[-1].bias.fill_(-40.0)
    errors = []
    for epoch in range(1, 11):
        for step in range(20):
            family.context.at(epoch, step)
            errors.append(float(family.train_step(images, labels)["reconstruction"]))
    assert errors[-1] < 0.7 * errors[0]
