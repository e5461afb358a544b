"""Priors for the latents of a trained autoencoder."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from pretrained_runs import pretrained_overrides, pretrained_run

from raysynth.config import build_config
from raysynth.errors import UserError
from raysynth.models import priors
from raysynth.models.context import Context
from raysynth.models.latent_flow import LatentFlow
from raysynth.models.priors import ClassMixtures, Standardisation

SHAPE = (1, 16, 16)
STEPS = 30


def build(**options) -> LatentFlow:
    options = {"batch_size": 64, "width": 32, "num_blocks": 2, **pretrained_overrides("latent_flow", SHAPE), **options}
    config = LatentFlow.Config(**options)
    context = Context(num_epochs=10, steps_per_epoch=STEPS)
    return LatentFlow(config, shape=SHAPE, num_classes=3, context=context)


def learn(family: LatentFlow, epochs: int) -> torch.Tensor:
    """Train on latents that are known: class k about k * 4 - 4 with deviation 0.5. The images are not looked at."""
    labels = torch.arange(64) % 3

    def encode(images, labels):
        noise = torch.randn(len(labels), family.num_latents)
        return (labels[:, None] * 4.0 - 4) + 0.5 * noise, torch.full_like(noise, -12.0)

    family._encoded = encode  # type: ignore[method-assign]
    for epoch in range(1, epochs + 1):
        for step in range(STEPS):
            family.context.at(epoch, step)
            family.train_step(torch.zeros(64, *SHAPE), labels)
    latents: list[torch.Tensor] = []

    def decode(points, labels):
        latents.append(points)
        return torch.zeros(len(points), *SHAPE)

    family.autoencoder.decode = decode  # type: ignore[method-assign]
    torch.manual_seed(0)
    family.sample(torch.arange(300) % 3, torch.arange(300))
    return latents[0]


@pytest.mark.parametrize(
    "options",
    [{"prior": "mixture", "components": 1}, {"prior": "mixture", "components": 3}, {"guidance": 1.0}],
    ids=["gaussian", "mixture", "flow"],
)
def test_samples_lie_where_the_latents_of_their_class_do(options):
    latents = learn(build(learning_rate=3e-3, ema_decay=0.9, **options), 10)
    for label in range(3):
        rows = latents[label::3]
        assert rows.mean().item() == pytest.approx(4 * label - 4, abs=0.3)
        assert rows.std(0).mean().item() == pytest.approx(0.5, abs=0.2)


def test_the_autoencoder_is_left_as_it_is():
    family = build()
    before = {name: value.clone() for name, value in family.autoencoder.network.state_dict().items()}
    family.context.at(1, 0)
    family.train_step(torch.rand(6, *SHAPE) * 2 - 1, torch.arange(6) % 3)
    after = family.autoencoder.network.state_dict()
    assert all(torch.equal(value, before[name]) for name, value in after.items())
    assert "autoencoder" not in family.state_dict()


def test_an_image_is_encoded_once_with_its_label():
    family = build()
    images, labels = torch.rand(6, *SHAPE) * 2 - 1, torch.arange(6) % 3
    expected = family.autoencoder.encode(images, labels)
    seen: list[int] = []

    def encode(images, labels):
        seen.append(len(images))
        return tuple(part[: len(images)] for part in expected)

    family.autoencoder.encode = encode  # type: ignore[method-assign]
    for order in (torch.arange(6), torch.tensor([3, 1, 5, 0, 4, 2])):
        found = family._encoded(images[order], labels[order])
        for part, wanted in zip(found, expected, strict=True):
            torch.testing.assert_close(part, wanted[order])
    assert seen == [6]
    family._encoded(images[:2], labels[:2] + 1)
    assert seen == [6, 2]  # a cvae sees the label


def test_a_mixture_finds_the_parts_of_a_class():
    family = build(prior="mixture", components=2)
    signs = torch.where(torch.arange(64) % 2 == 0, 3.0, -3.0)

    def encode(images, labels):
        return signs[:, None] + 0.1 * torch.randn(64, family.num_latents), torch.full((64, family.num_latents), -12.0)

    family._encoded = encode  # type: ignore[method-assign]
    for step in range(STEPS):
        family.context.at(1, step)
        family.train_step(torch.zeros(64, *SHAPE), torch.zeros(64, dtype=torch.long))
    assert family.mixtures is not None
    means = family.mixtures.means[0].mean(1).sort().values
    assert means.tolist() == pytest.approx([-1, 1], abs=0.05)  # in units of the spread
    assert family.mixtures.weights[0].tolist() == pytest.approx([0.5, 0.5], abs=0.05)


def test_what_is_no_autoencoder_of_these_images_is_refused():
    with pytest.raises(UserError, match="--set pretrained: missing"):
        LatentFlow(LatentFlow.Config(), shape=SHAPE, num_classes=3, context=Context())
    config = LatentFlow.Config(**pretrained_overrides("latent_flow", SHAPE))
    with pytest.raises(UserError, match=r"images of \(1, 16, 16\) is not \(1, 32, 32\)"):
        LatentFlow(config, shape=(1, 32, 32), num_classes=3, context=Context())
    with pytest.raises(UserError, match="number of classes 3 is not 4"):
        LatentFlow(config, shape=SHAPE, num_classes=4, context=Context())
    of_transfer = LatentFlow.Config(pretrained=str(pretrained_run("transfer_cvae", SHAPE, 3)))
    LatentFlow(of_transfer, shape=SHAPE, num_classes=3, context=Context())  # a denoising VAE is one


def test_a_mixture_of_too_many_numbers_is_refused(monkeypatch):
    monkeypatch.setattr(priors, "MAX_FULL", 4)
    with pytest.raises(UserError, match="prior=mixture: of 8 latent numbers"):
        build(prior="mixture")


def test_a_small_class_has_fewer_components():
    mixtures = ClassMixtures(2, 3, 4)
    latents = torch.randn(15, 3)
    labels = torch.tensor([0] * 12 + [1] * 3)
    mixtures.learn(latents, labels, Context())
    assert (mixtures.weights > 0).sum(1).tolist() == [4, 1]
    placed = mixtures.place(torch.zeros(2, 3), torch.tensor([0.999999, 0.999999]), torch.tensor([1, 1]))
    assert torch.allclose(placed, latents[12:].mean(0).expand(2, 3), atol=1e-4)
    assert torch.isfinite(mixtures.negative_log_likelihood(latents, labels)).all()


def test_latents_far_from_zero_are_standardised():
    standardisation = Standardisation(3)
    latents = 100 + 0.1 * torch.randn(500, 3)
    for rows in latents.split(50):
        standardisation.follow(rows, Context())
    own = standardisation.standardise(latents)
    assert own.std(0).tolist() == pytest.approx([1, 1, 1], abs=0.01)
    assert torch.allclose(standardisation.restore(own), latents, atol=1e-4)


def grid_run() -> Path:
    """A run, which was not trained, of an autoencoder whose latents are a grid of 4 x 2 x 2."""
    return pretrained_run("latent_flow", SHAPE, 3, None, encoder="grid", decoder="grid", latent_dim=16, width=4)


def test_a_unet_learns_latents_that_are_a_grid():
    options = {"network": "unet", "width": 16, "num_blocks": 1, "pretrained": str(grid_run())}
    family = build(learning_rate=3e-3, ema_decay=0.9, guidance=1.0, **options)
    assert family.autoencoder.grid == (4, 2, 2)
    latents = learn(family, 10)
    for label in range(3):
        assert latents[label::3].mean().item() == pytest.approx(4 * label - 4, abs=0.4)


def test_a_unet_for_latents_that_are_no_grid_is_refused():
    with pytest.raises(UserError, match=r"network=unet: the latents of .* are no grid"):
        build(network="unet")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"width": 20}, "width=20: a U-Net's is a multiple of 8; use 24"),
        ({"prior": "mixture"}, "network=unet: prior=mixture has no velocity"),
    ],
)
def test_options_that_a_unet_cannot_have_are_refused(options, message):
    with pytest.raises(UserError, match=message):
        build_config(LatentFlow.Config, {"network": "unet", **options}, origin="--set")


def test_the_sizes_of_a_network_are_its_own_and_stand_in_the_config():
    sizes = [(c.width, c.num_blocks) for c in (LatentFlow.Config(), LatentFlow.Config(network="unet"))]
    assert sizes == [(512, 4), (64, 2)]
    config = LatentFlow.Config(network="unet", num_blocks=1).model_dump()
    assert (config["width"], config["num_blocks"]) == (64, 1)
    assert LatentFlow.Config(**config).model_dump() == config
