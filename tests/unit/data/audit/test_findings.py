"""What pairs and groups say of splits, labels and other data sets, on examples that are counted by hand."""

import json

import numpy as np
import pandas as pd
import pytest

from raysynth.data import splits
from raysynth.data.audit.findings import (
    MAX_LISTED,
    RANDOM_SEEDS,
    contact,
    count_relations,
    label_conflicts,
    leakage_of_splits,
)
from raysynth.data.leakage import find_leakage


def table(*rows: tuple, **columns) -> pd.DataFrame:
    """Pairs of (row_a, row_b, class_a, class_b), near copies unless said otherwise."""
    pairs = pd.DataFrame(rows, columns=["row_a", "row_b", "class_a", "class_b"])
    pairs = pairs.astype({"row_a": np.int64, "row_b": np.int64})
    for side in "ab":
        pairs[f"id_{side}"] = [f"id{row}" for row in pairs[f"row_{side}"]]
        pairs[f"path_{side}"] = [f"path{row}" for row in pairs[f"row_{side}"]]
    return pairs.assign(**({"set_b": 0, "relation": "near", "orientation": "upright", "score": 0.9} | columns))


def test_relations_are_counted_with_their_images_and_orientations():
    pairs = table(
        *[(0, 1, "a", "a"), (1, 2, "a", "a"), (3, 0, "a", "a")],
        relation=["mirrored", "mirrored", "exact"],
        orientation=["left-right", "up-down", "upright"],
    )
    found = count_relations(pairs, [pairs["row_a"].to_numpy(), pairs["row_b"].to_numpy()])
    assert list(found) == ["exact", "near", "mirrored", "rotated", "inverted"]
    assert found["mirrored"] == {"pairs": 2, "images": 3, "orientations": {"left-right": 1, "up-down": 1}}
    assert found["exact"] == {"pairs": 1, "images": 2, "orientations": {"upright": 1}}
    assert found["near"] == {"pairs": 0, "images": 0, "orientations": {}}
    one_side = count_relations(pairs, [pairs["row_a"].to_numpy()])
    assert one_side["mirrored"]["images"] == 2


def test_leaks_of_the_split_in_force_and_of_the_folders_are_counted_by_class(make_subject):
    subject = make_subject(
        8,
        classes=list("aaaabbbb"),
        splits=["train", "test", "test", "validation", "train", "test", "train", "test"],
        source_splits=["train", "train", None, "test", "test", "train", "test", "test"],
    )
    groups = ["x", "x", "y", "x", "z", "z", "z", "w"]
    found = leakage_of_splits(subject, groups)
    assert found["in force"] == {
        "status": "leaky",
        "detail": found["in force"]["detail"],
        "num_test": 2,  # the image 1 (of x) and 5 (of z)
        "num_validation": 1,  # the image 3 (of x)
        "of_test": 4,
        "of_validation": 1,
        "test_by_class": {"a": {"leaked": 1, "of": 2}, "b": {"leaked": 1, "of": 2}},
    }
    # A file that lies in no folder of a split counts as train.
    assert found["folders"]["test_by_class"] == {"a": {"leaked": 1, "of": 1}, "b": {"leaked": 2, "of": 3}}
    assert (found["folders"]["num_test"], found["folders"]["of_test"]) == (3, 4)
    assert list(found) == ["in force", "folders", "random"]


def test_without_folders_or_a_test_split_there_is_nothing_to_compare(make_subject):
    found = leakage_of_splits(make_subject(4), list("aabb"))
    assert list(found) == ["in force"]
    assert (found["in force"]["status"], found["in force"]["of_test"], found["in force"]["test_by_class"]) == (
        *("clean", 0),
        {},
    )


def test_a_random_split_of_the_same_shares_is_the_mean_of_several_draws(make_subject):
    """Of 100 pairs of twins: a test image leaks where its twin is in train or validation."""
    num, num_test = 200, 40
    parts = ["test"] * num_test + ["validation"] * 20 + ["train"] * 140
    subject = make_subject(num, splits=parts, classes=["a", "b"] * (num // 2))
    groups = [str(row // 2) for row in range(num)]
    found = leakage_of_splits(subject, groups)
    assert found["in force"]["status"] == "clean"
    random = found["random"]
    assert random["status"] == "leaky"
    assert "detail" not in random
    assert (random["of_test"], random["of_validation"]) == (num_test, 20)
    draws = [splits.random(num, test=0.2, validation=0.1, seed=seed) for seed in range(RANDOM_SEEDS)]
    assert random["num_test"] == np.mean([find_leakage(groups, list(draw)).num_test for draw in draws]).round(1)
    # The twin of a test image is one of 199 others, of which 39 are in test.
    assert random["num_test"] == pytest.approx(num_test * 160 / 199, abs=3)
    by_class = random["test_by_class"]
    assert sum(of_class["leaked"] for of_class in by_class.values()) == pytest.approx(random["num_test"], abs=0.11)
    assert sum(of_class["of"] for of_class in by_class.values()) == pytest.approx(num_test, abs=0.11)
    json.dumps(found)


def test_a_random_split_is_leaky_if_one_draw_is(make_subject):
    """One pair of twins among many: few draws separate it."""
    num = 30
    leaky = []
    for pair in range(12):
        subject = make_subject(num, splits=["test"] * 3 + ["train"] * 27)
        groups = [str(row) for row in range(num)]
        groups[2 * pair + 1] = groups[2 * pair]
        random = leakage_of_splits(subject, groups)["random"]
        assert (random["status"] == "leaky") == (random["num_test"] > 0)
        leaky.append(random["num_test"] > 0)
    assert any(leaky)
    assert not all(leaky)


def test_a_class_that_some_draws_do_not_test_counts_there_as_none(make_subject):
    subject = make_subject(20, splits=["test"] * 2 + ["train"] * 18, classes=["rare"] + ["common"] * 19)
    by_class = leakage_of_splits(subject, [str(row) for row in range(20)])["random"]["test_by_class"]
    assert by_class.get("rare", {"of": 0})["of"] + by_class["common"]["of"] == pytest.approx(2, abs=0.11)


def test_pairs_under_two_classes_are_listed_with_both_paths_the_most_certain_first():
    pairs = table(
        *[(0, 1, "a", "b"), (2, 3, "a", "a"), (1, 4, "b", "a"), (5, 0, "c", "a")],
        relation=["near", "exact", "exact", "mirrored"],
        score=[0.9, 1.0, 1.0, 0.95],
    )
    found = label_conflicts(pairs)
    assert found["pairs"] == 3
    assert found["images"] == 4
    assert found["by_classes"] == {"a / b": 2, "a / c": 1}
    assert [(row["path_a"], row["class_a"], row["path_b"], row["class_b"]) for row in found["listed"]] == [
        ("path1", "b", "path4", "a"),
        ("path5", "c", "path0", "a"),
        ("path0", "a", "path1", "b"),
    ]
    assert found["listed"][0]["relation"] == "exact"
    json.dumps(found)


def test_images_in_conflict_are_counted_once_whatever_their_paths():
    """Two frames of one file are two images, and so are files of one name in two data sets."""
    frames = table((0, 1, "a", "b"), path_a="volume.nii", path_b="volume.nii")
    assert label_conflicts(frames)["images"] == 2
    across = table((0, 0, "a", "b"), (1, 1, "a", "b"), path_a="1.png", path_b="1.png", set_b=1)
    assert label_conflicts(across)["images"] == 4
    within = table((0, 1, "a", "b"), (1, 2, "b", "a"))
    assert label_conflicts(within)["images"] == 3


def test_of_very_many_conflicts_some_are_listed():
    found = label_conflicts(table(*[(row, row + 1, "a", "b") for row in range(MAX_LISTED + 10)]))
    assert found["pairs"] == MAX_LISTED + 10
    assert len(found["listed"]) == MAX_LISTED


def test_contact_with_another_data_set_is_counted_by_split_and_class(make_subject):
    here = make_subject(6, classes=list("aaabbb"), splits=["train", "test", "test", "validation", "test", "test"])
    there = make_subject(5, classes=["a", "a", "b", "c", "c"], name="there", fingerprint="f")
    pairs = table((1, 0, "a", "a"), (1, 1, "a", "a"), (2, 2, "a", "b"), (3, 2, "b", "b"), (4, 3, "b", "c"), set_b=1)
    found = contact(here, there, pairs)
    assert (found["name"], found["fingerprint"], found["images"]) == ("there", "f", 5)
    assert (found["images_with_a_copy"], found["its_images_with_a_copy"]) == (4, 4)
    assert found["by_split"] == {
        "train": {"with_a_copy": 0, "of": 1},
        "validation": {"with_a_copy": 1, "of": 1},
        "test": {"with_a_copy": 3, "of": 4},
    }
    assert found["test_by_class"] == {"a": {"with_a_copy": 2, "of": 2}, "b": {"with_a_copy": 1, "of": 2}}
    assert found["near"]["pairs"] == 5
    assert found["near"]["images"] == 4
    assert (found["classes_compared"], found["classes_only_there"]) == (["a", "b"], ["c"])
    assert found["label_conflicts"]["pairs"] == 1  # the pair of b and c says nothing
    json.dumps(found)


def test_renaming_makes_classes_comparable(make_subject):
    here, there = make_subject(2, classes=["no", "yes"]), make_subject(2, classes=["negative", "positive"])
    pairs = table((0, 1, "no", "positive"), set_b=1)
    assert contact(here, there, pairs)["label_conflicts"]["pairs"] == 0
    renamed = there.rename({"negative": "no", "positive": "yes"})
    found = contact(here, renamed, pairs.assign(class_b="yes"))
    assert found["classes_compared"] == ["no", "yes"]
    assert found["label_conflicts"]["by_classes"] == {"no / yes": 1}


def test_no_contact_is_counted_as_none(make_subject):
    found = contact(make_subject(3), make_subject(2), table())
    assert found["images_with_a_copy"] == found["its_images_with_a_copy"] == 0
    assert found["label_conflicts"]["listed"] == []
    assert all(np.array(list(split.values()))[0] == 0 for split in found["by_split"].values())
