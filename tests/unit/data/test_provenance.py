"""What a training saw, kept and read again: data sets by name and fingerprint, images by hash."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

from raysynth.data.dataset import Dataset
from raysynth.data.dataset_writer import write_dataset
from raysynth.data.provenance import (
    HASHES_FILE,
    Provenance,
    dataset_provenance,
    inherit,
    read_hashes,
    run_provenance,
    train_images,
    training_provenance,
    write_hashes,
)
from raysynth.data.thumbnails import hash_pixels, thumbnail
from raysynth.errors import UserError


def make(path: Path, *, seed: int = 0, kind: str = "real", provenance: dict | None = None) -> Dataset:
    """Six images whose originals, 64 px, differ from what is stored, 16 px: three train, one validation, two test."""
    rng = np.random.default_rng(seed)
    return write_dataset(
        path,
        name=path.name,
        kind=kind,  # type: ignore[arg-type]
        classes=["a"],
        images=rng.integers(0, 256, (6, 1, 16, 16), dtype=np.uint8),
        columns={
            "id": list("abcdef"),
            "label": [0] * 6,
            "split": ["train"] * 3 + ["validation"] + ["test"] * 2,
            "thumbnail": rng.integers(0, 256, (6, 64, 64), dtype=np.uint8),
        },
        source={},
        provenance=provenance,
    )


def test_a_training_is_an_entry_and_two_hashes_of_each_train_image(tmp_path):
    data = make(tmp_path / "brain")
    seen = training_provenance(data)
    (entry,) = seen.entries
    assert json.loads(json.dumps(entry)) == {
        "role": "training",
        "name": "brain",
        "path": str(data.path.resolve()),
        "fingerprint": data.fingerprint,
        "num_images": 3,
        "splits": ["train"],
    }
    table = data.read(["pixel_hash"], "train")
    stored = {hash_pixels(thumbnail(image)) for image in data.pixels("train")[0]}
    originals = set(table["pixel_hash"].to_pylist())
    assert seen.hashes == {data.fingerprint: stored | originals}
    assert len(stored | originals) == 6


def test_the_file_holds_hashes_and_nothing_of_the_images(tmp_path):
    seen = training_provenance(make(tmp_path / "a")) + training_provenance(make(tmp_path / "b", seed=1))
    write_hashes(seen.hashes, tmp_path)
    table = pq.read_table(tmp_path / HASHES_FILE)
    assert table.column_names == ["pixel_hash", "fingerprint"]
    assert table.num_rows == 12
    assert {len(value) for value in table["pixel_hash"].to_pylist()} == {32}
    assert read_hashes(tmp_path) == seen.hashes


def test_without_a_file_no_hash_is_known_and_a_broken_one_is_named(tmp_path):
    write_hashes({}, tmp_path)
    assert not (tmp_path / HASHES_FILE).exists()
    assert read_hashes(tmp_path) == {}
    (tmp_path / HASHES_FILE).write_bytes(b"PAR1 cut short")
    with pytest.raises(UserError, match=rf"{HASHES_FILE}: cannot be read") as error:
        read_hashes(tmp_path)
    assert "\n" not in str(error.value)


def test_what_a_pretrained_run_saw_becomes_pretraining(tmp_path):
    first, second = make(tmp_path / "first"), make(tmp_path / "second", seed=1)
    chain = train_images(second, "training") + inherit(training_provenance(first))
    assert [(entry["role"], entry["name"]) for entry in chain.entries] == [
        ("training", "second"),
        ("pre-training", "first"),
    ]
    assert chain.hashes.keys() == {first.fingerprint, second.fingerprint}
    again = chain + inherit(chain)
    assert [entry["role"] for entry in again.entries] == ["training", "pre-training", "pre-training"]
    assert again + inherit(chain) == again


def test_training_on_synthetic_images_is_also_training_on_what_they_were_drawn_from(tmp_path):
    real = make(tmp_path / "real")
    seen = training_provenance(real)
    made = make(tmp_path / "made", seed=1, kind="synthetic", provenance={"trained_on": list(seen.entries)})
    write_hashes(seen.hashes, made.path)
    chain = training_provenance(made)
    assert [(entry["role"], entry["name"]) for entry in chain.entries] == [
        ("training", "made"),
        ("pre-training", "real"),
    ]
    assert chain.hashes[real.fingerprint] == seen.hashes[real.fingerprint]


def test_what_older_versions_wrote_is_followed_as_far_as_it_goes(tmp_path):
    real = make(tmp_path / "real")
    old = {"training_fingerprint": real.fingerprint, "training_data": str(real.path), "training_name": "real"}
    made = make(tmp_path / "made", seed=1, kind="synthetic", provenance=old)
    data = {"name": "real", "path": str(real.path), "fingerprint": real.fingerprint, "train_counts": {"a": 3}}
    for found in (dataset_provenance(made), run_provenance(tmp_path, {"data": data})):
        (entry,) = found.entries
        assert (entry["name"], entry["path"], entry["fingerprint"]) == ("real", str(real.path), real.fingerprint)
        assert found.hashes == {}
    assert dataset_provenance(real) == Provenance()
