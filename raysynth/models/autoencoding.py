"""What all autoencoders share: an encoder, a decoder, and the one step in which both learn."""

from __future__ import annotations

from pathlib import Path
from typing import Any, ClassVar

import torch
from pydantic import Field
from torch import Tensor, nn

from raysynth.config import Config
from raysynth.models.adversarial_term import AdversarialTerm
from raysynth.models.blocks import lay_out
from raysynth.models.context import Context, seeded_normal
from raysynth.models.cuda_graphs import GraphedNetwork
from raysynth.models.decoders import DECODERS, Decoder, DecoderName
from raysynth.models.elbo import Reconstruction, reconstruction_error, saturation, structural_dissimilarity
from raysynth.models.ema import MovingAverage
from raysynth.models.encoders import ENCODERS, Encoder, EncoderName
from raysynth.models.family import Curve, Family, Figure, Metrics
from raysynth.models.feature_matching import FeatureMatching
from raysynth.models.grids import HALVINGS, GridDecoder, GridEncoder, grid_channels
from raysynth.models.optimizers import Adam
from raysynth.models.priors import ClassGaussians
from raysynth.models.schedules import ramp

SATURATION_WEIGHT = 0.01


class EncoderDecoder(nn.Module):
    """An encoder, (images, labels) to means and log-variances (N, num_latents), and a decoder, (latents, labels) to
    logits of pixels (N, C, H, W)."""

    def __init__(self, encoder: nn.Module, decoder: nn.Module) -> None:
        super().__init__()
        self.encoder, self.decoder = encoder, decoder


class LayersConfig(Config):
    """The study's convolutional layers, by name, and their sizes."""

    encoder: EncoderName = Field(default="conv6", description="layers of the encoder")
    decoder: DecoderName = Field(default="deconv6", description="layers of the decoder")
    latent_dim: int = Field(default=64, gt=0, description="numbers in a latent vector")
    width: int = Field(default=16, gt=0, description="channels at the largest side, four times as many at the end")


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
    labelled: bool
    draws_latents: ClassVar[bool] = False  # or their means are all there is

    class Config(Family.Config):
        """The options of every autoencoder."""

        batch_size: int = Field(default=32, gt=0, description="images in a step, over all workers")
        reconstruction: Reconstruction = Field(default="mse", description="error of a pixel, from 0 to 1")
        ssim_weight: float = Field(
            default=0.0, ge=0, description="weight of structural dissimilarity beside the pixels' errors"
        )
        feature_weight: float = Field(
            default=0.0, ge=0, description="weight of the distance in the features of a classifier of the train images"
        )
        adversarial_weight: float = Field(
            default=0.0, ge=0, description="weight of a critic that tells images from reconstructions"
        )
        term_warm_up: float = Field(
            default=0.25, gt=0, le=1, description="share of the training over which these two come to count in full"
        )
        learning_rate: float = Field(default=1e-3, gt=0, description="Adam's")
        ema_decay: float = Field(default=0.995, ge=0, lt=1, description="of the network's average, per step")

    config: Config

    def __init__(self, config: Config, *, shape: tuple[int, ...], num_classes: int, context: Context) -> None:
        super().__init__(config, shape=shape, num_classes=num_classes, context=context)
        torch.manual_seed(context.seed)  # the same initial weights on every worker
        self.network = lay_out(self.build().to(context.device), self.num_dims)
        self.encoder = GraphedNetwork(self.network.encoder, context)
        self.decoder = GraphedNetwork(self.network.decoder, context)
        self.optimizer = Adam(self.network.parameters(), lr=config.learning_rate, fused=True)
        self.average = MovingAverage(self.network, config.ema_decay)
        terms: dict[str, Any] = {"shape": shape, "num_classes": num_classes, "context": context}
        self.features = FeatureMatching(share=config.term_warm_up, **terms) if config.feature_weight else None
        self.adversary = AdversarialTerm(**terms) if config.adversarial_weight else None
        self.prior = ClassGaussians(num_classes, self.num_latents).to(context.device) if self.learns_prior else None

    def build(self) -> EncoderDecoder:
        """The networks, with fresh weights: those of the config's layers, unless a family has its own."""
        layers = self._layers
        sizes: dict[str, Any] = {
            "shape": self.shape,
            "width": layers.width,
            "latent_dim": layers.latent_dim,
            "num_classes": self.num_classes if self.labelled else None,
        }
        encoder = GridEncoder(**sizes) if layers.encoder == "grid" else Encoder(ENCODERS[layers.encoder], **sizes)
        decoder = GridDecoder(**sizes) if layers.decoder == "grid" else Decoder(DECODERS[layers.decoder], **sizes)
        return EncoderDecoder(encoder, decoder)

    @property
    def num_latents(self) -> int:
        """The numbers of a latent."""
        return self._layers.latent_dim

    @property
    def grid(self) -> tuple[int, ...] | None:
        """The shape (C, H, W) of latents that are a small image; None for those that are a mere vector."""
        if not isinstance(self.config, LayersConfig) or self.config.decoder != "grid":
            return None
        side = self.shape[-1] // 2**HALVINGS
        return (grid_channels(self.shape, self.config.latent_dim), side, side)

    @property
    def _layers(self) -> LayersConfig:
        assert isinstance(self.config, LayersConfig), f"{self.name} has to build its own networks"
        return self.config

    @property
    def learns_prior(self) -> bool:
        """Whether latents to sample from follow the training's; if not, they are those of N(0, I)."""
        return True

    def seen(self, images: Tensor) -> Tensor:
        """What the encoder sees of `images` in training."""
        return images

    def seen_in_validation(self, images: Tensor) -> Tensor:
        """The same in validation, where what is drawn depends on the image alone: it is the same in every epoch."""
        return images

    def latents_of(self, images: Tensor, labels: Tensor) -> tuple[Tensor, Tensor, Metrics]:
        """Latents (N, num_latents) to decode in training, what they cost (a scalar of the loss), and what to log."""
        mean, _ = self.encoder(images, labels)
        return mean.float(), mean.new_zeros(()), {}

    def train_step(self, images: Tensor, labels: Tensor) -> Metrics:
        config, pixels = self.config, (images + 1) / 2
        with self.context.autocast():
            latents, cost, metrics = self.latents_of(self.seen(images), labels)
            logits = self.decoder(latents, labels).float()
        reconstruction = reconstruction_error(logits, pixels, config.reconstruction).mean()
        loss = reconstruction + cost
        if config.reconstruction != "bce":
            loss = loss + SATURATION_WEIGHT * saturation(logits).mean()
        if config.ssim_weight:
            loss = loss + config.ssim_weight * structural_dissimilarity(logits.sigmoid(), pixels).mean()
        loss, of_terms = self._add_terms(loss, images, logits, labels)
        self.context.step_optimizer(loss, self.optimizer)
        self.average.update(self.network)
        if self.prior is not None:
            self.prior.follow(latents.detach(), labels, self.context)
        metrics = {"loss": loss, "reconstruction": reconstruction, **metrics, **of_terms}
        return {name: torch.as_tensor(value).detach() for name, value in metrics.items()}

    def _add_terms(self, loss: Tensor, images: Tensor, logits: Tensor, labels: Tensor) -> tuple[Tensor, Metrics]:
        """The loss with what looks at a reconstruction otherwise than by pixels; each of these learns first."""
        config, drawn = self.config, logits.sigmoid() * 2 - 1
        metrics: Metrics = {}
        if self.features is not None:
            self.features.learn(images, labels)
            metrics["feature_distance"] = distance = self.features.distance(images, drawn).mean()
            loss = loss + config.feature_weight * self.features.trust * distance
        if self.adversary is not None:
            metrics["critic_loss"] = self.adversary.learn(images, drawn, labels)
            share = ramp(self.context.progress, 0, config.term_warm_up)
            loss = loss + config.adversarial_weight * share * self.adversary.loss(drawn, labels)
        return loss, metrics

    @torch.no_grad()
    def validate(self, images: Tensor, labels: Tensor) -> Metrics:
        """The error of the averaged network, the image decoded from its latent's mean."""
        mean, _ = self.encode(self.seen_in_validation(images), labels)
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
            **{name: part.state_dict() for name, part in self._parts().items()},
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.network.load_state_dict(state["network"])
        self.average.load_state_dict(state["average"])
        self.optimizer.load_state_dict(state["optimizer"])
        for name, part in self._parts().items():
            part.load_state_dict(state[name])

    def _parts(self) -> dict[str, Any]:
        """What else is learnt, where it is asked for."""
        parts = {"prior": self.prior, "features": self.features, "adversary": self.adversary}
        return {name: part for name, part in parts.items() if part is not None}

    @classmethod
    def figures(cls, run: Path) -> list[Figure]:
        from raysynth.models.latent_figures import draw_latents

        return [*super().figures(run), *draw_latents(run)]
