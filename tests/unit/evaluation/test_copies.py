"""Planted copies are found, what is no copy seldom is, and the files say so."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest

from raysynth.data.dataset import Dataset, tensor_column
from raysynth.data.dataset_writer import write_dataset
from raysynth.data.phantom import phantom
from raysynth.evaluation.copies import COLUMNS, NUM_PAIRS, SUMMARY_COLUMNS, compare_copies
from raysynth.evaluation.inputs import load_inputs


@pytest.fixture(scope="module")
def heads(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    """Drawn heads of 32 px: 240 of 160 patients, whose slices no split separates."""
    return phantom(tmp_path_factory.mktemp("data") / "heads", num_images=240, size=32)


@pytest.fixture
def make_set(heads: Dataset, tmp_path: Path) -> Callable[..., Dataset]:
    def make(name: str, images: np.ndarray) -> Dataset:
        return write_dataset(
            tmp_path / name,
            name=name,
            kind="synthetic",
            classes=heads.classes,
            images=images,
            columns={
                "id": [f"{name}-{i}" for i in range(len(images))],
                "label": np.zeros(len(images), int),
                "split": ["train"] * len(images),
            },
            source={},
        )

    return make


def compare(folder: Path, real: Dataset, *sets: Dataset) -> tuple[pd.DataFrame, pd.DataFrame, dict, list[str]]:
    said: list[str] = []
    _, items = load_inputs(real, [dataset.path for dataset in sets], said.append, allow_leakage=True)
    leakage = {item.name: item.leakage for item in items}
    how = compare_copies(folder, real, items, leakage, with_ray=False, say=said.append)
    copies, summary = (pd.read_csv(folder / f"{name}.csv") for name in ("copies", "copies_summary"))
    return copies, summary, how, said


def test_mirrored_copies_are_found_and_named_and_fresh_heads_are_not(heads, make_set, tmp_path):
    images, _ = heads.pixels("train")
    ids = heads.read(["id"], "train")["id"].to_pylist()
    fresh, _ = phantom(tmp_path / "other", num_images=60, size=32, seed=9).pixels()
    mixed = make_set("mixed", np.concatenate([images[:20], images[20:40, :, :, ::-1], fresh]))
    copies, summary, how, said = compare(tmp_path, heads, mixed)

    assert list(copies) == list(COLUMNS)
    planted = copies[:40]
    assert planted["is_copy"].all()
    assert planted["nearest_train_id"].tolist() == ids[:40]
    assert planted["mirrored"].tolist() == [False] * 20 + [True] * 20
    assert planted["distance"].max() < 2e-3
    assert (planted["ratio"] < 0.01).all()
    assert planted["pixel_nearest_train_id"].tolist() == ids[:40]
    assert not planted["authentic"].any()
    assert copies["is_copy"][40:].mean() < 0.2  # 1 of 25 is expected, with 24 held-out images

    assert list(summary) == list(SUMMARY_COLUMNS)
    row = summary.iloc[0]
    assert row["num_copies"] == copies["is_copy"].sum()
    assert row["share_low"] < row["share"] == row["num_copies"] / 100 < row["share_high"]
    assert row["authenticity"] == pytest.approx(copies["authentic"].mean())
    assert how["num_train"] == heads.num_images("train")
    assert any(line.startswith(f"mixed: {row['num_copies']} of 100 images called copies") for line in said)


def test_a_set_of_copies_tells_train_from_held_out_images_and_a_fresh_one_does_not(heads, make_set, tmp_path):
    fresh, _ = phantom(tmp_path / "other", num_images=120, size=32, seed=9).pixels()
    copied = make_set("copied", heads.pixels("train")[0])
    _, summary, _, _ = compare(tmp_path, heads, copied, make_set("fresh", fresh))
    of = summary.set_index("synthetic")
    assert of.loc["copied", "auc_low"] > 0.95
    assert of.loc["copied", "authenticity"] < 0.05
    assert of.loc["fresh", "auc_low"] < 0.5 < of.loc["fresh", "auc_high"]


def test_the_most_suspicious_pairs_are_there_as_pixels(heads, make_set, tmp_path):
    images, _ = heads.pixels("train")
    noise = np.random.default_rng(0).integers(0, 256, (30, *heads.shape), dtype=np.uint8)
    mixed = make_set("mixed", np.concatenate([noise, images[3:5]]))
    compare(tmp_path, heads, mixed)
    pairs = pq.read_table(tmp_path / "suspicious_pairs.parquet")
    assert pairs.num_rows == NUM_PAIRS
    assert sorted(pairs["id"].to_pylist()[:2]) == ["mixed-30", "mixed-31"]
    assert pairs["score"].to_pylist() == sorted(pairs["score"].to_pylist())
    generated, train, held_out = (tensor_column(pairs, name) for name in ("image", "train_image", "held_out_image"))
    assert np.array_equal(generated[:2], train[:2])
    named = pairs["nearest_held_out_id"].to_pylist()[0]
    validation, _ = heads.pixels("validation")
    ids = heads.read(["id"], "validation")["id"].to_pylist()
    assert np.array_equal(held_out[0], validation[ids.index(named)])


def test_held_out_images_are_listed_and_one_of_a_hundred_at_most_is_called_a_copy(heads, make_set, tmp_path):
    compare(tmp_path, heads, make_set("one", heads.pixels("train")[0][:1]))
    held_out = pd.read_csv(tmp_path / "copies_held_out.csv")
    assert len(held_out) == heads.num_images("validation")
    assert held_out["is_copy"].mean() <= 0.01
    assert not set(held_out["id"]) & set(
        held_out["nearest_held_out_id"][held_out["id"] == held_out["nearest_held_out_id"]]
    )


def test_without_validation_images_the_tables_are_empty(make_dataset, tmp_path):
    real = make_dataset("real", num_test=6)
    made = make_dataset("made", kind="synthetic", seed=1)
    copies, summary, how, said = compare(tmp_path, real, made)
    assert len(copies) == len(summary) == 0
    assert how["num_held_out"] == 0
    assert any("too few validation images" in line for line in said)


def test_images_in_other_splits_of_a_synthetic_set_are_not_looked_at(make_dataset, tmp_path):
    real = make_dataset("real", num_validation=12, num_test=6)
    made = make_dataset("made", kind="synthetic", num_train=10, num_test=5, seed=1)
    copies, *_ = compare(tmp_path, real, made)
    assert copies["id"].tolist() == list(range(10))
