"""Batches for training, cut from one uint8 tensor in memory: no image is decoded in the loop."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import torch
from torch import Tensor

from raysynth.errors import UserError
from raysynth.models.context import Context, hash_seed


class Batches:
    """Shuffled batches of one split; `batch_size` is global, and each worker gets its rows of every batch.

    The order is a function of (seed, epoch). The last images of an epoch that fill no batch wait for another epoch.
    """

    def __init__(self, images: np.ndarray, labels: np.ndarray, *, batch_size: int, context: Context) -> None:
        """Take images (N, C, H, W) uint8 and labels (N,).

        Raises UserError when a batch is larger than the split or is not divisible among the workers.
        """
        if batch_size > len(images):
            raise UserError(
                f"batch_size={batch_size}: more than the {len(images)} training images; "
                f"use --set batch_size={max(1, len(images) // 2)} or less"
            )
        if batch_size % context.world_size:
            raise UserError(
                f"batch_size={batch_size}: not divisible among {context.world_size} workers; "
                f"use --set batch_size={batch_size - batch_size % context.world_size or context.world_size}"
            )
        self.images = torch.from_numpy(np.array(images)).to(context.device)
        self.labels = torch.from_numpy(np.array(labels)).long().to(context.device)
        self.batch_size = batch_size
        self.context = context

    @property
    def num_steps(self) -> int:
        """Batches in an epoch."""
        return len(self.images) // self.batch_size

    def epoch(self, epoch: int) -> Iterator[tuple[Tensor, Tensor]]:
        """This worker's share of each batch: images float in [-1, 1] and labels."""
        generator = torch.Generator().manual_seed(hash_seed(self.context.seed, epoch, "order"))
        order = torch.randperm(len(self.images), generator=generator).to(self.context.device)
        share = self.batch_size // self.context.world_size
        for step in range(self.num_steps):
            start = step * self.batch_size + self.context.rank * share
            rows = order[start : start + share]
            yield to_float(self.images[rows]), self.labels[rows]


def in_order(
    images: np.ndarray, labels: np.ndarray, *, batch_size: int, device: torch.device
) -> Iterator[tuple[Tensor, Tensor]]:
    """All images once, in order, as float in [-1, 1] with their labels; the last batch may be smaller."""
    for start in range(0, len(images), batch_size):
        rows = slice(start, start + batch_size)
        yield (
            to_float(torch.from_numpy(np.array(images[rows])).to(device)),
            torch.from_numpy(np.array(labels[rows])).long().to(device),
        )


def to_float(images: Tensor) -> Tensor:
    """uint8 pixels 0..255 as float in [-1, 1]."""
    return images.float().div_(127.5).sub_(1.0)


def to_uint8(images: Tensor) -> Tensor:
    """Float in [-1, 1] as uint8 pixels 0..255, rounded to the nearest; values outside are clipped."""
    return images.float().add(1.0).mul_(127.5).round_().clamp_(0, 255).to(torch.uint8)
