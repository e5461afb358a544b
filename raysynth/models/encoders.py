"""Encoders: an image and, where the network is given one, a label in; the mean and log-variance of a latent out."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from raysynth.models.blocks import BatchNorm
from raysynth.models.generators import num_doublings

EncoderName = Literal["conv3", "conv6", "grid"]  # grid: see `grids.py`
LOG_VARIANCES = (-12.0, 12.0)  # beyond which a float32 exponential says nothing more


class Convolution(NamedTuple):
    """A convolution of side 3 + BatchNorm + LeakyReLU, to `multiple` times the width; stride 2 halves the side."""

    multiple: int
    stride: int = 1


class Pooling(NamedTuple):
    """Max pooling of 2 x 2, which halves the side."""


# The study's encoders, and what a dense layer follows.
ENCODERS: dict[EncoderName, tuple[Convolution | Pooling, ...]] = {
    "conv3": (Convolution(1, 2), Convolution(2, 2), Convolution(4, 2)),
    "conv6": (
        *(Convolution(1), Convolution(1), Pooling()),
        *(Convolution(2), Convolution(2), Pooling()),
        *(Convolution(4), Convolution(4), Pooling()),
    ),
}


class Encoder(nn.Module):
    """Images (N, C, H, W), and labels (N,) unless `num_classes` is None, to means and log-variances (N, latent_dim).

    `layers` say what stands before the dense layer; the label, one-hot, is concatenated to its flattened input.
    """

    def __init__(
        self,
        layers: Sequence[Convolution | Pooling],
        *,
        shape: tuple[int, ...],
        width: int,
        latent_dim: int,
        num_classes: int | None,
    ) -> None:
        super().__init__()
        num_doublings(shape)  # refuses other sides than those of every family
        self.num_classes = num_classes
        channels, side = shape[0], shape[-1]
        modules: list[nn.Module] = []
        for layer in layers:
            if isinstance(layer, Pooling):
                modules.append(nn.MaxPool2d(2))
                side //= 2
            else:
                after = width * layer.multiple
                modules += [nn.Conv2d(channels, after, 3, layer.stride, 1, bias=False), BatchNorm(after)]
                modules.append(nn.LeakyReLU(0.2))
                channels, side = after, side // layer.stride
        self.layers = nn.Sequential(*modules)
        self.dense = nn.Linear(channels * side**2 + (num_classes or 0), 2 * latent_dim)

    def forward(self, images: Tensor, labels: Tensor | None = None) -> tuple[Tensor, Tensor]:
        features = self.layers(images).flatten(1)
        mean, log_variance = self.dense(with_label(features, labels, self.num_classes)).chunk(2, 1)
        return mean, log_variance.clamp(*LOG_VARIANCES)


def with_label(features: Tensor, labels: Tensor | None, num_classes: int | None) -> Tensor:
    """Features (N, F) and one-hot labels side by side, (N, F + num_classes); as they are for `num_classes` None."""
    if num_classes is None or labels is None:
        return features
    return torch.cat([features, F.one_hot(labels, num_classes).to(features.dtype)], 1)
