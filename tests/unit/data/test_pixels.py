"""Images from memory and from a mapped file: the same, in the same order, and the same training."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from raysynth.data import dataset_writer, pixels
from raysynth.data.batches import Batches
from raysynth.data.dataset import Dataset
from raysynth.data.pixels import split_pixels
from raysynth.errors import UserError
from raysynth.models.context import Context


@pytest.fixture
def sharded(tmp_path: Path, monkeypatch) -> Dataset:
    """48 images in shards of 20 rows, in row groups of 8, with their splits in turn."""
    monkeypatch.setattr(dataset_writer, "ROWS_PER_SHARD", 20)
    monkeypatch.setattr(dataset_writer, "ROWS_PER_ROW_GROUP", 8)
    return dataset_writer.write_dataset(
        tmp_path / "data",
        name="data",
        kind="real",
        classes=("a", "b"),
        images=np.random.default_rng(0).integers(0, 256, (48, 3, 8, 8), dtype=np.uint8),
        columns={
            "id": [str(row) for row in range(48)],
            "label": [row % 2 for row in range(48)],
            "split": [("train", "train", "validation")[row % 3] for row in range(48)],
        },
        source={},
    )


@pytest.mark.parametrize("split", ["train", "validation"])
def test_a_file_holds_what_memory_would(sharded: Dataset, tmp_path: Path, split: str):
    images, labels = split_pixels(sharded, split, memory_share=0, folder=tmp_path / "cache")
    assert isinstance(images, np.memmap)
    in_memory = split_pixels(sharded, split, memory_share=1)
    assert not isinstance(in_memory[0], np.memmap)
    np.testing.assert_array_equal(images, in_memory[0])
    np.testing.assert_array_equal(labels, in_memory[1])


def test_the_share_of_memory_decides(sharded: Dataset, tmp_path: Path):
    num_bytes = sharded.num_images("train") * 3 * 8 * 8
    for memory_bytes, streamed in ((10 * num_bytes, False), (10 * num_bytes - 10, True)):
        images, _ = split_pixels(
            sharded, "train", memory_share=0.1, folder=tmp_path / "cache", memory_bytes=memory_bytes
        )
        assert isinstance(images, np.memmap) == streamed


@pytest.mark.parametrize("rank", [0, 1])
def test_batches_are_the_same(sharded: Dataset, tmp_path: Path, rank: int):
    context = Context(seed=3, rank=rank, world_size=2)
    one, other = (
        Batches(*split_pixels(sharded, "train", memory_share=share, folder=tmp_path), batch_size=6, context=context)
        for share in (0, 1)
    )
    assert one.num_steps == other.num_steps == 5
    for epoch in (1, 2):
        for (images, labels), (same_images, same_labels) in zip(one.epoch(epoch), other.epoch(epoch), strict=True):
            assert torch.equal(images, same_images)
            assert torch.equal(labels, same_labels)


def test_the_file_is_written_once(sharded: Dataset, tmp_path: Path, monkeypatch):
    split_pixels(sharded, "train", memory_share=0, folder=tmp_path)
    monkeypatch.setattr(pixels, "_write_split", lambda *_: pytest.fail("written again"))
    split_pixels(sharded, "train", memory_share=0, folder=tmp_path)


def test_a_disk_without_room_is_named(sharded: Dataset, tmp_path: Path, monkeypatch):
    monkeypatch.setattr(pixels.shutil, "disk_usage", lambda _: type("Usage", (), {"free": 100})())
    with pytest.raises(UserError, match=r"its train images take .* and .* has 0\.0 GB free; set XDG_CACHE_HOME"):
        split_pixels(sharded, "train", memory_share=0, folder=tmp_path / "cache")


def test_row_groups_are_all_rows_of_a_split(sharded: Dataset):
    tables = list(sharded.row_groups(["id"], "validation"))
    assert len(tables) > 3
    assert [id_ for table in tables for id_ in table["id"].to_pylist()] == sharded.read(["id"], "validation")[
        "id"
    ].to_pylist()
