"""One pass over images: counts of all pixels and of the foreground, spectra, histograms by group."""

import numpy as np
import pytest

from raysynth.data.dataset_writer import write_dataset
from raysynth.evaluation import pixel_statistics
from raysynth.evaluation.background import find_foreground
from raysynth.evaluation.pixel_statistics import measure_images, measure_pixels
from raysynth.evaluation.spectrum import radial_power

LEVEL = 60


def test_sums_are_those_of_the_images_and_classes_match_by_name(make_dataset):
    real = make_dataset("real", classes=("b", "a"), num_train=20, num_validation=6, num_test=4)
    train, validation = measure_pixels(
        [(real, "train"), (real, "validation")], ("a", "b", "c"), level=LEVEL, with_ray=False
    )
    images, labels = real.pixels("train")
    assert train.views == ("all", "foreground")
    assert np.array_equal(train.histograms[0, 0, 0], np.bincount(images[labels == 1].ravel(), minlength=256))
    assert train.histograms[0].sum() == images.size
    assert not train.histograms[:, 2].any()
    inside = images[:, 0][find_foreground(images, LEVEL)]
    assert np.array_equal(train.histograms[1].sum((0, 1)), np.bincount(inside, minlength=256))
    assert train.num_images.tolist() == [10, 10, 0]
    assert train.power[0] == pytest.approx(radial_power(images[labels == 1]).sum(axis=0))
    assert validation.num_images.tolist() == [3, 3, 0]
    assert np.array_equal(train.grouped.sum(axis=0), train.histograms.sum(axis=1))


def test_parts_add_up():
    rng = np.random.default_rng(0)
    images, labels = rng.integers(0, 256, (20, 2, 16, 16), dtype=np.uint8), rng.integers(0, 3, 20)
    whole = measure_images(images, labels, 3, LEVEL, np.arange(20))
    rows = [np.arange(i, min(i + 7, 20)) for i in (0, 7, 14)]
    parts = [measure_images(images[row], labels[row], 3, LEVEL, np.arange(len(row))) for row in rows]
    for name in ("histograms", "num_images"):
        assert np.array_equal(sum(part[name] for part in parts), whole[name])
    assert sum(part["power"] for part in parts) == pytest.approx(whole["power"])
    assert np.array_equal(np.concatenate([part["counts"] for part in parts]), whole["counts"])


@pytest.mark.parametrize(("kind", "num_groups"), [("real", 3), ("synthetic", 6)])
def test_real_images_belong_to_groups_and_generated_ones_to_none(tmp_path, kind, num_groups):
    images = np.random.default_rng(0).integers(0, 256, (6, 1, 16, 16), dtype=np.uint8)
    dataset = write_dataset(
        tmp_path / "set",
        name="set",
        kind=kind,
        classes=("a", "b"),
        images=images,
        columns={
            "id": list("uvwxyz"),
            "label": [0, 0, 0, 1, 0, 1],
            "split": ["train"] * 6,
            "group": ["p", "p", "p", "q", "q", "q"],
        },
        source={},
    )
    (found,) = measure_pixels([(dataset, "train")], dataset.classes, level=None, with_ray=False)
    assert found.views == ("all",)
    # A group of two classes is one in each of them.
    assert len(found.grouped) == num_groups
    assert np.array_equal(found.grouped.sum((0, 1, 2)), np.bincount(images.ravel(), minlength=256))


def test_histograms_by_group_are_of_some_of_a_large_set(make_dataset, monkeypatch):
    monkeypatch.setattr(pixel_statistics, "MAX_GROUPED", 8)
    dataset = make_dataset("set", num_train=24)
    (found,) = measure_pixels([(dataset, "train")], dataset.classes, level=None, with_ray=False)
    assert found.grouped.sum() == 8 * 16 * 16
    assert found.histograms.sum() == 24 * 16 * 16
    assert found.num_images.sum() == 24


def test_a_split_without_images_is_empty(make_dataset):
    dataset = make_dataset("set", num_train=6)
    (found,) = measure_pixels([(dataset, "validation")], dataset.classes, level=LEVEL, with_ray=False)
    assert not found.num_images.any()
    assert found.grouped.shape == (0, 2, 1, 256)
