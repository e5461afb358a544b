"""An encoder and a decoder whose latent is a small image of its own, so that places stay places: residual blocks as in
`residual`, the label modulating each (latent grids: Rombach et al. 2022, sec. 3.1).

A latent vector of `latent_dim` numbers is a grid of an eighth of the image's side, latent_dim / (side / 8)^2 channels.
"""

from __future__ import annotations

import itertools

import torch.nn.functional as F
from torch import Tensor, nn

from raysynth.errors import UserError
from raysynth.models.encoders import LOG_VARIANCES
from raysynth.models.generators import num_doublings
from raysynth.models.residual import PlainResidualBlock, double

NUM_CONDITIONS = 32
HALVINGS = 3  # from the image's side to the grid's


def grid_channels(shape: tuple[int, ...], latent_dim: int) -> int:
    """Channels of the grid.

    Raises UserError when the numbers do not fill it.
    """
    num_doublings(shape)  # refuses other sides than those of every family
    side = shape[-1] // 2**HALVINGS
    places = side**2
    if latent_dim % places:
        raise UserError(
            f"latent_dim={latent_dim}: a grid of {side} x {side} takes a multiple "
            f"of {places}, e.g. --set latent_dim={places * max(1, round(latent_dim / places))}"
        )
    return latent_dim // places


class GridEncoder(nn.Module):
    """Images (N, C, H, W), and labels (N,) unless `num_classes` is None, to means and log-variances (N, latent_dim)."""

    def __init__(self, *, shape: tuple[int, ...], width: int, latent_dim: int, num_classes: int | None) -> None:
        super().__init__()
        channels = [width * 2**level for level in range(HALVINGS)]
        self.conditions = _Conditions(num_classes)
        self.from_image = nn.Conv2d(shape[0], channels[0], 4, 2, 1)
        self.blocks = nn.ModuleList(PlainResidualBlock(count, self.conditions.num) for count in channels)
        self.transitions = nn.ModuleList(nn.Conv2d(before, after, 1) for before, after in itertools.pairwise(channels))
        self.to_latent = nn.Conv2d(channels[-1], 2 * grid_channels(shape, latent_dim), 3, 1, 1)

    def forward(self, images: Tensor, labels: Tensor | None = None) -> tuple[Tensor, Tensor]:
        conditions = self.conditions(labels)
        features = self.from_image(images)
        for level, block in enumerate(self.blocks):
            if level > 0:
                features = self.transitions[level - 1](F.avg_pool2d(features, 2))
            features = block(features, conditions)
        mean, log_variance = self.to_latent(F.leaky_relu(features, 0.2)).chunk(2, 1)
        return mean.flatten(1), log_variance.flatten(1).clamp(*LOG_VARIANCES)


class GridDecoder(nn.Module):
    """Latents (N, latent_dim), and labels (N,) unless `num_classes` is None, to logits of pixels (N, C, H, W)."""

    def __init__(self, *, shape: tuple[int, ...], width: int, latent_dim: int, num_classes: int | None) -> None:
        super().__init__()
        side, depth = shape[-1] // 2**HALVINGS, grid_channels(shape, latent_dim)
        channels = [width * 2**level for level in reversed(range(HALVINGS))]
        self.conditions = _Conditions(num_classes)
        self.grid = nn.Unflatten(1, (depth, side, side))
        self.from_latent = nn.Conv2d(depth, channels[0], 3, 1, 1)
        self.blocks = nn.ModuleList(PlainResidualBlock(count, self.conditions.num) for count in channels)
        self.transitions = nn.ModuleList(nn.Conv2d(before, after, 1) for before, after in itertools.pairwise(channels))
        # At the image's own side two convolutions, without which fine lines come out as a pattern of the grid.
        self.before_image = nn.Conv2d(channels[-1], max(channels[-1] // 2, shape[0]), 3, 1, 1)
        self.to_image = nn.Conv2d(max(channels[-1] // 2, shape[0]), shape[0], 3, 1, 1)

    def forward(self, latents: Tensor, labels: Tensor | None = None) -> Tensor:
        conditions = self.conditions(labels)
        features = self.from_latent(self.grid(latents))
        for level, block in enumerate(self.blocks):
            if level > 0:
                features = double(self.transitions[level - 1](features))
            features = block(features, conditions)
        features = double(self.before_image(F.leaky_relu(features, 0.2)))
        logits: Tensor = self.to_image(F.leaky_relu(features, 0.2))
        return logits


class _Conditions(nn.Module):
    """What modulates the blocks: an embedding (N, NUM_CONDITIONS) of labels (N,); nothing without classes."""

    def __init__(self, num_classes: int | None) -> None:
        super().__init__()
        self.num = NUM_CONDITIONS if num_classes else 0
        self.embedding = nn.Embedding(num_classes, NUM_CONDITIONS) if num_classes else None

    def forward(self, labels: Tensor | None) -> Tensor | None:
        if self.embedding is None or labels is None:
            return None
        conditions: Tensor = self.embedding(labels)
        return conditions
