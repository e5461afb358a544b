"""Latent flow: a learnt distribution of the latents of an autoencoder that has been trained before."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal, Self

import torch
from pydantic import Field, model_validator
from torch import Tensor, nn

from raysynth.errors import UserError
from raysynth.models.autoencoding import AutoencodingFamily
from raysynth.models.blocks import lay_out
from raysynth.models.context import Context, content_seeds, seeded_normal
from raysynth.models.cuda_graphs import GraphedNetwork
from raysynth.models.ema import MovingAverage
from raysynth.models.family import Family, Metrics
from raysynth.models.flow_matching import (
    SAMPLING_OPTIONS,
    Guidance,
    integrate,
    training_errors,
    validation_errors,
)
from raysynth.models.once_per_image import OncePerImage
from raysynth.models.optimizers import AdamW
from raysynth.models.priors import ClassMixtures, Standardisation
from raysynth.models.registry import register
from raysynth.models.unet import NUM_GROUPS
from raysynth.models.velocity import GridVelocityNetwork, VelocityNetwork

NetworkName = Literal["dense", "unet"]
UNET_SIZES = {"width": 64, "num_blocks": 2}


@register
class LatentFlow(Family):
    """What decodes to an image lies in a small part of the latents, which N(0, I) hardly meets. Here a distribution of
    each class's latents is learnt, the autoencoder of the run `pretrained` being left as it is: by flow matching with
    classifier-free guidance, or as a mixture of Gaussians (one component: a Gaussian).
    """

    needs_same_classes = True
    summary = "learnt latents for a trained autoencoder (--set pretrained=RUN): flow with guidance, or Gaussians"
    metrics = (*Family.metrics, "loss", "validation_loss")
    curves = (
        ("loss", "What the prior minimises", ["loss", "validation_loss"],
         "Of a flow the squared error of its velocity, of Gaussians the negative log-likelihood, each for one latent "
         "number. The validation's rising while the training's falls: latents are learnt by heart."),
    )  # fmt: skip

    class Config(Family.Config, Guidance):
        """The options of a prior."""

        batch_size: int = Field(default=128, gt=0, description="images in a step, over all workers")
        pretrained: str = Field(default="", description="run folder of a trained autoencoder, e.g. of cvae")
        prior: Literal["flow", "mixture"] = Field(default="flow", description="what the distribution is made of")
        components: int = Field(default=4, gt=0, description="Gaussians of each class's mixture; 1: a Gaussian")
        guidance: float = Field(default=2.0, ge=0, description="of samples of a flow; 1: none, more: more typical")
        network: NetworkName = Field(
            default="dense", description="the velocity network: dense layers, or a U-Net for latents that are a grid"
        )
        width: int = Field(default=512, gt=0, description="features of the velocity network; a U-Net's default is 64")
        num_blocks: int = Field(
            default=4, gt=0, description="its residual blocks, of a U-Net those at each side, whose default is 2"
        )
        learning_rate: float = Field(default=1e-3, gt=0, description="AdamW's, which falls to 0 by a straight line")
        weight_decay: float = Field(default=0.01, ge=0, description="AdamW's")
        ema_decay: float = Field(default=0.999, ge=0, lt=1, description="of the velocity network's average, per step")

        @model_validator(mode="before")
        @classmethod
        def _take_sizes(cls, values: dict[str, Any]) -> dict[str, Any]:
            return {**(UNET_SIZES if values.get("network") == "unet" else {}), **values}

        @model_validator(mode="after")
        def _check_network(self) -> Self:
            if self.network == "unet" and self.prior != "flow":
                raise ValueError(f"network=unet: prior={self.prior} has no velocity; leave one of them out")
            if self.network == "unet" and self.width % NUM_GROUPS:
                more = self.width + -self.width % NUM_GROUPS
                raise ValueError(f"width={self.width}: a U-Net's is a multiple of {NUM_GROUPS}; use {more}")
            return self

    config: Config

    def __init__(self, config: Config, *, shape: tuple[int, ...], num_classes: int, context: Context) -> None:
        super().__init__(config, shape=shape, num_classes=num_classes, context=context)
        self.autoencoder = trained_autoencoder(config.pretrained, self, context)
        self.encode_once = OncePerImage(lambda images, labels: self.autoencoder.encode(images, labels))
        num_latents = self.num_latents = self.autoencoder.num_latents
        self.standardisation = Standardisation(num_latents).to(context.device)
        self.mixtures: ClassMixtures | None = None
        if config.prior == "mixture":
            self.mixtures = ClassMixtures(num_classes, num_latents, config.components).to(context.device)
        torch.manual_seed(context.seed)  # the same initial weights on every worker
        self.network = self._velocity_network().to(context.device)
        self.graphed = GraphedNetwork(self.network, context)
        self.optimizer = AdamW(
            self.network.parameters(), lr=config.learning_rate, weight_decay=config.weight_decay, fused=True
        )
        self.average = MovingAverage(self.network, config.ema_decay)
        self.graphed_average = GraphedNetwork(self.average.network, context)

    def _velocity_network(self) -> nn.Module:
        sizes = {"width": self.config.width, "num_blocks": self.config.num_blocks}
        if self.config.network == "dense":
            return VelocityNetwork(num_latents=self.num_latents, num_classes=self.num_classes, **sizes)
        if self.autoencoder.grid is None:
            raise UserError(
                f"--set network=unet: the latents of {self.config.pretrained} are no grid; leave it out, or train the "
                "autoencoder with --set encoder=grid --set decoder=grid"
            )
        network = GridVelocityNetwork(grid=self.autoencoder.grid, num_classes=self.num_classes, **sizes)
        return lay_out(network, num_dims=2)

    def train_step(self, images: Tensor, labels: Tensor) -> Metrics:
        # 1. A latent of each image, with the noise that the decoder has learnt to bear.
        latents = self._encode(images, labels, self.context.normal("latents", len(images), self.num_latents))

        # 2. In units of their spread.
        self.standardisation.follow(latents, self.context)
        latents = self.standardisation.standardise(latents)

        # 3. Closed form, or a step of the flow.
        if self.mixtures is not None:
            return self.mixtures.learn(latents, labels, self.context)
        for group in self.optimizer.param_groups:
            group["lr"] = self.config.learning_rate * (1 - self.context.progress)
        drop = self.config.label_drop
        loss = training_errors(
            self.graphed, latents, labels, self.context, label_drop=drop, unlabelled=self.num_classes
        ).mean()
        self.context.step_optimizer(loss, self.optimizer)
        self.average.update(self.network)
        return {"loss": loss.detach()}

    def _encode(self, images: Tensor, labels: Tensor, noise: Tensor) -> Tensor:
        """Latents (N, num_latents) of images, drawn with standard normal numbers where the autoencoder draws them."""
        mean, log_variance = self._encoded(images, labels)
        return mean + noise * (log_variance / 2).exp() if self.autoencoder.draws_latents else mean

    def _encoded(self, images: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
        """Means and log-variances, which are the same each time: on a CPU they are computed once an image."""
        compute = self.encode_once if images.device.type == "cpu" else self.autoencoder.encode
        mean, log_variance = compute(images, labels)
        return mean, log_variance

    @torch.no_grad()
    def validate(self, images: Tensor, labels: Tensor) -> Metrics:
        seeds = content_seeds(images)
        noise = seeded_normal(seeds + 2, self.num_latents).to(images.device)
        latents = self.standardisation.standardise(self._encode(images, labels, noise))
        if self.mixtures is not None:
            return {"validation_loss": self.mixtures.negative_log_likelihood(latents, labels).mean()}
        return {"validation_loss": validation_errors(self.average.network, latents, labels, seeds).mean()}

    @torch.no_grad()
    def sample(self, labels: Tensor, seeds: Tensor) -> Tensor:
        config, device = self.config, self.context.device
        labels = labels.to(device)
        noise, choice = seeded_normal(seeds, self.num_latents + 1).to(device).split([self.num_latents, 1], 1)
        if self.mixtures is not None:
            latents = self.mixtures.place(noise, torch.special.ndtr(choice[:, 0]), labels)
        else:
            latents = integrate(
                self.graphed_average, noise, labels,
                num_steps=config.num_steps, guidance=config.guidance, unlabelled=self.num_classes,
            )  # fmt: skip
        return self.autoencoder.decode(self.standardisation.restore(latents), labels)

    def state_dict(self) -> dict[str, Any]:
        return {
            "network": self.network.state_dict(),
            "average": self.average.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "standardisation": self.standardisation.state_dict(),
            "mixtures": self.mixtures.state_dict() if self.mixtures is not None else {},
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.network.load_state_dict(state["network"])
        self.average.load_state_dict(state["average"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.standardisation.load_state_dict(state["standardisation"])
        if self.mixtures is not None:
            self.mixtures.load_state_dict(state["mixtures"])

    @classmethod
    def sampling_options(cls, config: Mapping[str, Any]) -> tuple[str, ...]:
        if config["prior"] == "mixture":
            return ()
        return SAMPLING_OPTIONS if config["label_drop"] else ("num_steps",)


def trained_autoencoder(run: str, family: Family, context: Context) -> AutoencodingFamily:
    """The autoencoder of a run, as it was trained, for the images of `family`.

    Raises UserError when there is none, it is none, or its images are of another shape or number of classes.
    """
    from raysynth.training.pretrained import load_pretrained

    autoencoder = load_pretrained(run, context)
    if not isinstance(autoencoder, AutoencodingFamily):
        raise UserError(f"--set pretrained={run}: a run of {autoencoder.name}; want an autoencoder, e.g. of cvae")
    for what, of_run, wanted in (
        ("images of", tuple(autoencoder.shape), tuple(family.shape)),
        ("number of classes", autoencoder.num_classes, family.num_classes),
    ):
        if of_run != wanted:
            raise UserError(f"--set pretrained={run}: its {what} {of_run} is not {wanted}; train it on the same --data")
    return autoencoder
