"""What variational autoencoders add to autoencoders: latents with noise, and what the latents cost."""

from __future__ import annotations

import torch
from pydantic import Field
from torch import Tensor

from raysynth.models.autoencoding import AutoencodingFamily
from raysynth.models.elbo import divergence_from_normal
from raysynth.models.family import Metrics
from raysynth.models.schedules import ramp


class VariationalFamily(AutoencodingFamily):
    """Reconstruction + beta * KL (Kingma & Welling 2014; beta: Higgins et al. 2017)."""

    metrics = (*AutoencodingFamily.metrics, "kl", "validation_kl")
    curves = (
        *AutoencodingFamily.curves,
        ("kl", "KL divergence of the latents, in nats", ["kl", "validation_kl"],
         "Mean over images of KL(q(z|x) || N(0, I)): what a latent says of its image. Near 0 it says nothing."),
    )  # fmt: skip

    draws_latents = True

    class Config(AutoencodingFamily.Config):
        """Adds the divergence's options."""

        beta: float = Field(default=0.02, ge=0, description="weight of the KL divergence; the study's is 1")
        beta_warm_up: float = Field(
            default=0.25, ge=0, le=1, description="share of the training over which beta rises from 0"
        )
        free_bits: float = Field(default=0.0, ge=0, description="nats of each latent number that cost nothing more")

    config: Config

    @property
    def beta(self) -> float:
        """The weight of the KL divergence at this step."""
        return self.config.beta * ramp(self.context.progress, 0, self.config.beta_warm_up)

    def latents_of(self, images: Tensor, labels: Tensor) -> tuple[Tensor, Tensor, Metrics]:
        noise = self.context.normal("latents", len(images), self.num_latents)
        mean, log_variance = (part.float() for part in self.encoder(images, labels))
        cost = self.beta * divergence_from_normal(mean, log_variance, free_bits=self.config.free_bits).mean()
        kl = divergence_from_normal(mean, log_variance).mean()
        return mean + noise * (log_variance / 2).exp(), cost, {"kl": kl}

    @torch.no_grad()
    def validate(self, images: Tensor, labels: Tensor) -> Metrics:
        kl = divergence_from_normal(*self.encode(self.seen_in_validation(images), labels)).mean()
        return {**super().validate(images, labels), "validation_kl": kl}
