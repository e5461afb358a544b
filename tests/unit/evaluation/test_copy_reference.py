"""The score of a copy, and the threshold that is set on held-out images alone."""

from __future__ import annotations

import numpy as np
import pytest

from raysynth.data.dataset import Dataset
from raysynth.data.dataset_writer import write_dataset
from raysynth.evaluation.copy_reference import build_reference, threshold_of


def write(path, images: np.ndarray, splits: list[str], groups: list[str]) -> Dataset:
    return write_dataset(
        path,
        name="real",
        kind="real",
        classes=["a"],
        images=images,
        columns={
            "id": [str(i) for i in range(len(images))],
            "label": np.zeros(len(images), int),
            "split": splits,
            "group": groups,
        },
        source={},
    )


def blobs(n: int, seed: int = 0) -> np.ndarray:
    """Smooth pictures (n, 1, 32, 32), all different."""
    coarse = np.random.default_rng(seed).integers(0, 256, (n, 1, 8, 8)).astype(np.float32)
    return np.repeat(np.repeat(coarse, 4, axis=2), 4, axis=3).astype(np.uint8)


SPLITS = ["train"] * 40 + ["validation"] * 20


@pytest.fixture
def reference(tmp_path):
    return build_reference(write(tmp_path / "real", blobs(60), SPLITS, [str(i) for i in range(60)]))


@pytest.mark.parametrize(("n", "place"), [(9, 0), (99, 0), (199, 1), (327, 2), (999, 9)])
def test_threshold_leaves_at_most_one_of_a_hundred_below(n, place):
    scores = np.random.default_rng(0).permutation(n).astype(float)
    assert threshold_of(scores) == place
    # With the new one among n + 1 that are as likely to be each, the chance to be below it:
    assert (place + 1) / (n + 1) <= max(0.01, 1 / (n + 1))


def test_a_fresh_score_is_below_the_threshold_as_seldom_as_promised():
    random = np.random.default_rng(0)
    alarms = [random.random() < threshold_of(random.random(327)) for _ in range(20_000)]
    assert np.mean(alarms) == pytest.approx(3 / 328, abs=0.002)


def test_noise_contrast_and_a_mirror_leave_a_copy_a_copy(reference):
    images = blobs(60)[:10]
    noise = np.random.default_rng(1).normal(0, 10, images.shape)
    for copies in (images[..., ::-1], images // 2 + 30, np.clip(images + noise, 0, 255).astype(np.uint8)):
        found = reference.find(copies)
        assert reference.is_copy(found).all()
        assert found.nearest.tolist() == list(range(10))


def test_other_images_are_seldom_called_copies(reference):
    found = reference.find(blobs(200, seed=7))
    assert reference.is_copy(found).mean() < 0.15  # 1 of 21 is expected, with 20 held-out images
    assert found.score.min() > 10 * reference.find(blobs(60)[:40]).score.max()


def test_a_blank_image_is_a_copy_of_nobody(tmp_path):
    images = blobs(60)
    images[[0, 45]] = 0
    reference = build_reference(write(tmp_path / "real", images, SPLITS, [str(i) for i in range(60)]))
    found = reference.find(np.zeros((2, 1, 32, 32), np.uint8))
    assert np.isinf(found.score).all()
    assert not reference.is_copy(found).any()
    assert not reference.calibrating[5]
    assert reference.threshold > 0


def test_held_out_images_that_are_copies_themselves_do_not_set_the_threshold(tmp_path):
    images = blobs(60)
    images[50] = images[3]  # the audit did not know it
    groups = [str(i) for i in range(60)]
    groups[51] = groups[4]
    reference = build_reference(write(tmp_path / "real", images, SPLITS, groups))
    assert np.flatnonzero(~reference.calibrating).tolist() == [10, 11]
    assert reference.is_copy(reference.find(images[:20])).all()


def test_the_same_picture_of_two_groups_is_a_copy_still(tmp_path):
    images = blobs(60)
    images[1] = images[0]
    reference = build_reference(write(tmp_path / "real", images, SPLITS, [str(i) for i in range(60)]))
    assert reference.is_copy(reference.find(images[:2])).all()


def test_test_images_are_not_read(tmp_path):
    images, groups = blobs(60), [str(i) for i in range(60)]
    splits = [*SPLITS[:50], *["test"] * 10]
    plain = build_reference(write(tmp_path / "plain", images, splits, groups))
    images[50:] = blobs(10, seed=5)
    other = build_reference(write(tmp_path / "other", images, splits, groups))
    assert plain.threshold == other.threshold
    assert np.array_equal(plain.real.scales, other.real.scales)


@pytest.mark.parametrize("splits", [["train"] * 60, ["train"] * 59 + ["validation"]])
def test_too_few_held_out_images_are_no_reference(tmp_path, splits):
    assert build_reference(write(tmp_path / "real", blobs(60), splits, [str(i) for i in range(60)])) is None


def test_blocks_of_images_give_what_all_at_once_give(reference, monkeypatch):
    images = blobs(30, seed=3)
    whole = reference.find(images)
    monkeypatch.setattr("raysynth.evaluation.copy_neighbours._MAX_MATRIX", 200)
    parts = reference.find(images)
    assert np.array_equal(whole.nearest, parts.nearest)
    assert parts.score == pytest.approx(whole.score, abs=1e-4)
    assert parts.real_distances == pytest.approx(whole.real_distances, abs=1e-3)


def test_volumes_are_compared_too(tmp_path):
    volumes = np.repeat(blobs(60)[:, :, None], 8, axis=2) // 2
    volumes[:, :, 4:] += 20
    reference = build_reference(write(tmp_path / "real", volumes, SPLITS, [str(i) for i in range(60)]))
    found = reference.find(np.concatenate([volumes[:5], volumes[5:10, ..., ::-1]]))
    assert reference.is_copy(found).all()
    assert found.mirrored.tolist() == [False] * 5 + [True] * 5
