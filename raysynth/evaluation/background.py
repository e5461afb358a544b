"""Which pixels of an image are its background: dark ones that hang together with its border.

Black surroundings are half of a slice or more; counted with the rest, they hide how far apart the tissues are, and an
image whose head is a little larger looks as if its intensities were wrong.
"""

from __future__ import annotations

import numpy as np
from scipy import ndimage

from raysynth.data.dataset import Dataset, tensor_column

MAX_IMAGES = 512  # of the train split, drawn from it: what a level is learnt from
MIN_DARK_BORDER = 0.75  # share of the border's pixels that are dark: with less of them there is no background
DARK_QUANTILE = 0.95  # of the border's dark pixels: noise is background, what lies in the dark mostly is not


def learn_background(real: Dataset) -> int | None:
    """The intensity up to which a pixel may be background, from real train images; None where they have none.

    Otsu's threshold (1979) parts the pixels into dark and bright ones. If three quarters of the outermost pixels are
    dark, the 0.95 quantile of those is the level: a threshold between air and tissue, not one between dark and bright
    tissue, at which a head would be eaten away from its edge. Photographs that are filled to the border have no level.
    """
    rows = np.flatnonzero(np.asarray(real.read(["split"])["split"]) == "train")
    if len(rows) > MAX_IMAGES:
        rows = np.sort(np.random.default_rng(0).choice(rows, MAX_IMAGES, replace=False))
    return background_level(tensor_column(real.take(["image"], rows), "image"))


def background_level(images: np.ndarray) -> int | None:
    """`learn_background` of images (N, C, H, W), or volumes (N, C, D, H, W), uint8; the brightest channel counts."""
    brightest = images.max(axis=1)
    counts = np.bincount(brightest.ravel(), minlength=256)
    border = np.bincount(brightest[:, border_mask(brightest.shape[1:])].ravel(), minlength=256)
    if np.count_nonzero(counts) < 2:
        return None  # one grey: nothing to part
    dark = border[: otsu_threshold(counts) + 1]
    if dark.sum() < MIN_DARK_BORDER * border.sum():
        return None
    return int(np.searchsorted(np.cumsum(dark), DARK_QUANTILE * dark.sum()))


def otsu_threshold(counts: np.ndarray) -> int:
    """The intensity that parts a histogram (256,) in two, itself dark, with the largest variance between them."""
    shares = counts / counts.sum()
    dark = np.cumsum(shares)[:-1]
    mean_dark = np.cumsum(shares * np.arange(len(shares)))[:-1]
    mean = float(shares @ np.arange(len(shares)))
    with np.errstate(divide="ignore", invalid="ignore"):
        between = (mean * dark - mean_dark) ** 2 / (dark * (1 - dark))
    return int(np.argmax(np.nan_to_num(between, nan=-1.0, posinf=-1.0)))


def find_foreground(images: np.ndarray, level: int) -> np.ndarray:
    """Mask (N, H, W), or (N, D, H, W), of the pixels of images (N, C, ...) uint8 that are not background.

    Background is what is no brighter than `level` in every channel and connected with the border by such pixels, side
    to side. Dark places inside, ventricles and cysts, are foreground.
    """
    dark = images.max(axis=1) <= level
    border = border_mask(dark.shape[1:])
    foreground = np.empty_like(dark)
    for mask, is_dark in zip(foreground, dark, strict=True):
        regions, num_regions = ndimage.label(is_dark)
        is_background = np.zeros(num_regions + 1, dtype=bool)
        is_background[regions[border]] = True
        is_background[0] = False  # not dark
        mask[...] = ~is_background[regions]
    return foreground


def border_mask(shape: tuple[int, ...]) -> np.ndarray:
    """The outermost pixels of an image (H, W), or voxels of a volume (D, H, W)."""
    border = np.ones(shape, dtype=bool)
    border[tuple(slice(1, -1) for _ in shape)] = False
    return border
