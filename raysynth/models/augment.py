"""Seeded augmentation of a batch of images for classifiers."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor

from raysynth.models.context import Context


def augment_lightly(images: Tensor, context: Context) -> Tensor:
    """Flip left-right, rotate by up to 0.15 rad, scale 8 %, shift 6 %, vary contrast, brightness and gamma a little.

    Images are (N, C, H, W) float in [-1, 1]; every draw comes from `context`.
    """
    num_images = len(images)
    draws = context.uniform("augment", num_images, 8) * 2 - 1  # each in [-1, 1)
    angle, scale = draws[:, 0] * 0.15, 1 + draws[:, 1] * 0.08
    flip = torch.where(draws[:, 2] > 0, 1.0, -1.0)
    cos, sin = torch.cos(angle) * scale, torch.sin(angle) * scale
    affine = torch.stack(
        [
            torch.stack([cos * flip, -sin, draws[:, 3] * 0.12], 1),  # the grid spans [-1, 1]: 0.12 is 6 % of the side
            torch.stack([sin * flip, cos, draws[:, 4] * 0.12], 1),
        ],
        1,
    )
    grid = F.affine_grid(affine, list(images.shape), align_corners=False)
    moved = F.grid_sample(images, grid, padding_mode="border", align_corners=False)
    unit = (moved + 1) / 2
    gamma = torch.exp(draws[:, 5] * math.log(1.2))[:, None, None, None]
    contrast = (1 + draws[:, 6] * 0.15)[:, None, None, None]
    brightness = (draws[:, 7] * 0.05)[:, None, None, None]
    unit = unit.clamp(1e-4, 1).pow(gamma) * contrast + brightness
    return unit.clamp(0, 1) * 2 - 1
