"""Residual networks without normalisation, generator and critic, after R3GAN (Huang et al. 2024, "The GAN is dead; long
live the GAN!", sec. 3): what it keeps of modern architectures, in a size for small images and few cores."""

from __future__ import annotations

import itertools
import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from raysynth.models.double_backward import Conv2d, leaky_relu
from raysynth.models.generators import FIRST_SIDE, num_doublings


def channels_by_side(shape: tuple[int, ...], width: int) -> list[int]:
    """Channels of the feature maps of 4, 8, ... pixels a side, up to half the image's side, which has `width`."""
    doublings = num_doublings(shape)
    return [min(width * 2 ** (doublings - 1 - level), width * 8) for level in range(doublings)]


class PlainResidualBlock(nn.Module):
    """x + conv(act(modulate(conv(act(x))))): two 3 x 3 convolutions, no normalisation, channels and side kept.

    The last convolution begins at zero, so that a deep stack begins as the identity and needs no normalisation (Fixup,
    Zhang et al. 2019). With `num_conditions`, conditions (N, num_conditions) scale and shift the hidden channels.
    """

    def __init__(self, channels: int, num_conditions: int = 0) -> None:
        super().__init__()
        self.conv1 = _he_normal(Conv2d(channels, channels, 3, 1, 1))
        self.conv2 = _he_normal(Conv2d(channels, channels, 3, 1, 1), gain=0.0)
        self.modulation: nn.Linear | None = None
        if num_conditions:
            self.modulation = nn.Linear(num_conditions, 2 * channels)
            nn.init.normal_(self.modulation.weight, 0.0, num_conditions**-0.5)
            nn.init.zeros_(self.modulation.bias)

    def forward(self, features: Tensor, conditions: Tensor | None = None) -> Tensor:
        hidden = self.conv1(leaky_relu(features))
        if self.modulation is not None:
            scale, shift = self.modulation(conditions)[:, :, None, None].chunk(2, 1)
            hidden = hidden * (1 + scale) + shift
        out: Tensor = features + self.conv2(leaky_relu(hidden))
        return out


class ResidualGenerator(nn.Module):
    """Latents (N, latent_dim) and labels (N,) to images (N, C, H, W), hardly beyond [-1, 1] and to be clipped to it.

    No tanh: on images that are mostly black it saturated within 60 steps for two seeds of three, and a saturated
    generator hears nothing more. Nor unbounded: a background that is exactly black was then drawn with noise about
    it, of another strength in each class, which a classifier learns in place of the head.

    The latent and the label's embedding, weighted by the buffer `conditioning` (0: the label is not seen), make a map
    of 4 x 4 and modulate every block. At each side up to half the image's stand `num_blocks` blocks; a 1 x 1
    convolution and bilinear resampling lead to the next. The image is drawn at its own side, by convolutions before and
    after the last resampling.
    """

    conditioning: Tensor

    def __init__(self, *, latent_dim: int, num_classes: int, shape: tuple[int, ...], width: int, num_blocks: int):
        super().__init__()
        channels = channels_by_side(shape, width)
        num_conditions = 2 * latent_dim
        self.register_buffer("conditioning", torch.ones(()))
        self.label_embedding = nn.Embedding(num_classes, latent_dim)
        self.dense = nn.Linear(num_conditions, channels[0] * FIRST_SIDE**2)
        nn.init.normal_(self.dense.weight, 0.0, num_conditions**-0.5)
        nn.init.zeros_(self.dense.bias)
        self.stages = nn.ModuleList(_stage(count, num_blocks, num_conditions) for count in channels)
        self.transitions = nn.ModuleList(
            _he_normal(Conv2d(before, after, 1), gain=0.7) for before, after in itertools.pairwise(channels)
        )
        num_last = max(channels[-1] // 2, shape[0])
        self.before_image = _he_normal(Conv2d(channels[-1], num_last, 3, 1, 1), gain=0.7)
        self.to_image = Conv2d(num_last, shape[0], 3, 1, 1)
        # More than variance 1, some of which the resampling took away: images of a class that differ from the start are
        # told apart, and learnt, sooner.
        nn.init.normal_(self.to_image.weight, 0.0, 1.4 / math.sqrt(9 * num_last))

    def forward(self, latents: Tensor, labels: Tensor) -> Tensor:
        conditions = torch.cat([latents, self.conditioning * self.label_embedding(labels)], 1)
        features = self.dense(conditions).unflatten(1, (-1, FIRST_SIDE, FIRST_SIDE))
        for level, stage in enumerate(self.stages):
            if level > 0:
                features = double(self.transitions[level - 1](features))
            for block in stage:  # type: ignore[attr-defined]
                features = block(features, conditions)
        return leaky_clip(self.to_image(leaky_relu(double(self.before_image(leaky_relu(features))))))


class ResidualCritic(nn.Module):
    """Images (N, C, H, W) and labels (N,) to scores (N,), unbounded, and logits (N, num_classes).

    The generator's mirror image: a strided convolution to half the side, blocks from there down to 4 pixels, average
    pooling between. The label enters by projection (Miyato & Koyama 2018), weighted by the buffer
    `conditioning`; the logits are an auxiliary classifier's (Odena et al. 2017) on the same features.
    """

    NUM_FEATURES = 128

    conditioning: Tensor

    def __init__(self, *, num_classes: int, shape: tuple[int, ...], width: int, num_blocks: int) -> None:
        super().__init__()
        channels = channels_by_side(shape, width)[::-1]
        self.register_buffer("conditioning", torch.ones(()))
        self.from_image = Conv2d(shape[0], channels[0], 4, 2, 1)
        nn.init.normal_(self.from_image.weight, 0.0, (16 * shape[0]) ** -0.5)
        self.transitions = nn.ModuleList(
            _he_normal(Conv2d(before, after, 1), gain=0.7) for before, after in itertools.pairwise(channels)
        )
        self.stages = nn.ModuleList(_stage(count, num_blocks) for count in channels)
        self.dense = _he_normal(nn.Linear(channels[-1] * FIRST_SIDE**2, self.NUM_FEATURES))
        self.score = nn.Linear(self.NUM_FEATURES, 1)
        self.label_embedding = nn.Embedding(num_classes, self.NUM_FEATURES)
        nn.init.normal_(self.label_embedding.weight, 0.0, self.NUM_FEATURES**-0.5)
        self.classify = nn.Linear(self.NUM_FEATURES, num_classes)

    def forward(self, images: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
        features = self.from_image(images)
        for level, stage in enumerate(self.stages):
            if level > 0:
                features = self.transitions[level - 1](F.avg_pool2d(features, 2))  # fewer numbers than pooled after it
            for block in stage:  # type: ignore[attr-defined]
                features = block(features)
        features = leaky_relu(self.dense(leaky_relu(features).flatten(1)))
        projection = (self.label_embedding(labels) * features).sum(1)
        scores: Tensor = self.score(features).squeeze(1) + self.conditioning * projection
        return scores, self.classify(features)


def leaky_clip(images: Tensor) -> Tensor:
    """`images` within [-1, 1]; beyond, a tenth of what is in excess, so that a gradient always finds its way."""
    clipped = images.clamp(-1, 1)
    return clipped + 0.1 * (images - clipped)


def _stage(channels: int, num_blocks: int, num_conditions: int = 0) -> nn.ModuleList:
    return nn.ModuleList(PlainResidualBlock(channels, num_conditions) for _ in range(num_blocks))


def double(features: Tensor) -> Tensor:
    """Features (N, C, H, W) at twice the side, bilinearly."""
    return F.interpolate(features, scale_factor=2, mode="bilinear", align_corners=False)


def _he_normal(layer: nn.Conv2d | nn.Linear, gain: float = 1.0) -> nn.Conv2d | nn.Linear:
    """Weights that keep the variance behind an activation (He et al. 2015), times `gain`; biases at zero."""
    num_inputs = layer.weight[0].numel()
    nn.init.normal_(layer.weight, 0.0, gain * math.sqrt(2 / (1 + 0.2**2) / num_inputs))
    if layer.bias is not None:
        nn.init.zeros_(layer.bias)
    return layer
