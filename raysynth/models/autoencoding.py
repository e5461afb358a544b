"""What all autoencoders share: an encoder, a decoder, and the one step in which both learn."""

from __future__ import annotations

from pathlib import Path
from typing import Any, ClassVar

import torch
from pydantic import Field
from torch import Tensor, nn

from raysynth.config import Config
from raysynth.models.blocks import lay_out
from raysynth.models.context import Context, seeded_normal
from raysynth.models.decoders import DECODERS, Decoder, DecoderName
from raysynth.models.elbo import Reconstruction, reconstruction_error, structural_dissimilarity
from raysynth.models.ema import MovingAverage
from raysynth.models.encoders import ENCODERS, Encoder, EncoderName
from raysynth.models.family import Curve, Family, Figure, Metrics
from raysynth.models.priors import ClassGaussians


class EncoderDecoder(nn.Module):
    """An encoder, (images, labels) to means and log-variances (N, num_latents), and a decoder, (latents, labels) to
    logits of pixels (N, C, H, W)."""

    def __init__(self, encoder: nn.Module, decoder: nn.Module) -> None:
        super().__init__()
        self.encoder, self.decoder = encoder, decoder


class LayersConfig(Config):
    """The study's convolutional layers, by name."""

    encoder: EncoderName = Field(default="conv6", description="layers of the encoder")
    decoder: DecoderName = Field(default="deconv6", description="layers of the decoder")


class AutoencodingFamily(Family):
    """An image is told by a latent, from which it is drawn again. A subclass says whether the networks are given the
    label, and what a latent costs.

    Samples are decoded, by an average of the network's weights, from latents of a Gaussian fitted to each class's
    latents as the training goes on.
    """

    metrics = (*Family.metrics, "loss", "reconstruction", "validation_reconstruction")
    curves: ClassVar[tuple[Curve, ...]] = (
        ("reconstruction", "Reconstruction error, a sum over pixels", ["reconstruction", "validation_reconstruction"],
         "Mean over images. Validation errors that rise while the training's fall: the images are learnt by heart."),
    )  # fmt: skip
    labelled: ClassVar[bool]

    class Config(Family.Config):
        """The options of every autoencoder."""

        batch_size: int = Field(default=32, gt=0, description="images in a step, over all workers")
        latent_dim: int = Field(default=64, gt=0, description="numbers in a latent vector")
        width: int = Field(default=32, gt=0, description="channels at the largest side, four times as many at the end")
        reconstruction: Reconstruction = Field(default="mse", description="error of a pixel, from 0 to 1")
        ssim_weight: float = Field(
            default=0.0, ge=0, description="weight of structural dissimilarity beside the pixels' errors"
        )
        learning_rate: float = Field(default=1e-3, gt=0, description="Adam's")
        ema_decay: float = Field(default=0.995, ge=0, lt=1, description="of the network's average, per step")

    config: Config

    def __init__(self, config: Config, *, shape: tuple[int, ...], num_classes: int, context: Context) -> None:
        super().__init__(config, shape=shape, num_classes=num_classes, context=context)
        torch.manual_seed(context.seed)  # the same initial weights on every worker
        self.network = lay_out(self.build().to(context.device), self.num_dims)
        self.optimizer = torch.optim.Adam(self.network.parameters(), lr=config.learning_rate, fused=True)
        self.average = MovingAverage(self.network, config.ema_decay)
        self.prior = ClassGaussians(num_classes, self.num_latents).to(context.device) if self.learns_prior else None

    def build(self) -> EncoderDecoder:
        """The networks, with fresh weights: those of the config's layers, unless a family has its own."""
        assert isinstance(self.config, LayersConfig)
        layers, sizes = self.config, self.sizes()
        return EncoderDecoder(Encoder(ENCODERS[layers.encoder], **sizes), Decoder(DECODERS[layers.decoder], **sizes))

    def sizes(self) -> dict[str, Any]:
        """What both networks are built by."""
        return {
            "shape": self.shape,
            "width": self.config.width,
            "latent_dim": self.config.latent_dim,
            "num_classes": self.num_classes if self.labelled else None,
        }

    @property
    def num_latents(self) -> int:
        """The numbers of a latent, of which a network may have more than those that are asked for."""
        return self.config.latent_dim

    @property
    def learns_prior(self) -> bool:
        """Whether latents to sample from follow the training's; if not, they are those of N(0, I)."""
        return True

    def seen(self, images: Tensor, name: str) -> Tensor:
        """What the encoder sees of `images` in training; `name` tells draws apart."""
        return images

    def latents_of(self, images: Tensor, labels: Tensor) -> tuple[Tensor, Tensor, Metrics]:
        """Latents (N, num_latents) to decode in training, what they cost (a scalar of the loss), and what to log."""
        mean, _ = self.network.encoder(images, labels)
        return mean.float(), mean.new_zeros(()), {}

    def train_step(self, images: Tensor, labels: Tensor) -> Metrics:
        config, pixels = self.config, (images + 1) / 2
        with self.context.autocast():
            latents, cost, metrics = self.latents_of(self.seen(images, "train"), labels)
            logits = self.network.decoder(latents, labels).float()
        reconstruction = reconstruction_error(logits, pixels, config.reconstruction).mean()
        loss = reconstruction + cost
        if config.ssim_weight:
            loss = loss + config.ssim_weight * structural_dissimilarity(logits.sigmoid(), pixels).mean()
        self.context.step_optimizer(loss, self.optimizer)
        self.average.update(self.network)
        if self.prior is not None:
            self.prior.follow(latents.detach(), labels, self.context)
        metrics = {"loss": loss, "reconstruction": reconstruction, **metrics}
        return {name: torch.as_tensor(value).detach() for name, value in metrics.items()}

    @torch.no_grad()
    def validate(self, images: Tensor, labels: Tensor) -> Metrics:
        """The error of the averaged network, the image decoded from its latent's mean."""
        mean, _ = self.encode(images, labels)
        logits = self.average.network.decoder(mean, labels)  # type: ignore[operator]
        error = reconstruction_error(logits, (images + 1) / 2, self.config.reconstruction)
        return {"validation_reconstruction": error.mean()}

    @torch.no_grad()
    def encode(self, images: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
        """Means and log-variances (N, num_latents) of images (N, C, H, W) in [-1, 1], by the averaged network."""
        mean, log_variance = self.average.network.encoder(images, labels)  # type: ignore[operator]
        return mean, log_variance

    @torch.no_grad()
    def decode(self, latents: Tensor, labels: Tensor) -> Tensor:
        """Images (N, C, H, W) in [-1, 1] of latents (N, num_latents), by the averaged network."""
        logits: Tensor = self.average.network.decoder(latents, labels)  # type: ignore[operator]
        return logits.sigmoid() * 2 - 1

    def reconstruct(self, images: Tensor, labels: Tensor) -> Tensor:
        """Images (N, C, H, W) in [-1, 1], by the averaged network, each from its latent's mean."""
        return self.decode(self.encode(images, labels)[0], labels)

    @torch.no_grad()
    def sample(self, labels: Tensor, seeds: Tensor) -> Tensor:
        latents, labels = seeded_normal(seeds, self.num_latents), labels.to(self.context.device)
        latents = latents.to(self.context.device)
        return self.decode(latents if self.prior is None else self.prior.place(latents, labels), labels)

    def state_dict(self) -> dict[str, Any]:
        return {
            "network": self.network.state_dict(),
            "average": self.average.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "prior": self.prior.state_dict() if self.prior is not None else {},
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.network.load_state_dict(state["network"])
        self.average.load_state_dict(state["average"])
        self.optimizer.load_state_dict(state["optimizer"])
        if self.prior is not None:
            self.prior.load_state_dict(state["prior"])

    @classmethod
    def figures(cls, run: Path) -> list[Figure]:
        from raysynth.models.latent_figures import draw_latents

        return [*super().figures(run), *draw_latents(run)]
