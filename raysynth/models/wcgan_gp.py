"""WCGAN-GP: a Wasserstein GAN with gradient penalty whose networks are given the label."""

from __future__ import annotations

from pydantic import Field
from torch import Tensor

from raysynth.models.family import Metrics
from raysynth.models.losses import gradient_penalty
from raysynth.models.registry import register
from raysynth.models.wasserstein import WassersteinFamily


@register
class WCGANGP(WassersteinFamily):
    """The study's WCGAN-GP (Gulrajani et al. 2017, with labels in both networks)."""

    summary = "Wasserstein GAN with gradient penalty, labels in both networks (the study's grid)"
    metrics = (*WassersteinFamily.metrics, "penalty")

    class Config(WassersteinFamily.Config):
        # The defaults are what learnt fastest on two CPU cores (see the README); n_critic matters most: with 2 critic
        # steps a generator step, images of a class were nearly all alike.
        penalty_weight: float = Field(default=10.0, ge=0, description="weight of the gradient penalty")
        penalty_every: int = Field(
            default=1, gt=0, description="critic steps between penalties, whose weight is multiplied by it"
        )

    config: Config

    def critic_loss(self, images: Tensor, generated: Tensor, labels: Tensor) -> tuple[Tensor, Metrics]:
        loss, metrics = super().critic_loss(images, generated, labels)
        del metrics["d_loss"]  # it is that of the steps with a penalty
        config = self.config
        if self.num_critic_steps % config.penalty_every == 0:
            weights = self.context.uniform("interpolation", len(images))
            # In float32 also where the rest is bfloat16: a norm near 1 is what it is all about.
            penalty = gradient_penalty(lambda between: self.critic(between, labels), images, generated, weights)
            metrics |= {"penalty": penalty, "d_loss": loss + config.penalty_weight * penalty}
            loss = loss + config.penalty_weight * config.penalty_every * penalty
        return loss, metrics
