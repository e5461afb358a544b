"""What a fixed network makes of each training image, computed once: on a CPU it would cost more than a step."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from raysynth.models.context import content_seeds


class OncePerImage:
    """`compute(images, labels)`, which gives tensors with a row an image, remembered by image and label.

    For a network that does not change, given images that are not augmented.
    """

    def __init__(self, compute: Callable[[Tensor, Tensor], tuple[Tensor, ...]]) -> None:
        self.compute = compute
        self.known: dict[tuple[int, int], tuple[Tensor, ...]] = {}

    def __call__(self, images: Tensor, labels: Tensor) -> tuple[Tensor, ...]:
        keys = list(zip(content_seeds(images).tolist(), labels.tolist(), strict=True))
        new = {key: row for row, key in enumerate(keys) if key not in self.known}
        if new:
            rows = list(new.values())
            for key, *found in zip(new, *self.compute(images[rows], labels[rows]), strict=True):
                self.known[key] = tuple(found)
        return tuple(torch.stack(column) for column in zip(*(self.known[key] for key in keys), strict=True))
