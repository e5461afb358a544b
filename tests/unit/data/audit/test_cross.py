"""Copies across data sets, and that what was trained on one of them touches the test split of the other."""

import numpy as np
import pytest

from raysynth.data.audit.cross import find_copies_across
from raysynth.data.contact import provenance_contact
from raysynth.data.dataset import Dataset
from raysynth.data.provenance import training_provenance


@pytest.fixture
def two_sets(make_set, draw, change) -> tuple[Dataset, Dataset]:
    """`public` holds copies of a test image (mirrored), of a train and of a validation image (identical) of `own`."""
    own, others = draw(12, 1), draw(10, 2)
    copies = [change(own[10], "left-right"), own[0], own[7]]
    public = np.stack([*others, *copies, change(others[0], "gamma")])
    own_splits = ["train"] * 7 + ["validation"] * 2 + ["test"] * 3
    return (
        make_set("public", public, ["x"] * 14, ["train"] * 11 + ["test"] + ["train"] * 2),
        make_set("own", own, ["x"] * 12, own_splits),
    )


def test_pairs_go_from_the_first_to_the_second_set_in_the_given_splits(two_sets):
    public, own = two_sets
    splits = {"splits_a": ["train", "test"], "splits_b": ["train", "validation", "test"]}
    found = find_copies_across(public, own, **splits)
    assert list(found.columns) == ["id_a", "id_b", "relation", "score"]
    assert set(found[["id_a", "id_b", "relation"]].itertuples(index=False, name=None)) == {
        ("public-010", "own-010", "mirrored"),
        ("public-011", "own-000", "exact"),
        ("public-012", "own-007", "exact"),
    }
    turned = find_copies_across(own, public, splits_a=splits["splits_b"], splits_b=splits["splits_a"])
    assert set(zip(turned["id_b"], turned["id_a"], strict=True)) == set(zip(found["id_a"], found["id_b"], strict=True))
    held_out = find_copies_across(public, own, splits_a=["train"], splits_b=["test"])
    assert held_out["id_b"].tolist() == ["own-010"]
    assert len(find_copies_across(public, own, splits_a=["validation"], splits_b=["test"])) == 0


def test_a_mirrored_copy_of_a_test_image_among_the_training_images_touches(two_sets):
    """No hash tells it, the audit's search does."""
    public, own = two_sets
    found = provenance_contact(training_provenance(public), own)
    assert (found.status, found.num_test_images, found.num_validation_images) == ("touches", 1, 1)
    assert found.detail == "1 of 3 test images have a copy among its training images (public)"


def test_other_patients_are_clean(make_set, draw, two_sets):
    _, own = two_sets
    foreign = make_set("foreign", draw(10, 3), ["x"] * 10, ["train"] * 10)
    assert provenance_contact(training_provenance(foreign), own).status == "clean"
