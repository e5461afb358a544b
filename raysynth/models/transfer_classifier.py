"""A classifier by transfer: a network pre-trained on ImageNet, its new head first, then all of it (the study's)."""

from __future__ import annotations

import math
from typing import Any

import torch
import torch.nn.functional as F
from pydantic import Field
from torch import Tensor, nn

from raysynth.errors import UserError
from raysynth.models.augment import augment_lightly
from raysynth.models.backbone import DEFAULT_BACKBONE, MAX_SIDE, MIN_SIDE, load_backbone
from raysynth.models.context import Context
from raysynth.models.family import Metrics, Model, Phase, TrainingConfig
from raysynth.models.once_per_image import OncePerImage
from raysynth.models.optimizers import AdamW

HEAD, FINE_TUNING = "head", "fine-tuning"
DEFAULT_INPUT_SIZE = 128  # pixels
# Share of a batch's statistics in those that normalisation uses to predict. EfficientNet's own 0.01 is for a hundred
# thousand steps: after some hundred the network would still see its images by ImageNet's.
NORM_MOMENTUM = 0.1
WARM_UP = 0.1  # share of a phase in which its learning rate rises


class TransferNetwork(nn.Module):
    """A backbone, dropout and a linear head: (N, C, H, W) float in [-1, 1] to logits (N, num_classes)."""

    def __init__(self, config: TransferClassifier.Config, num_classes: int, *, pretrained: bool) -> None:
        super().__init__()
        self.backbone = load_backbone(
            config.backbone, weights=config.weights, side=config.input_size, pretrained=pretrained
        )
        for module in self.backbone.modules():
            if isinstance(module, nn.BatchNorm2d):
                module.momentum = NORM_MOMENTUM
        self.dropout = nn.Dropout(config.dropout)
        self.head = nn.Linear(self.backbone.num_features, num_classes)

    def features(self, images: Tensor) -> Tensor:
        features: Tensor = self.backbone(images)
        return features

    def forward(self, images: Tensor) -> Tensor:
        return self.head(self.dropout(self.features(images)))


class TransferClassifier(Model):
    """Cross-entropy in two phases: the head on features that are computed once an image, then the whole network on
    augmented images at a lower rate. In each the rate rises over a tenth of it and falls as a cosine."""

    class Config(TrainingConfig):
        num_steps: int = Field(default=480, gt=0, description="optimiser steps in all")
        backbone: str = Field(default=DEFAULT_BACKBONE, description="pre-trained network; or torchvision's, by name")
        weights: str = Field(default="", description="file of the backbone's weights; default: the published ones")
        input_size: int = Field(
            default=DEFAULT_INPUT_SIZE, ge=MIN_SIDE, le=MAX_SIDE, description="pixels a side that images are resized to"
        )
        head_share: float = Field(default=0.2, gt=0, lt=1, description="share of the epochs that only train the head")
        dropout: float = Field(default=0.2, ge=0, lt=1, description="share of features dropped")
        head_rate: float = Field(default=3e-3, gt=0, description="peak learning rate of the head alone")
        learning_rate: float = Field(default=1e-3, gt=0, description="peak learning rate of the fine-tuning")
        weight_decay: float = Field(default=0.05, ge=0, description="AdamW's weight decay")
        label_smoothing: float = Field(default=0.05, ge=0, lt=1, description="probability moved off the label")
        augment: bool = Field(default=True, description="light augmentation of the images in the fine-tuning")

    config: Config

    def __init__(self, config: Config, *, shape: tuple[int, ...], num_classes: int, context: Context) -> None:
        """Raises UserError for data that are no images of one or three channels, and what `load_backbone` refuses."""
        super().__init__(config, shape=shape, num_classes=num_classes, context=context)
        check_shape(shape)
        torch.manual_seed(context.seed)
        self.network = TransferNetwork(config, num_classes, pretrained=True).to(context.device)
        self.features_once = OncePerImage(lambda images, labels: (self.network.features(images).float(),))
        self.optimizer = AdamW(
            self.network.parameters(), lr=config.learning_rate, weight_decay=config.weight_decay, fused=True
        )
        self.phase, self.span = HEAD, (0.0, config.head_share)

    def phases(self, num_epochs: int) -> list[Phase]:
        if num_epochs < 2:
            raise UserError(f"--epochs {num_epochs}: --classifier transfer has two phases; want 2 or more")
        num_head = min(max(1, round(self.config.head_share * num_epochs)), num_epochs - 1)
        return [Phase(HEAD, num_head), Phase(FINE_TUNING, num_epochs - num_head)]

    def start_phase(self, phase: Phase) -> None:
        head, fine_tuning = self.phases(self.context.num_epochs)
        end_of_head = head.num_epochs / (head.num_epochs + fine_tuning.num_epochs)
        self.phase = phase.name
        self.span = (0.0, end_of_head) if phase.name == HEAD else (end_of_head, 1.0)
        self.network.backbone.requires_grad_(phase.name == FINE_TUNING)

    def train_step(self, images: Tensor, labels: Tensor) -> Metrics:
        self._set_rate()
        with self.context.autocast():
            logits = self._head_logits(images, labels) if self.phase == HEAD else self._logits(images)
        loss = F.cross_entropy(logits.float(), labels, label_smoothing=self.config.label_smoothing)
        self.context.step_optimizer(loss, self.optimizer)
        return {"loss": loss.detach(), "accuracy": (logits.argmax(1) == labels).float().mean()}

    def _head_logits(self, images: Tensor, labels: Tensor) -> Tensor:
        self.network.eval()
        with torch.no_grad():
            (features,) = self.features_once(images, labels)
        self.network.train()
        logits: Tensor = self.network.head(self.network.dropout(features))
        return logits

    def _logits(self, images: Tensor) -> Tensor:
        self.network.train()
        if self.config.augment:
            images = augment_lightly(images, self.context)
        logits: Tensor = self.network(images)
        return logits

    def _set_rate(self) -> None:
        start, end = self.span
        done = min(1.0, max(0.0, (self.context.progress - start) / (end - start)))
        peak = self.config.head_rate if self.phase == HEAD else self.config.learning_rate
        rising = min(1.0, (done + 1e-3) / WARM_UP)
        for group in self.optimizer.param_groups:
            group["lr"] = peak * rising * (1 + math.cos(math.pi * done)) / 2

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
        return {"network": self.network.state_dict(), "optimizer": self.optimizer.state_dict()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.network.load_state_dict(state["network"])
        self.optimizer.load_state_dict(state["optimizer"])


def check_shape(shape: tuple[int, ...]) -> None:
    """Raise UserError for data that are no images (C, H, W) of one or three channels."""
    if len(shape) != 3 or shape[0] not in (1, 3):
        raise UserError(
            f"--classifier transfer: takes grey or colour images, not data of shape {' x '.join(map(str, shape))}; "
            "use --classifier cnn"
        )
