"""Sample grids as PNG files: one row a class, cells of the pictures' own size, 2 pixels apart."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image

from raysynth.data.slices import as_pictures
from raysynth.files import replacing

PADDING = 2  # pixels around every cell


def draw_grid(images: np.ndarray, *, num_columns: int) -> np.ndarray:
    """Images (N, C, H, W) uint8, row by row, as one picture (height, width, 3) uint8.

    A volume (C, D, H, W) is shown as its axial, coronal and sagittal middle slice side by side.
    """
    images = as_pictures(images)
    num_images, num_channels, height, width = images.shape
    num_rows = -(-num_images // num_columns)
    sheet = np.zeros(
        (num_rows * (height + PADDING) + PADDING, num_columns * (width + PADDING) + PADDING, 3), dtype=np.uint8
    )
    for index, image in enumerate(images):
        top = (index // num_columns) * (height + PADDING) + PADDING
        left = (index % num_columns) * (width + PADDING) + PADDING
        colour = np.repeat(image, 3, axis=0) if num_channels == 1 else image[:3]
        sheet[top : top + height, left : left + width] = np.moveaxis(colour, 0, -1)
    return sheet


def write_grid(path: Path, images: np.ndarray, *, num_columns: int) -> None:
    """Write `draw_grid` as a PNG that appears complete or not at all."""
    with replacing(path) as file:
        Image.fromarray(draw_grid(images, num_columns=num_columns)).save(file, format="PNG")
