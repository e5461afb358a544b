"""What all variational autoencoders share: an encoder, a decoder, and the one step in which both learn."""

from __future__ import annotations

from pathlib import Path
from typing import Any, ClassVar

import torch
from pydantic import Field
from torch import Tensor, nn

from raysynth.models.blocks import lay_out
from raysynth.models.context import Context, seeded_normal
from raysynth.models.decoders import DECODERS, Decoder, DecoderName
from raysynth.models.elbo import (
    Reconstruction,
    divergence_from_normal,
    reconstruction_error,
    structural_dissimilarity,
)
from raysynth.models.ema import MovingAverage
from raysynth.models.encoders import ENCODERS, Encoder, EncoderName
from raysynth.models.family import Family, Figure, Metrics


class VariationalNetwork(nn.Module):
    """An encoder and a decoder."""

    def __init__(self, encoder: Encoder, decoder: Decoder) -> None:
        super().__init__()
        self.encoder, self.decoder = encoder, decoder


class VariationalFamily(Family):
    """Reconstruction + beta * KL. A subclass says whether its networks are given the label.

    Samples are decoded, by an average of the network's weights, from latents of N(0, I).
    """

    metrics = (*Family.metrics, "loss", "reconstruction", "kl", "validation_reconstruction", "validation_kl")
    curves = (
        ("reconstruction", "Reconstruction error, a sum over pixels", ["reconstruction", "validation_reconstruction"],
         "Mean over images. Validation errors that rise while the training's fall: the images are learnt by heart."),
        ("kl", "KL divergence of the latents, in nats", ["kl", "validation_kl"],
         "Mean over images of KL(q(z|x) || N(0, I)): what a latent says of its image. Near 0 it says nothing."),
    )  # fmt: skip
    labelled: ClassVar[bool]

    class Config(Family.Config):
        """The options of every variational autoencoder."""

        batch_size: int = Field(default=32, gt=0, description="images in a step, over all workers")
        encoder: EncoderName = Field(default="conv6", description="layers of the encoder")
        decoder: DecoderName = Field(default="deconv6", description="layers of the decoder")
        latent_dim: int = Field(default=64, gt=0, description="numbers in a latent vector")
        width: int = Field(default=32, gt=0, description="channels at the largest side, four times as many at the end")
        reconstruction: Reconstruction = Field(default="mse", description="error of a pixel, from 0 to 1")
        ssim_weight: float = Field(
            default=0.0, ge=0, description="weight of structural dissimilarity beside the pixels' errors"
        )
        beta: float = Field(default=0.02, ge=0, description="weight of the KL divergence; the study's is 1")
        beta_warm_up: float = Field(
            default=0.25, ge=0, le=1, description="share of the training over which beta rises from 0"
        )
        free_bits: float = Field(default=0.0, ge=0, description="nats of each latent number that cost nothing more")
        learning_rate: float = Field(default=1e-3, gt=0, description="Adam's")
        ema_decay: float = Field(default=0.995, ge=0, lt=1, description="of the network's average, per step")

    config: Config

    def __init__(self, config: Config, *, shape: tuple[int, ...], num_classes: int, context: Context) -> None:
        super().__init__(config, shape=shape, num_classes=num_classes, context=context)
        torch.manual_seed(context.seed)  # the same initial weights on every worker
        sizes: dict[str, Any] = {
            "shape": shape,
            "width": config.width,
            "latent_dim": config.latent_dim,
            "num_classes": num_classes if self.labelled else None,
        }
        network = VariationalNetwork(
            Encoder(ENCODERS[config.encoder], **sizes), Decoder(DECODERS[config.decoder], **sizes)
        )
        self.network = lay_out(network.to(context.device), self.num_dims)
        self.optimizer = torch.optim.Adam(self.network.parameters(), lr=config.learning_rate, fused=True)
        self.average = MovingAverage(self.network, config.ema_decay)

    @property
    def beta(self) -> float:
        """The weight of the KL divergence at this step."""
        warm_up = self.config.beta_warm_up
        return self.config.beta * (min(1.0, self.context.progress / warm_up) if warm_up else 1.0)

    def train_step(self, images: Tensor, labels: Tensor) -> Metrics:
        config, pixels = self.config, (images + 1) / 2
        noise = self.context.normal("latents", len(images), config.latent_dim)
        with self.context.autocast():
            mean, log_variance = (part.float() for part in self.network.encoder(images, labels))
            logits = self.network.decoder(mean + noise * (log_variance / 2).exp(), labels).float()
        reconstruction = reconstruction_error(logits, pixels, config.reconstruction).mean()
        cost = divergence_from_normal(mean, log_variance, free_bits=config.free_bits).mean()
        loss = reconstruction + self.beta * cost
        if config.ssim_weight:
            loss = loss + config.ssim_weight * structural_dissimilarity(logits.sigmoid(), pixels).mean()
        self.context.step_optimizer(loss, self.optimizer)
        self.average.update(self.network)
        kl = divergence_from_normal(mean, log_variance).mean()
        return {"loss": loss.detach(), "reconstruction": reconstruction.detach(), "kl": kl.detach()}

    @torch.no_grad()
    def validate(self, images: Tensor, labels: Tensor) -> Metrics:
        """Both terms by the averaged network, the image decoded from its latent's mean."""
        mean, log_variance = self.average.network.encoder(images, labels)  # type: ignore[operator]
        logits = self.average.network.decoder(mean, labels)  # type: ignore[operator]
        error = reconstruction_error(logits, (images + 1) / 2, self.config.reconstruction)
        return {
            "validation_reconstruction": error.mean(),
            "validation_kl": divergence_from_normal(mean, log_variance).mean(),
        }

    @torch.no_grad()
    def reconstruct(self, images: Tensor, labels: Tensor) -> Tensor:
        """Images (N, C, H, W) in [-1, 1], by the averaged network, each from its latent's mean."""
        mean, _ = self.average.network.encoder(images, labels)  # type: ignore[operator]
        return self.decode(mean, labels)

    @torch.no_grad()
    def decode(self, latents: Tensor, labels: Tensor) -> Tensor:
        """Images (N, C, H, W) in [-1, 1] of latents (N, latent_dim), by the averaged network."""
        logits: Tensor = self.average.network.decoder(latents, labels)  # type: ignore[operator]
        return logits.sigmoid() * 2 - 1

    @torch.no_grad()
    def sample(self, labels: Tensor, seeds: Tensor) -> Tensor:
        latents = seeded_normal(seeds, self.config.latent_dim).to(self.context.device)
        return self.decode(latents, labels.to(self.context.device))

    def state_dict(self) -> dict[str, Any]:
        return {
            "network": self.network.state_dict(),
            "average": self.average.state_dict(),
            "optimizer": self.optimizer.state_dict(),
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.network.load_state_dict(state["network"])
        self.average.load_state_dict(state["average"])
        self.optimizer.load_state_dict(state["optimizer"])

    @classmethod
    def figures(cls, run: Path) -> list[Figure]:
        from raysynth.models.latent_figures import draw_latents

        return [*super().figures(run), *draw_latents(run)]
