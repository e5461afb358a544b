"""Training from a mapped file beside training from memory: images/s, and the ratio of the two.

    python benchmarks/streamed_batches.py [--images 40000] [--size 64] [--rounds 5]

The batches alone, and with a WCGAN-GP's training step after each. Rounds alternate, for other work comes and goes. The
file is as large as the data set in memory, and after the first pass the operating system has it in memory too where
there is room: `--evict` asks it to forget the file before each round, which is the case of a set larger than memory.
"""

from __future__ import annotations

import argparse
import os
import statistics
import tempfile
import time
from pathlib import Path

import numpy as np
import torch

from raysynth.cluster.session import prepare_environment
from raysynth.data.batches import Batches
from raysynth.models.context import Context
from raysynth.models.wcgan_gp import WCGANGP

BATCH_SIZE = 64


def evict(file: Path) -> None:
    """Let the system forget the pages of a file."""
    descriptor = os.open(file, os.O_RDONLY)
    os.fsync(descriptor)
    os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_DONTNEED)
    os.close(descriptor)


def images_per_s(batches: Batches, epoch: int, family: WCGANGP | None, num_steps: int) -> float:
    """Of the first steps of an epoch."""
    started = time.perf_counter()
    for step, (images, labels) in enumerate(batches.epoch(epoch)):
        if step == num_steps:
            break
        if family is not None:
            family.context.at(epoch, step)
            family.train_step(images, labels)
    return num_steps * BATCH_SIZE / (time.perf_counter() - started)


def main() -> None:
    prepare_environment()
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", type=int, default=40_000)
    parser.add_argument("--size", type=int, default=64)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--steps", type=int, default=20, help="training steps a round")
    parser.add_argument("--evict", action="store_true")
    arguments = parser.parse_args()
    shape = (1, arguments.size, arguments.size)
    images = np.random.default_rng(0).integers(0, 256, (arguments.images, *shape), dtype=np.uint8)
    labels = np.arange(arguments.images) % 4
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "train.npy"
        np.save(file, images)
        context = Context()
        in_memory = Batches(images, labels, batch_size=BATCH_SIZE, context=context)
        streamed = Batches(np.load(file, mmap_mode="r"), labels, batch_size=BATCH_SIZE, context=context)
        family = WCGANGP(WCGANGP.Config(), shape=shape, num_classes=4, context=context)
        forgotten = ", the file forgotten before each round" if arguments.evict else ""
        print(f"{arguments.images} images of {arguments.size} px ({images.nbytes / 1e6:.0f} MB), batch {BATCH_SIZE}, "
              f"{torch.get_num_threads()} threads{forgotten}")  # fmt: skip
        for name, model, num_steps in (
            ("batches alone", None, in_memory.num_steps),
            ("with a training step", family, min(arguments.steps, in_memory.num_steps)),
        ):
            rates = []
            for epoch in range(1, arguments.rounds + 1):
                memory = images_per_s(in_memory, epoch, model, num_steps)
                if arguments.evict:
                    evict(file)
                rates.append((memory, images_per_s(streamed, epoch, model, num_steps)))
            medians = [statistics.median(column) for column in zip(*rates, strict=True)]
            ratio = statistics.median(file_rate / memory for memory, file_rate in rates)
            print(f"{name}: memory {medians[0]:.0f}, file {medians[1]:.0f} images/s, ratio {ratio:.2f}")


if __name__ == "__main__":
    main()
