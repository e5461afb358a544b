"""A subject holds the columns of a data set, and takes, joins and renames all of them together."""

import numpy as np

from raysynth.data.audit.subject import Subject


def test_a_data_set_is_read_as_it_was_written(make_set, draw):
    thumbnails = draw(4)
    dataset = make_set(
        "set",
        thumbnails,
        ["b", "a", "b", "a"],
        ["train", "test", "validation", "train"],
        source_path=["1.png", None, "3.png", None],
        source_split=["train", "test", None, None],
        source_group=["p", None, None, "p"],
        source_width=[5, 6, 7, None],
        source_height=[8, 9, 10, None],
        source_format=["PNG", "JPEG", None, None],
        group=["x", "y", "x", "z"],
    )
    subject = Subject.read(dataset)
    assert len(subject) == 4
    assert subject.classes.tolist() == ["b", "a", "b", "a"]
    assert subject.splits.tolist() == ["train", "test", "validation", "train"]
    assert subject.places() == ["1.png", "set-001", "3.png", "set-003"]
    assert (subject.widths, subject.heights) == ([5, 6, 7, None], [8, 9, 10, None])
    assert (subject.source_groups, subject.groups) == (["p", None, None, "p"], ["x", "y", "x", "z"])
    np.testing.assert_array_equal(subject.thumbnails, thumbnails)
    np.testing.assert_array_equal(subject.images, dataset.pixels()[0])
    assert subject.fingerprint == dataset.fingerprint
    assert Subject.read(dataset, with_images=False).images is None


def test_rows_are_taken_and_joined_in_all_columns(make_subject):
    images = np.arange(3, dtype=np.uint8).reshape(3, 1, 1, 1)
    subject = make_subject(3, classes=["a", "b", "c"], images=images, fingerprint="f")
    taken = subject.take(np.array([2, 0]))
    assert taken.ids == ["id2", "id0"]
    assert taken.classes.tolist() == ["c", "a"]
    assert taken.images.ravel().tolist() == [2, 0]
    assert (taken.name, taken.fingerprint) == ("here", "f")
    joined = taken.join(subject.take(np.array([1])))
    assert (joined.ids, joined.classes.tolist()) == (["id2", "id0", "id1"], ["c", "a", "b"])
    assert joined.images.ravel().tolist() == [2, 0, 1]
    for name, value in vars(joined).items():
        assert isinstance(value, str) or len(value) == 3, name
    assert len(subject.take(np.zeros(0, dtype=np.int64))) == 0


def test_the_columns_of_a_split_have_one_numbering_of_classes(make_subject):
    subject = make_subject(
        4,
        classes=["c", "a", "b", "c"],
        splits=["train", "train", "test", "test"],
        images=np.zeros((4, 1, 8, 8), dtype=np.uint8),
        widths=[1, 2, 3, 4],
    )
    assert subject.columns("train").labels.tolist() == [2, 0]
    assert subject.columns("test").labels.tolist() == [1, 2]
    assert subject.columns("test").widths == [3, 4]
    assert len(subject.columns("validation").labels) == 0


def test_changed_copies_leave_the_subject_alone(make_subject):
    subject = make_subject(2, classes=["a", "b"], fingerprint="f")
    assert subject.rename({"a": "b"}).classes.tolist() == ["b", "b"]
    assert subject.with_groups(["x", "y"]).groups == ["x", "y"]
    assert subject.with_splits(np.array(["test", "train"])).splits.tolist() == ["test", "train"]
    named = subject.named("new")
    assert (named.name, named.fingerprint) == ("new", "")  # not a data set that is written
    assert subject.classes.tolist() == ["a", "b"]
    assert subject.splits.tolist() == ["train", "train"]
