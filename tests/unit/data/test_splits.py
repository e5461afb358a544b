"""Splits: deterministic, balanced by class, and groups stay together."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from raysynth.data import splits

# Images as (group, label): few groups, so that many have twins.
IMAGES = st.lists(st.tuples(st.integers(0, 40), st.integers(0, 3)), min_size=1, max_size=200)
SHARES = st.sampled_from([0.0, 0.1, 0.25, 0.4])


def columns(images) -> tuple[list[str], list[int]]:
    return [str(group) for group, _ in images], [label for _, label in images]


@settings(deadline=None)
@given(images=IMAGES, test=SHARES, validation=SHARES, seed=st.integers(0, 5))
def test_groups_are_never_separated_and_train_is_never_empty(images, test, validation, seed):
    groups, labels = columns(images)
    parts = splits.grouped(groups, labels, test=test, validation=validation, seed=seed)
    split_of = dict(zip(groups, parts, strict=True))
    assert [split_of[group] for group in groups] == list(parts)
    assert "train" in parts
    assert (test > 0) or "test" not in parts
    assert (validation > 0) or "validation" not in parts


@settings(deadline=None)
@given(images=IMAGES, seed=st.integers(0, 5), data=st.data())
def test_the_order_of_the_images_does_not_matter(images, seed, data):
    groups, labels = columns(images)
    order = data.draw(st.permutations(range(len(images))))
    parts = splits.grouped(groups, labels, test=0.2, validation=0.2, seed=seed)
    shuffled = splits.grouped(
        [groups[i] for i in order], [labels[i] for i in order], test=0.2, validation=0.2, seed=seed
    )
    assert list(parts[list(order)]) == list(shuffled)


@settings(deadline=None)
@given(sizes=st.lists(st.integers(20, 200), min_size=2, max_size=4), test=SHARES, validation=SHARES)
def test_every_class_has_its_shares(sizes, test, validation):
    labels = np.repeat(np.arange(len(sizes)), sizes)
    parts = splits.grouped([str(i) for i in range(len(labels))], labels, test=test, validation=validation, seed=0)
    for label, size in enumerate(sizes):
        for split, share in (("test", test), ("validation", validation)):
            assert abs(np.sum(parts[labels == label] == split) - share * size) <= 1


def test_shares_stay_near_with_large_groups():
    groups = [f"{label}-{i // (1 + i % 4)}" for label in range(2) for i in range(400)]
    labels = [label for label in range(2) for _ in range(400)]
    parts = splits.grouped(groups, labels, test=0.1, validation=0.1, seed=3)
    for split in ("test", "validation"):
        assert abs(np.sum(parts == split) - 80) <= 6


def test_the_seed_decides():
    groups, labels = [str(i) for i in range(100)], [0] * 100
    first, again, other = (
        list(splits.grouped(groups, labels, test=0.2, validation=0.1, seed=seed)) for seed in (1, 1, 2)
    )
    assert first == again
    assert first != other


@pytest.mark.parametrize(
    ("num_groups", "expected"),
    [(1, ["train"]), (2, ["test", "train"]), (3, ["test", "train", "validation"])],
)
def test_small_classes_fill_train_then_test_then_validation(num_groups, expected):
    parts = splits.grouped([str(i) for i in range(num_groups)], [0] * num_groups, test=0.1, validation=0.1, seed=0)
    assert sorted(parts) == expected


def test_a_huge_group_stays_in_train():
    groups = ["huge"] * 50 + [str(i) for i in range(50)]
    for seed in range(5):
        parts = splits.grouped(groups, [0] * 100, test=0.1, validation=0.1, seed=seed)
        assert parts[0] == "train"


def test_random_is_the_split_of_the_study():
    parts = splits.random(3264, test=0.1, validation=0.0, seed=0)
    assert np.sum(parts == "test") == 327
    assert np.sum(parts == "train") == 2937
    assert np.sum(splits.random(30, test=0.1, validation=0.1, seed=0) == "test") == 3
    assert list(parts) == list(splits.random(3264, test=0.1, validation=0.0, seed=0))


@settings(deadline=None)
@given(num_images=st.integers(1, 50), test=SHARES, validation=SHARES)
def test_random_leaves_something_to_train_on(num_images, test, validation):
    assert "train" in splits.random(num_images, test=test, validation=validation, seed=0)


def test_folders_keep_the_splits_of_the_source():
    given_splits = ["train", "validation", "test", "train"]
    arguments = {"groups": list("abca"), "labels": [0] * 4, "validation": 0.5, "seed": 0}
    assert list(splits.folders(given_splits, has_validation=True, **arguments)) == given_splits


def test_folders_take_validation_out_of_train_by_groups():
    given_splits = ["train"] * 100 + ["test"] * 20
    groups = [str(i // 2) for i in range(100)] + [str(i) for i in range(20)]
    parts = splits.folders(given_splits, groups, [0] * 120, has_validation=False, validation=0.2, seed=0)
    assert list(parts[100:]) == ["test"] * 20
    assert np.sum(parts == "validation") == 20
    assert (parts[0:100:2] == parts[1:100:2]).all()
