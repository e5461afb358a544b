"""Deep stacks: their depth, their links, and that gradients reach their first layer."""

from __future__ import annotations

from itertools import product
from typing import get_args

import pytest
import torch
from torch import nn

from raysynth.config import build_config
from raysynth.errors import UserError
from raysynth.models.context import Context
from raysynth.models.denoising_vae import PRESETS, DenoisingVAE
from raysynth.models.stacks import Block, Links, blocks_of_stages

LINKS = get_args(Links)


def build(shape=(1, 32, 32), **options) -> DenoisingVAE:
    config = build_config(DenoisingVAE.Config, {"width": 4, "latent_dim": 8, "depth": 5, **options}, origin="--set")
    return DenoisingVAE(config, shape=shape, num_classes=3, context=Context(num_epochs=4, steps_per_epoch=1))


@pytest.mark.parametrize(("depth", "links"), product((13, 16, 19), LINKS))
def test_each_network_has_as_many_blocks_as_asked_and_all_of_them_learn(depth, links):
    family = build((1, 64, 64), depth=depth, links=links)
    for network in (family.network.encoder, family.network.decoder):
        assert sum(isinstance(module, Block) for module in network.modules()) == depth
    before = {name: value.detach().clone() for name, value in family.network.named_parameters()}
    family.context.at(4, 0)
    family.train_step(torch.rand(4, 1, 64, 64) * 2 - 1, torch.arange(4) % 3)
    assert not [name for name, value in family.network.named_parameters() if torch.equal(value, before[name])]
    gradients = [
        float(module.weight.grad.norm())
        for module in family.network.encoder.modules()
        if isinstance(module, nn.Conv2d) and module.kernel_size == (3, 3)
    ]
    assert min(gradients) > 1e-3 * max(gradients), "vanishing gradients"


def test_blocks_are_spread_as_evenly_as_they_go():
    assert blocks_of_stages(13, 4) == [3, 3, 3, 4]
    assert blocks_of_stages(16, 4) == [4, 4, 4, 4]
    assert blocks_of_stages(19, 4) == [4, 5, 5, 5]


def test_what_skip_links_hand_over_is_drawn_in_samples_and_used():
    family = build(links="skip", labelled=True)
    assert family.num_latents == 8 + 2 * (16**2 + 8**2)
    assert build(links="none").num_latents == 8
    labels = torch.tensor([0, 1])
    latents = torch.randn(2, family.num_latents)
    other = latents.clone()
    other[:, 8:] = torch.randn(2, family.num_latents - 8)
    for step in range(3):
        family.context.at(1, step)
        family.train_step(torch.rand(4, 1, 32, 32) * 2 - 1, torch.arange(4) % 3)
    assert not torch.allclose(family.decode(latents, labels), family.decode(other, labels), atol=1e-4)
    assert family.sample(labels, torch.tensor([1, 2])).shape == (2, 1, 32, 32)


def test_residual_blocks_add_their_input():
    block = Block(4, 4, residual=True).eval()
    nn.init.zeros_(block.convolution.weight)
    features = torch.rand(2, 4, 8, 8)
    assert torch.allclose(block(features), features)
    assert Block(4, 8, residual=True).residual is False  # other channels cannot be added


@pytest.mark.parametrize("name", PRESETS)
def test_presets_say_depth_and_size(name):
    depth, size = (int(part) for part in name.removeprefix("JDM").split("-"))
    config = build_config(DenoisingVAE.Config, {"preset": name}, origin="--set")
    assert (config.depth, config.latent_dim) == (depth, size)
    again = build_config(DenoisingVAE.Config, config.model_dump(), origin="config.yaml")
    assert again == config


def test_a_preset_that_is_unknown_or_contradicted_is_refused():
    with pytest.raises(UserError, match=r"--set preset=.JDM10-512.: want one of JDM13-256"):
        build_config(DenoisingVAE.Config, {"preset": "JDM10-512"}, origin="--set")
    with pytest.raises(UserError, match=r"depth=16.*JDM13-256"):
        build_config(DenoisingVAE.Config, {"preset": "JDM13-256", "depth": 16}, origin="--set")


def test_too_few_blocks_and_what_is_no_preset_are_refused():
    with pytest.raises(UserError, match="depth=2: images of 32 pixels a side need at least 3"):
        build(depth=2)
    with pytest.raises(UserError, match="--set preset"):
        build_config(DenoisingVAE.Config, {"preset": ["JDM13-256"]}, origin="--set")


def test_validation_sees_the_same_noise_each_time_and_on_each_worker():
    family = build(noise="gaussian", noise_strength=0.5)
    images = torch.rand(6, 1, 32, 32) * 2 - 1
    seen = family.seen_in_validation(images)
    family.context.at(3, 0)
    assert torch.equal(family.seen_in_validation(images[2:4]), seen[2:4])
    assert not torch.equal(seen, images)


def test_it_sees_noise_in_training_and_clean_images_are_its_aim():
    family = build(noise="gaussian", noise_strength=0.5)
    images = torch.zeros(8, 1, 32, 32)
    seen = family.seen(images)
    deviations = seen.flatten(1).std(1) / 2
    assert deviations.max() > 2 * deviations.min()  # each its own strength
    noised, drawn = family.denoise(images, torch.arange(8) % 3, 0.2)
    assert (noised.std() / 2).item() == pytest.approx(0.2, rel=0.05)
    assert drawn.shape == images.shape
