"""A small U-Net (Ronneberger et al. 2015) that is told a time and a label, after those of diffusion models (Ho et al.
2020; Dhariwal & Nichol 2021), its stem a pixel-unshuffle: convolutions at the image's own side cost most and say least.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from raysynth.models.flow_matching import NUM_TIME_FEATURES, embed_times

NUM_GROUPS = 8  # of group normalisation
SMALLEST_SIDE = 8  # of features


class UNet(nn.Module):
    """Images (N, C, H, W), times (N,) in [0, 1] and labels (N,), `num_classes` standing for none, to velocities
    (N, C, H, W). Squares of `patch` pixels become channels; features of `width` channels there and twice as many at
    each half of that side, down to 8; attention there. With `num_changes` it is told how images were changed,
    (N, num_changes), if they were."""

    def __init__(
        self,
        *,
        shape: tuple[int, ...],
        num_classes: int,
        width: int,
        num_blocks: int,
        patch: int = 2,
        num_changes: int = 0,
    ) -> None:
        super().__init__()
        num_conditions = 4 * width
        self.time = nn.Sequential(
            nn.Linear(NUM_TIME_FEATURES, num_conditions), nn.SiLU(), nn.Linear(num_conditions, num_conditions)
        )
        self.label_embedding = nn.Embedding(num_classes + 1, num_conditions)
        self.changes = nn.Linear(num_changes, num_conditions, bias=False) if num_changes else None
        self.patch = patch
        num_levels = max(1, (shape[-1] // patch // SMALLEST_SIDE).bit_length())  # 64 pixels: features of 32, 16 and 8
        channels = [width * min(2**level, 4) for level in range(num_levels)]
        self.from_image = nn.Conv2d(patch**2 * shape[0], width, 3, 1, 1)

        self.down = nn.ModuleList()
        kept = [width]  # channels of what the way up is handed
        before = width
        for level, after in enumerate(channels):
            for _ in range(num_blocks):
                self.down.append(_Block(before, after, num_conditions))
                kept.append(after)
                before = after
            if level < num_levels - 1:
                self.down.append(_Halve(before))
                kept.append(before)
        self.middle = nn.ModuleList(
            [_Block(before, before, num_conditions), _Attention(before), _Block(before, before, num_conditions)]
        )
        self.up = nn.ModuleList()
        for level, after in reversed(list(enumerate(channels))):
            for _ in range(num_blocks + 1):
                self.up.append(_Block(before + kept.pop(), after, num_conditions))
                before = after
            if level > 0:
                self.up.append(_Double(before))
        self.norm = nn.GroupNorm(NUM_GROUPS, before)
        self.to_image = nn.Conv2d(before, patch**2 * shape[0], 3, 1, 1)
        nn.init.normal_(self.to_image.weight, 0.0, 0.1 / (9 * before) ** 0.5)  # hardly anything at first

    def forward(self, images: Tensor, times: Tensor, labels: Tensor, changes: Tensor | None = None) -> Tensor:
        conditions = self.time(embed_times(times)) + self.label_embedding(labels)
        if changes is not None:
            assert self.changes is not None, "built without num_changes"
            conditions = conditions + self.changes(changes)
        conditions = F.silu(conditions)
        features = self.from_image(F.pixel_unshuffle(images, self.patch))
        kept = [features]
        for layer in self.down:
            features = layer(features, conditions)
            kept.append(features)
        for layer in self.middle:
            features = layer(features, conditions)
        for layer in self.up:
            if isinstance(layer, _Block):
                features = torch.cat([features, kept.pop()], 1)
            features = layer(features, conditions)
        return F.pixel_shuffle(self.to_image(F.silu(self.norm(features))), self.patch)


class _Block(nn.Module):
    """A residual block whose second normalisation is scaled and shifted by the conditions."""

    def __init__(self, before: int, after: int, num_conditions: int) -> None:
        super().__init__()
        self.norm1 = nn.GroupNorm(NUM_GROUPS, before)
        self.conv1 = nn.Conv2d(before, after, 3, 1, 1)
        self.modulation = nn.Linear(num_conditions, 2 * after)
        self.norm2 = nn.GroupNorm(NUM_GROUPS, after, affine=False)
        self.conv2 = nn.Conv2d(after, after, 3, 1, 1)
        self.shortcut = nn.Conv2d(before, after, 1) if before != after else nn.Identity()
        nn.init.zeros_(self.conv2.weight)

    def forward(self, features: Tensor, conditions: Tensor) -> Tensor:
        hidden = self.norm2(self.conv1(F.silu(self.norm1(features))))
        scale, shift = self.modulation(conditions)[:, :, None, None].chunk(2, 1)
        out: Tensor = self.shortcut(features) + self.conv2(F.silu(hidden * (1 + scale) + shift))
        return out


class _Attention(nn.Module):
    """Self-attention of one head over all places (Wang et al. 2018)."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.norm = nn.GroupNorm(NUM_GROUPS, channels)
        self.queries_keys_values = nn.Conv2d(channels, 3 * channels, 1)
        self.out = nn.Conv2d(channels, channels, 1)
        nn.init.zeros_(self.out.weight)

    def forward(self, features: Tensor, conditions: Tensor) -> Tensor:
        rows = self.queries_keys_values(self.norm(features)).flatten(2).transpose(1, 2)  # (N, H * W, 3 C)
        attended = F.scaled_dot_product_attention(*rows.chunk(3, 2))
        out: Tensor = features + self.out(attended.transpose(1, 2).reshape(features.shape))
        return out


class _Halve(nn.Module):
    def __init__(self, channels: int) -> None:
        super().__init__()
        self.convolution = nn.Conv2d(channels, channels, 3, 2, 1)

    def forward(self, features: Tensor, conditions: Tensor) -> Tensor:
        out: Tensor = self.convolution(features)
        return out


class _Double(nn.Module):
    def __init__(self, channels: int) -> None:
        super().__init__()
        self.convolution = nn.Conv2d(channels, channels, 3, 1, 1)

    def forward(self, features: Tensor, conditions: Tensor) -> Tensor:
        out: Tensor = self.convolution(F.interpolate(features, scale_factor=2, mode="nearest"))
        return out
