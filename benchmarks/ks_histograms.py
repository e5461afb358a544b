"""The Kolmogorov-Smirnov statistic from 256-bin histograms beside scipy's on the pixels: equal, and how much faster.

    python benchmarks/ks_histograms.py [--pixels 1000000 10000000 50000000]

Ours as an evaluation counts: row group by row group, by class, then added up. Two kinds of pictures: noise, in which
all intensities are there, and pictures of which half is black, as a scan's background is. Beside both, one
`numpy.bincount` over the same pixels. One thread throughout, in seconds of CPU time, which other work on the machine
disturbs less. At 50 million pixels a set scipy needs about 5 GB.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable
from typing import Any

import numpy as np
from scipy.stats import ks_2samp

from raysynth.data.dataset_writer import ROWS_PER_ROW_GROUP
from raysynth.evaluation.histograms import count_intensities
from raysynth.evaluation.ks import ks_statistic

SIDE, NUM_CLASSES = 64, 4
NUM_ROUNDS = 3  # of what takes less than a second or two: the median counts


def draw(num_pixels: int, *, with_background: bool) -> tuple[np.ndarray, np.ndarray]:
    """Two sets of images (N, 1, 64, 64) uint8 whose intensities are distributed differently."""
    rng = np.random.default_rng(0)
    shape = (-(-num_pixels // SIDE**2), 1, SIDE, SIDE)
    a = rng.integers(0, 256, shape, dtype=np.uint8)
    b = np.empty_like(a)
    for start in range(0, len(b), 1000):  # floats of all pixels at once would need eight times the memory
        part = b[start : start + 1000]
        part[:] = rng.beta(2, 2.2, part.shape) * 256
    if with_background:
        a[..., : SIDE // 2] = 0
        b[..., : SIDE // 2] = 0
    return a, b


def timed(run: Callable[[], Any], num_rounds: int = NUM_ROUNDS) -> tuple[Any, float]:
    """What `run` returns, and the median of its CPU seconds."""
    seconds = []
    for _ in range(num_rounds):
        started = time.process_time()
        result = run()
        seconds.append(time.process_time() - started)
    return result, statistics.median(seconds)


def count(images: np.ndarray) -> np.ndarray:
    """The histogram (256,) of all pixels, by way of partial ones by class."""
    labels = np.arange(len(images)) % NUM_CLASSES
    starts = range(0, len(images), ROWS_PER_ROW_GROUP)
    groups = [slice(start, start + ROWS_PER_ROW_GROUP) for start in starts]
    return sum(count_intensities(images[rows], labels[rows], NUM_CLASSES) for rows in groups).sum(axis=(0, 1))


def main() -> None:
    parser = argparse.ArgumentParser()
    sizes = [1_000_000, 10_000_000, 50_000_000]
    parser.add_argument("--pixels", type=int, nargs="+", default=sizes, help="of each of the two sets")
    arguments = parser.parse_args()
    print("pixels a set | pictures   | scipy s | bincount s | histograms s | scipy / histograms | difference")
    for num_pixels in arguments.pixels:
        for kind in ("noise", "half black"):
            pair = draw(num_pixels, with_background=kind == "half black")
            ours, ours_s = timed(lambda pair=pair: ks_statistic(*map(count, pair)))
            pixels = [images.ravel() for images in pair]
            _, bincount_s = timed(lambda pixels=pixels: [np.bincount(each, minlength=256) for each in pixels])
            exact, scipy_s = timed(lambda pixels=pixels: ks_2samp(*pixels, method="asymp").statistic, 1)
            print(
                f"{pair[0].size:>12,} | {kind:<10} | {scipy_s:7.2f} | {bincount_s:10.3f} | {ours_s:12.3f} | "
                f"{scipy_s / ours_s:18.0f} | {abs(exact - ours):.1e}",
                flush=True,
            )


if __name__ == "__main__":
    main()
