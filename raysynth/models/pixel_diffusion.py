"""Pixel diffusion: noise carried to an image by a learnt velocity, the comparison that everybody asks for."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from pydantic import Field
from torch import Tensor

from raysynth.models.blocks import lay_out
from raysynth.models.context import Context, content_seeds, seeded_normal
from raysynth.models.cuda_graphs import GraphedNetwork
from raysynth.models.ema import MovingAverage
from raysynth.models.family import Family, Metrics
from raysynth.models.flow_matching import (
    SAMPLING_OPTIONS,
    Guidance,
    Velocity,
    integrate,
    training_errors,
    validation_errors,
)
from raysynth.models.generators import num_doublings
from raysynth.models.optimizers import AdamW
from raysynth.models.registry import register
from raysynth.models.told_augmentation import NUM_CHANGES, augment_and_tell
from raysynth.models.unet import NUM_GROUPS, UNet


@register
class PixelDiffusion(Family):
    """Rectified flow (Liu et al. 2023; of the diffusion models the one with straight paths) on the pixels, by a small
    U-Net, with classifier-free guidance."""

    summary = "diffusion model (rectified flow) on pixels: small U-Net, guidance"
    metrics = (*Family.metrics, "loss", "validation_loss")
    curves = (
        ("loss", "Squared error of the velocity", ["loss", "validation_loss"],
         "Mean over pixels. The validation's rising while the training's falls: images are learnt by heart."),
    )  # fmt: skip

    class Config(Family.Config, Guidance):
        batch_size: int = Field(default=32, gt=0, description="images in a step, over all workers")
        width: int = Field(default=24, gt=0, multiple_of=NUM_GROUPS, description="channels at half the image's side")
        num_blocks: int = Field(default=1, gt=0, description="residual blocks at each side of the U-Net, on each way")
        augmentation: float = Field(
            default=0.0, ge=0, le=1, description="probability of each change of an image; the network is told of them"
        )
        learning_rate: float = Field(default=1e-3, gt=0, description="AdamW's, which falls to 0 by a straight line")
        ema_decay: float = Field(default=0.998, ge=0, lt=1, description="of the network's average, per step")

    config: Config

    def __init__(self, config: Config, *, shape: tuple[int, ...], num_classes: int, context: Context) -> None:
        super().__init__(config, shape=shape, num_classes=num_classes, context=context)
        num_doublings(shape)  # refuses other sides than those of every family
        torch.manual_seed(context.seed)  # the same initial weights on every worker
        network = UNet(
            shape=shape, num_classes=num_classes, width=config.width, num_blocks=config.num_blocks,
            num_changes=NUM_CHANGES if config.augmentation else 0,
        )  # fmt: skip
        self.network = lay_out(network.to(context.device), self.num_dims)
        self.graphed = GraphedNetwork(self.network, context)
        self.optimizer = AdamW(self.network.parameters(), lr=config.learning_rate, fused=True)
        self.average = MovingAverage(self.network, config.ema_decay)
        self.graphed_average = GraphedNetwork(self.average.network, context)

    def train_step(self, images: Tensor, labels: Tensor) -> Metrics:
        for group in self.optimizer.param_groups:
            group["lr"] = self.config.learning_rate * (1 - self.context.progress)
        velocity: Velocity = self.graphed
        if self.config.augmentation:
            images, changes = augment_and_tell(images, self.context, self.config.augmentation)

            def velocity(points: Tensor, times: Tensor, labels: Tensor) -> Tensor:
                return self.graphed(points, times, labels, changes)

        with self.context.autocast():
            loss = training_errors(
                velocity, images, labels, self.context,
                label_drop=self.config.label_drop, unlabelled=self.num_classes,
            ).mean()  # fmt: skip
        self.context.step_optimizer(loss, self.optimizer)
        self.average.update(self.network)
        return {"loss": loss.detach()}

    @torch.no_grad()
    def validate(self, images: Tensor, labels: Tensor) -> Metrics:
        errors = validation_errors(self.average.network, images, labels, content_seeds(images))
        return {"validation_loss": errors.mean()}

    @torch.no_grad()
    def sample(self, labels: Tensor, seeds: Tensor) -> Tensor:
        noise = seeded_normal(seeds, *self.shape).to(self.context.device)
        images = integrate(
            self.graphed_average, noise, labels.to(self.context.device),
            num_steps=self.config.num_steps, guidance=self.config.guidance, unlabelled=self.num_classes,
        )  # fmt: skip
        return images.clamp(-1, 1)

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
    def sampling_options(cls, config: Mapping[str, Any]) -> tuple[str, ...]:
        return SAMPLING_OPTIONS if config["label_drop"] else ("num_steps",)
