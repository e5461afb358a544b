"""Deep stacks of convolutional blocks after VGG (Simonyan & Zisserman 2015): an encoder, and a decoder as its mirror.

`depth` blocks of a convolution of side 3, batch normalisation and LeakyReLU stand at sides from the image's down to 8,
as evenly as they go. `links` are what else carries features: `residual` adds a block's input to its output (He et al.
2016); `skip` hands the decoder a few channels of the encoder at each side below the image's.

Features handed over as they are would leave nothing to sample. They are latents as well, each with its own mean and
variance, and stand behind the `latent_dim` numbers in one vector: what is asked of a latent is asked of them.
"""

from __future__ import annotations

from typing import Any, Literal

import torch
from pydantic import Field
from torch import Tensor, nn

from raysynth.config import Config
from raysynth.errors import UserError
from raysynth.models.blocks import BatchNorm
from raysynth.models.encoders import LOG_VARIANCES, with_label
from raysynth.models.generators import FIRST_SIDE, num_doublings

Links = Literal["none", "skip", "residual"]
SKIP_CHANNELS = 2  # latent channels handed over at each side


class StackConfig(Config):
    """What both stacks are built by."""

    depth: int = Field(default=13, gt=0, description="convolutional blocks in each network; the study's 13, 16, 19")
    links: Links = Field(default="none", description="what carries features past blocks or across to the decoder")
    latent_dim: int = Field(default=256, gt=0, description="numbers in a latent vector; the study's 256, 512")
    width: int = Field(default=8, gt=0, description="channels at the image's side, eight times as many at the end")


def blocks_of_stages(depth: int, num_stages: int) -> list[int]:
    """`depth` blocks over stages from the image's side down, the later ones having more where it does not divide."""
    return [depth * (stage + 1) // num_stages - depth * stage // num_stages for stage in range(num_stages)]


class Block(nn.Module):
    """Convolution of side 3 + BatchNorm + LeakyReLU; `residual` adds the input, of as many channels, before it."""

    def __init__(self, in_channels: int, out_channels: int, *, residual: bool) -> None:
        super().__init__()
        self.convolution = nn.Conv2d(in_channels, out_channels, 3, 1, 1, bias=False)
        self.norm = BatchNorm(out_channels)
        self.activation = nn.LeakyReLU(0.2)
        self.residual = residual and in_channels == out_channels
        nn.init.kaiming_normal_(self.convolution.weight, a=0.2)

    def forward(self, features: Tensor) -> Tensor:
        hidden = self.norm(self.convolution(features))
        out: Tensor = self.activation(hidden + features if self.residual else hidden)
        return out


class StackSizes:
    """The sides, channels and blocks of a stack's stages, from the image's side down, and the latent numbers that a
    skip link hands over at each."""

    def __init__(self, config: StackConfig, shape: tuple[int, ...]) -> None:
        stages = num_doublings(shape)
        if config.depth < stages:
            raise UserError(f"depth={config.depth}: images of {shape[-1]} pixels a side need at least {stages} blocks")
        self.sides = [shape[-1] // 2**stage for stage in range(stages)]
        self.channels = [config.width * min(2**stage, 8) for stage in range(stages)]
        self.blocks = blocks_of_stages(config.depth, stages)
        handed = [SKIP_CHANNELS * side**2 if side < shape[-1] else 0 for side in self.sides]
        self.num_skips = handed if config.links == "skip" else [0] * stages


class StackEncoder(nn.Module):
    """Images (N, C, H, W), and labels (N,) unless `num_classes` is None, to means and log-variances (N, L), L being
    `latent_dim` and, with skip links, the numbers of all that is handed over."""

    def __init__(self, config: StackConfig, *, shape: tuple[int, ...], num_classes: int | None) -> None:
        super().__init__()
        sizes, residual, latent_dim = StackSizes(config, shape), config.links == "residual", config.latent_dim
        self.num_classes = num_classes
        self.stages = nn.ModuleList()
        self.skips = nn.ModuleList()
        before = shape[0]
        for channels, num_blocks, num_skips in zip(sizes.channels, sizes.blocks, sizes.num_skips, strict=True):
            self.stages.append(_stage(before, channels, num_blocks, residual=residual))
            self.skips.append(nn.Conv2d(channels, 2 * SKIP_CHANNELS, 1) if num_skips else nn.Identity())
            before = channels
        self.num_skips = sizes.num_skips
        self.pool = nn.MaxPool2d(2)
        self.dense = nn.Linear(before * FIRST_SIDE**2 + (num_classes or 0), 2 * latent_dim)

    def forward(self, images: Tensor, labels: Tensor | None = None) -> tuple[Tensor, Tensor]:
        features, handed = images, []
        for stage, skip, num_skips in zip(self.stages, self.skips, self.num_skips, strict=True):
            features = stage(features)
            if num_skips:
                handed.append(skip(features).flatten(2).chunk(2, 1))
            features = self.pool(features)
        vector = self.dense(with_label(features.flatten(1), labels, self.num_classes)).chunk(2, 1)
        mean, log_variance = (
            torch.cat([vector[part], *(pair[part].flatten(1) for pair in handed)], 1) for part in (0, 1)
        )
        return mean, log_variance.clamp(*LOG_VARIANCES)


class StackDecoder(nn.Module):
    """Latents (N, L), and labels (N,) unless `num_classes` is None, to logits of pixels (N, C, H, W)."""

    def __init__(self, config: StackConfig, *, shape: tuple[int, ...], num_classes: int | None) -> None:
        super().__init__()
        sizes, residual, latent_dim = StackSizes(config, shape), config.links == "residual", config.latent_dim
        self.num_classes, self.latent_dim = num_classes, latent_dim
        self.sides, self.num_skips = sizes.sides, sizes.num_skips
        before = sizes.channels[-1]
        self.dense = nn.Linear(latent_dim + (num_classes or 0), before * FIRST_SIDE**2)
        self.first = nn.Unflatten(1, (before, FIRST_SIDE, FIRST_SIDE))
        self.stages = nn.ModuleList()
        for stage in reversed(range(len(sizes.sides))):
            channels, taken = sizes.channels[stage], SKIP_CHANNELS if sizes.num_skips[stage] else 0
            self.stages.append(_stage(before + taken, channels, sizes.blocks[stage], residual=residual))
            before = channels
        self.enlarge = nn.Upsample(scale_factor=2, mode="nearest")
        self.to_image = nn.Conv2d(before, shape[0], 3, 1, 1)

    def forward(self, latents: Tensor, labels: Tensor | None = None) -> Tensor:
        vector, *handed = latents.split([self.latent_dim, *filter(None, self.num_skips)], 1)
        features = self.first(self.dense(with_label(vector, labels, self.num_classes)))
        for place, stage in enumerate(self.stages):
            level = len(self.stages) - 1 - place
            features = self.enlarge(features)
            if self.num_skips[level]:
                skip = handed.pop().unflatten(1, (SKIP_CHANNELS, self.sides[level], self.sides[level]))
                features = torch.cat([features, skip], 1)
            features = stage(features)
        logits: Tensor = self.to_image(features)
        return logits


def _stage(before: int, channels: int, num_blocks: int, *, residual: bool) -> nn.Sequential:
    sizes: list[Any] = [(before if place == 0 else channels, channels) for place in range(num_blocks)]
    return nn.Sequential(*(Block(*size, residual=residual) for size in sizes))
