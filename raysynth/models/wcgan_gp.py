"""WCGAN-GP: a Wasserstein GAN with gradient penalty whose networks are given the label."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from pydantic import Field
from torch import Tensor

from raysynth.models.context import Context, seeded_normal
from raysynth.models.discriminators import ConditionalCritic, Normalisation
from raysynth.models.ema import MovingAverage
from raysynth.models.family import Family, Figure, Metrics
from raysynth.models.generators import ConditionalGenerator, Upsampling
from raysynth.models.losses import gradient_penalty, wasserstein_estimate
from raysynth.models.registry import register


@register
class WCGANGP(Family):
    """The study's WCGAN-GP (Gulrajani et al. 2017, with labels in both networks).

    Every step the critic learns from one batch; every `n_critic`-th step the generator learns too. Samples are drawn
    from an average of the generator's weights.
    """

    summary = "Wasserstein GAN with gradient penalty, labels in both networks (the study's grid)"

    metrics = (
        *Family.metrics,
        *("d_loss", "g_loss", "wasserstein", "penalty", "critic_real", "critic_generated", "critic_validation"),
    )

    class Config(Family.Config):
        # The defaults are what learnt fastest on two CPU cores (see the README); n_critic matters most: with 2 critic
        # steps a generator step, images of a class were nearly all alike.
        batch_size: int = Field(default=32, gt=0, description="images in a step, over all workers")
        generator: Upsampling = Field(default="transposed", description="how the generator doubles its side")
        critic: Normalisation = Field(default="layernorm", description="what follows the critic's convolutions")
        latent_dim: int = Field(default=64, gt=0, description="numbers in a latent vector")
        width: int = Field(default=16, gt=0, description="channels at the largest side; doubled at each halving")
        dropout: float = Field(default=0.25, ge=0, lt=1, description="of the critic `dropout`")
        n_critic: int = Field(default=5, gt=0, description="critic steps to one generator step")
        penalty_weight: float = Field(default=10.0, ge=0, description="weight of the gradient penalty")
        penalty_every: int = Field(
            default=1, gt=0, description="critic steps between penalties, whose weight is multiplied by it"
        )
        generator_learning_rate: float = Field(default=1e-3, gt=0, description="Adam's, for the generator")
        critic_learning_rate: float = Field(default=1e-3, gt=0, description="Adam's, for the critic")
        beta1: float = Field(default=0.5, ge=0, lt=1, description="Adam's first moment")
        beta2: float = Field(default=0.9, ge=0, lt=1, description="Adam's second moment")
        ema_decay: float = Field(default=0.995, ge=0, lt=1, description="of the generator's average, per update")

    config: Config

    def __init__(self, config: Config, *, shape: tuple[int, ...], num_classes: int, context: Context) -> None:
        super().__init__(config, shape=shape, num_classes=num_classes, context=context)
        torch.manual_seed(context.seed)  # the same initial weights on every worker
        self.generator = ConditionalGenerator(
            latent_dim=config.latent_dim,
            num_classes=num_classes,
            shape=shape,
            width=config.width,
            upsampling=config.generator,
        ).to(context.device)
        self.critic = ConditionalCritic(
            num_classes=num_classes,
            shape=shape,
            width=config.width,
            normalisation=config.critic,
            dropout=config.dropout,
        ).to(context.device)
        betas = (config.beta1, config.beta2)
        self.generator_optimizer = torch.optim.Adam(
            self.generator.parameters(), lr=config.generator_learning_rate, betas=betas
        )
        self.critic_optimizer = torch.optim.Adam(self.critic.parameters(), lr=config.critic_learning_rate, betas=betas)
        self.average = MovingAverage(self.generator, config.ema_decay)
        self.num_critic_steps = 0

    def train_step(self, images: Tensor, labels: Tensor) -> Metrics:
        metrics = self._critic_step(images, labels)
        self.num_critic_steps += 1
        if self.num_critic_steps % self.config.n_critic == 0:
            metrics |= self._generator_step(labels)
        return metrics

    def _critic_step(self, images: Tensor, labels: Tensor) -> Metrics:
        with torch.no_grad():
            generated = self._generate("critic latents", labels)
        with self.context.autocast():
            real_scores = self.critic(images, labels)
            generated_scores = self.critic(generated, labels)
        wasserstein = wasserstein_estimate(real_scores.float(), generated_scores.float())
        loss = -wasserstein
        metrics: Metrics = {
            "wasserstein": wasserstein,
            "critic_real": real_scores.mean(),
            "critic_generated": generated_scores.mean(),
        }
        if self.num_critic_steps % self.config.penalty_every == 0:
            weights = self.context.uniform("interpolation", len(images))
            # In float32 also where the rest is bfloat16: a norm near 1 is what it is all about.
            penalty = gradient_penalty(lambda between: self.critic(between, labels), images, generated, weights)
            loss = loss + self.config.penalty_weight * self.config.penalty_every * penalty
            metrics |= {"penalty": penalty, "d_loss": self.config.penalty_weight * penalty - wasserstein}
        self.context.step_optimizer(loss, self.critic_optimizer)
        return {name: torch.as_tensor(value).detach() for name, value in metrics.items()}

    def _generator_step(self, labels: Tensor) -> Metrics:
        self.critic.requires_grad_(False)  # its gradients would be computed and thrown away
        with self.context.autocast():
            scores = self.critic(self._generate("generator latents", labels), labels)
        loss = -scores.float().mean()
        self.context.step_optimizer(loss, self.generator_optimizer)
        self.critic.requires_grad_(True)
        self.average.update(self.generator)
        return {"g_loss": loss.detach()}

    def _generate(self, name: str, labels: Tensor) -> Tensor:
        latents = self.context.normal(name, len(labels), self.config.latent_dim)
        with self.context.autocast():
            return self.generator(latents, labels).float()

    @torch.no_grad()
    def validate(self, images: Tensor, labels: Tensor) -> Metrics:
        """The critic's score of validation images; far below that of training images, it has learnt them by heart."""
        self.critic.eval()
        scores = self.critic(images, labels)
        self.critic.train()
        return {"critic_validation": scores.float().mean()}

    @torch.no_grad()
    def sample(self, labels: Tensor, seeds: Tensor) -> Tensor:
        latents = seeded_normal(seeds, self.config.latent_dim).to(self.context.device)
        return self.average.network(latents, labels.to(self.context.device))

    def state_dict(self) -> dict[str, Any]:
        return {
            "generator": self.generator.state_dict(),
            "critic": self.critic.state_dict(),
            "average": self.average.state_dict(),
            "generator_optimizer": self.generator_optimizer.state_dict(),
            "critic_optimizer": self.critic_optimizer.state_dict(),
            "num_critic_steps": self.num_critic_steps,
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.generator.load_state_dict(state["generator"])
        self.critic.load_state_dict(state["critic"])
        self.average.load_state_dict(state["average"])
        self.generator_optimizer.load_state_dict(state["generator_optimizer"])
        self.critic_optimizer.load_state_dict(state["critic_optimizer"])
        self.num_critic_steps = state["num_critic_steps"]

    @classmethod
    def figures(cls, run: Path) -> list[Figure]:
        from raysynth.models.curves import draw_curves

        return draw_curves(
            run,
            [
                ("losses", "Losses of critic and generator", ["d_loss", "g_loss"],
                 "Mean per epoch. Neither tells how good the images are: they are shown to see a training diverge."),
                ("critic", "Wasserstein estimate and gradient penalty", ["wasserstein", "penalty"],
                 "The estimate should fall slowly; the penalty should stay near zero, where gradient norms are 1."),
                ("scores", "Critic's scores", ["critic_real", "critic_generated", "critic_validation"],
                 "Validation images scored well below training images: the critic knows those by heart."),
            ],
        )  # fmt: skip
