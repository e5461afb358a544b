"""What an image looks like to the audit: local contrast, the box of the head, and an embedding to search by.

Everything works on the grey 64 x 64 thumbnails of the original files, which a data set keeps beside its images.
Local contrast (the image less its local mean, over its local deviation) is what survives another window, gamma,
brightness or encoder: copies are compared in it, never in intensities.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from raysynth.data.thumbnails import THUMBNAIL_SIZE

EMBEDDING_GRID = 16
VIEWS = ("full", "head", "inner")
NUM_ORIENTATIONS = 8

# The head's box: rows and columns where more than this share of pixels differs from the border's grey.
BOX_MIN_SHARE = 0.06
BOX_MIN_DIFFERENCE = 0.12  # of the image's range of grey values
BOX_MIN_PIXELS = 16
INNER_MARGIN = 0.08  # the third view leaves this share of the head's box out on every side, as a careless crop does


def local_contrast(images: Tensor, *, sigma: float, floor: float = 6.0) -> Tensor:
    """Images (N, H, W) in grey values, less the Gaussian local mean and over the local deviation plus `floor`."""
    mean = blur(images, sigma)
    variance = blur(images * images, sigma) - mean * mean
    return (images - mean) / (variance.clamp_min(0.0).sqrt() + floor)


def blur(images: Tensor, sigma: float) -> Tensor:
    """Gaussian blur of square images (N, H, H): two products with one small matrix, faster here than a convolution."""
    matrix = _blur_matrix(images.shape[-1], sigma)
    return matrix @ images @ matrix.T


@lru_cache(maxsize=16)
def _blur_matrix(size: int, sigma: float) -> Tensor:
    position = torch.arange(size, dtype=torch.float32)
    distance = (position[:, None] - position[None]).abs()
    weights = torch.exp(-(distance**2) / (2.0 * sigma**2))
    weights[distance > 4.0 * sigma] = 0.0  # the tail would be denormal numbers, with which products are 60 x slower
    return weights / weights.sum(1, keepdim=True)


def head_boxes(thumbnails: np.ndarray) -> Tensor:
    """The box of what is not background in each thumbnail (N, 64, 64) uint8, as affine maps (N, 2, 3).

    A map takes the square [-1, 1]^2 to the box, in the coordinates of `torch.nn.functional.grid_sample`. Background
    is the median of the outermost pixels, black or white; small labels in a corner do not count. An image without a
    clear box (it fills the frame, or is nearly flat) gets the whole frame.
    """
    pixels = thumbnails.astype(np.float32)
    num, size = len(pixels), THUMBNAIL_SIZE
    border = np.concatenate([pixels[:, 0], pixels[:, -1], pixels[:, :, 0], pixels[:, :, -1]], axis=1)
    level = np.median(border, axis=1)[:, None, None]
    low, high = np.percentile(pixels.reshape(num, -1)[:, ::4], (1, 99), axis=1)
    is_head = np.abs(pixels - level) > (BOX_MIN_DIFFERENCE * np.maximum(high - low, 16.0))[:, None, None]
    sides = []
    for axis in (1, 2):  # columns, then rows: x before y, as grid_sample has it
        occupied = is_head.mean(axis) > BOX_MIN_SHARE
        first, last = occupied.argmax(1), size - occupied[:, ::-1].argmax(1)
        unclear = occupied.sum(1) < BOX_MIN_PIXELS
        sides.append((np.where(unclear, 0, first), np.where(unclear, size, last)))
    boxes = torch.zeros(num, 2, 3)
    for axis, (first, last) in enumerate(sides):
        boxes[:, axis, axis] = torch.from_numpy((last - first) / size)
        boxes[:, axis, 2] = torch.from_numpy((first + last) / size - 1.0)
    return boxes


def view_maps(thumbnails: np.ndarray) -> dict[str, Tensor]:
    """For every view of VIEWS the affine maps (N, 2, 3) from the square to the part of the thumbnail that it shows."""
    head = head_boxes(thumbnails)
    inner = head.clone()
    inner[:, :, :2] *= 1.0 - 2.0 * INNER_MARGIN
    return {"full": torch.eye(2, 3).repeat(len(thumbnails), 1, 1), "head": head, "inner": inner}


def sample(images: Tensor, maps: Tensor, size: int) -> Tensor:
    """Resample images (N, H, W) by affine maps (N, 2, 3) to (N, size, size); outside, the border goes on."""
    grid = functional.affine_grid(maps, [len(images), 1, size, size], align_corners=False)
    return functional.grid_sample(images[:, None], grid, padding_mode="border", align_corners=False)[:, 0]


def embed(thumbnails: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Low-resolution local contrast of each view of thumbnails (N, 64, 64), of unit length, and the views' maps.

    Two arrays float32: (N, views, 16, 16) and (N, views, 2, 3).
    """
    images = torch.from_numpy(thumbnails.astype(np.float32))
    pool = THUMBNAIL_SIZE // EMBEDDING_GRID
    views = view_maps(thumbnails)
    grids = []
    for name, maps in views.items():
        view = images if name == "full" else sample(images, maps, THUMBNAIL_SIZE)
        smooth = blur(local_contrast(view, sigma=4.0, floor=8.0), 1.2)
        # Pooling, not picking pixels: only a grid that is its own mirror image finds mirrored copies.
        grid = functional.avg_pool2d(smooth[:, None], pool)[:, 0]
        grid = grid - grid.mean((1, 2), keepdim=True)
        grids.append(grid / grid.norm(dim=(1, 2), keepdim=True).clamp_min(1e-6))
    return torch.stack(grids, 1).numpy(), torch.stack(list(views.values()), 1).numpy()


def orient(images: np.ndarray, orientation: int) -> np.ndarray:
    """One of the 8 symmetries of the square on the last two axes: quarter turns, then a left-right flip if odd."""
    turned = np.rot90(images, orientation // 2, (-2, -1))
    return turned[..., ::-1] if orientation % 2 else turned


def orientation_maps() -> Tensor:
    """The linear map (8, 2, 2) of every orientation: `orient(image, o)` at p is `image` at `maps[o] @ p`."""
    quarter = torch.tensor([[0.0, -1.0], [1.0, 0.0]])  # (x, y) -> where rot90 takes the pixel at (x, y) from
    flip = torch.tensor([[-1.0, 0.0], [0.0, 1.0]])
    maps = []
    for orientation in range(NUM_ORIENTATIONS):
        turn = torch.linalg.matrix_power(quarter, orientation // 2)
        maps.append(turn @ flip if orientation % 2 else turn)
    return torch.stack(maps)
