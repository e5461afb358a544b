from __future__ import annotations

import math

import pytest
import torch

from raysynth.models.context import Context
from raysynth.models.losses import (
    lecam_distance,
    relativistic_critic_loss,
    relativistic_generator_loss,
    zero_centred_penalty,
)
from raysynth.models.r3gan import R3GAN, ramp
from raysynth.models.residual import ResidualCritic, ResidualGenerator

SHAPE = (1, 16, 16)


def build(context: Context | None = None, **options: object) -> R3GAN:
    config = R3GAN.Config(**{"batch_size": 8, "width": 4, "latent_dim": 6, **options})  # type: ignore[arg-type]
    return R3GAN(config, shape=SHAPE, num_classes=2, context=context or Context())


def batch(num_images: int = 8) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(1)
    return torch.rand(num_images, *SHAPE, generator=generator) * 2 - 1, torch.arange(num_images) % 2


def test_relativistic_losses_are_those_of_the_difference() -> None:
    real, generated = torch.tensor([1.0, 3.0]), torch.tensor([2.0, 0.0])
    assert math.isclose(
        relativistic_critic_loss(real, generated).item(),
        (math.log(1 + math.exp(1)) + math.log(1 + math.exp(-3))) / 2,
        rel_tol=1e-6,
    )
    assert torch.equal(relativistic_generator_loss(real, generated), relativistic_critic_loss(generated, real))
    moved = relativistic_critic_loss(real + 7, generated + 7)  # only differences count
    assert torch.allclose(moved, relativistic_critic_loss(real, generated))


def test_zero_centred_penalty_of_a_quadratic_score() -> None:
    images = torch.tensor([[3.0, 4.0], [1.0, 0.0]], requires_grad=True)
    scale = torch.tensor(2.0, requires_grad=True)
    penalty = zero_centred_penalty(scale * images.square().sum(1) / 2, images)  # the gradient is scale * x
    assert penalty.item() == pytest.approx(4 * (25 + 1) / 2)
    (gradient,) = torch.autograd.grad(penalty, scale)
    assert gradient.item() == pytest.approx(2 * 2 * (25 + 1) / 2)


def test_lecam_distance_by_hand() -> None:
    real, generated = torch.tensor([1.0, 2.0]), torch.tensor([0.0, -1.0])
    distance = lecam_distance(real, generated, real_average=1.0, generated_average=0.5)
    assert distance.item() == pytest.approx((0.25 + 2.25) / 2 + (1 + 4) / 2)


def test_the_ramp_goes_from_unconditional_to_conditional() -> None:
    assert [ramp(progress, 0.2, 0.4) for progress in (0.0, 0.2, 0.4, 0.6, 1.0)] == pytest.approx([0, 0, 0.5, 1, 1])
    assert ramp(0.0, 0.0, 0.0) == 1.0
    assert ramp(0.1, 0.5, 0.0) == 0.0


def test_before_the_ramp_the_label_changes_neither_images_nor_scores() -> None:
    family = build(Context(num_epochs=10, steps_per_epoch=4), condition_from=0.5, condition_ramp=0.2)
    images, labels = batch()
    family.context.at(1, 0)
    family.train_step(images, labels)
    seeds = torch.arange(8)
    assert torch.equal(family.sample(labels, seeds), family.sample(1 - labels, seeds))
    assert torch.equal(family.score(images, labels), family.score(images, 1 - labels))
    family.context.at(9, 0)
    family.train_step(images, labels)
    assert not torch.equal(family.sample(labels, seeds), family.sample(1 - labels, seeds))
    assert not torch.equal(family.score(images, labels), family.score(images, 1 - labels))


def test_without_a_weight_there_is_no_penalty_and_no_classifier() -> None:
    context = Context(num_epochs=10, steps_per_epoch=1)
    family = build(context, penalty_weight=0.0, classifier_weight=0.0, penalty_every=1)
    images, labels = batch()
    for epoch in (1, 5, 10):
        context.at(epoch, 0)
        assert not {"penalty", "agreement"} & set(family.train_step(images, labels))
    assert family.critic.classify.weight.grad is None or not family.critic.classify.weight.grad.any()


def test_the_generator_does_not_serve_the_classifier() -> None:
    images, labels = batch()
    losses = []
    for weight in (0.0, 5.0):
        family = build(classifier_weight=weight)
        family.train_step(images, labels)  # of which the critic's scores of real images are kept
        family.critic.load_state_dict(build().critic.state_dict())
        family.real_scores = torch.zeros(len(labels))
        losses.append(family.generator_loss(images, labels)[0])
    assert torch.equal(*losses)


def test_schedules_start_and_end_where_the_config_says() -> None:
    context = Context(num_epochs=10, steps_per_epoch=1)
    family = build(context, burn_in=0.5)
    config = family.config
    found = {}
    for epoch in (1, 6, 10):
        context.at(epoch, 0)
        family.start_step()
        group = family.critic_optimizer.param_groups[0]
        found[epoch] = (group["lr"], group["betas"][1], family.penalty_weight)
    assert found[1] == pytest.approx((config.critic_learning_rate, config.beta2, config.penalty_weight))
    end = (
        config.critic_learning_rate * config.learning_rate_end,
        config.beta2_end,
        config.penalty_weight * config.penalty_weight_end,
    )
    assert found[6] == pytest.approx(end)  # half of the training is done
    assert found[10] == pytest.approx(end)


def test_adaptive_strength_moves_towards_the_target_and_is_kept() -> None:
    family = build(augment_target=0.6, augment_strength=0.5)
    won, lost = torch.ones(8), torch.zeros(8)
    family._adapt_augmentation(won, lost)
    assert family.augment_strength > 0.5
    other = build(augment_target=0.6)
    other.load_state_dict(family.state_dict())
    assert other.augment_strength == family.augment_strength
    for _ in range(3):
        family._adapt_augmentation(lost, won)
    assert family.augment_strength < 0.5


def test_lecam_averages_follow_the_scores() -> None:
    family = build(lecam_weight=0.1)
    for _ in range(500):
        family._follow_scores(torch.full((4,), 2.0), torch.full((4,), -1.0))
    assert family.average_scores == pytest.approx([2.0, -1.0], abs=0.05)
    other = build(lecam_weight=0.1)
    other.load_state_dict(family.state_dict())
    assert other.average_scores == family.average_scores


def test_the_penalty_comes_every_so_many_steps() -> None:
    family = build(penalty_every=3)
    images, labels = batch()
    with_penalty = []
    for step in range(6):
        family.context.at(1, step)
        with_penalty.append("penalty" in family.train_step(images, labels))
    assert with_penalty == [True, False, False] * 2


def test_a_fresh_block_is_the_identity_so_depth_changes_nothing() -> None:
    images, labels = batch()
    latents = torch.randn(8, 6)
    results = []
    for num_blocks in (1, 3):
        torch.manual_seed(0)
        generator = ResidualGenerator(latent_dim=6, num_classes=2, shape=SHAPE, width=4, num_blocks=num_blocks)
        critic = ResidualCritic(num_classes=2, shape=SHAPE, width=4, num_blocks=num_blocks)
        for stack in (*generator.stages, *critic.stages):
            for block in stack:  # type: ignore[attr-defined]
                features = torch.randn(2, block.conv1.in_channels, 4, 4)
                conditions = torch.randn(2, 12) if block.modulation is not None else None
                assert torch.equal(block(features, conditions), features)
        results.append((generator(latents, labels).shape, critic(images, labels)[0].shape))
    assert results[0] == results[1] == ((8, *SHAPE), (8,))


@pytest.mark.parametrize("channels", [1, 3])
def test_fresh_images_differ_within_a_class_and_scores_are_of_order_one(channels: int) -> None:
    torch.manual_seed(0)
    shape = (channels, 32, 32)
    generator = ResidualGenerator(latent_dim=64, num_classes=4, shape=shape, width=16, num_blocks=1)
    images = generator(torch.randn(64, 64), torch.zeros(64, dtype=torch.long))
    assert 0.15 < images.std(0).mean() < 0.8  # neither grey nor far outside of what an image may be
    critic = ResidualCritic(num_classes=4, shape=shape, width=16, num_blocks=1)
    scores, logits = critic(images, torch.zeros(64, dtype=torch.long))
    assert 0.01 < scores.std() < 3
    assert logits.shape == (64, 4)
