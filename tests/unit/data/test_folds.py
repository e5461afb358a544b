"""Folds: groups stay together, classes are spread evenly, and what is frozen stays."""

from collections import Counter

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from raysynth.data.folds import fold_split, folds, missing_classes
from raysynth.errors import UserError

IMAGES = st.lists(st.tuples(st.integers(0, 40), st.integers(0, 3)), min_size=1, max_size=200)
NUM_FOLDS = st.integers(2, 6)


def columns(images) -> tuple[list[str], list[int]]:
    return [str(group) for group, _ in images], [label for _, label in images]


def commonest_labels(groups, labels) -> dict[str, int]:
    counts = {group: Counter() for group in groups}
    for group, label in zip(groups, labels, strict=True):
        counts[group][label] += 1
    return {group: min(of_class, key=lambda label: (-of_class[label], label)) for group, of_class in counts.items()}


@settings(deadline=None)
@given(images=IMAGES, num_folds=NUM_FOLDS, seed=st.integers(0, 3), data=st.data())
def test_groups_stay_together_and_the_order_of_the_images_does_not_matter(images, num_folds, seed, data):
    groups, labels = columns(images)
    assume(len(set(groups)) >= num_folds)
    found = folds(groups, labels, num_folds=num_folds, seed=seed)
    assert set(found) <= set(range(num_folds))
    fold_of = dict(zip(groups, found, strict=True))
    assert [fold_of[group] for group in groups] == list(found)
    order = data.draw(st.permutations(range(len(images))))
    shuffled = folds([groups[i] for i in order], [labels[i] for i in order], num_folds=num_folds, seed=seed)
    assert list(found[list(order)]) == list(shuffled)


@settings(deadline=None)
@given(images=IMAGES, num_folds=NUM_FOLDS)
def test_a_class_with_as_many_groups_as_folds_is_in_every_fold(images, num_folds):
    groups, labels = columns(images)
    assume(len(set(groups)) >= num_folds)
    found = folds(groups, labels, num_folds=num_folds, seed=0)
    num_groups = Counter(commonest_labels(groups, labels).values())
    missing = missing_classes(found, labels, num_folds=num_folds)
    assert all(num_groups[label] < num_folds for label in missing)


def test_the_last_groups_of_a_class_go_where_it_is_missing():
    # By number of images alone group 2 would join group 0, and class 0 be in two folds only.
    images = [("0", 0), ("0", 0), ("0", 1), ("1", 0), ("1", 0), ("1", 0), ("2", 0), ("2", 1), ("3", 1), ("3", 1)]
    groups, labels = zip(*images, strict=True)
    for seed in range(300):
        found = folds(groups, labels, num_folds=3, seed=seed)
        assert 0 not in missing_classes(found, labels, num_folds=3)


@pytest.mark.parametrize("seed", [0, 1, 3, 4, 5])
def test_large_groups_of_several_classes_leave_every_class_even(patients, seed):
    groups, labels = patients(seed)
    found = folds(groups, labels, num_folds=4, seed=0)
    for label in range(4):
        assert np.bincount(found[labels == label], minlength=4) / np.sum(labels == label) == pytest.approx(
            0.25, abs=0.008
        )


@settings(deadline=None)
@given(sizes=st.lists(st.integers(6, 100), min_size=1, max_size=4), num_folds=NUM_FOLDS)
def test_without_groups_folds_of_a_class_differ_by_one_image_at_most(sizes, num_folds):
    labels = np.repeat(np.arange(len(sizes)), sizes)
    found = folds([str(i) for i in range(len(labels))], labels, num_folds=num_folds, seed=0)
    for label in range(len(sizes)):
        in_fold = np.bincount(found[labels == label], minlength=num_folds)
        assert in_fold.max() - in_fold.min() <= 1
    in_fold = np.bincount(found, minlength=num_folds)
    assert in_fold.max() - in_fold.min() <= 1  # the odd images of the classes go to different folds


@settings(deadline=None)
@given(sizes=st.lists(st.integers(1, 30), min_size=6, max_size=60), num_folds=NUM_FOLDS)
def test_folds_differ_by_the_largest_group_at_most(sizes, num_folds):
    groups = [str(group) for group, size in enumerate(sizes) for _ in range(size)]
    in_fold = np.bincount(folds(groups, [0] * len(groups), num_folds=num_folds, seed=0), minlength=num_folds)
    assert in_fold.max() - in_fold.min() <= max(sizes)


@settings(deadline=None)
@given(images=IMAGES, more=IMAGES, num_folds=NUM_FOLDS, seed=st.integers(0, 3))
def test_adding_images_moves_no_old_one_and_separates_no_group(images, more, num_folds, seed):
    groups, labels = columns(images + more)
    assume(len({group for group, _ in images}) >= num_folds)
    old = folds(*columns(images), num_folds=num_folds, seed=seed)
    found = folds(groups, labels, num_folds=num_folds, seed=seed, keep=[*old.tolist(), *[None] * len(more)])
    assert list(found[: len(images)]) == list(old)
    fold_of = dict(zip(groups, found, strict=True))
    assert [fold_of[group] for group in groups] == list(found)


def test_the_seed_decides():
    groups = [str(i) for i in range(60)]
    first, again, other = (list(folds(groups, [0] * 60, num_folds=3, seed=seed)) for seed in (1, 1, 2))
    assert first == again
    assert first != other


def test_a_class_of_few_groups_is_reported():
    labels = [0] * 10 + [1] * 2
    found = folds([str(i) for i in range(12)], labels, num_folds=4, seed=0)
    missing = missing_classes(found, labels, num_folds=4)
    assert list(missing) == [1]
    assert set(missing[1]) == set(range(4)) - set(found[10:])
    assert len(missing[1]) == 2


def test_what_cannot_be_split_is_refused():
    for num_folds in (1, 0, 4):
        with pytest.raises(UserError, match=f"--folds {num_folds}:"):
            folds(["a", "b", "c", "c"], [0, 0, 1, 1], num_folds=num_folds, seed=0)
    with pytest.raises(UserError, match="--folds 2:"):
        folds(["a", "b", "c"], [0, 0, 1], num_folds=2, seed=0, keep=[0, 2, None])


def test_a_round_tests_on_its_fold_and_validates_on_groups_of_the_others():
    groups = [str(i // 2) for i in range(200)]
    labels = [i % 2 for i in range(200)]
    found = folds(groups, labels, num_folds=5, seed=0)
    for fold in range(5):
        parts = fold_split(found, fold, groups, labels, validation=0.25, seed=0)
        assert np.array_equal(parts == "test", found == fold)
        assert np.sum(parts == "validation") == 40
        assert (parts[0::2] == parts[1::2]).all()
    with pytest.raises(UserError, match="--fold 5"):
        fold_split(found, 5, groups, labels, validation=0.25, seed=0)
