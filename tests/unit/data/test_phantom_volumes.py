"""The phantom of volumes: seeded, of the sizes that networks take, the lesion alone tells the classes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from raysynth.cli.main import run
from raysynth.data.dataset import Dataset, load_dataset
from raysynth.data.phantom import CLASSES, phantom
from raysynth.data.phantom_volumes import LESIONS, SIZES, draw_volume
from raysynth.errors import UserError


@pytest.fixture(scope="module")
def drawn(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    return phantom(tmp_path_factory.mktemp("phantom") / "set", num_images=120, size=16, volumes=True, seed=3)


def generators(patient: int, index: int) -> dict[str, np.random.Generator]:
    return {"patient": np.random.default_rng([1, patient]), "rng": np.random.default_rng([2, index])}


def test_set_is_as_described(drawn: Dataset) -> None:
    images, labels = drawn.pixels()
    assert images.shape == (120, 1, 16, 16, 16)
    assert images.dtype == np.uint8
    assert np.bincount(labels).tolist() == [34, 35, 18, 33]
    assert (drawn.name, drawn.kind, drawn.classes) == ("phantom_volumes", "real", CLASSES)
    assert drawn.source == {"phantom": {"num_images": 120, "size": 16, "seed": 3, "volumes": True}}
    assert drawn.leakage.status == "clean"
    assert load_dataset(drawn.path) == drawn
    assert len(np.unique(images.reshape(len(images), -1), axis=0)) == len(images)


def test_patients_have_one_class_one_split_and_up_to_two_volumes(drawn: Dataset) -> None:
    patients = drawn.read(["group", "label", "split"]).to_pandas().groupby("group")
    assert set(patients.size()) == {1, 2}
    assert (patients["split"].nunique() == 1).all()
    assert (patients["label"].nunique() == 1).all()


def test_same_arguments_same_set_other_seed_another(tmp_path: Path) -> None:
    options: dict[str, Any] = {"num_images": 40, "size": 16, "volumes": True}
    prints = [
        phantom(tmp_path / str(number), **options, seed=seed).fingerprint for number, seed in enumerate((1, 1, 2))
    ]
    assert prints[0] == prints[1] != prints[2]


@pytest.mark.parametrize("size", SIZES)
def test_a_volume_of_another_size_shows_the_same_head(size: int) -> None:
    volume = draw_volume("meningioma", size, **generators(5, 5))
    assert volume.shape == (size, size, size)
    assert volume.dtype == np.uint8
    assert volume.mean() == pytest.approx(draw_volume("meningioma", 32, **generators(5, 5)).mean(), rel=0.15)


@pytest.mark.parametrize("name", [name for name in LESIONS if name != "no_tumor"])
def test_a_lesion_is_painted_on_the_head(name: str) -> None:
    changed = [
        np.mean(draw_volume(name, 32, **generators(k, k)) != draw_volume("no_tumor", 32, **generators(k, k)))
        for k in range(6)
    ]
    assert min(changed) > 0.0005
    assert max(changed) < 0.2


def test_lesions_lie_where_their_class_has_them() -> None:
    """In head coordinates of a volume: an adenoma below the middle and central, a meningioma far from the centre."""
    places = {}
    for name in ("meningioma", "pituitary"):
        at = []
        for k in range(12):
            lesion, healthy = (draw_volume(which, 32, **generators(k, k)).astype(float) for which in (name, "no_tumor"))
            points = np.argwhere(np.abs(lesion - healthy) > 15)
            if len(points):
                at.append(points.mean(axis=0) / 15.5 - 1)
        places[name] = np.array(at)
    assert places["pituitary"][:, 0].max() < 0.1  # below
    assert np.abs(places["pituitary"][:, 2]).max() < 0.3  # on the midline
    assert np.linalg.norm(places["meningioma"], axis=1).mean() > np.linalg.norm(places["pituitary"], axis=1).mean()


def test_mean_intensity_tells_little(drawn: Dataset) -> None:
    images, labels = drawn.pixels()
    means = images.reshape(len(images), -1).mean(axis=1)
    for label in range(len(CLASSES)):
        assert abs(means[labels == label].mean() - means.mean()) < 0.6 * means.std()


@pytest.mark.parametrize(
    ("options", "named"),
    [
        ({"num_images": 39}, "--images 39"),
        ({"num_images": 20_001}, "--images 20001"),
        ({"size": 48}, "--size 48: want 16, 32 or 64 voxels with --volumes"),
        ({"size": 128}, "--size 128: want 16, 32 or 64"),
        ({"seed": -1}, "--seed -1"),
    ],
)
def test_bad_options_are_refused(tmp_path: Path, options: dict[str, Any], named: str) -> None:
    with pytest.raises(UserError, match=named):
        phantom(tmp_path / "set", volumes=True, **options)
    assert not (tmp_path / "set").exists()


def test_the_command_line_draws_them(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ["--volumes", "--size", "16", "--images", "40", "--out", str(tmp_path / "set")]
    assert run(["data", "phantom", *arguments]) == 0
    assert "1 x 16 x 16 x 16 (channels x depth x height x width)" in capsys.readouterr().out
