"""The small residual CNN that judges: trained on real, generated or mixed images, and by no generator's loss."""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from pydantic import Field
from torch import Tensor, nn

from raysynth.models.augment import augment_lightly
from raysynth.models.blocks import CONVOLUTIONS, BatchNorm, ResidualBlock, lay_out
from raysynth.models.context import Context
from raysynth.models.family import Metrics, Model, TrainingConfig
from raysynth.models.optimizers import AdamW


class ClassifierNetwork(nn.Module):
    """Stem of side 5 and stride 2, residual blocks of stride 2, global pool, dropout, linear.

    For images (C, H, W), where the first block has stride 1, or volumes (C, D, H, W), by `shape`. `forward` maps
    (N, *shape) float in [-1, 1] to logits (N, num_classes); `features` to the pooled features (N, widths[-1]) before
    dropout.
    """

    def __init__(self, shape: tuple[int, ...], num_classes: int, widths: tuple[int, ...], dropout: float) -> None:
        super().__init__()
        dimensions = len(shape) - 1
        self.stem = nn.Sequential(
            CONVOLUTIONS[dimensions](shape[0], widths[0], 5, 2, 2, bias=False), BatchNorm(widths[0]), nn.ReLU()
        )
        strides, side = [], -(-min(shape[1:]) // 2)
        for level in range(len(widths)):
            # A first block at half the side would be nearly all of a volume's cost; one voxel cannot be halved.
            strides.append(1 if side == 1 or (level == 0 and dimensions == 2) else 2)
            side = -(-side // strides[-1])
        self.blocks = nn.Sequential(
            *[
                ResidualBlock(before, after, stride=stride, dimensions=dimensions)
                for before, after, stride in zip((widths[0], *widths), widths, strides, strict=False)
            ]
        )
        self.dropout = nn.Dropout(dropout)
        self.head = nn.Linear(widths[-1], num_classes)

    def features(self, images: Tensor) -> Tensor:
        return self.blocks(self.stem(images)).mean(tuple(range(2, images.ndim)))

    def forward(self, images: Tensor) -> Tensor:
        return self.head(self.dropout(self.features(images)))


class Classifier(Model):
    """Cross-entropy with label smoothing, AdamW on a one-cycle schedule over `num_steps` steps, light augmentation."""

    class Config(TrainingConfig):
        num_steps: int = Field(default=1000, gt=0, description="optimiser steps in all: the schedule's length")
        widths: tuple[int, ...] = Field(default=(16, 32, 96, 160), description="channels of the residual blocks")
        dropout: float = Field(default=0.2, ge=0, lt=1, description="share of pooled features dropped")
        learning_rate: float = Field(default=3e-3, gt=0, description="peak learning rate")
        weight_decay: float = Field(default=0.05, ge=0, description="AdamW's weight decay")
        label_smoothing: float = Field(default=0.05, ge=0, lt=1, description="probability moved off the label")
        augment: bool = Field(default=True, description="light augmentation of the training images")

    config: Config

    def __init__(self, config: Config, *, shape: tuple[int, ...], num_classes: int, context: Context) -> None:
        super().__init__(config, shape=shape, num_classes=num_classes, context=context)
        torch.manual_seed(context.seed)
        network = ClassifierNetwork(shape, num_classes, config.widths, config.dropout)
        self.network = lay_out(network.to(context.device), len(shape) - 1)
        self.optimizer = AdamW(
            self.network.parameters(), lr=config.learning_rate, weight_decay=config.weight_decay, fused=True
        )
        total_steps = config.num_steps + 1
        self.schedule = torch.optim.lr_scheduler.OneCycleLR(
            self.optimizer,
            max_lr=config.learning_rate,
            total_steps=total_steps,
            pct_start=max(0.25, 2 / total_steps),  # of fewer than two steps up torch makes a division by zero
        )

    def train_step(self, images: Tensor, labels: Tensor) -> Metrics:
        self.network.train()
        if self.config.augment:
            images = augment_lightly(images, self.context)
        with self.context.autocast():
            logits = self.network(images)
        loss = F.cross_entropy(logits.float(), labels, label_smoothing=self.config.label_smoothing)
        self.context.step_optimizer(loss, self.optimizer)
        self.schedule.step()
        return {"loss": loss.detach(), "accuracy": (logits.argmax(1) == labels).float().mean()}

    @torch.no_grad()
    def validate(self, images: Tensor, labels: Tensor) -> Metrics:
        self.network.eval()
        with self.context.autocast():
            logits = self.network(images).float()
        return {
            "validation_loss": F.cross_entropy(logits, labels),
            "validation_accuracy": (logits.argmax(1) == labels).float().mean(),
        }

    def state_dict(self) -> dict[str, Any]:
        return {
            "network": self.network.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "schedule": self.schedule.state_dict(),
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.network.load_state_dict(state["network"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.schedule.load_state_dict(state["schedule"])
