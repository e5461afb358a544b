"""Generators: a latent vector and a label in, an image out."""

from __future__ import annotations

import itertools
import math
from typing import Literal

import torch
from torch import Tensor, nn

from raysynth.errors import UserError
from raysynth.models.blocks import BatchNorm

Upsampling = Literal["transposed", "upsample"]
FIRST_SIDE = 4  # pixels of the first feature map


def num_doublings(shape: tuple[int, ...]) -> int:
    """How often 4 pixels are doubled to the side of images (C, H, W).

    Raises UserError unless the image is square with a side of 8, 16, 32, ... 256.
    """
    side = shape[-1]
    doublings = round(math.log2(side / FIRST_SIDE)) if side >= FIRST_SIDE else 0
    if len(shape) != 3 or shape[1] != side or side != FIRST_SIDE * 2**doublings or not 1 <= doublings <= 6:
        raise UserError(
            f"--data: images of {' x '.join(map(str, shape[1:]))} pixels; this family needs squares of 8, 16, 32, 64, "
            "128 or 256: import again with --size 64"
        )
    return doublings


class ConditionalGenerator(nn.Module):
    """Latents (N, latent_dim) and labels (N,) to images (N, C, H, W) in (-1, 1).

    The label's embedding is concatenated to the latent; a dense layer makes a 4 x 4 map, which is doubled until it has
    the image's side: by `transposed` convolutions + BatchNorm + LeakyReLU (the study's generator 1), or by nearest
    `upsample` + Conv2D + BatchNorm + LeakyReLU (its generator 2). Channels halve at each doubling and end at `width`.
    """

    def __init__(
        self, *, latent_dim: int, num_classes: int, shape: tuple[int, ...], width: int, upsampling: Upsampling
    ) -> None:
        super().__init__()
        doublings = num_doublings(shape)
        channels = [min(width * 2 ** (doublings - 1 - level), width * 8) for level in range(doublings)]
        self.label_embedding = nn.Embedding(num_classes, latent_dim)
        self.dense = nn.Linear(2 * latent_dim, channels[0] * FIRST_SIDE**2, bias=False)
        self.first = nn.Sequential(BatchNorm(channels[0]), nn.LeakyReLU(0.2))
        layers: list[nn.Module] = []
        for before, after in itertools.pairwise(channels):
            layers += [*_doubling(before, after, upsampling), BatchNorm(after), nn.LeakyReLU(0.2)]
        layers += [*_doubling(channels[-1], shape[0], upsampling, bias=True), nn.Tanh()]
        self.layers = nn.Sequential(*layers)
        _initialise(self)

    def forward(self, latents: Tensor, labels: Tensor) -> Tensor:
        features = self.dense(torch.cat([latents, self.label_embedding(labels)], 1))
        return self.layers(self.first(features.view(len(latents), -1, FIRST_SIDE, FIRST_SIDE)))


def _doubling(before: int, after: int, upsampling: Upsampling, bias: bool = False) -> list[nn.Module]:
    if upsampling == "transposed":
        return [nn.ConvTranspose2d(before, after, 4, 2, 1, bias=bias)]
    return [nn.Upsample(scale_factor=2), nn.Conv2d(before, after, 3, 1, 1, bias=bias)]


def _initialise(network: nn.Module) -> None:
    """Convolutions from N(0, 0.02), as in DCGAN (Radford et al. 2016), which these stacks descend from."""
    for module in network.modules():
        if isinstance(module, (nn.Conv2d, nn.ConvTranspose2d, nn.Linear)):
            nn.init.normal_(module.weight, 0.0, 0.02)
            if module.bias is not None:
                nn.init.zeros_(module.bias)
