"""Augmentation that a generator is told of, so that it does not come to draw it (Karras et al. 2022, app. F.2).

Images are changed, and the network is given the changes as numbers; asked for an image with none, it draws none. So a
small data set lasts longer before it is known by heart.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from raysynth.models.context import Context

NUM_CHANGES = 5  # numbers that tell of them: mirror, turn, scale, shift left, shift up; 0 is none
LARGEST_TURN, LARGEST_SCALE, LARGEST_SHIFT = 0.15, 0.08, 0.12  # rad; share; of the half side


def augment_and_tell(images: Tensor, context: Context, probability: float) -> tuple[Tensor, Tensor]:
    """Images (N, C, H, W), each mirrored, turned, scaled and shifted with `probability` each, and what was done,
    (N, NUM_CHANGES) in [-1, 1]. Every draw comes from `context`."""
    draws = context.uniform("told augmentation", len(images), NUM_CHANGES + 4)
    amounts, chances = draws[:, :NUM_CHANGES] * 2 - 1, draws[:, NUM_CHANGES:]
    amounts[:, 0] = 1.0  # mirrored or not
    chosen = (chances < probability)[:, [0, 1, 2, 3, 3]]
    changes = amounts * chosen
    mirror, turn, scale, *shift = changes.unbind(1)
    angles, sizes = turn * LARGEST_TURN, 1 + scale * LARGEST_SCALE
    across = torch.stack([angles.cos(), angles.sin()], 1) * (sizes * (1 - 2 * mirror))[:, None]
    down = torch.stack([-angles.sin(), angles.cos()], 1) * sizes[:, None]
    linear = torch.stack([across, down], 2)
    affine = torch.cat([linear, torch.stack(shift, 1)[:, :, None] * LARGEST_SHIFT], 2)
    grid = F.affine_grid(affine, list(images.shape), align_corners=False)
    moved = F.grid_sample(images, grid, padding_mode="border", align_corners=False)
    return torch.where(chosen.any(1)[:, None, None, None], moved, images), changes
