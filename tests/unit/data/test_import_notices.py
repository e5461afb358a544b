"""What an import says of splits that lack classes."""

import numpy as np

from raysynth.data.import_notices import say_missing_classes


def missing(parts, classes, groups=(), source_groups=()) -> list[str]:
    lines: list[str] = []
    arrays = np.array(parts, dtype=object), np.array(classes, dtype=object)
    say_missing_classes(*arrays, 0.5, 0.0, lines.append, groups=groups, source_groups=source_groups)
    return lines


def test_nothing_is_said_of_splits_with_all_classes_or_that_nobody_wants():
    assert missing(["train", "train", "test", "test"], ["a", "b", "a", "b"], ["1", "2", "3", "4"], [None] * 4) == []


def test_one_group_of_all_images_is_said_in_one_line():
    assert missing(["train"] * 4, ["a", "a", "b", "b"], ["1"] * 4, ["P1"] * 4) == [
        "notice: all 4 images are of one group (P1), so there is no test split; "
        "give --groups, or for a table --group-column ''"
    ]


def test_a_large_group_explains_its_own_classes_only():
    parts, classes = ["train"] * 4 + ["test", "train"], ["a", "a", "a", "b", "b", "c"]
    small, large = missing(parts, classes, ["1"] * 4 + ["5", "6"], [None, None, "P1", "P2", None, None])
    assert small.startswith("notice: no test image of 'c': too few distinct images")
    assert large.startswith("notice: 4 of 6 images are of one group (P1, P2), so there is no test image of 'a';")


def test_copies_are_no_group_of_the_users():
    (line,) = missing(["train"] * 3, ["a"] * 3, ["1"] * 3, [None] * 3)
    assert line.startswith("notice: all 3 images are copies of each other, so there is no test split;")
    assert "--group" not in line


def test_small_groups_and_splits_regardless_of_groups_are_not_blamed():
    for groups in ((), ["1", "1", "3", "4"]):
        (line,) = missing(["train"] * 4, ["a"] * 4, groups, ["P1"] * len(groups))
        assert line.startswith("notice: no test image of 'a': too few distinct images")
