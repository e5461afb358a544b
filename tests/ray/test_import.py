"""Decoding through Ray Data gives the data set that decoding in this process gives."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from raysynth.data import decode_members
from raysynth.data.importer import import_images

pytestmark = pytest.mark.usefixtures("ray_cluster")


def test_ray_and_one_process_import_the_same(tmp_path, monkeypatch):
    rng = np.random.default_rng(0)
    for name in ("ä class", "b"):
        (tmp_path / "source" / name).mkdir(parents=True)
        for index in range(12):
            pixels = rng.integers(0, 256, (20, 24), dtype=np.uint8)
            Image.fromarray(pixels).save(tmp_path / "source" / name / f"image {index}.png")
    (tmp_path / "source" / "b" / "broken.png").write_bytes(b"\x89PNG no more")
    made = []
    for small_source_bytes in (2**60, 0):
        monkeypatch.setattr(decode_members, "SMALL_SOURCE_BYTES", small_source_bytes)
        out = tmp_path / str(small_source_bytes)
        made.append(import_images(tmp_path / "source", out, size=16, say=lambda line: None))
        assert "broken.png" in (out / "rejected.csv").read_text()
    assert made[0].fingerprint == made[1].fingerprint
    assert made[0].num_images() == 24
