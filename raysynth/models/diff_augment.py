"""Differentiable augmentation of what a critic sees, real and generated images alike (Zhao et al. 2020).

The generator's gradient flows through it, and since real images are changed in the same ways, the critic cannot learn
the changes as marks of real images; so few real images last longer before it knows them by heart.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Literal

import torch
from torch import Tensor

from raysynth.models.context import Context

Augmentation = Literal["translation", "cutout", "brightness", "contrast"]
BLACK = -1.0


def diff_augment(
    images: Tensor, context: Context, name: str, *, kinds: Sequence[Augmentation], strength: float
) -> Tensor:
    """Images (N, C, H, W) in [-1, 1], each changed in each of `kinds` with probability `strength`.

    Every draw comes from `context` under `name`. The result can be differentiated with respect to the images.
    """
    if strength <= 0:
        return images
    for kind in kinds:
        draws = context.uniform(f"{name} {kind}", len(images), 3)
        images = _CHANGES[kind](images, draws[:, 0] < strength, draws[:, 1:])
    return images


def _translate(images: Tensor, chosen: Tensor, draws: Tensor) -> Tensor:
    """Shift by up to an eighth of the side each way; black comes in."""
    for axis in (2, 3):
        side = images.shape[axis]
        reach = side // 8
        shifts = torch.where(chosen, (draws[:, axis - 2] * (2 * reach + 1)).long() - reach, 0)
        places = torch.arange(side, device=images.device) + shifts[:, None]  # where each row or column comes from
        inside = (places >= 0) & (places < side)
        shape = [len(images), 1, 1, 1]
        shape[axis] = side
        moved = images.gather(axis, places.clamp(0, side - 1).view(shape).expand_as(images))
        images = torch.where(inside.view(shape), moved, BLACK)
    return images


def _cut_out(images: Tensor, chosen: Tensor, draws: Tensor) -> Tensor:
    """Grey over a square of half the side, anywhere, in part perhaps outside."""
    rows_and_columns = []
    for axis in (2, 3):
        side = images.shape[axis]
        places = torch.arange(side, device=images.device)
        centres = (draws[:, axis - 2] * side).floor()[:, None]
        rows_and_columns.append((places >= centres - side // 4) & (places < centres + side // 4))
    rows, columns = rows_and_columns
    covered = rows[:, None, :, None] & columns[:, None, None, :] & chosen[:, None, None, None]
    return torch.where(covered, 0.0, images)


def _brighten(images: Tensor, chosen: Tensor, draws: Tensor) -> Tensor:
    """Add -0.25 to 0.25."""
    return images + torch.where(chosen, (draws[:, 0] - 0.5) / 2, 0.0)[:, None, None, None]


def _stretch_contrast(images: Tensor, chosen: Tensor, draws: Tensor) -> Tensor:
    """Multiply the distance from each image's mean by 0.5 to 1.5."""
    means = images.mean((1, 2, 3), keepdim=True)
    return images + (images - means) * torch.where(chosen, draws[:, 0] - 0.5, 0.0)[:, None, None, None]


_CHANGES: dict[str, Callable[[Tensor, Tensor, Tensor], Tensor]] = {
    "translation": _translate,
    "cutout": _cut_out,
    "brightness": _brighten,
    "contrast": _stretch_contrast,
}
