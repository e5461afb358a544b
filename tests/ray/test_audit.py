"""The audit through Ray Data finds the pairs that it finds in this process."""

import numpy as np
import pandas as pd
import pytest

from raysynth.data.audit import copies as module
from raysynth.data.audit.batches import run_here, run_with_ray
from raysynth.data.audit.copies import find_copies
from raysynth.data.phantom import CLASSES, draw_slice
from raysynth.data.thumbnails import hash_pixels

pytestmark = pytest.mark.usefixtures("ray_cluster")


def test_ray_and_one_process_find_the_same_copies(monkeypatch):
    monkeypatch.setattr(module, "BATCH_SIZE", 32)
    phantoms = [
        draw_slice(CLASSES[i % 4], 64, patient=np.random.default_rng([0, i]), rng=np.random.default_rng([0, i, 1]))
        for i in range(54)
    ]
    changed = [phantoms[0], phantoms[1][:, ::-1], phantoms[1] // 2, phantoms[2].T, 255 - phantoms[3], phantoms[4][::-1]]
    thumbnails = np.stack([*phantoms, *changed])
    hashes = [hash_pixels(picture) for picture in thumbnails]
    here, through_ray = (find_copies(thumbnails, hashes, run=run) for run in (run_here, run_with_ray))
    assert len(here) == 7  # four pairs, and the three of one picture
    described = ["a", "b", "relation", "orientation"]
    pd.testing.assert_frame_equal(through_ray[described], here[described])
    np.testing.assert_allclose(through_ray["score"], here["score"], atol=1e-3)


def test_batches_run_at_the_same_time_and_come_in_their_order(tmp_path):
    def meet(batch: int, shared: dict) -> np.ndarray:
        """Wait until another batch has begun as well; there are more of them than processes."""
        import time

        (tmp_path / str(batch)).touch()
        deadline = time.monotonic() + 20
        while (num_begun := len(list(tmp_path.iterdir()))) < 2 and time.monotonic() < deadline:
            time.sleep(0.02)
        return np.array([batch + shared["more"], min(num_begun, 2)])

    batches = list(range(16))[::-1]
    found = np.stack(list(run_with_ray(meet, batches, {"more": 10})))
    assert found.tolist() == [[batch + 10, 2] for batch in batches]
