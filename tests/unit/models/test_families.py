"""What every family must do, for each registered one."""

from __future__ import annotations

from copy import deepcopy
from itertools import product

import pytest
import torch
from torch import Tensor

from raysynth.config import build_config
from raysynth.errors import UserError
from raysynth.models.context import Context
from raysynth.models.family import Family
from raysynth.models.registry import family_names, get_family

SHAPES = [(1, 32, 32), (3, 32, 32)]
NARROW = {"width": 4, "latent_dim": 8, "n_critic": 1}


def build(name: str, shape: tuple[int, ...] = (1, 16, 16), seed: int = 0, **overrides: object) -> Family:
    family = get_family(name)
    config = build_config(family.Config, {**NARROW, **overrides}, origin="test")
    return family(config, shape=shape, num_classes=3, context=Context(seed=seed))


def batch(shape: tuple[int, ...], num_images: int = 6) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(0)
    return torch.rand((num_images, *shape), generator=generator) * 2 - 1, torch.arange(num_images) % 3


def networks(family: Family) -> dict[str, Tensor]:
    state = family.state_dict()
    return {f"{part}.{k}": v for part in ("generator", "critic") for k, v in state[part].items()}


@pytest.mark.parametrize(("name", "shape"), product(family_names(), SHAPES))
def test_samples_have_the_shape_and_range_of_images(name, shape):
    family = build(name, shape)
    images = family.sample(torch.tensor([0, 1, 2, 0]), torch.tensor([1, 2, 3, 4]))
    assert images.shape == (4, *shape)
    assert images.dtype == torch.float32
    assert images.abs().max() <= 1
    assert not images.requires_grad


@pytest.mark.parametrize("name", family_names())
def test_a_step_moves_every_parameter(name):
    family = build(name)
    before = {key: value.clone() for key, value in networks(family).items()}
    family.context.at(1, 0)
    metrics = family.train_step(*batch((1, 16, 16)))
    assert all(torch.isfinite(torch.as_tensor(value)) for value in metrics.values())
    assert {*metrics, *family.validate(*batch((1, 16, 16))), "frechet"} == set(family.metrics)
    still = [
        key
        for key, value in networks(family).items()
        if torch.equal(value, before[key]) and not key.endswith("score.bias")
    ]  # a score's bias cancels in a difference of means
    assert not still


@pytest.mark.parametrize("name", family_names())
def test_validation_learns_nothing(name):
    family = build(name)
    before = {key: value.clone() for key, value in networks(family).items()}
    family.validate(*batch((1, 16, 16)))
    assert all(torch.equal(value, before[key]) for key, value in networks(family).items())


@pytest.mark.parametrize("name", family_names())
def test_state_restores_the_samples_and_the_next_step(name):
    family, copy = build(name, seed=0), build(name, seed=1)
    copy.context.seed = 0
    images, labels = batch((1, 16, 16))
    family.context.at(1, 0)
    family.train_step(images, labels)
    copy.load_state_dict(deepcopy(family.state_dict()))  # an optimiser keeps the tensors that it is given
    for each in (family, copy):
        each.context.at(1, 1)
    first, second = family.train_step(images, labels), copy.train_step(images, labels)
    assert {k: float(v) for k, v in first.items()} == {k: float(v) for k, v in second.items()}
    seeds = torch.arange(3)
    assert torch.equal(family.sample(labels[:3], seeds), copy.sample(labels[:3], seeds))


@pytest.mark.parametrize("name", family_names())
def test_a_sample_is_a_function_of_its_label_and_seed(name):
    family = build(name)
    labels, seeds = torch.tensor([0, 1, 2, 1]), torch.tensor([10, 11, 12, 13])
    images = family.sample(labels, seeds)
    order = torch.tensor([3, 0, 2, 1])
    assert torch.allclose(family.sample(labels[order], seeds[order]), images[order], atol=1e-6)
    assert not torch.equal(family.sample(labels, seeds + 1), images)
    assert not torch.equal(family.sample((labels + 1) % 3, seeds), images)


@pytest.mark.parametrize("name", family_names())
def test_images_of_no_power_of_two_are_refused(name):
    with pytest.raises(UserError, match="--size 64"):
        build(name, (1, 24, 24))


@pytest.mark.parametrize(
    ("generator", "critic"), product(("transposed", "upsample"), ("dropout", "batchnorm", "layernorm"))
)
def test_every_option_of_the_study_trains(generator, critic):
    family = build("wcgan_gp", generator=generator, critic=critic)
    family.context.at(1, 0)
    metrics = family.train_step(*batch((1, 16, 16)))
    assert set(metrics) >= {"d_loss", "g_loss", "wasserstein", "penalty", "critic_real", "critic_generated"}


def test_a_lazy_penalty_is_measured_every_kth_step():
    family = build("wcgan_gp", penalty_every=3)
    measured = []
    for step in range(6):
        family.context.at(1, step)
        measured.append("penalty" in family.train_step(*batch((1, 16, 16))))
    assert measured == [True, False, False, True, False, False]


def test_the_generator_learns_every_n_critic_steps():
    family = build("wcgan_gp", n_critic=2)
    learnt = []
    for step in range(4):
        family.context.at(1, step)
        learnt.append("g_loss" in family.train_step(*batch((1, 16, 16))))
    assert learnt == [False, True, False, True]


def test_layernorm_keeps_each_score_its_own_and_batchnorm_does_not():
    images, labels = batch((1, 16, 16))
    alone = {}
    for critic in ("layernorm", "batchnorm"):
        network = build("wcgan_gp", critic=critic).critic  # type: ignore[attr-defined]
        alone[critic] = torch.allclose(network(images, labels)[:2], network(images[:2], labels[:2]), atol=1e-5)
    assert alone == {"layernorm": True, "batchnorm": False}


def test_an_unknown_family_is_named_with_its_nearest():
    with pytest.raises(UserError, match="did you mean wcgan_gp"):
        get_family("wcgan-gp")
