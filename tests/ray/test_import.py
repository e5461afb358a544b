"""Decoding through Ray Data gives the data set that decoding in this process gives."""

from __future__ import annotations

import io

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
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


def test_the_row_groups_of_a_table_are_read_by_rays_processes(tmp_path, monkeypatch):
    monkeypatch.setattr(decode_members, "SMALL_SOURCE_BYTES", 0)
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (100, 16, 16), dtype=np.uint8)
    files = []
    for image in images:
        buffer = io.BytesIO()
        Image.fromarray(image).save(buffer, "PNG")
        files.append(buffer.getvalue())
    table = pa.table({"image": pa.array(files, pa.binary()), "label": pa.array([k % 2 for k in range(100)])})
    pq.write_table(table, tmp_path / "t.parquet", row_group_size=30)
    dataset = import_images(tmp_path / "t.parquet", tmp_path / "out", size=16, say=lambda line: None)
    pixels, labels = dataset.pixels()
    np.testing.assert_array_equal(pixels[:, 0], images)
    assert labels.tolist() == [0, 1] * 50
