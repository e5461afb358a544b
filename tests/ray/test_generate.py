from __future__ import annotations

import numpy as np
import pytest

from raysynth.training.generate import generate

pytestmark = pytest.mark.usefixtures("ray_cluster")


def test_images_have_the_same_bytes_for_any_number_of_workers(tiny_run, tmp_path):
    made = [
        generate(tiny_run, out=tmp_path / str(workers), per_class=75, workers=workers, say=lambda line: None)
        for workers in (0, 2, 3)
    ]
    assert len({dataset.fingerprint for dataset in made}) == 1
    assert np.array_equal(made[0].pixels()[0], made[2].pixels()[0])
