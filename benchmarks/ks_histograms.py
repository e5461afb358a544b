"""The Kolmogorov-Smirnov statistic from 256-bin histograms beside scipy's on the pixels: equal, and how much faster.

python benchmarks/ks_histograms.py
"""

from __future__ import annotations

import time

import numpy as np
from scipy.stats import ks_2samp

from raysynth.evaluation.histograms import count_intensities
from raysynth.evaluation.ks import ks_statistic


def main() -> None:
    rng = np.random.default_rng(0)
    print("pixels a set | scipy s | histograms s | ratio | difference")
    for num_images in (250, 1000, 2500):
        a = rng.integers(0, 256, (num_images, 1, 64, 64), dtype=np.uint8)
        b = (rng.beta(2, 2.2, a.shape) * 256).astype(np.uint8)
        labels = np.zeros(num_images, dtype=np.int64)
        started = time.perf_counter()
        exact = ks_2samp(a.ravel(), b.ravel(), method="asymp").statistic
        scipy_s = time.perf_counter() - started
        started = time.perf_counter()
        counts = [count_intensities(images, labels, 1)[0, 0] for images in (a, b)]
        ours = ks_statistic(*counts)
        ours_s = time.perf_counter() - started
        print(f"{a.size:>12,} | {scipy_s:7.2f} | {ours_s:12.3f} | {scipy_s / ours_s:5.0f} | {abs(exact - ours):.1e}")


if __name__ == "__main__":
    main()
