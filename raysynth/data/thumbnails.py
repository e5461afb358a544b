"""Small grey pictures of images: what copies are looked for in, and what an image's hash is of."""

from __future__ import annotations

import hashlib

import numpy as np
from PIL import Image

from raysynth.data.slices import middle_slices

THUMBNAIL_SIZE = 64
BLANK_RANGE = 3  # grey values in an image that shows nothing


def thumbnail(image: np.ndarray) -> np.ndarray:
    """An image (C, H, W) uint8 as grey (64, 64) uint8 pixels: what `pixel_hash` is a hash of.

    Of a volume (C, D, H, W) its quarters are the axial, coronal and sagittal middle slice, and the mean of all axial
    slices: one slice would not do, for those of two patients may be alike.
    """
    if image.ndim == 4:
        views = (*middle_slices(image), image.mean(1).astype(np.uint8))
        upper_left, upper_right, lower_left, lower_right = (_grey(view, THUMBNAIL_SIZE // 2) for view in views)
        return np.block([[upper_left, upper_right], [lower_left, lower_right]])
    return _grey(image, THUMBNAIL_SIZE)


def _grey(image: np.ndarray, size: int) -> np.ndarray:
    """An image (C, H, W) uint8 as grey (size, size) uint8 pixels."""
    image = np.ascontiguousarray(image)
    grey = Image.fromarray(image[0]) if len(image) == 1 else Image.fromarray(np.moveaxis(image, 0, -1)).convert("L")
    if grey.size != (size, size):
        grey = grey.resize((size, size), Image.Resampling.BILINEAR)
    return np.asarray(grey, dtype=np.uint8)


def is_blank(thumbnails: np.ndarray) -> np.ndarray:
    """Whether each thumbnail (N, 64, 64) uint8 is of one grey: it is like every other blank one, and a copy of none."""
    return np.ptp(thumbnails, axis=(1, 2)) <= BLANK_RANGE


def hash_pixels(grey: np.ndarray) -> str:
    """Hash of decoded grey pixels: equal for images that are identical to the pixel."""
    return hashlib.blake2b(np.ascontiguousarray(grey).tobytes(), digest_size=16).hexdigest()
