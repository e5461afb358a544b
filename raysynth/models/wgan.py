"""WGAN: the first Wasserstein GAN, its critics kept from growing steep by clipping their weights."""

from __future__ import annotations

from typing import Any

import torch
from pydantic import Field

from raysynth.models.discriminators import Normalisation
from raysynth.models.family import Metrics
from raysynth.models.optimizers import RMSprop
from raysynth.models.registry import register
from raysynth.models.wasserstein import WassersteinPerClass


@register
class WGAN(WassersteinPerClass):
    """Arjovsky et al. 2017, algorithm 1: RMSprop, and after each critic step every weight clipped to [-clip, clip]."""

    summary = "Wasserstein GAN with weight clipping; one pair of networks a class, given no labels"

    class Config(WassersteinPerClass.Config):
        # Batch normalisation as in the paper: without it, clipped critics let the images grow worse again.
        critic: Normalisation = Field(default="batchnorm", description="what follows the critic's convolutions")
        clip: float = Field(default=0.01, gt=0, description="bound of the critics' weights")
        generator_learning_rate: float = Field(default=5e-4, gt=0, description="RMSprop's, for the generators")
        critic_learning_rate: float = Field(default=5e-4, gt=0, description="RMSprop's, for the critics")
        beta1: float = Field(default=0.0, ge=0, lt=1, description="RMSprop's momentum")
        beta2: float = Field(default=0.99, ge=0, lt=1, description="RMSprop's smoothing of squared gradients")

    config: Config

    def build_optimizers(self) -> tuple[torch.optim.Optimizer, torch.optim.Optimizer]:
        config = self.config
        options: dict[str, Any] = {"alpha": config.beta2, "momentum": config.beta1}
        return (
            RMSprop(self.generator.parameters(), lr=config.generator_learning_rate, **options),
            RMSprop(self.critic.parameters(), lr=config.critic_learning_rate, **options),
        )

    @torch.no_grad()
    def after_critic_step(self) -> Metrics:
        for parameter in self.critic.parameters():
            parameter.clamp_(-self.config.clip, self.config.clip)
        return {}
