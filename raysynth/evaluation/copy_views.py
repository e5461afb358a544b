"""What images are compared in when copies are looked for: vectors in which a copy stays where its original is.

A copy by a generator is not one to the pixel: it is noisy, or blurred, or what an autoencoder kept of the original. So
images are compared in bands of their spatial frequencies: what noise adds and blur takes away is mostly above them.
Layers of a network pre-trained on ImageNet find less, see `docs/copies.md`.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from raysynth.data.audit.appearance import blur
from raysynth.data.slices import middle_slices

SIDE = 64  # pixels: the grid on which all sizes of images are compared
_CHUNK = 256

# Name -> (finer Gaussian's standard deviation, coarser one's or 0 for none, side of a cell of means), in pixels of 64.
BANDS: dict[str, tuple[float, float, int]] = {
    "pixels": (0.0, 0.0, 2),
    "edges": (2.0, 6.0, 4),
    "parts": (3.0, 8.0, 4),
    "outline": (4.0, 0.0, 4),
    "shape": (6.0, 0.0, 8),
}
VIEWS = tuple(BANDS)
NUM_DECIDING = len(VIEWS) - 1  # of the last: pixels are blind to all but exact copies, they are only told of


def view_vectors(images: np.ndarray) -> list[np.ndarray]:
    """For each of VIEWS vectors (N, D) float32 of images (N, C, H, W), or volumes (N, C, D, H, W), uint8.

    Channels are averaged; a volume is its three middle slices. Vectors have mean 0 and length 1 (0 where the image is
    of one grey), so that distances are between 0 and 2.
    """
    parts: list[list[np.ndarray]] = []
    for planes in _planes(images):
        parts.append([])
        for fine, coarse, cell in BANDS.values():
            bands = [F.avg_pool2d(_band(plane, fine, coarse), cell).flatten(1) for plane in planes]
            vectors = torch.cat(bands, dim=1)
            parts[-1].append(to_unit((vectors - vectors.mean(dim=1, keepdim=True)).numpy()))
    return [np.concatenate(vectors) for vectors in zip(*parts, strict=True)]


def to_unit(vectors: np.ndarray) -> np.ndarray:
    """Vectors (N, D) at length 1, float32."""
    length = np.linalg.norm(vectors, axis=1, keepdims=True)
    # Rounding leaves a flat image a little contrast, which is nobody's.
    return np.where(length > 1e-2, vectors / np.maximum(length, 1e-2), 0).astype(np.float32)


def mirror(images: np.ndarray) -> np.ndarray:
    """Images or volumes (N, ..., W), left and right exchanged."""
    return images[..., ::-1]


def _planes(images: np.ndarray) -> Iterator[list[Tensor]]:
    """Chunks of images as grey planes (n, 1, 64, 64) float: one of an image, three of a volume."""
    for start in range(0, max(len(images), 1), _CHUNK):
        chunk = images[start : start + _CHUNK]
        slices = [chunk]
        if images.ndim == 5:
            slices = [np.stack(views) for views in zip(*(middle_slices(volume) for volume in chunk), strict=True)]
        planes = [torch.from_numpy(part.mean(axis=1, keepdims=True, dtype=np.float32)) for part in slices]
        yield [
            plane
            if plane.shape[-2:] == (SIDE, SIDE)
            else F.interpolate(plane, (SIDE, SIDE), mode="bilinear", antialias=True)
            for plane in planes
        ]


def _band(plane: Tensor, fine: float, coarse: float) -> Tensor:
    smooth = blur(plane, fine) if fine else plane
    return smooth - blur(plane, coarse) if coarse else smooth
