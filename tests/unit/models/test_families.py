"""What every family must do, for each registered one."""

from __future__ import annotations

from copy import deepcopy
from itertools import product

import pytest
import torch
from pretrained_runs import pretrained_overrides
from torch import Tensor

from raysynth.config import build_config
from raysynth.errors import UserError
from raysynth.models.adversarial import AdversarialFamily
from raysynth.models.context import Context
from raysynth.models.critic_figures import GRADIENT
from raysynth.models.family import Family
from raysynth.models.registry import family_names, get_family

NARROW = {"width": 8, "latent_dim": 8, "n_critic": 1}
ADVERSARIAL = [name for name in family_names() if issubclass(get_family(name), AdversarialFamily)]


def shape_of(name: str, *, channels: int = 1, side: int = 16) -> tuple[int, ...]:
    """The shape of what a family takes: images, or volumes of 16 voxels a side, for they are slow."""
    num_dims = get_family(name).num_dims
    return (channels, *[side if num_dims == 2 else 16] * num_dims)


def build(name: str, shape: tuple[int, ...] | None = None, seed: int = 0, **overrides: object) -> Family:
    family = get_family(name)
    narrow: dict[str, object] = {key: value for key, value in NARROW.items() if key in family.Config.model_fields}
    shape = shape or shape_of(name)
    narrow |= pretrained_overrides(name, shape)
    config = build_config(family.Config, {**narrow, **overrides}, origin="test")
    return family(config, shape=shape, num_classes=3, context=Context(seed=seed))


def batch(family: Family, num_images: int = 6) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(0)
    return torch.rand((num_images, *family.shape), generator=generator) * 2 - 1, torch.arange(num_images) % 3


def parameters(family: Family, part: str) -> dict[str, Tensor]:
    """The parameters that are learnt of `generator` or `critic`; a critic's last bias cancels in a difference."""
    named = getattr(family, part).named_parameters()
    return {name: value.detach().clone() for name, value in named if not name.endswith("score.bias")}


def still(before: dict[str, Tensor], after: dict[str, Tensor]) -> set[str]:
    return {name for name, value in after.items() if torch.equal(value, before[name])}


@pytest.mark.parametrize(("name", "channels"), product(family_names(), (1, 3)))
def test_samples_have_the_shape_and_range_of_images(name, channels):
    family = build(name, shape_of(name, channels=channels, side=32))
    images = family.sample(torch.tensor([0, 1, 2, 0]), torch.tensor([1, 2, 3, 4]))
    assert images.shape == (4, *family.shape)
    assert images.dtype == torch.float32
    assert images.abs().max() <= 1
    assert not images.requires_grad


@pytest.mark.parametrize(("name", "channels"), product(ADVERSARIAL, (1, 3)))
def test_a_step_moves_what_learns_in_it_and_nothing_else(name, channels):
    family = build(name, shape_of(name, channels=channels, side=32), n_critic=2)
    images, labels = batch(family)
    initial = {part: parameters(family, part) for part in ("generator", "critic")}
    seeds = torch.arange(6)
    samples = family.sample(labels, seeds)

    family.context.at(1, 0)
    family.train_step(images, labels)  # the critic's alone
    assert still(initial["generator"], parameters(family, "generator")) == set(initial["generator"])
    assert torch.equal(family.sample(labels, seeds), samples)
    assert still(initial["critic"], parameters(family, "critic")) != set(initial["critic"])

    critic = parameters(family, "critic")
    family._generator_step(labels)  # type: ignore[attr-defined]
    assert still(critic, parameters(family, "critic")) == set(critic)
    assert still(initial["generator"], parameters(family, "generator")) != set(initial["generator"])
    assert not torch.equal(family.sample(labels, seeds), samples)

    for step in range(1, 4):  # what stands behind a layer that begins at zero moves a step later
        family.context.at(1, step)
        family.train_step(images, labels)
    for part, before in initial.items():
        assert not still(before, parameters(family, part)), part


@pytest.mark.parametrize("name", family_names())
def test_a_step_measures_what_the_family_says(name):
    family = build(name)
    family.context.at(1, 0)
    metrics = family.train_step(*batch(family)) | family.validate(*batch(family))
    assert all(torch.isfinite(torch.as_tensor(value)) for value in metrics.values())
    named = {key for key in metrics if not key.startswith(GRADIENT)}  # as many as the critic has blocks
    assert named == set(family.metrics) - set(Family.metrics)


@pytest.mark.parametrize("name", family_names())
def test_validation_learns_nothing(name):
    family = build(name)
    before = deepcopy(family.state_dict())
    family.validate(*batch(family))
    for part in ("generator", "critic") if name in ADVERSARIAL else ("network",):
        assert not [
            key for key, value in family.state_dict()[part].items() if not torch.equal(value, before[part][key])
        ]


@pytest.mark.parametrize("name", family_names())
def test_state_restores_the_samples_and_the_next_step(name):
    family, copy = build(name, seed=0), build(name, seed=1)
    copy.context.seed = 0
    images, labels = batch(family)
    family.context.at(1, 0)
    family.train_step(images, labels)
    copy.load_state_dict(deepcopy(family.state_dict()))  # an optimiser keeps the tensors that it is given
    metrics = []
    for each in (family, copy):
        each.context.at(1, 1)
        metrics.append({key: float(value) for key, value in each.train_step(images, labels).items()})
    assert metrics[0] == metrics[1]
    seeds = torch.arange(3)
    assert torch.equal(family.sample(labels[:3], seeds), copy.sample(labels[:3], seeds))


@pytest.mark.parametrize("name", family_names())
def test_a_sample_is_a_function_of_its_label_and_seed(name):
    family = build(name)
    family.context.at(1, 0)
    family.train_step(*batch(family))  # some have no classes before they have seen any
    labels, seeds = torch.tensor([0, 1, 2, 1]), torch.tensor([10, 11, 12, 13])
    images = family.sample(labels, seeds)
    order = torch.tensor([3, 0, 2, 1])
    assert torch.allclose(family.sample(labels[order], seeds[order]), images[order], atol=1e-6)
    assert torch.allclose(family.sample(labels[1:2], seeds[1:2]), images[1:2], atol=1e-6)
    assert torch.equal(family.sample(labels, seeds), images)
    assert not torch.equal(family.sample(labels, seeds + 1), images)
    assert not torch.equal(family.sample((labels + 1) % 3, seeds), images)


@pytest.mark.parametrize("name", family_names())
def test_other_sizes_and_other_data_are_refused(name):
    num_dims = get_family(name).num_dims
    with pytest.raises(UserError, match=r"24 x 24.*import again with --size"):
        build(name, (1, *[24] * num_dims))
    other = {2: (1, 16, 16, 16), 3: (1, 16, 16)}[num_dims]
    with pytest.raises(UserError, match=r"cgan_3d takes volumes: train .*cgan|takes images: train cgan_3d"):
        build(name, other)


@pytest.mark.parametrize(
    ("name", "generator", "critic"),
    product(("cgan", "wgan", "wgan_gp", "wcgan_gp"), ("transposed", "upsample"), ("dropout", "batchnorm", "layernorm")),
)
def test_every_option_of_the_study_trains(name, generator, critic):
    family = build(name, generator=generator, critic=critic)
    family.context.at(1, 0)
    metrics = family.train_step(*batch(family))
    assert set(metrics) >= {"d_loss", "g_loss", "critic_real", "critic_generated"}
    assert all(torch.isfinite(value) for value in metrics.values())


def test_a_lazy_penalty_is_measured_every_kth_step():
    family = build("wcgan_gp", penalty_every=3)
    measured = []
    for step in range(6):
        family.context.at(1, step)
        measured.append("penalty" in family.train_step(*batch(family)))
    assert measured == [True, False, False, True, False, False]


@pytest.mark.parametrize("name", ["wgan_gp", "wcgan_gp"])
def test_a_lazy_penalty_weighs_as_much_as_one_at_every_step(name):
    """At a step with a penalty P the critic minimises -W + weight * every * P; the logged loss counts P once."""
    family = build(name, penalty_every=4, penalty_weight=3)
    images, labels = batch(family)
    family.context.at(1, 0)
    loss, metrics = family.critic_loss(images, -images, labels)  # type: ignore[attr-defined]
    wasserstein, penalty = (float(metrics[key]) for key in ("wasserstein", "penalty"))
    assert penalty > 0
    assert float(loss) == pytest.approx(-wasserstein + 3 * 4 * penalty, rel=1e-5)
    assert float(metrics["d_loss"]) == pytest.approx(-wasserstein + 3 * penalty, rel=1e-5)


def test_the_generator_learns_every_n_critic_steps():
    family = build("wcgan_gp", n_critic=2)
    learnt = []
    for step in range(4):
        family.context.at(1, step)
        learnt.append("g_loss" in family.train_step(*batch(family)))
    assert learnt == [False, True, False, True]


@pytest.mark.parametrize("clip", [0.01, 0.1])
def test_clipped_weights_stay_within_their_bound_and_reach_it(clip):
    family = build("wgan", clip=clip)
    family.context.at(1, 0)
    family.train_step(*batch(family))
    largest = max(float(value.abs().max()) for value in parameters(family, "critic").values())
    assert largest == pytest.approx(clip)
    assert max(float(value.abs().max()) for value in parameters(family, "generator").values()) > clip


def test_the_discriminators_accuracy_is_the_share_told_right():
    family = build("cgan", critic="layernorm")
    family.score_both = lambda *_: (torch.tensor([1.0, 2, -1, 3]), torch.tensor([-1.0, 1, 2, 3]))  # type: ignore[attr-defined]
    _, metrics = family.critic_loss(*[torch.zeros(4)] * 3)  # type: ignore[attr-defined]
    assert float(metrics["accuracy_real"]) == 0.75
    assert float(metrics["accuracy_generated"]) == 0.25


def test_spectral_normalisation_bounds_every_layer():
    family = build("cgan", critic="layernorm", spectral_norm=True)
    images, labels = batch(family)
    for step in range(30):  # the largest singular value is found by power iteration, one a pass
        family.context.at(1, step)
        family.critic(images, labels)  # type: ignore[attr-defined]
    family.critic.eval()  # type: ignore[attr-defined]
    weights = [block[0].weight for block in family.critic.blocks] + [family.critic.score.weight]  # type: ignore[attr-defined]
    for weight in weights:
        assert float(torch.linalg.matrix_norm(weight.flatten(1), 2)) == pytest.approx(1, abs=0.1)


def test_one_pass_scores_like_two_and_batchnorm_keeps_two():
    """Real and generated images must not share the statistics of a batch."""
    for critic in ("layernorm", "batchnorm"):
        family = build("wcgan_gp", critic=critic)
        images, labels = batch(family)
        real, generated = family.score_both(images, images * 0.1 - 0.5, labels)  # type: ignore[attr-defined]
        assert torch.allclose(real, family.score(images, labels), atol=1e-5)  # type: ignore[attr-defined]
        assert torch.allclose(generated, family.score(images * 0.1 - 0.5, labels), atol=1e-5)  # type: ignore[attr-defined]


def test_layernorm_keeps_each_score_its_own_and_batchnorm_does_not():
    alone = {}
    for critic in ("layernorm", "batchnorm"):
        family = build("wcgan_gp", critic=critic)
        images, labels = batch(family)
        network = family.critic  # type: ignore[attr-defined]
        alone[critic] = torch.allclose(network(images, labels)[:2], network(images[:2], labels[:2]), atol=1e-5)
    assert alone == {"layernorm": True, "batchnorm": False}


def test_an_unknown_family_is_named_with_its_nearest():
    with pytest.raises(UserError, match="did you mean wcgan_gp"):
        get_family("wcgan-gp")
