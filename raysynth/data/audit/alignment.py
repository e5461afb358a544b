"""Are two images the same picture? Align one to the other, then correlate their local contrast.

The alignment is an affine map, found from a first guess by Gauss-Newton steps on the squared difference of local
contrast (inverse compositional Lucas-Kanade: Baker and Matthews, "Lucas-Kanade 20 Years On", IJCV 2004). A copy that
was resized, cropped, mirrored or turned then lies on its original to a fraction of a pixel, and correlates; slices of
two patients do not, however alike their outlines are.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from raysynth.data.audit.appearance import blur, local_contrast
from raysynth.data.thumbnails import THUMBNAIL_SIZE

ALIGN_SIZE = 32
FIRST_STEPS, MORE_STEPS = 3, 5
MIN_FIRST_CORRELATION = 0.2  # at the first guess: below it no step leads anywhere
MIN_LATER_CORRELATION = 0.45  # after the first steps
MIN_OVERLAP = 0.35  # share of the frame that both images must cover
# The score compares detail of one to three pixels: coarser, heads of two patients are alike once they are aligned;
# finer, another encoder's noise counts.
FINE_BLUR, FINE_SIGMA = 0.5, 1.5
MAX_STEP = 0.15  # of the half frame, and as much in scale


@dataclass(frozen=True)
class Alignments:
    """One row a pair: `maps` (N, 2, 3) takes the frame of `a` to that of `b`; `score` is the correlation there.

    `score` is negative where one is the inverse of the other. `overlap` is the share of the frame of `a` in which
    both lie. Pairs that were given up early have the score 0.
    """

    maps: np.ndarray
    score: np.ndarray
    overlap: np.ndarray


def align(a: np.ndarray, b: np.ndarray, maps: Tensor, sign: Tensor) -> Alignments:
    """Align thumbnails `b` to `a` (N, 64, 64) from first guesses `maps` (N, 2, 3) and correlate.

    `sign` (N,) is -1 where `b` is guessed to be the inverse of `a`.
    """
    images_a, images_b = (torch.from_numpy(x.astype(np.float32)) for x in (a, b))
    score, overlap = torch.zeros(len(a)), torch.zeros(len(a))
    maps = maps.clone()
    smooth_a, smooth_b = (blur(local_contrast(x, sigma=3.0), 1.2) for x in (images_a, images_b))
    target = functional.avg_pool2d(smooth_a[:, None], THUMBNAIL_SIZE // ALIGN_SIZE)[:, 0]
    moving = smooth_b * sign[:, None, None]

    alive = torch.arange(len(a))
    for steps, least in ((0, MIN_FIRST_CORRELATION), (FIRST_STEPS, MIN_LATER_CORRELATION), (MORE_STEPS, None)):
        maps[alive], correlation = _gauss_newton(target[alive], moving[alive], maps[alive], steps)
        if least is not None:
            alive = alive[correlation > least]
        if len(alive) == 0:
            return Alignments(maps.numpy(), score.numpy(), overlap.numpy())
    score[alive], overlap[alive] = _correlate(images_a[alive], images_b[alive], maps[alive])
    score[overlap < MIN_OVERLAP] = 0.0
    return Alignments(maps.numpy(), score.numpy(), overlap.numpy())


def _gauss_newton(target: Tensor, moving: Tensor, maps: Tensor, num_steps: int) -> tuple[Tensor, Tensor]:
    """`num_steps` steps on the maps; returns them and the correlation (N,) that they reach."""
    num, size = len(target), target.shape[-1]
    centre = (torch.arange(size) + 0.5) * 2.0 / size - 1.0
    x, y = centre[None, None, :], centre[None, :, None]
    slope_x, slope_y = torch.zeros_like(target), torch.zeros_like(target)
    slope_x[:, :, 1:-1] = (target[:, :, 2:] - target[:, :, :-2]) * (size / 4.0)  # per unit of the square [-1, 1]
    slope_y[:, 1:-1] = (target[:, 2:] - target[:, :-2]) * (size / 4.0)
    jacobian = torch.stack([slope_x * x, slope_x * y, slope_x, slope_y * x, slope_y * y, slope_y], 1).flatten(2)
    damping = torch.eye(6)
    for step in range(num_steps + 1):
        grid = functional.affine_grid(maps, [num, 1, size, size], align_corners=False)
        warped = functional.grid_sample(moving[:, None], grid, align_corners=False)[:, 0]
        mask = (grid.abs() <= 1.0).all(-1).float()
        count = mask.sum((1, 2), keepdim=True).clamp_min(1.0)
        still = (target - (target * mask).sum((1, 2), keepdim=True) / count) * mask
        warped = (warped - (warped * mask).sum((1, 2), keepdim=True) / count) * mask
        product, power = (still * warped).sum((1, 2)), (warped * warped).sum((1, 2)).clamp_min(1e-6)
        correlation = product / ((still * still).sum((1, 2)).clamp_min(1e-6) * power).sqrt()
        if step == num_steps:
            break
        gain = (product / power).clamp(0.2, 5.0)[:, None, None]
        difference = (gain * warped - still).flatten(1)
        masked = jacobian * mask.flatten(1)[:, None]
        normal = masked @ jacobian.transpose(1, 2)
        normal = normal + damping * (1e-3 * normal.diagonal(dim1=1, dim2=2).mean(1) + 1e-6)[:, None, None]
        change = torch.linalg.solve(normal, masked @ difference[:, :, None])[:, :, 0].clamp(-MAX_STEP, MAX_STEP)
        maps = compose(maps, invert(torch.eye(2, 3) + change.view(-1, 2, 3)))
    return maps, correlation


def _correlate(a: Tensor, b: Tensor, maps: Tensor) -> tuple[Tensor, Tensor]:
    """Correlation (N,) of fine local contrast of `a` and of `b` moved by `maps`, and the share that they overlap."""
    grid = functional.affine_grid(maps, [len(a), 1, THUMBNAIL_SIZE, THUMBNAIL_SIZE], align_corners=False)
    mask = (grid.abs() <= 1.0).all(-1).float()
    moved = functional.grid_sample(blur(b, FINE_BLUR)[:, None], grid, padding_mode="border", align_corners=False)[:, 0]
    count = mask.sum((1, 2), keepdim=True).clamp_min(1.0)
    parts = []
    for images in (blur(a, FINE_BLUR), moved):
        contrast = local_contrast(images, sigma=FINE_SIGMA)
        parts.append((contrast - (contrast * mask).sum((1, 2), keepdim=True) / count) * mask)
    left, right = parts
    norms = (left * left).sum((1, 2)).sqrt() * (right * right).sum((1, 2)).sqrt()
    return (left * right).sum((1, 2)) / norms.clamp_min(1e-6), mask.mean((1, 2))


def compose(outer: Tensor, inner: Tensor) -> Tensor:
    """The affine maps (N, 2, 3) that apply `inner` first, then `outer`."""
    linear = outer[:, :, :2] @ inner[:, :, :2]
    return torch.cat([linear, outer[:, :, :2] @ inner[:, :, 2:] + outer[:, :, 2:]], 2)


def invert(maps: Tensor) -> Tensor:
    """The inverse of affine maps (N, 2, 3)."""
    linear = torch.linalg.inv(maps[:, :, :2])
    return torch.cat([linear, -linear @ maps[:, :, 2:]], 2)
