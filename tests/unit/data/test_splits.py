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


@pytest.mark.parametrize("seed", range(5))
def test_large_groups_of_several_classes_leave_every_class_near_its_shares(patients, seed):
    groups, labels = patients(seed)
    parts = splits.grouped(groups, labels, test=0.15, validation=0.1, seed=seed)
    for split, share in (("test", 0.15), ("validation", 0.1)):
        for label in range(4):
            assert np.mean(parts[labels == label] == split) == pytest.approx(share, abs=0.02)


@settings(deadline=None)
@given(sizes=st.lists(st.integers(1, 60), min_size=3, max_size=12), seed=st.integers(0, 3))
def test_a_class_of_three_groups_is_in_every_split_however_large_they_are(sizes, seed):
    groups = [str(group) for group, size in enumerate(sizes) for _ in range(size)]
    parts = splits.grouped(groups, [0] * len(groups), test=0.1, validation=0.1, seed=seed)
    assert set(parts) == {"train", "validation", "test"}


@settings(deadline=None)
@given(images=IMAGES, more=IMAGES, test=SHARES, validation=SHARES, seed=st.integers(0, 5))
def test_adding_images_moves_no_old_one_and_separates_no_group(images, more, test, validation, seed):
    old_groups, old_labels = columns(images)
    arguments = {"test": test, "validation": validation, "seed": seed}
    old = list(splits.grouped(old_groups, old_labels, **arguments))
    groups, labels = columns(images + more)
    parts = splits.grouped(groups, labels, keep=old + [None] * len(more), **arguments)
    assert list(parts[: len(images)]) == old
    split_of = dict(zip(groups, parts, strict=True))
    assert [split_of[group] for group in groups] == list(parts)


@settings(deadline=None)
@given(images=IMAGES, more=IMAGES, seed=st.integers(0, 5), data=st.data())
def test_the_order_of_old_and_new_images_does_not_matter(images, more, seed, data):
    groups, labels = columns(images + more)
    old = splits.grouped(*columns(images), test=0.2, validation=0.2, seed=seed)
    keep = [*old, *[None] * len(more)]
    order = data.draw(st.permutations(range(len(groups))))
    arguments = {"test": 0.25, "validation": 0.1, "seed": seed}
    parts = splits.grouped(groups, labels, keep=keep, **arguments)
    shuffled = splits.grouped(
        [groups[i] for i in order], [labels[i] for i in order], keep=[keep[i] for i in order], **arguments
    )
    assert list(parts[list(order)]) == list(shuffled)


def test_new_images_fill_up_the_shares_of_all():
    keep = ["train"] * 90 + ["test"] * 10 + [None] * 100
    parts = splits.grouped([str(i) for i in range(200)], [0] * 200, test=0.2, validation=0.1, seed=0, keep=keep)
    assert np.sum(parts == "test") == 40
    assert np.sum(parts == "validation") == 20
    too_many = splits.grouped([str(i) for i in range(200)], [0] * 200, test=0.04, validation=0, seed=0, keep=keep)
    assert np.sum(too_many == "test") == 10


def test_a_new_class_among_old_ones_is_in_every_split():
    keep = ["train"] * 80 + ["test"] * 10 + ["validation"] * 10 + [None] * 3
    labels = [0] * 100 + [1] * 3
    parts = splits.grouped([str(i) for i in range(103)], labels, test=0.1, validation=0.1, seed=0, keep=keep)
    assert sorted(parts[100:]) == ["test", "train", "validation"]


def test_twins_that_a_leaky_split_has_apart_stay_apart_and_take_no_new_image():
    groups, labels, shares = ["a", "a", "b"], [0, 0, 0], {"test": 0.1, "validation": 0.0, "seed": 0}
    parts = splits.grouped(groups, labels, keep=["train", "test", None], **shares)
    assert list(parts[:2]) == ["train", "test"]
    with pytest.raises(ValueError, match="two parts"):
        splits.grouped([*groups, "a"], [*labels, 0], keep=["train", "test", None, None], **shares)


def test_the_largest_original_of_each_group_is_kept():
    groups = ["a", "a", "a", "b", "b", "c"]
    widths, heights = [10, 20, 30, 8, 4, None], [10, 20, 10, 8, 16, None]
    ids = ["1", "2", "3", "5", "4", "6"]
    mask = splits.largest_of_each_group(groups, widths, heights, ids)
    assert list(mask) == [False, True, False, False, True, True]  # in b both have 64 pixels
    keep = ["train", None, "train", None, None, None]
    assert list(splits.largest_of_each_group(groups, widths, heights, ids, keep=keep)) == [0, 0, 1, 0, 1, 1]


@settings(deadline=None)
@given(images=IMAGES, data=st.data())
def test_one_image_a_group_whatever_their_order(images, data):
    groups, sizes = columns(images)
    ids = [str(i) for i in range(len(images))]
    mask = splits.largest_of_each_group(groups, sizes, sizes, ids)
    assert sorted(np.array(groups)[mask]) == sorted(set(groups))
    order = data.draw(st.permutations(range(len(images))))
    shuffled = splits.largest_of_each_group(
        [groups[i] for i in order], [sizes[i] for i in order], [sizes[i] for i in order], [ids[i] for i in order]
    )
    assert list(mask[list(order)]) == list(shuffled)


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
