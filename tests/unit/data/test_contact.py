"""Contact with a test split: by fingerprint, by hash, by near copies; and what cannot be followed is unknown."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from raysynth.data.contact import find_contact, provenance_contact, worst
from raysynth.data.dataset import Dataset, Leakage
from raysynth.data.dataset_writer import write_dataset
from raysynth.data.provenance import HASHES_FILE, inherit, training_provenance, write_hashes

Make = Callable[..., Dataset]
SPLITS = ["train"] * 6 + ["validation"] * 3 + ["test"] * 4


def draw(num_images: int, seed: int, size: int = 16) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (num_images, 1, size, size), dtype=np.uint8)


class Search:
    """The audit's search, replaced: finds the given ids, and remembers what it was asked."""

    def __init__(self, *ids: str) -> None:
        self.ids = ids
        self.asked: list[tuple[str, str, Any, Any]] = []

    def __call__(self, a: Dataset, b: Dataset, *, splits_a: Sequence[str], splits_b: Sequence[str]) -> pd.DataFrame:
        self.asked.append((a.name, b.name, tuple(splits_a), tuple(splits_b)))
        columns = ["id_a", "id_b", "relation", "score"]
        return pd.DataFrame([("0", id_, "mirrored", 0.99) for id_ in self.ids], columns=columns)


@pytest.fixture
def make(tmp_path: Path) -> Make:
    def make(
        name: str,
        images: np.ndarray,
        splits: Sequence[str] | None = None,
        *,
        kind: str = "real",
        made_from: Dataset | None = None,
        **columns: Any,
    ) -> Dataset:
        """A data set, by default all train; `made_from` is what it says that it was generated from."""
        seen = training_provenance(made_from) if made_from else None
        dataset = write_dataset(
            tmp_path / name,
            name=name,
            kind=kind,  # type: ignore[arg-type]
            classes=["a"],
            images=images,
            columns={
                "id": [f"{name}{i}" for i in range(len(images))],
                "label": [0] * len(images),
                "split": list(splits or ["train"] * len(images)),
                **columns,
            },
            source={},
            provenance={"trained_on": list(seen.entries)} if seen else None,
        )
        if seen:
            write_hashes(seen.hashes, dataset.path)
        return dataset

    return make


@pytest.fixture
def real(make: Make) -> Dataset:
    """Six train, three validation and four test images."""
    return make("real", draw(13, 0), SPLITS)


def with_leakage(dataset: Dataset, leakage: Leakage) -> Dataset:
    return replace(dataset, leakage=leakage)


def test_a_set_made_from_the_train_split_is_as_clean_as_the_split(make, real):
    made = make("made", draw(5, 1), kind="synthetic", made_from=real)
    search = Search("real12")
    contact = find_contact(made, real, find_copies=search)
    assert contact.status == "clean"
    assert contact.num_test_images == contact.num_validation_images == 0
    assert [entry["role"] for entry in contact.entries] == ["own", "training"]
    assert search.asked == []  # the real set's own audit has answered that


def test_a_split_that_leaks_is_marked_and_not_a_reason_to_refuse(make, real):
    made = make("made", draw(5, 1), kind="synthetic", made_from=real)
    contact = find_contact(made, with_leakage(real, Leakage("leaky", "", num_test=3)))
    assert (contact.status, contact.num_test_images) == ("leaky", 3)
    assert "leakage is leaky" in contact.detail
    assert find_contact(made, with_leakage(real, Leakage("leaky", "", 0, num_validation=2))).status == "clean"
    assert find_contact(made, with_leakage(real, Leakage("unknown"))).status == "unknown"


def test_test_images_among_the_training_images_are_found_by_hash(make, real):
    other = make("other", np.concatenate([draw(4, 2), real.pixels("test")[0][:3], real.pixels("validation")[0][:1]]))
    made = make("made", draw(5, 1), kind="synthetic", made_from=other)
    for change in ("nothing", "the hashes are gone", "the data set is gone too"):
        if change == "the hashes are gone":
            (made.path / HASHES_FILE).rename(made.path / "elsewhere")
        if change == "the data set is gone too":
            shutil.rmtree(other.path)
        contact = find_contact(made, real, find_copies=Search())
        if change == "the data set is gone too":
            assert contact.status == "unknown"
            assert "its training images (other) are neither at" in contact.detail
            continue
        assert (contact.status, contact.num_test_images, contact.num_validation_images) == ("touches", 3, 1), change
        assert contact.detail == "3 of 4 test images have a copy among its training images (other)"
        assert contact.entries[-1]["status"] == "touches"
    (made.path / "elsewhere").rename(made.path / HASHES_FILE)
    assert find_contact(made, real).status == "touches"  # by the hashes alone


def test_only_the_train_split_of_the_training_data_counts(make, real):
    images = np.concatenate([draw(4, 2), real.pixels("test")[0]])
    other = make("other", images, ["train"] * 4 + ["test"] * 4)
    made = make("made", draw(5, 1), kind="synthetic", made_from=other)
    assert find_contact(made, real, find_copies=Search()).status == "clean"


def test_copies_of_another_size_share_their_originals(make):
    """Two imports of the same files: what is stored differs, the hash of the original does not."""
    originals = draw(6, 0, size=64)[:, 0]
    splits = ["train"] * 3 + ["test"] * 3
    large = make("large", draw(6, 1, size=32), splits, thumbnail=originals)
    small = make("small", draw(6, 2), thumbnail=originals)
    made = make("made", draw(5, 3), kind="synthetic", made_from=small)
    assert find_contact(made, large).num_test_images == 3


def test_pretraining_is_followed_to_its_beginning(make, real):
    pretraining = make("public", np.concatenate([draw(9, 2), real.pixels("test")[0]]))
    first = training_provenance(make("hospital", draw(5, 3))) + inherit(training_provenance(pretraining))
    last = training_provenance(real) + inherit(first)
    contact = provenance_contact(last, real, find_copies=Search())
    assert (contact.status, contact.num_test_images) == ("touches", 4)
    assert contact.detail == "4 of 4 test images have a copy among its pre-training images (public)"
    assert [entry["status"] for entry in contact.entries] == ["clean", "clean", "touches"]


def test_near_copies_are_looked_for_where_the_training_data_are_at_hand(make, real):
    other = make("other", draw(6, 2))
    made = make("made", draw(5, 1), kind="synthetic", made_from=other)
    search = Search("real12", "real11", "real12", "real7")  # two of the test, one of the validation split
    contact = find_contact(made, real, find_copies=search)
    assert (contact.status, contact.num_test_images, contact.num_validation_images) == ("touches", 2, 1)
    assert search.asked == [("other", "real", ("train",), ("validation", "test"))]
    assert find_contact(made, real, find_copies=Search()).status == "clean"
    shutil.rmtree(other.path)
    contact = find_contact(made, real, find_copies=search)
    assert contact.status == "unknown"
    assert "no longer at" in contact.detail
    assert "near copies" in contact.detail


def test_data_that_changed_since_are_not_looked_at(make, real):
    other = make("other", draw(6, 2))
    made = make("made", draw(5, 1), kind="synthetic", made_from=other)
    shutil.rmtree(other.path)
    make("other", real.pixels("test")[0])
    assert find_contact(made, real, find_copies=Search()).status == "unknown"


def test_test_images_in_the_set_itself_are_found_whatever_its_origin(make, real):
    copies = np.concatenate([draw(3, 1), real.pixels("test")[0][:2]])
    for made in (make("foreign", copies), make("made", copies, kind="synthetic", made_from=real)):
        contact = find_contact(made, real, find_copies=Search())
        assert (contact.status, contact.num_test_images) == ("touches", 2)
        assert contact.detail == "2 of 4 test images have a copy among its own images"


def test_a_foreign_set_is_of_unknown_origin(make, real):
    contact = find_contact(make("foreign", draw(5, 1)), real, find_copies=Search())
    assert (contact.status, contact.detail) == ("unknown", "its origin is unknown")


def test_validation_images_are_counted_and_judged_where_asked(make, real):
    seen = training_provenance(make("other", real.pixels("validation")[0]))
    contact = provenance_contact(seen, real, find_copies=Search())
    assert (contact.status, contact.num_test_images, contact.num_validation_images) == ("clean", 0, 3)
    contact = provenance_contact(seen, real, splits=("validation", "test"), find_copies=Search())
    assert contact.status == "touches"
    assert contact.detail == "3 of 3 validation images have a copy among its training images (other)"


def test_the_worst_status_counts():
    assert worst() == "clean"
    assert worst("clean", "leaky", "unknown") == "leaky"
    assert worst("leaky", "touches") == "touches"
