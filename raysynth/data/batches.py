"""Batches for training, cut from one uint8 tensor in memory, or from a mapped file: no image is decoded in the loop."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import torch
from torch import Tensor

from raysynth.errors import UserError
from raysynth.models.context import Context, hash_seed


class Batches:
    """Shuffled batches of one split; `batch_size` is global, and each worker gets its rows of every batch.

    The order is a function of (seed, epoch). The last images of an epoch that fill no batch wait for another epoch.
    Images in memory lie on the context's device; of a `np.memmap` (see `raysynth.data.pixels`) each batch is read while
    the one before it is trained on, and the batches are the same.
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
        self.streamed = images if isinstance(images, np.memmap) else None
        self.images = None if self.streamed is not None else torch.from_numpy(np.array(images)).to(context.device)
        self.labels = torch.from_numpy(np.array(labels)).long().to(context.device)
        self.batch_size = batch_size
        self.context = context

    @property
    def num_steps(self) -> int:
        """Batches in an epoch."""
        return len(self.labels) // self.batch_size

    def epoch(self, epoch: int) -> Iterator[tuple[Tensor, Tensor]]:
        """This worker's share of each batch: images float in [-1, 1] and labels."""
        generator = torch.Generator().manual_seed(hash_seed(self.context.seed, epoch, "order"))
        order = torch.randperm(len(self.labels), generator=generator)
        share = self.batch_size // self.context.world_size
        starts = [step * self.batch_size + self.context.rank * share for step in range(self.num_steps)]
        if self.streamed is not None:
            yield from self._read_ahead([order[start : start + share] for start in starts])
            return
        assert self.images is not None
        order = order.to(self.context.device)
        for start in starts:
            rows = order[start : start + share]
            yield to_float(self.images[rows]), self.labels[rows]

    def _read_ahead(self, batches: list[Tensor]) -> Iterator[tuple[Tensor, Tensor]]:
        streamed, device = self.streamed, self.context.device
        assert streamed is not None

        def read(rows: Tensor) -> Tensor:
            images = torch.from_numpy(np.asarray(streamed[rows.numpy()]))
            return images.pin_memory() if device.type == "cuda" else images

        with ThreadPoolExecutor(1) as reader:
            ahead = reader.submit(read, batches[0])
            for rows, following in zip(batches, [*batches[1:], None], strict=True):
                images = ahead.result()
                if following is not None:
                    ahead = reader.submit(read, following)
                yield to_float(images.to(device, non_blocking=True)), self.labels[rows.to(device)]


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
