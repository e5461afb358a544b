"""Networks that tell the velocity of latents: dense, or a small U-Net where latents are a grid."""

from __future__ import annotations

from torch import Tensor, nn

from raysynth.models.flow_matching import NUM_TIME_FEATURES, embed_times
from raysynth.models.unet import UNet


class VelocityNetwork(nn.Module):
    """Points (N, D), times (N,) in [0, 1] and labels (N,), `num_classes` standing for none, to velocities (N, D).

    Residual blocks of two dense layers, scaled and shifted by time and label (as in Perez et al. 2018).
    """

    def __init__(self, *, num_latents: int, num_classes: int, width: int, num_blocks: int) -> None:
        super().__init__()
        self.label_embedding = nn.Embedding(num_classes + 1, width)
        self.time = nn.Sequential(nn.Linear(NUM_TIME_FEATURES, width), nn.SiLU(), nn.Linear(width, width))
        self.first = nn.Linear(num_latents, width)
        self.blocks = nn.ModuleList(_DenseBlock(width) for _ in range(num_blocks))
        self.norm = nn.LayerNorm(width)
        self.last = nn.Linear(width, num_latents)
        nn.init.zeros_(self.last.weight)
        nn.init.zeros_(self.last.bias)

    def forward(self, points: Tensor, times: Tensor, labels: Tensor) -> Tensor:
        conditions = self.time(embed_times(times)) + self.label_embedding(labels)
        features = self.first(points)
        for block in self.blocks:
            features = block(features, conditions)
        velocities: Tensor = self.last(self.norm(features))
        return velocities


class _DenseBlock(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(width, elementwise_affine=False)
        self.modulation = nn.Linear(width, 2 * width)
        self.layers = nn.Sequential(nn.Linear(width, width), nn.SiLU(), nn.Linear(width, width))
        nn.init.zeros_(self.modulation.weight)
        nn.init.zeros_(self.modulation.bias)

    def forward(self, features: Tensor, conditions: Tensor) -> Tensor:
        scale, shift = self.modulation(nn.functional.silu(conditions)).chunk(2, 1)
        out: Tensor = features + self.layers(self.norm(features) * (1 + scale) + shift)
        return out


class GridVelocityNetwork(nn.Module):
    """The same by a small U-Net over latents that are a grid (C, H, W), laid out as a vector (N, C * H * W)."""

    def __init__(self, *, grid: tuple[int, ...], num_classes: int, width: int, num_blocks: int) -> None:
        super().__init__()
        self.grid = grid
        self.network = UNet(shape=grid, num_classes=num_classes, width=width, num_blocks=num_blocks, patch=1)

    def forward(self, points: Tensor, times: Tensor, labels: Tensor) -> Tensor:
        velocities: Tensor = self.network(points.unflatten(1, self.grid), times, labels).flatten(1)
        return velocities
