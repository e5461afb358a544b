"""The summary says what a person must know, with the numbers of the audit, the verdict last."""

from dataclasses import replace

import numpy as np
import pytest

from raysynth.data.audit.audit import audit_subject
from raysynth.data.audit.subject import Subject
from raysynth.data.audit.summary import MAX_EXAMPLES, long_lines, short_lines
from raysynth.data.audit.thresholds import Thresholds

pytestmark = pytest.mark.usefixtures("few_trees")


def content(subject: Subject, *others: Subject) -> dict:
    return audit_subject(subject, others, thresholds=Thresholds(), say=lambda line: None).content


@pytest.fixture
def here(make_subject, draw, change) -> Subject:
    """Twelve images; the mirrored copy of a test image is in train, under another class."""
    pictures = draw(11, 4)
    thumbnails = np.stack([*pictures, change(pictures[9], "left-right")])
    return make_subject(
        12,
        thumbnails=thumbnails,
        images=thumbnails[:, None, ::4, ::4],
        classes=["a"] * 6 + ["b"] * 3 + ["a"] * 2 + ["b"],
        splits=["train"] * 7 + ["validation"] * 2 + ["test"] * 2 + ["train"],
    )


@pytest.fixture
def there(make_subject, draw, change, here) -> Subject:
    """Copies of a test image, under a class that is not here, and of a train image."""
    pictures = [change(here.thumbnails[10], "gamma"), change(here.thumbnails[1], "up-down"), *draw(1, 5)]
    return make_subject(3, name="public", hashes=list("xyz"), thumbnails=np.stack(pictures), classes=["c", "b", "a"])


def test_an_import_hears_of_copies_groups_and_conflicts(here):
    assert short_lines(content(here)) == [
        "audit: 0 exact, 0 near, 1 mirrored, 0 rotated, 0 inverted pairs of copies among 12 images",
        "audit: 11 groups that no split may separate, the largest of 2 images",
        "notice: 1 pairs of copies stand in two classes; all kept:",
        "  path9 (a) = path11 (b), mirrored",
    ]


def test_of_many_conflicts_a_few_are_shown(here):
    found = content(here)
    conflicts = found["label_conflicts"]
    conflicts["pairs"], conflicts["listed"] = 30, conflicts["listed"] * 10
    lines = short_lines(found)
    assert sum("path9 (a) = path11 (b)" in line for line in lines) == MAX_EXAMPLES
    assert lines[-1] == f"  and {30 - MAX_EXAMPLES} pairs more, in audit.json"


def test_chains_that_were_cut_are_told(here):
    found = content(here)
    found["groups"]["pairs_cut"] = 7
    assert "; 7 pairs cut to break chains" in short_lines(found)[1]


def test_a_leaky_split_ends_in_a_verdict_and_the_floor(here):
    found = content(here)
    lines = long_lines(found)
    [row] = [line for line in lines if line.startswith("  in force")]
    assert row.split() == ["in", "force", "1", "of", "2", "1", "of", "2"]  # all, and of class a
    best = max(rule["accuracy"] for rule in found["shortcuts"]["rules"])
    assert lines[-2].startswith("verdict: LEAKY: 1 test")
    assert lines[-1].startswith(f"the floor: {best:.3f} accuracy by ")
    assert any(line.startswith("  majority class  ") for line in lines)
    assert any("random (mean of 5)" in line for line in lines)


def test_a_clean_split_and_one_without_test_images_are_told_apart(here):
    clean = here.take(np.arange(11))
    assert any(line.startswith("verdict: no leak found") for line in long_lines(content(clean)))
    untested = clean.with_splits(np.full(11, "train", dtype=object))
    lines = long_lines(content(untested))
    assert lines[-1] == "verdict: no test split, so nothing can leak into it"
    assert not any("shortcuts" in line for line in lines)


def test_contact_with_another_set_is_told_with_what_follows(here, there):
    lines = long_lines(content(here, there))
    [at] = [number for number, line in enumerate(lines) if line.startswith("against public (3 images)")]
    assert "1 near, 1 mirrored" in lines[at]
    assert lines[at + 1] == (
        "  2 images here have a copy there, 1 of 2 in the test split; 2 of its images have one here"
    )
    assert "labels of c are not compared" in lines[at + 2]
    assert lines[at + 3] == "  1 pairs of copies have two labels:"
    assert lines[at + 4] == "  path1 (a) = path1 (b), mirrored"
    assert lines[-1] == "a model trained on public has seen test images of this data set"
    without = replace(there, thumbnails=np.zeros_like(there.thumbnails))
    assert not any("has seen test images" in line for line in long_lines(content(here, without)))


def test_blank_images_are_mentioned(here):
    assert not any("blank" in line for line in long_lines(content(here)))
    thumbnails = here.thumbnails.copy()
    thumbnails[:2] = 0
    assert "notice: 2 images are blank; they are compared with nothing" in long_lines(
        content(replace(here, thumbnails=thumbnails))
    )
