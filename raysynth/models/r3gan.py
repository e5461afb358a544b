"""R3GAN: a relativistic GAN with penalties on real and on generated images, for few images and few cores."""

from __future__ import annotations

import math
from typing import Any

import torch
import torch.nn.functional as F
from pydantic import Field
from torch import Tensor, nn

from raysynth.models.adversarial import AdversarialFamily
from raysynth.models.diff_augment import Augmentation, diff_augment
from raysynth.models.family import Metrics
from raysynth.models.losses import (
    lecam_distance,
    relativistic_critic_loss,
    relativistic_generator_loss,
    zero_centred_penalty,
)
from raysynth.models.registry import register
from raysynth.models.residual import ResidualCritic, ResidualGenerator
from raysynth.models.schedules import cosine, ramp

ADAPTING_IMAGES = 20_000  # over so many the adaptive strength of augmentation goes from 0 to 1 at the fastest
LECAM_DECAY = 0.99


@register
class R3GAN(AdversarialFamily):
    """R3GAN (Huang et al. 2024) with labels: pairs of real and generated images of one class are compared, the gradient
    of the critic is held down at both (R1 and R2), and no network is normalised. An auxiliary classifier of real images
    gives the critic features of the classes. The generator is not asked to please it.

    Learning rate, Adam's second moment and the penalty reach their end values by a cosine over the first `burn_in` of
    the training. The generator's images are paired with the scores that the critic gave the real ones of the same batch
    just before its step: the paper scores them again, for about a twelfth of the work.
    """

    summary = "relativistic GAN with R1 and R2 penalties, residual networks, augmentation (the modern one)"
    metrics = (*AdversarialFamily.metrics, "penalty", "agreement", "augment_strength")
    curves = (
        *AdversarialFamily.curves,
        ("penalty", "Squared gradient norm of the critic", ["penalty"],
         "R1 + R2, unweighted. Rising without end, the critic grows too steep: raise penalty_weight."),
        ("agreement", "Labels of generated images that the critic's classifier confirms", ["agreement"],
         "The share of the training's generated images that it takes for the class that was asked for."),
        ("augment", "Strength of augmentation", ["augment_strength"],
         "The probability of each change of what the critic sees; adaptive where augment_target is set."),
    )  # fmt: skip

    class Config(AdversarialFamily.Config):
        batch_size: int = Field(default=16, gt=0, description="images in a step, over all workers")
        num_blocks: int = Field(default=1, gt=0, description="residual blocks at each side of the networks")
        n_critic: int = Field(default=1, gt=0, description="critic steps to one generator step")
        beta1: float = Field(default=0.0, ge=0, lt=1, description="Adam's first moment")
        beta2: float = Field(default=0.9, ge=0, lt=1, description="Adam's second moment, at the start")
        beta2_end: float = Field(default=0.99, ge=0, lt=1, description="Adam's second moment, after burn-in")
        learning_rate_end: float = Field(
            default=0.1, gt=0, le=1, description="both learning rates after burn-in, as a share of those at the start"
        )
        penalty_weight: float = Field(default=0.5, ge=0, description="gamma of R1 and R2, at the start; tune it first")
        penalty_weight_end: float = Field(
            default=0.4, gt=0, description="gamma of R1 and R2 after burn-in, as a share of that at the start"
        )
        penalty_every: int = Field(
            default=8, gt=0, description="critic steps between penalties, whose weight is multiplied by it"
        )
        burn_in: float = Field(default=1.0, ge=0, le=1, description="share of the training that schedules last")
        classifier_weight: float = Field(
            default=0.5, ge=0, description="weight of the critic's auxiliary classifier of real images"
        )
        augment: tuple[Augmentation, ...] = Field(
            default=("translation",), description="changes of what the critic sees"
        )
        augment_strength: float = Field(default=0.2, ge=0, le=1, description="probability of each change, at the start")
        augment_target: float = Field(
            default=0.0,
            ge=0,
            lt=1,
            description="adapt the strength until won less lost pairs are this share of all, e.g. 0.6; 0: off",
        )
        lecam_weight: float = Field(default=0.0, ge=0, description="weight of LeCam regularisation")
        condition_from: float = Field(
            default=0.0, ge=0, le=1, description="share of the training after which labels begin to count"
        )
        condition_ramp: float = Field(
            default=0.0, ge=0, le=1, description="share of the training over which labels come to count in full"
        )
        ema_decay: float = Field(default=0.998, ge=0, lt=1, description="of the generator's average, per update")

    config: Config
    generator: ResidualGenerator
    critic: ResidualCritic

    def build(self) -> tuple[nn.Module, nn.Module]:
        config = self.config
        sizes: dict[str, Any] = {"shape": self.shape, "width": config.width, "num_blocks": config.num_blocks}
        self.augment_strength = config.augment_strength
        self.average_scores = [0.0, 0.0]  # of real and of generated images, for LeCam
        return (
            ResidualGenerator(latent_dim=config.latent_dim, num_classes=self.num_classes, **sizes),
            ResidualCritic(num_classes=self.num_classes, **sizes),
        )

    def start_step(self) -> None:
        config, progress = self.config, self.context.progress
        done = min(1.0, progress / config.burn_in) if config.burn_in else 1.0
        share = cosine(1.0, config.learning_rate_end, done)
        for optimizer, learning_rate in (
            (self.generator_optimizer, config.generator_learning_rate),
            (self.critic_optimizer, config.critic_learning_rate),
        ):
            for group in optimizer.param_groups:
                group["lr"] = learning_rate * share
                group["betas"] = (config.beta1, cosine(config.beta2, config.beta2_end, done))
        self.penalty_weight = config.penalty_weight * cosine(1.0, config.penalty_weight_end, done)
        # From unconditional to conditional (Shahbazi et al. 2022), the average of the generator included.
        conditioning = ramp(progress, config.condition_from, config.condition_ramp)
        for network in (self.generator, self.critic, self.average.network):
            network.conditioning.fill_(conditioning)  # type: ignore[operator]

    def critic_loss(self, images: Tensor, generated: Tensor, labels: Tensor) -> tuple[Tensor, Metrics]:
        config = self.config
        with_penalty = self.num_critic_steps % config.penalty_every == 0 and self.penalty_weight > 0
        seen = torch.cat([self.augment("real", images), self.augment("generated", generated)])
        seen.requires_grad_(with_penalty)
        with self.context.autocast() if not with_penalty else torch.autocast(self.context.device.type, enabled=False):
            scores, logits = self.critic(seen, torch.cat([labels, labels]))
        scores, (real_scores, generated_scores) = scores.float(), scores.float().chunk(2)
        self.real_scores = real_scores.detach()  # the generator's images are compared with these

        loss = relativistic_critic_loss(real_scores, generated_scores)
        metrics: Metrics = {
            "d_loss": loss,
            "critic_real": real_scores.mean(),
            "critic_generated": generated_scores.mean(),
            "augment_strength": self.augment_strength,
        }
        if config.classifier_weight:
            loss = loss + config.classifier_weight * F.cross_entropy(logits[: len(labels)].float(), labels)
        if config.lecam_weight:
            loss = loss + config.lecam_weight * lecam_distance(real_scores, generated_scores, *self.average_scores)
            self._follow_scores(real_scores, generated_scores)
        if with_penalty:
            penalty = 2 * zero_centred_penalty(scores, seen)  # the mean over both halves, twice: R1 + R2
            loss = loss + self.penalty_weight / 2 * config.penalty_every * penalty
            metrics["penalty"] = penalty
        if config.augment_target:
            self._adapt_augmentation(real_scores, generated_scores)
        return loss, metrics

    def generator_loss(self, generated: Tensor, labels: Tensor) -> tuple[Tensor, Metrics]:
        with self.context.autocast():
            scores, logits = self.critic(self.augment("learning", generated), labels)
        loss = relativistic_generator_loss(self.real_scores, scores.float())
        agreement = (logits.argmax(1) == labels).float().mean()
        return loss, {"agreement": agreement} if self.config.classifier_weight else {}

    def augment(self, name: str, images: Tensor) -> Tensor:
        """What the critic sees of `images`; `name` tells the draws of real and generated images apart."""
        return diff_augment(
            images, self.context, f"augment {name}", kinds=self.config.augment, strength=self.augment_strength
        )

    def score(self, images: Tensor, labels: Tensor) -> Tensor:
        with self.context.autocast():
            scores: Tensor = self.critic(images, labels)[0]
        return scores.float()

    @torch.no_grad()
    def _adapt_augmentation(self, real_scores: Tensor, generated_scores: Tensor) -> None:
        """One step of the strength towards the share of won pairs that is wanted (after Karras et al. 2020, sec. 3)."""
        lead = torch.sign(real_scores - generated_scores).mean().item()
        lead = self.context.mean_over_workers({"lead": lead})["lead"]
        step = self.config.batch_size / ADAPTING_IMAGES
        moved = self.augment_strength + math.copysign(step, lead - self.config.augment_target)
        self.augment_strength = min(1.0, max(0.0, moved))

    @torch.no_grad()
    def _follow_scores(self, real_scores: Tensor, generated_scores: Tensor) -> None:
        """Move the averages of the scores that LeCam regularisation compares with."""
        means = {"real": real_scores.mean().item(), "generated": generated_scores.mean().item()}
        means = self.context.mean_over_workers(means)
        self.average_scores = [
            LECAM_DECAY * average + (1 - LECAM_DECAY) * means[name]
            for average, name in zip(self.average_scores, means, strict=True)
        ]

    def state_dict(self) -> dict[str, Any]:
        return {
            **super().state_dict(),
            "augment_strength": self.augment_strength,
            "average_scores": self.average_scores,
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        super().load_state_dict(state)
        self.augment_strength = state["augment_strength"]
        self.average_scores = state["average_scores"]
