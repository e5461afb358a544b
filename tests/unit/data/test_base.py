"""`--add-to`: what new images may be added to, and how they come together with the old ones."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from raysynth.data.audit.subject import Subject
from raysynth.data.base import Joined, check_same_folds, load_base
from raysynth.data.dataset import Dataset
from raysynth.data.dataset_writer import write_dataset
from raysynth.data.decode import Target
from raysynth.errors import UserError

TARGET = Target(size=16)
ARGUMENTS = {"fit": "stretch", "crop": "none", "drop_border": False}


def write(path: Path, *, folds: list[int | None] | None = None, **options: Any) -> Dataset:
    """Six images, old0 and so on."""
    shape = options.pop("shape", (1, 16, 16))
    values = {
        "name": path.name,
        "kind": "real",
        "classes": ["a", "b"],
        "images": np.random.default_rng(0).integers(0, 256, (6, *shape), dtype=np.uint8),
        "columns": {
            "id": [f"old{i}" for i in range(6)],
            "label": [0, 1] * 3,
            "split": ["train", "train", "train", "validation", "test", "test"],
            "fold": folds or [None] * 6,
        },
        "source": {"arguments": ARGUMENTS},
    } | options
    return write_dataset(path, **values)


def make_new(*ids: str) -> Subject:
    num = len(ids)
    return Subject(
        name="new",
        ids=list(ids),
        paths=[f"path of {id_}" for id_ in ids],
        classes=np.array(["c"] * num, dtype=object),
        splits=np.full(num, "train", dtype=object),
        groups=[""] * num,
        hashes=[f"hash of {id_}" for id_ in ids],
        thumbnails=np.zeros((num, 64, 64), dtype=np.uint8),
        source_splits=[None] * num,
        source_groups=[None] * num,
        widths=[1] * num,
        heights=[1] * num,
        formats=["PNG"] * num,
        images=np.zeros((num, 1, 16, 16), dtype=np.uint8),
    )


def test_a_data_set_is_a_base_with_its_splits(tmp_path):
    dataset = write(tmp_path / "set")
    base = load_base(tmp_path / "set", TARGET)
    assert (base.name, base.fingerprint, base.num_images, base.num_folds) == ("set", dataset.fingerprint, 6, None)
    assert base.subject.ids == [f"old{i}" for i in range(6)]
    joined = Joined.make(base, make_new("x", "y"))
    assert joined.subject.ids == [*base.subject.ids, "x", "y"]
    assert joined.keep == ["train", "train", "train", "validation", "test", "test", None, None]
    assert joined.keep_folds is None
    assert joined.rejected == []
    assert joined.subject.name == "new"
    assert joined.subject.classes.tolist() == ["a", "b", "a", "b", "a", "b", "c", "c"]
    np.testing.assert_array_equal(joined.subject.images[:6], dataset.pixels()[0])


def test_a_folder_of_folds_is_a_base_with_its_folds(tmp_path):
    folds = [0, 1, 2, 0, 1, 2]
    for fold in range(3):
        write(tmp_path / "folds" / f"fold-{fold}", folds=folds)
    base = load_base(tmp_path / "folds", TARGET)
    assert (base.num_folds, base.folds, base.num_images) == (3, folds, 6)
    joined = Joined.make(base, make_new("x"))
    assert joined.keep_folds == [*folds, None]


def test_the_number_of_folds_is_that_of_the_base():
    assert check_same_folds(None, 3) == check_same_folds(3, 3) == 3
    assert check_same_folds(None, None) is None
    with pytest.raises(UserError, match=r"--folds 5: .* has 3 folds, .*; leave --folds out"):
        check_same_folds(5, 3)
    with pytest.raises(UserError, match=r"--folds 5: .* has one split"):
        check_same_folds(5, None)


def test_one_fold_alone_is_refused(tmp_path):
    write(tmp_path / "folds" / "fold-0", folds=[0, 1, 0, 1, 0, 1])
    with pytest.raises(UserError, match=r"--add-to .*fold-0: one fold of several"):
        load_base(tmp_path / "folds" / "fold-0", TARGET)


def test_an_image_that_is_there_already_is_rejected(tmp_path):
    write(tmp_path / "set")
    base = load_base(tmp_path / "set", TARGET)
    new = replace(make_new("x", "old3", "y"), hashes=["1", base.subject.hashes[3], "2"])
    joined = Joined.make(base, new)
    assert joined.subject.ids[6:] == ["x", "y"]
    assert joined.rejected == [("path of old3", "set has this image already")]
    assert len(joined.keep) == 8
    other = Joined.make(base, replace(new, hashes=["1", "3", "2"]))
    assert other.subject.ids[6:] == ["x", "old3 (2)", "y"]
    assert other.rejected == []


def test_nothing_new_leaves_the_old_images(tmp_path):
    write(tmp_path / "set")
    base = load_base(tmp_path / "set", TARGET)
    joined = Joined.make(base, replace(make_new("old0"), hashes=[base.subject.hashes[0]]))
    assert joined.subject.ids == [f"old{i}" for i in range(6)]
    assert None not in joined.keep


def test_without_a_base_all_images_are_new():
    joined = Joined.make(None, make_new("x", "y"))
    assert joined.keep == [None, None]
    assert joined.subject.ids == ["x", "y"]


@pytest.mark.parametrize(
    ("options", "target", "hint"),
    [
        ({}, Target(size=32), r"the shape 1 x 16 x 16, the new ones 1 x 32 x 32; give the same --size"),
        ({}, Target(size=16, channels=3), r"the shape 1 x 16 x 16, the new ones 3 x 16 x 16"),
        ({}, Target(size=16, volumes=True), r"the new ones 1 x 16 x 16 x 16; .*--volumes"),
        ({}, Target(size=16, fit="pad"), r"--fit pad: the images of --add-to .* were made with stretch"),
        ({}, Target(size=16, crop="head"), r"--crop head: .* with none"),
        ({}, Target(size=16, drop_border=True), r"--drop-border True: .* with False"),
        ({"kind": "synthetic"}, TARGET, r"a synthetic data set"),
    ],
)
def test_what_does_not_fit_together_is_refused_in_one_line(tmp_path, options, target, hint):
    write(tmp_path / "set", **options)
    with pytest.raises(UserError, match=hint) as caught:
        load_base(tmp_path / "set", target)
    assert "--add-to" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_what_is_no_data_set_is_refused(tmp_path):
    with pytest.raises(UserError, match=r"--add-to .*nothing: no dataset\.json"):
        load_base(tmp_path / "nothing", TARGET)


def test_a_set_that_was_not_imported_has_no_fit_to_compare(tmp_path):
    write(tmp_path / "drawn", source={"phantom": {"size": 16}})
    assert load_base(tmp_path / "drawn", Target(size=16, fit="pad")).num_images == 6
