"""Which part of an image is kept, and how unequal shapes become one.

Boxes are tuples of slices, for pictures (H, W) and volumes (D, H, W) alike.
"""

from __future__ import annotations

from typing import Literal

import numpy as np
from PIL import Image

Fit = Literal["stretch", "pad", "crop"]
FITS: tuple[Fit, ...] = ("stretch", "pad", "crop")
Crop = Literal["none", "head"]
CROPS: tuple[Crop, ...] = ("none", "head")
Box = tuple[slice, ...]

BORDER_RANGE = 8  # grey levels by which a row may vary and still be uniform: lossy formats leave that much
SEARCH_SIZE = 128  # a head is searched in an image averaged down to at most this many pixels a side
LEVEL_BIN = 16
HEAD_CONTRAST = 0.1  # of the brightest part's distance to the border's level
FRAME_WIDTH = 3  # of lines along the edges, in the averaged image
MIN_HEAD_SHARE = 0.05  # of the image; a smaller thing is no head


def border_box(grey: np.ndarray) -> Box:
    """What remains when uniform outer rows, columns (and slices) are taken away, one at a time, from all sides.

    A picture that is uniform altogether is kept whole.
    """
    box = [slice(0, length) for length in grey.shape]
    while True:
        before = list(box)
        for axis in range(grey.ndim):
            part = grey[tuple(box)]
            others = tuple(other for other in range(grey.ndim) if other != axis)
            ranges = part.max(axis=others).astype(int) - part.min(axis=others)
            kept = np.flatnonzero(ranges > BORDER_RANGE)
            if len(kept) == 0:
                return tuple(slice(0, length) for length in grey.shape)
            start = box[axis].start
            box[axis] = slice(start + int(kept[0]), start + int(kept[-1]) + 1)
        if box == before:
            return tuple(box)


def head_box(grey: np.ndarray) -> Box | None:
    """The bounding box of the head, or None where nothing like one stands out from the border.

    The background is the commonest level along the border, be it black or, in an inverted image, white. What differs
    from it by a tenth of the strongest difference, and by more than the border's noise, is tissue; gaps such as dark
    bone are closed and holes filled, and of the connected parts the largest is the head: labels in the corners are
    other parts, and lines along the edges are left out. The image is averaged down first, so the box is exact to 1/128
    of the side.
    """
    from scipy import ndimage  # slow to import, and few need it

    steps = tuple(-(-length // SEARCH_SIZE) for length in grey.shape)
    small = grey.astype(np.float64)
    for axis, step in enumerate(steps):
        starts = np.arange(0, grey.shape[axis], step)
        sizes = np.diff([*starts, grey.shape[axis]]).reshape([-1 if a == axis else 1 for a in range(grey.ndim)])
        small = np.add.reduceat(small, starts, axis=axis) / sizes
    level, noise = _background(small)
    difference = np.abs(small - level)
    threshold = max(HEAD_CONTRAST * float(np.percentile(difference, 99)), 4 * noise, 1.0)
    closing = ndimage.iterate_structure(ndimage.generate_binary_structure(grey.ndim, 1), max(1, max(small.shape) // 50))
    pad = closing.shape[0]  # closing at the edge would otherwise see a border of background
    mask = np.pad(_without_frame(difference > threshold), pad)
    mask = ndimage.binary_closing(mask, closing)[(slice(pad, -pad),) * grey.ndim]
    parts, num_parts = ndimage.label(ndimage.binary_fill_holes(mask))
    if num_parts == 0:
        return None
    sizes = np.bincount(parts.ravel())[1:]
    if sizes.max() < MIN_HEAD_SHARE * parts.size:
        return None
    found = ndimage.find_objects(parts)[int(sizes.argmax())]
    return tuple(
        slice(part.start * step, min(part.stop * step, length))
        for part, step, length in zip(found, steps, grey.shape, strict=True)
    )


def _background(small: np.ndarray) -> tuple[float, float]:
    """Level and noise (standard deviation, robust) of the commonest grey along the border."""
    inside = tuple(slice(max(1, length // 32), -max(1, length // 32)) for length in small.shape)
    on_border = np.ones(small.shape, dtype=bool)
    on_border[inside] = False
    border = small[on_border]
    commonest = np.bincount((border // LEVEL_BIN).astype(int)).argmax()
    near = border[border // LEVEL_BIN == commonest]
    level = float(np.median(near))
    return level, 1.4826 * float(np.median(np.abs(near - level)))


def _without_frame(mask: np.ndarray) -> np.ndarray:
    """Take thin lines along the edges away, which the filling of holes would make a head of."""
    mask = mask.copy()
    for axis in range(mask.ndim):
        for lines in (np.moveaxis(mask, axis, 0), np.moveaxis(mask, axis, 0)[::-1]):
            filled = lines.reshape(len(lines), -1).mean(axis=1)
            if filled[:FRAME_WIDTH].max() > 0.9 and filled[FRAME_WIDTH : FRAME_WIDTH + 1].max(initial=0.0) < 0.5:
                lines[:FRAME_WIDTH] = False
    return mask


def fit_picture(picture: Image.Image, size: int, fit: Fit) -> Image.Image:
    """Resize with antialiasing: `stretch` to the square, `pad` with black, or `crop` the middle square."""
    if picture.size == (size, size):
        return picture
    lanczos = Image.Resampling.LANCZOS
    width, height = picture.size
    if fit == "stretch":
        return picture.resize((size, size), lanczos, reducing_gap=3.0)
    if fit == "crop":
        side = min(width, height)
        left, top = (width - side) // 2, (height - side) // 2
        square = picture.crop((left, top, left + side, top + side))
        return square.resize((size, size), lanczos, reducing_gap=3.0)
    scale = size / max(width, height)
    inner = (max(1, round(width * scale)), max(1, round(height * scale)))
    padded = Image.new(picture.mode, (size, size))
    padded.paste(picture.resize(inner, lanczos, reducing_gap=3.0), ((size - inner[0]) // 2, (size - inner[1]) // 2))
    return padded


def fit_volume(volume: np.ndarray, size: int, fit: Fit) -> np.ndarray:
    """A volume (D, H, W) uint8 of cubic voxels as a cube of `size` voxels, like `fit_picture`."""
    if fit == "crop":
        side = min(volume.shape)
        volume = volume[tuple(slice((length - side) // 2, (length - side) // 2 + side) for length in volume.shape)]
    if fit != "pad":
        return _resize_volume(volume, (size, size, size))
    scale = size / max(volume.shape)
    depth, height, width = (max(1, round(length * scale)) for length in volume.shape)
    inner = _resize_volume(volume, (depth, height, width))
    padded = np.zeros((size, size, size), dtype=np.uint8)
    padded[tuple(slice((size - length) // 2, (size - length) // 2 + length) for length in inner.shape)] = inner
    return padded


def _resize_volume(volume: np.ndarray, shape: tuple[int, int, int]) -> np.ndarray:
    """Resize with antialiasing along all three axes: slice by slice, then the stack as one picture of D rows."""
    depth, height, width = shape
    lanczos = Image.Resampling.LANCZOS
    slices = np.stack([np.asarray(Image.fromarray(part).resize((width, height), lanczos)) for part in volume])
    rows = Image.fromarray(slices.reshape(len(slices), height * width))
    return np.asarray(rows.resize((height * width, depth), lanczos)).reshape(shape)
