"""How unlike one another the images of one class are, beside real ones: what a mode collapse takes away."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
import torch.nn.functional as F

COARSE_SIDE = 8  # pixels: what a class's images have in common is seen there, noise and sharpness are not
MIN_REAL = 5  # images: the spread of fewer says little
MAX_COMPARED = 256  # images of a class: 32 640 pairs


class Diversity:
    """Mean distance between generated images of one class, as a fraction of that between real ones; 1 is alike.

    It is measured in the scoring network's features and on coarse pixels (`coarsen`), and the lower of the two counts:
    features react to noise that hides equal anatomy, pixels to a shift of one and the same image. A class with
    fewer than 5 real images, or whose real images are all equal, is left out.
    """

    def __init__(self, features: np.ndarray, images: np.ndarray, labels: np.ndarray) -> None:
        """Real images (N, C, H, W) or (N, C, D, H, W) uint8 with their features (N, F) and labels (N,)."""
        views = (features, coarsen(images))
        spreads = {
            int(label): [mean_distance(view[labels == label]) for view in views]
            for label in np.unique(labels)
            if np.sum(labels == label) >= MIN_REAL
        }
        self.spreads = {label: spread for label, spread in spreads.items() if min(spread) > 0}

    def lowest(self, features: np.ndarray, images: np.ndarray, labels: np.ndarray) -> tuple[float, int] | None:
        """The least diverse class of generated images: (fraction, label); None where no class can be judged."""
        views = (features, coarsen(images))
        found = [
            (min(self._fractions(label, [view[labels == label] for view in views])), label)
            for label in self.spreads
            if np.sum(labels == label) > 1
        ]
        return min(found, default=None)

    def _fractions(self, label: int, views: Sequence[np.ndarray]) -> list[float]:
        return [mean_distance(view) / real for view, real in zip(views, self.spreads[label], strict=True)]


def mean_distance(vectors: np.ndarray) -> float:
    """Mean Euclidean distance of all pairs of vectors (N, D), N > 1; of the first 256 of them where there are more."""
    return float(F.pdist(torch.from_numpy(np.asarray(vectors[:MAX_COMPARED], dtype=np.float64))).mean())


def coarsen(images: np.ndarray) -> np.ndarray:
    """Images or volumes (N, C, ..., H, W) as vectors of means over blocks, 8 a side: (N, C * 8 ** dimensions)."""
    pool = {4: F.adaptive_avg_pool2d, 5: F.adaptive_avg_pool3d}[images.ndim]
    chunks = [
        pool(torch.from_numpy(images[start : start + 256].astype(np.float32)), COARSE_SIDE).flatten(1)
        for start in range(0, len(images), 256)
    ]
    return torch.cat(chunks).numpy() if chunks else np.zeros((0, 1), np.float32)
