"""Generators: a latent vector and, where the network is given one, a label in; an image or a volume out."""

from __future__ import annotations

import itertools
import math
from typing import Literal

import torch
from torch import Tensor, nn

from raysynth.errors import UserError
from raysynth.models.blocks import CONVOLUTIONS, TRANSPOSED_CONVOLUTIONS, BatchNorm

Upsampling = Literal["transposed", "upsample"]
FIRST_SIDE = 4  # pixels of the first feature map


def num_doublings(shape: tuple[int, ...]) -> int:
    """How often 4 pixels are doubled to the side of images (C, H, W) or volumes (C, D, H, W).

    Raises UserError unless an image is square with a side of 8, 16, 32, ... 256, and a volume a cube of 16, 32 or 64.
    """
    sides = shape[1:]
    doublings = round(math.log2(sides[-1] / FIRST_SIDE)) if sides[-1] >= FIRST_SIDE else 0
    fits = len(set(sides)) == 1 and sides[-1] == FIRST_SIDE * 2**doublings
    size = " x ".join(map(str, sides))
    if len(sides) == 3 and not (fits and 2 <= doublings <= 4):
        raise UserError(
            f"--data: volumes of {size} voxels; this family needs cubes of 16, 32 or 64: import again with --size 32"
        )
    if len(sides) == 2 and not (fits and 1 <= doublings <= 6):
        raise UserError(
            f"--data: images of {size} pixels; this family needs squares of 8, 16, 32, 64, "
            "128 or 256: import again with --size 64"
        )
    return doublings


class Generator(nn.Module):
    """Latents (N, latent_dim), and labels (N,) unless `num_classes` is None, to images or volumes in (-1, 1).

    A label's embedding is concatenated to the latent; a dense layer makes a map of 4 pixels a side, which is doubled
    until it has the image's side: by `transposed` convolutions + BatchNorm + LeakyReLU (the study's generator 1), or by
    nearest `upsample` + convolution + BatchNorm + LeakyReLU (its generator 2). Channels halve at each doubling and end
    at `width`. The number of dimensions is that of `shape`: (C, H, W) or (C, D, H, W).
    """

    def __init__(
        self, *, latent_dim: int, num_classes: int | None, shape: tuple[int, ...], width: int, upsampling: Upsampling
    ) -> None:
        super().__init__()
        doublings, self.num_dims = num_doublings(shape), len(shape) - 1
        channels = [min(width * 2 ** (doublings - 1 - level), width * 8) for level in range(doublings)]
        num_inputs = latent_dim
        self.label_embedding: nn.Embedding | None = None
        if num_classes is not None:
            self.label_embedding = nn.Embedding(num_classes, latent_dim)
            num_inputs += latent_dim
        self.dense = nn.Linear(num_inputs, channels[0] * FIRST_SIDE**self.num_dims, bias=False)
        self.first = nn.Sequential(BatchNorm(channels[0]), nn.LeakyReLU(0.2))
        layers: list[nn.Module] = []
        for before, after in itertools.pairwise(channels):
            layers += [*self._doubling(before, after, upsampling), BatchNorm(after), nn.LeakyReLU(0.2)]
        layers += [*self._doubling(channels[-1], shape[0], upsampling, bias=True), nn.Tanh()]
        self.layers = nn.Sequential(*layers)
        _initialise(self)

    def _doubling(self, before: int, after: int, upsampling: Upsampling, bias: bool = False) -> list[nn.Module]:
        if upsampling == "transposed":
            return [TRANSPOSED_CONVOLUTIONS[self.num_dims](before, after, 4, 2, 1, bias=bias)]
        return [nn.Upsample(scale_factor=2), CONVOLUTIONS[self.num_dims](before, after, 3, 1, 1, bias=bias)]

    def forward(self, latents: Tensor, labels: Tensor | None = None) -> Tensor:
        inputs = latents
        if self.label_embedding is not None:
            inputs = torch.cat([latents, self.label_embedding(labels)], 1)
        features = self.dense(inputs)
        images: Tensor = self.layers(self.first(features.unflatten(1, (-1, *[FIRST_SIDE] * self.num_dims))))
        return images


def _initialise(network: nn.Module) -> None:
    """Convolutions from N(0, 0.02), as in DCGAN (Radford et al. 2016), which these stacks descend from."""
    kinds = (*CONVOLUTIONS.values(), *TRANSPOSED_CONVOLUTIONS.values(), nn.Linear)
    for module in network.modules():
        if isinstance(module, kinds):
            nn.init.normal_(module.weight, 0.0, 0.02)
            if module.bias is not None:
                nn.init.zeros_(module.bias)
