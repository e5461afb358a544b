"""Variational autoencoders: what learns, what beta weighs, and that a linear one finds probabilistic PCA."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from raysynth.errors import UserError
from raysynth.models.context import Context
from raysynth.models.cvae import CVAE
from raysynth.models.decoders import DECODERS, Decoder
from raysynth.models.elbo import divergence_from_normal
from raysynth.models.encoders import ENCODERS, Encoder


def build(shape: tuple[int, ...] = (1, 16, 16), context: Context | None = None, **options: object) -> CVAE:
    config = CVAE.Config(**{"batch_size": 8, "width": 4, "latent_dim": 5, **options})  # type: ignore[arg-type]
    return CVAE(config, shape=shape, num_classes=3, context=context or Context(num_epochs=10, steps_per_epoch=1))


def batch(shape: tuple[int, ...] = (1, 16, 16)) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(0)
    return torch.rand((8, *shape), generator=generator) * 2 - 1, torch.arange(8) % 3


@pytest.mark.parametrize(("encoder", "decoder", "channels", "side"), product(ENCODERS, DECODERS, (1, 3), (8, 32)))
def test_one_step_moves_every_parameter(encoder, decoder, channels, side):
    shape = (channels, side, side)
    family = build(shape, encoder=encoder, decoder=decoder)
    before = {name: value.detach().clone() for name, value in family.network.named_parameters()}
    family.context.at(3, 0)
    family.train_step(*batch(shape))
    assert not [name for name, value in family.network.named_parameters() if torch.equal(value, before[name])]
    assert family.reconstruct(*batch(shape)).shape == (8, *shape)


def test_the_studys_networks_have_the_layers_of_their_names():
    sizes = {"shape": (1, 64, 64), "width": 2, "latent_dim": 4, "num_classes": 3}
    for name, number in (("conv3", 3), ("conv6", 6)):
        network = Encoder(ENCODERS[name], **sizes)  # type: ignore[index, arg-type]
        assert sum(isinstance(module, nn.Conv2d) for module in network.modules()) == number
        assert network.dense.in_features == 8 * 8 * 8 + 3  # the label is concatenated here
    for name, convolutions, dense in (("deconv3", 3, 1), ("deconv6", 6, 2)):
        decoder = Decoder(DECODERS[name], **sizes)  # type: ignore[index, arg-type]
        assert sum(isinstance(module, nn.ConvTranspose2d) for module in decoder.modules()) == convolutions
        layers = [module for module in decoder.modules() if isinstance(module, nn.Linear)]
        assert len(layers) == dense
        assert layers[0].in_features == 4 + 3


def test_beta_warms_up_and_weighs_the_divergence():
    family = build(beta=0.5, beta_warm_up=0.5)
    betas = []
    for epoch in (1, 3, 6, 10):
        family.context.at(epoch, 0)
        betas.append(family.beta)
    assert betas == pytest.approx([0.0, 0.2, 0.5, 0.5])
    metrics = family.train_step(*batch())
    assert float(metrics["loss"]) == pytest.approx(float(metrics["reconstruction"] + 0.5 * metrics["kl"]), rel=1e-5)


def test_structural_dissimilarity_is_added_to_the_loss():
    losses = [float(build(ssim_weight=weight).train_step(*batch())["loss"]) for weight in (0.0, 1.0)]
    assert losses[1] > losses[0] + 1


def test_a_pressed_latent_says_nothing_and_a_free_one_does():
    images, labels = batch()
    divergences = {}
    for beta in (0.0, 100.0):
        family = build(beta=beta, beta_warm_up=0.0, learning_rate=0.01, ema_decay=0.5)
        for step in range(40):
            family.context.at(1, step)
            family.train_step(images, labels)
        divergences[beta] = float(family.validate(images, labels)["validation_kl"])
    assert divergences[100.0] < 0.5 < divergences[0.0]


def test_reconstructions_of_a_few_images_become_good():
    images, labels = batch()
    images = F.interpolate(images[:, :, ::4, ::4], scale_factor=4)
    family = build(beta=0.0, learning_rate=0.01, ema_decay=0.5, width=8)
    before = float(family.validate(images, labels)["validation_reconstruction"])
    for step in range(80):
        family.context.at(1, step)
        family.train_step(images, labels)
    assert float(family.validate(images, labels)["validation_reconstruction"]) < 0.2 * before


def test_a_linear_one_recovers_probabilistic_pca():
    """The optimum of a linear decoder with Gaussian noise is Tipping & Bishop's (1999, eq. 7): the subspace of the
    largest eigenvectors, a marginal variance along each that is its eigenvalue (Lucas et al. 2019)."""
    random = np.random.default_rng(0)
    basis, _ = np.linalg.qr(random.normal(size=(6, 6)))
    spread = np.array([3.0, 2.0, 0.5, 0.5, 0.5, 0.5])
    data = torch.tensor(random.normal(size=(4000, 6)) * spread @ basis.T, dtype=torch.float32)
    data = data - data.mean(0)
    eigenvalues, eigenvectors = np.linalg.eigh(np.cov(data.numpy().T))
    torch.manual_seed(0)
    encoder, decoder = nn.Linear(6, 2, bias=False), nn.Linear(2, 6, bias=False)
    log_variance, log_noise = nn.Parameter(torch.zeros(2)), nn.Parameter(torch.zeros(()))
    optimizer = torch.optim.Adam([*encoder.parameters(), *decoder.parameters(), log_variance, log_noise], lr=0.02)
    for _ in range(1500):
        mean = encoder(data)
        spreads = log_variance.expand_as(mean)
        decoded = decoder(mean + torch.randn_like(mean) * (spreads / 2).exp())
        error = ((decoded - data).square() / log_noise.exp() + log_noise).sum(1) / 2
        loss = (error + divergence_from_normal(mean, spreads)).mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    weights = decoder.weight.detach().numpy()
    top = eigenvectors[:, -2:]
    assert np.linalg.norm(weights - top @ (top.T @ weights)) < 0.05 * np.linalg.norm(weights)
    noise = float(log_noise.exp().detach())
    assert noise == pytest.approx(eigenvalues[:-2].mean(), rel=0.1)
    found = np.sort(np.linalg.eigvalsh(weights.T @ weights)) + noise
    assert found == pytest.approx(eigenvalues[-2:], rel=0.1)


@pytest.mark.parametrize(("encoder", "decoder"), [("grid", "grid"), ("grid", "deconv3"), ("conv3", "grid")])
def test_a_latent_may_be_a_grid(encoder, decoder):
    family = build((1, 32, 32), encoder=encoder, decoder=decoder, latent_dim=32)
    images, labels = batch((1, 32, 32))
    before = {name: value.detach().clone() for name, value in family.network.named_parameters()}
    for step in range(3):  # what stands behind a layer that begins at zero moves a step later
        family.context.at(3, step)
        family.train_step(images, labels)
    assert not [name for name, value in family.network.named_parameters() if torch.equal(value, before[name])]
    assert family.encode(images, labels)[0].shape == (8, 32)


def test_a_change_of_a_place_of_the_grid_stays_about_that_place():
    family = build((1, 64, 64), encoder="grid", decoder="grid", latent_dim=64)
    latents, labels = torch.zeros(1, 64), torch.zeros(1, dtype=torch.long)
    other = latents.clone()
    other[0, 0] = 3.0  # the upper left
    change = (family.decode(other, labels) - family.decode(latents, labels)).abs()[0, 0]
    assert change[:24, :24].max() > 0
    assert change[40:, 40:].max() < 1e-3 * change.max()


def test_a_grid_that_is_not_filled_is_refused():
    with pytest.raises(UserError, match=r"latent_dim=100: .*8 x 8 takes a multiple of 64, e\.g\. --set latent_dim=128"):
        build((1, 64, 64), encoder="grid", latent_dim=100)
