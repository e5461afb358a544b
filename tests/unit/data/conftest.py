"""Fixtures of the tests of data sets."""

from collections.abc import Callable

import numpy as np
import pytest


@pytest.fixture(scope="session")
def patients() -> Callable[[int], tuple[list[str], np.ndarray]]:
    """Groups and labels of 300 patients with 1 to about 100 images, most of one diagnosis; the rarest of four: 5 %."""

    def draw(seed: int) -> tuple[list[str], np.ndarray]:
        random, num, common = np.random.default_rng(seed), 300, [0.45, 0.3, 0.2, 0.05]
        sizes = np.maximum(1, random.lognormal(2.5, 1.0, num).astype(int))
        main = np.repeat(random.choice(4, num, p=common), sizes)
        labels = np.where(random.random(sizes.sum()) < 0.3, random.choice(4, sizes.sum(), p=common), main)
        return [str(patient) for patient in np.repeat(np.arange(num), sizes)], labels

    return draw
