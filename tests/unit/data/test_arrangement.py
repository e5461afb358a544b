"""From images and their copies to a split: dedupe, images that are there already, folds."""

from __future__ import annotations

from itertools import combinations
from typing import Any

import numpy as np
import pandas as pd
import pytest

from raysynth.data.arrangement import Arrangement, Plan, arrange, take_pairs
from raysynth.data.audit.groups import MIN_GUARDED
from raysynth.data.audit.subject import Subject
from raysynth.data.audit.thresholds import Thresholds


def make_subject(num_images: int, **columns: Any) -> Subject:
    values: dict[str, Any] = {
        "ids": [f"id{i:03d}" for i in range(num_images)],
        "paths": [f"{i}.png" for i in range(num_images)],
        "classes": ["a", "b"] * (num_images // 2) + ["a"] * (num_images % 2),
        "groups": [""] * num_images,
        "hashes": [f"{i:04d}" for i in range(num_images)],
        "thumbnails": np.zeros((num_images, 64, 64), dtype=np.uint8),
        "source_splits": [None] * num_images,
        "source_groups": [None] * num_images,
        "widths": [10] * num_images,
        "heights": [10] * num_images,
        "formats": ["PNG"] * num_images,
    } | columns
    values["classes"] = np.array(values["classes"], dtype=object)
    splits = np.full(num_images, "train", dtype=object)
    return Subject(name="images", splits=splits, **values)


def copies(*pairs: tuple[int, int], scores: Any = 0.9, relation: str = "near") -> pd.DataFrame:
    rows = np.array(pairs, dtype=np.int64).reshape(-1, 2)
    return pd.DataFrame({"a": rows[:, 0], "b": rows[:, 1], "score": scores, "relation": relation})


def run(subject: Subject, found: pd.DataFrame, keep: list[str | None] | None = None, **options: Any) -> Arrangement:
    more = {name: options.pop(name) for name in ("keep_folds", "has_validation") if name in options}
    plan = {"split": "grouped", "test": 0.2, "validation": 0.2, "num_folds": None, "dedupe": False, "seed": 0} | options
    keep = [None] * len(subject) if keep is None else keep
    return arrange(subject, found, Plan(**plan), thresholds=Thresholds(), keep=keep, **more)


def parts_of_groups(arranged: Arrangement, number: int = 0) -> list[set[str]]:
    """For every group the splits that its images stand in."""
    parts: dict[str, set[str]] = {}
    for group, part in zip(arranged.subject.groups, arranged.parts[number], strict=True):
        parts.setdefault(group, set()).add(part)
    return list(parts.values())


def test_copies_and_the_users_groups_are_never_separated():
    subject = make_subject(40, source_groups=["p", "p"] + [None] * 36 + ["q", "q"])
    arranged = run(subject, copies((1, 5), (5, 7), (20, 38), (10, 11)))
    groups = arranged.subject.groups
    assert len({groups[row] for row in (0, 1, 5, 7)}) == 1
    assert len({groups[row] for row in (20, 38, 39)}) == 1
    assert len(set(groups)) == 40 - 3 - 2 - 1
    assert all(len(parts) == 1 for parts in parts_of_groups(arranged))
    assert set(arranged.parts[0]) == {"train", "validation", "test"}
    assert arranged.rejected == []
    assert arranged.rows.tolist() == list(range(40))
    assert arranged.fold_of is None


def test_random_draws_whatever_is_a_copy():
    everything = copies(*combinations(range(20), 2))
    arranged = run(make_subject(20), everything, split="random")
    assert set(arranged.parts[0]) == {"train", "validation", "test"}
    assert len(set(arranged.subject.groups)) == 1


def test_folders_are_kept_and_validation_is_taken_from_train_by_groups():
    subject = make_subject(20, source_splits=["train"] * 14 + [None] * 2 + ["test"] * 4)
    twins = copies(*[(row, row + 1) for row in range(0, 16, 2)], (0, 19))
    arranged = run(subject, twins, split="folders", validation=0.25)
    parts = arranged.parts[0]
    assert parts[16:].tolist() == ["test"] * 4
    assert set(parts[:16]) == {"train", "validation"}
    assert (parts[:16:2] == parts[1:16:2]).all()
    assert "test" in parts_of_groups(arranged)[0]  # a leak that the folders have stays
    kept = make_subject(4, source_splits=["train", "train", "validation", "test"])
    arranged = run(kept, copies(), split="folders", has_validation=True)
    assert arranged.parts[0].tolist() == ["train", "train", "validation", "test"]


def test_dedupe_keeps_the_largest_of_each_group_of_copies():
    subject = make_subject(8, widths=[10, 30, 20, 10, 10, 10, 10, 10], source_groups=["p", "p", "p", "p"] + [None] * 4)
    arranged = run(subject, copies((0, 1), (1, 2), (5, 6)), dedupe=True)
    assert arranged.rows.tolist() == [1, 3, 4, 5, 7]
    assert arranged.subject.ids == ["id001", "id003", "id004", "id005", "id007"]
    assert arranged.rejected == [
        ("0.png", "a copy of 1.png, but a here and b there (--dedupe)"),
        ("2.png", "a copy of 1.png, but a here and b there (--dedupe)"),
        ("6.png", "a copy of 5.png, but a here and b there (--dedupe)"),
    ]
    # The images of one patient are no copies: both stay, in one split.
    assert arranged.subject.groups[0] == arranged.subject.groups[1]
    assert len(arranged.copies) == 0
    assert len(arranged.parts[0]) == 5


def test_dedupe_takes_no_image_away_that_was_there():
    subject = make_subject(12, widths=[10, 20, 90, 90, *[10] * 8])
    keep = ["train", "train", None, None, *["test"] * 8]
    arranged = run(subject, copies((0, 1), (1, 2), (4, 5)), keep, dedupe=True)
    assert arranged.rows.tolist() == [0, 1, 3, *range(4, 12)]
    assert [place for place, _ in arranged.rejected] == ["2.png"]
    assert arranged.parts[0][:2].tolist() == ["train", "train"]


def test_a_new_image_that_would_join_two_splits_is_rejected_and_says_which():
    keep = ["train"] * 6 + ["validation"] * 2 + ["test"] * 2 + [None] * 4
    found = copies((0, 10), (8, 10), (1, 11), (6, 12), (12, 13), (9, 13))
    arranged = run(make_subject(14), found, keep)
    assert dict(arranged.rejected).keys() == {"10.png", "12.png", "13.png"}
    reasons = dict(arranged.rejected)
    assert reasons["10.png"].endswith("0.png (train)") or "0.png (train)" in reasons["10.png"]
    assert "8.png (test) and 0.png (train)" in reasons["10.png"]
    assert "9.png (test) and 6.png (validation)" in reasons["12.png"]
    assert arranged.rows.tolist() == [*range(10), 11]
    parts = dict(zip(arranged.subject.ids, arranged.parts[0], strict=True))
    assert [parts[f"id{row:03d}"] for row in range(10)] == keep[:10]
    assert parts["id011"] == "train"  # joins its partner
    assert set(arranged.copies[["a", "b"]].itertuples(index=False, name=None)) == {(1, 10)}


def test_a_users_group_may_be_what_joins_two_splits():
    subject = make_subject(6, source_groups=["p", None, None, None, "p", None])
    arranged = run(subject, copies((3, 4)), ["train", "train", "test", "test", None, None])
    assert [place for place, _ in arranged.rejected] == ["4.png"]


def test_old_images_never_move_however_many_come():
    num_old, num = 30, 200
    keep = [("train", "train", "validation", "test")[row % 4] for row in range(num_old)] + [None] * (num - num_old)
    rng = np.random.default_rng(0)
    pairs = [tuple(sorted(pair)) for pair in rng.integers(0, num, (60, 2)).tolist() if pair[0] != pair[1]]
    arranged = run(make_subject(num), copies(*pairs), keep, test=0.3, validation=0.1)
    for row, part in zip(arranged.rows, arranged.parts[0], strict=True):
        assert keep[row] in (None, part)
    new_groups: dict[str, set[str]] = {}
    for row, group, part in zip(arranged.rows, arranged.subject.groups, arranged.parts[0], strict=True):
        new_groups.setdefault(group, set()).add(part if row >= num_old else "")
    assert all(len(parts - {""}) <= 1 for parts in new_groups.values())
    assert np.mean(arranged.parts[0] == "test") == pytest.approx(0.3, abs=0.03)
    assert len(arranged.rejected) + len(arranged.rows) == num


def test_a_chain_that_holds_together_once_an_image_is_rejected_rejects_more():
    """21 images in a row are a chain, which is cut between 2 and 3; without the image 1 they are too few for one."""
    num = MIN_GUARDED + 1
    keep: list[str | None] = [None] * num
    keep[0], keep[2], keep[num - 1] = "train", "test", "validation"
    scores = [0.95] * (num - 1)
    scores[2] = 0.86
    arranged = run(make_subject(num), copies(*[(row, row + 1) for row in range(num - 1)], scores=scores), keep)
    assert arranged.rows.tolist() == [0, 2, num - 1]
    reasons = dict(arranged.rejected)
    assert "0.png (train)" in reasons["1.png"]
    assert "2.png (test) and 20.png (validation)" in reasons["3.png"]


def test_every_image_is_tested_in_one_fold_with_its_whole_group():
    twins = copies(*[(row, row + 1) for row in range(0, 60, 3)])
    arranged = run(make_subject(60), twins, num_folds=4)
    assert len(arranged.parts) == 4
    is_test = np.stack([parts == "test" for parts in arranged.parts])
    assert (is_test.sum(0) == 1).all()
    assert arranged.fold_of.tolist() == is_test.argmax(0).tolist()
    for number in range(4):
        assert all(len(parts) == 1 for parts in parts_of_groups(arranged, number))
        assert np.sum(arranged.parts[number] == "validation") == pytest.approx(0.2 * 45, abs=3)


def test_added_images_join_the_folds_and_move_none():
    keep_folds = [row % 3 for row in range(12)] + [None] * 6
    found = copies((0, 12), (1, 13), (2, 13), (14, 15))
    arranged = run(make_subject(18), found, ["test"] * 12 + [None] * 6, num_folds=3, keep_folds=keep_folds)
    assert arranged.fold_of[:12].tolist() == keep_folds[:12]
    assert [place for place, _ in arranged.rejected] == ["13.png"]
    assert "1.png (fold 1) and 2.png (fold 2)" in dict(arranged.rejected)["13.png"]
    fold_of = dict(zip(arranged.rows.tolist(), arranged.fold_of.tolist(), strict=True))
    assert fold_of[12] == 0
    assert fold_of[14] == fold_of[15]


def test_what_is_split_does_not_depend_on_the_order():
    pairs = [(row, row + 3) for row in range(0, 30, 6)]
    order = np.random.default_rng(0).permutation(40)
    place = np.argsort(order)
    subject = make_subject(40)
    straight = run(subject, copies(*pairs))
    shuffled = run(subject.take(order), copies(*[(min(place[a], place[b]), max(place[a], place[b])) for a, b in pairs]))
    assert dict(zip(straight.subject.ids, straight.parts[0], strict=True)) == dict(
        zip(shuffled.subject.ids, shuffled.parts[0], strict=True)
    )


def test_pairs_of_images_that_stay_are_numbered_anew():
    found = take_pairs(copies((0, 4), (1, 2), (2, 4), (3, 4)), np.array([0, 2, 4]))
    assert found[["a", "b"]].to_numpy().tolist() == [[0, 2], [1, 2]]
    assert found.index.tolist() == [0, 1]
