"""Volumes as pictures: the three orthogonal slices through a volume's middle, side by side.

A volume (C, D, H, W) lies as the import from NIfTI leaves it: D grows towards the patient's superior, H towards the
posterior, W towards the left side. Slices are shown as radiologists expect them (see `raysynth.data.nifti`).
"""

from __future__ import annotations

import numpy as np


def middle_slices(volumes: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Axial (..., H, W), coronal (..., D, W) and sagittal (..., D, H) middle slices of volumes (..., D, H, W)."""
    depth, height, width = volumes.shape[-3:]
    upright = volumes[..., ::-1, :, :]  # superior up
    return volumes[..., depth // 2, :, :], upright[..., height // 2, :], upright[..., width // 2]


def as_pictures(images: np.ndarray) -> np.ndarray:
    """Images (N, C, H, W) as they are; volumes (N, C, D, H, W) as pictures (N, C, max(H, D), W + W + H).

    A volume's picture shows its axial, coronal and sagittal middle slice; what is less high than the others stands in
    the middle of black.
    """
    if images.ndim == 4:
        return images
    pictures = np.zeros((*images.shape[:2], *picture_size(images.shape[1:])), dtype=images.dtype)
    left = 0
    for shown in middle_slices(images):
        top = (pictures.shape[2] - shown.shape[2]) // 2
        pictures[:, :, top : top + shown.shape[2], left : left + shown.shape[3]] = shown
        left += shown.shape[3]
    return pictures


def picture_size(shape: tuple[int, ...]) -> tuple[int, int]:
    """Height and width of what `as_pictures` makes of an image (C, H, W) or a volume (C, D, H, W)."""
    if len(shape) == 3:
        return shape[1], shape[2]
    _, depth, height, width = shape
    return max(depth, height), 2 * width + height
