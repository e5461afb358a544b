"""The phantom: the same arguments give the same set; classes, groups and splits are as promised."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from raysynth.data.anatomy import SEQUENCES
from raysynth.data.dataset import Dataset, load_dataset
from raysynth.data.phantom import CLASSES, PITUITARY_VIEW_SHARES, draw_slice, phantom
from raysynth.data.views import VIEWS
from raysynth.errors import UserError


@pytest.fixture(scope="module")
def drawn(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    return phantom(tmp_path_factory.mktemp("phantom") / "set", num_images=240, size=32, seed=3)


def generators(patient: int, index: int) -> dict[str, np.random.Generator]:
    return {"patient": np.random.default_rng([1, patient]), "rng": np.random.default_rng([2, index])}


def test_set_is_as_described(drawn: Dataset) -> None:
    images, labels = drawn.pixels()
    assert images.shape == (240, 1, 32, 32)
    assert images.dtype == np.uint8
    assert np.bincount(labels).tolist() == [67, 70, 36, 67]
    assert (drawn.name, drawn.kind, drawn.classes) == ("phantom", "real", CLASSES)
    assert drawn.source == {"phantom": {"num_images": 240, "size": 32, "seed": 3}}
    assert drawn.leakage.status == "clean"
    assert load_dataset(drawn.path) == drawn


def test_images_use_the_range_and_differ(drawn: Dataset) -> None:
    images, _ = drawn.pixels()
    flat = images.reshape(len(images), -1)
    assert len(np.unique(flat, axis=0)) == len(images)
    assert flat.max(axis=1).min() > 50
    assert np.mean(flat < 30) > 0.2
    assert flat.std(axis=1).min() > 5


def test_every_class_reaches_every_split_in_its_share(drawn: Dataset) -> None:
    for split, share in {"train": 0.8, "validation": 0.1, "test": 0.1}.items():
        for name in CLASSES:
            total = sum(counts[name] for counts in drawn.counts.values())
            assert drawn.counts[split][name] == pytest.approx(share * total, abs=3)


@pytest.mark.parametrize("seed", range(5))
def test_smallest_set_has_each_class_in_each_split(tmp_path: Path, seed: int) -> None:
    dataset = phantom(tmp_path / "set", num_images=40, size=16, seed=seed)
    assert dataset.num_images() == 40
    assert min(count for counts in dataset.counts.values() for count in counts.values()) >= 1


def test_patients_have_one_class_one_split_and_up_to_three_slices(drawn: Dataset) -> None:
    table = drawn.read(["group", "label", "split"]).to_pandas()
    patients = table.groupby("group")
    assert set(patients.size()) == {1, 2, 3}
    assert (patients["split"].nunique() == 1).all()
    assert (patients["label"].nunique() == 1).all()


def test_same_arguments_same_set_other_seed_another(tmp_path: Path) -> None:
    options: dict[str, Any] = {"num_images": 40, "size": 24}
    first = phantom(tmp_path / "first", **options, seed=1)
    second = phantom(tmp_path / "second", **options, seed=1)
    other = phantom(tmp_path / "other", **options, seed=2)
    assert first.fingerprint == second.fingerprint != other.fingerprint


def test_slices_of_one_patient_resemble_each_other() -> None:
    within, between = [], []
    for patient in range(12):
        slices = [draw_slice("glioma", 32, **generators(patient, 2 * patient + k)).astype(float) for k in (0, 1)]
        stranger = draw_slice("glioma", 32, **generators(patient + 100, 2 * patient + 1)).astype(float)
        within.append(np.corrcoef(slices[0].ravel(), slices[1].ravel())[0, 1])
        between.append(np.corrcoef(slices[0].ravel(), stranger.ravel())[0, 1])
    assert np.mean(within) > np.mean(between) + 0.1


@pytest.mark.parametrize("name", ["glioma", "meningioma", "pituitary"])
def test_a_lesion_is_painted_on_the_head(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    # With the same views for all classes, one patient's head is the same below each lesion.
    monkeypatch.setattr("raysynth.data.phantom.VIEW_SHARES", PITUITARY_VIEW_SHARES)
    changed = [
        np.mean(draw_slice(name, 64, **generators(k, k)) != draw_slice("no_tumor", 64, **generators(k, k)))
        for k in range(10)
    ]
    assert np.median(changed) > 0.005
    assert np.max(changed) < 0.6


@pytest.mark.parametrize("size", [16, 63, 256])
@pytest.mark.parametrize("name", CLASSES)
def test_any_size_and_the_head_stays_the_same(name: str, size: int) -> None:
    image = draw_slice(name, size, **generators(5, 5))
    assert image.shape == (size, size)
    assert image.dtype == np.uint8
    assert image.mean() == pytest.approx(draw_slice(name, 128, **generators(5, 5)).mean(), rel=0.15)


def test_tables_fit_together() -> None:
    from raysynth.data import phantom as module

    assert set(module.VIEW_SHARES) == set(VIEWS)
    assert set(module.PITUITARY_VIEW_SHARES) <= set(VIEWS)
    assert set(module.SEQUENCE_SHARES) == set(SEQUENCES)
    for shares in (module.VIEW_SHARES, module.PITUITARY_VIEW_SHARES, module.SEQUENCE_SHARES):
        assert sum(shares.values()) == pytest.approx(1)


def test_mean_intensity_tells_little(drawn: Dataset) -> None:
    images, labels = drawn.pixels()
    means = images.reshape(len(images), -1).mean(axis=1)
    spread = means.std()
    for label in range(len(CLASSES)):
        assert abs(means[labels == label].mean() - means.mean()) < 0.6 * spread


@pytest.mark.parametrize(
    ("options", "named"),
    [
        ({"num_images": 39}, "--images 39"),
        ({"size": 15}, "--size 15"),
        ({"size": 257}, "--size 257"),
        ({"seed": -1}, "--seed -1"),
    ],
)
def test_bad_options_are_refused(tmp_path: Path, options: dict[str, Any], named: str) -> None:
    with pytest.raises(UserError, match=named):
        phantom(tmp_path / "set", **options)
    assert not (tmp_path / "set").exists()


def test_a_full_folder_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("mine")
    with pytest.raises(UserError, match="not empty"):
        phantom(tmp_path, num_images=40, size=16)
    assert [file.name for file in tmp_path.iterdir()] == ["file"]


def test_progress_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("raysynth.data.phantom.PROGRESS_EVERY", 20)
    lines: list[str] = []
    phantom(tmp_path / "set", num_images=40, size=16, say=lines.append)
    assert lines == ["20 of 40 images drawn", "40 of 40 images drawn"]
