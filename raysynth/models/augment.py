"""Seeded augmentation of a batch of images or volumes for classifiers."""

from __future__ import annotations

import math
from functools import reduce

import torch
import torch.nn.functional as F
from torch import Tensor

from raysynth.models.context import Context

# The planes that are turned, by the number of dimensions; axis 0 is the width, as `affine_grid` has it.
PLANES = {2: ((0, 1),), 3: ((0, 1), (0, 2), (1, 2))}


def augment_lightly(images: Tensor, context: Context) -> Tensor:
    """Flip left-right, rotate by up to 0.15 rad, scale 8 %, shift 6 %, vary contrast, brightness and gamma a little.

    Images are (N, C, H, W) or (N, C, D, H, W) float in [-1, 1]; volumes are turned about each of their three axes.
    Every draw comes from `context`.
    """
    dimensions = images.ndim - 2
    planes = PLANES[dimensions]
    draws = context.uniform("augment", len(images), 5 + len(planes) + dimensions) * 2 - 1  # each in [-1, 1)
    turns, scale, flip, shifts, tones = draws.split([len(planes), 1, 1, dimensions, 3], 1)
    turned = reduce(
        torch.matmul, [_rotations(turns[:, i] * 0.15, *plane, dimensions) for i, plane in enumerate(planes)]
    )
    linear = turned * (1 + scale * 0.08)[:, :, None]
    linear[:, :, 0] *= torch.where(flip > 0, 1.0, -1.0)
    affine = torch.cat([linear, shifts[:, :, None] * 0.12], 2)  # the grid spans [-1, 1]: 0.12 is 6 % of the side
    grid = F.affine_grid(affine, list(images.shape), align_corners=False)
    moved = F.grid_sample(images, grid, padding_mode="border", align_corners=False)
    unit = (moved + 1) / 2
    gamma, contrast, brightness = tones.view(-1, 3, *[1] * (images.ndim - 1)).unbind(1)
    unit = unit.clamp(1e-4, 1).pow(torch.exp(gamma * math.log(1.2))) * (1 + contrast * 0.15) + brightness * 0.05
    return unit.clamp(0, 1) * 2 - 1


def _rotations(angles: Tensor, first: int, second: int, dimensions: int) -> Tensor:
    """Rotations (N, dimensions, dimensions) by `angles` (N,) in the plane of two axes."""
    matrices = torch.eye(dimensions, device=angles.device).repeat(len(angles), 1, 1)
    matrices[:, first, first] = matrices[:, second, second] = torch.cos(angles)
    matrices[:, second, first] = torch.sin(angles)
    matrices[:, first, second] = -matrices[:, second, first]
    return matrices
