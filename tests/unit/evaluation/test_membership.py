"""AUC against its definition, and an interval that knows of groups."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from raysynth.evaluation.membership import membership_auc

distances = st.lists(st.integers(0, 6), min_size=2, max_size=12).map(np.array)


@given(distances, distances)
def test_auc_is_the_share_of_pairs_in_which_train_is_nearer(train, held_out):
    found = membership_auc(train, held_out, np.arange(len(train)), np.arange(len(held_out)))
    less = (train[:, None] < held_out[None]) + 0.5 * (train[:, None] == held_out[None])
    assert found.auc == pytest.approx(less.mean())
    assert 0 <= found.low <= found.high <= 1


def test_alike_distances_tell_nothing_and_other_ones_all():
    random = np.random.default_rng(0)
    a, b = random.random(400), random.random(200)
    groups = np.arange(400), np.arange(200)
    alike = membership_auc(a, b, *groups)
    assert alike.low < 0.5 < alike.high
    apart = membership_auc(a, b + 2, *groups)
    assert (apart.auc, apart.low, apart.high) == (1, 1, 1)


def test_images_of_one_group_count_as_one():
    random = np.random.default_rng(0)
    patients = random.random(30), random.random(30)
    images = [np.repeat(values, 10) for values in patients]
    groups = [np.repeat(np.arange(30), 10)] * 2
    alone = membership_auc(*images, np.arange(300), np.arange(300))
    grouped = membership_auc(*images, *groups)
    assert grouped.auc == alone.auc
    assert grouped.high - grouped.low == pytest.approx(np.sqrt(10) * (alone.high - alone.low), rel=0.3)


def test_no_images_are_refused():
    with pytest.raises(ValueError, match="want train and held-out images"):
        membership_auc(np.zeros(0), np.zeros(3), np.zeros(0), np.zeros(3))
