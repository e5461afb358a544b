"""Copies planted among other patients are found, each with its relation, and nothing else is."""

from itertools import combinations

import numpy as np
import pandas as pd
import pytest

from raysynth.data.audit import copies as module
from raysynth.data.audit.copies import connected, find_copies, is_blank
from raysynth.data.audit.thresholds import Thresholds
from raysynth.data.thumbnails import hash_pixels

NUM = 40
# change -> relation and orientation
PLANTED = {
    "none": ("exact", "upright"),
    "left-right": ("mirrored", "left-right"),
    "up-down": ("mirrored", "up-down"),
    "turned left": ("rotated", "quarter turn"),
    "turned right": ("rotated", "quarter turn"),
    "half turn": ("rotated", "half turn"),
    "transposed": ("mirrored", "quarter turn and mirrored"),
    "cropped": ("near", "upright"),
    "gamma": ("near", "upright"),
    "window": ("near", "upright"),
    "resized": ("near", "upright"),
    "noise": ("near", "upright"),
    "inverted": ("inverted", "upright"),
    "inverted, mirrored": ("inverted", "left-right"),
}


def find(thumbnails: np.ndarray, **options) -> pd.DataFrame:
    return find_copies(thumbnails, [hash_pixels(picture) for picture in thumbnails], **options)


def pairs_of(found: pd.DataFrame) -> set[tuple[int, int]]:
    return set(zip(found["a"].tolist(), found["b"].tolist(), strict=True))


@pytest.fixture(scope="module")
def planted(draw, change) -> np.ndarray:
    """Forty patients, then a copy of each of the first ones."""
    phantoms = draw(NUM)
    return np.concatenate([phantoms, np.stack([change(phantoms[i], name) for i, name in enumerate(PLANTED)])])


def test_planted_copies_are_found_and_nothing_else(planted):
    found = find(planted)
    described = {
        (row.a, row.b): (row.relation, row.orientation, row.is_inverted) for row in found.itertuples(index=False)
    }
    assert described == {
        (i, NUM + i): (relation, orientation, name.startswith("inverted"))
        for i, (name, (relation, orientation)) in enumerate(PLANTED.items())
    }
    assert found["score"].between(0.85, 1.0).all()
    assert (found["score"][found["relation"] == "exact"] == 1.0).all()
    assert found["angle_degrees"].abs().max() < 2.0


@pytest.mark.parametrize("seed", [1, 2])
def test_the_order_of_the_images_does_not_matter(planted, seed):
    order = np.random.default_rng(seed).permutation(len(planted))
    place = np.argsort(order)  # of every image in the new order
    straight, shuffled = find(planted), find(planted[order])
    described = ["relation", "orientation", "score"]
    expected = {
        (min(place[a], place[b]), max(place[a], place[b])): tuple(row)
        for a, b, *row in straight[["a", "b", *described]].to_numpy().tolist()
    }
    assert {(a, b): tuple(row) for a, b, *row in shuffled[["a", "b", *described]].to_numpy().tolist()} == expected
    assert (shuffled["a"] < shuffled["b"]).all()


def test_the_same_images_give_the_same_table(planted):
    pd.testing.assert_frame_equal(find(planted), find(planted))


@pytest.mark.parametrize("seed", range(4))  # the hashes, in whose order pictures are compared, come out either way
@pytest.mark.parametrize("crop_first", [True, False])
def test_the_scale_tells_which_one_is_the_crop(draw, change, crop_first, seed):
    """The share of `b` that `a` shows: the crop shows 57/64 of the width and 56/64 of the height."""
    phantoms = draw(12, seed)
    crop = change(phantoms[0], "cropped")[None]
    thumbnails = np.concatenate([crop, phantoms] if crop_first else [phantoms, crop])
    found = find(thumbnails, thresholds=Thresholds(score=0.7, similarity=0.3))
    found = found[(found["a"] == 0) & (found["b"] == (1 if crop_first else 12))]
    [(scale_x, scale_y)] = found[["scale_x", "scale_y"]].to_numpy()
    if crop_first:
        assert (scale_x, scale_y) == pytest.approx((57 / 64, 56 / 64), abs=0.03)
    else:
        assert (scale_x, scale_y) == pytest.approx((64 / 57, 64 / 56), abs=0.03)


def test_every_pair_of_several_copies_is_listed_with_its_own_relation(draw, change):
    phantoms = draw(20)
    names = ["none", "left-right", "gamma", "cropped", "half turn", "noise"]
    found = find(np.concatenate([phantoms, [change(phantoms[5], name) for name in names[1:]]]))
    assert pairs_of(found) == set(combinations([5, *range(20, 25)], 2))
    relation = {(row.a, row.b): row.relation for row in found.itertuples(index=False)}
    assert relation[5, 20] == relation[20, 21] == relation[20, 22] == "mirrored"
    assert relation[5, 21] == relation[5, 22] == relation[21, 22] == "near"
    assert relation[5, 23] == "rotated"
    assert relation[20, 23] == "mirrored"  # left-right and a half turn: up-down


def test_pairs_that_no_search_returns_are_listed_too(draw):
    """Thirty copies in one orientation, of which an image asks for its nearest neighbour only."""
    phantoms, rng = draw(10), np.random.default_rng(0)
    copies = [(phantoms[3] + rng.normal(0, 3, (64, 64))).clip(0, 255).astype(np.uint8) for _ in range(30)]
    found = find(np.stack([*phantoms, *copies]), thresholds=Thresholds(num_neighbours=1))
    assert pairs_of(found) == set(combinations([3, *range(10, 40)], 2))


def test_a_pair_of_identical_images_is_a_pair_with_each_copy_of_them(draw, change):
    phantoms = draw(10)
    mirrored = change(phantoms[3], "left-right")
    found = find(np.stack([*phantoms, phantoms[3], mirrored, mirrored]))
    relation = {(row.a, row.b): row.relation for row in found.itertuples(index=False)}
    assert relation == {
        (3, 10): "exact",
        (11, 12): "exact",
        **dict.fromkeys([(3, 11), (3, 12), (10, 11), (10, 12)], "mirrored"),
    }
    assert found[["a", "b"]].equals(found[["a", "b"]].sort_values(["a", "b"], ignore_index=True))


def test_a_great_many_identical_images_are_listed_with_the_first_and_stay_connected(draw, monkeypatch):
    monkeypatch.setattr(module, "MAX_LISTED_TWINS", 5)
    phantoms = draw(4)
    found = find(np.stack([*phantoms, *[phantoms[2]] * 6]))
    assert pairs_of(found) == {(2, twin) for twin in range(4, 10)}
    assert len(np.unique(connected(found[["a", "b"]].to_numpy(), 10)[[2, *range(4, 10)]])) == 1


def test_blank_images_are_copies_of_nothing(draw):
    blank = [np.full((64, 64), level, dtype=np.uint8) for level in (0, 0, 255)]
    nearly = np.zeros((64, 64), dtype=np.uint8)
    nearly[0, :8] = 3
    thumbnails = np.stack([blank[0], *draw(3), blank[1], nearly, blank[2]])
    assert is_blank(thumbnails).tolist() == [True, False, False, False, True, True, True]
    assert len(find(thumbnails)) == 0
    assert len(find(np.stack(blank))) == 0


def test_only_pairs_with_a_wanted_image_are_listed(draw, change):
    phantoms = draw(12)
    thumbnails = np.stack([*phantoms, phantoms[0], change(phantoms[1], "left-right"), change(phantoms[2], "gamma")])
    wanted = np.zeros(len(thumbnails), dtype=bool)
    assert len(find(thumbnails, wanted=wanted)) == 0
    wanted[[0, 13]] = True  # one side of two of the pairs
    assert pairs_of(find(thumbnails, wanted=wanted)) == {(0, 12), (1, 13)}
    assert pairs_of(find(thumbnails, wanted=~wanted)) == {(0, 12), (1, 13), (2, 14)}


@pytest.mark.parametrize("option", ["score", "inverted_score"])
def test_a_higher_threshold_leaves_out_the_pairs_under_it(planted, change, option):
    thumbnails = np.concatenate(
        [planted, change(planted[20], "inverted")[None], change(255 - planted[21], "gamma")[None]]
    )
    found = find(thumbnails)
    judged = found[(found["is_inverted"] == (option == "inverted_score")) & (found["relation"] != "exact")]
    below, above = np.sort(judged["score"])[[0, 1]]
    kept = find(thumbnails, thresholds=Thresholds(**{option: float(below + above) / 2}))
    assert pairs_of(found) - pairs_of(kept) == pairs_of(judged[judged["score"] == below])
    assert pairs_of(kept) < pairs_of(found)


def test_progress_is_told_of_many_images_only(planted, monkeypatch):
    lines: list[str] = []
    find(planted, say=lines.append)
    assert lines == []
    monkeypatch.setattr(module, "MIN_TOLD", 2)
    find(planted, say=lines.append)
    assert lines[0] == f"audit: embedding {len(planted) - 1} distinct pictures"  # one of them is there twice


def test_one_image_has_no_copy(draw):
    found = find(draw(1))
    assert len(found) == 0
    assert {"a", "b", "relation", "score", "orientation"} <= set(found.columns)


def test_small_batches_give_the_same_pairs(planted, monkeypatch):
    together = find(planted)
    monkeypatch.setattr(module, "BATCH_SIZE", 7)
    apart = find(planted)
    assert pairs_of(apart) == pairs_of(together)
    np.testing.assert_allclose(apart["score"], together["score"], atol=2e-3)


def test_connected_rows_have_one_number():
    component = connected(np.array([[0, 3], [3, 4], [1, 5]]), 6)
    assert component[0] == component[3] == component[4]
    assert component[1] == component[5]
    assert len(set(component.tolist())) == 3
    assert len(set(connected(np.zeros((0, 2), dtype=np.int64), 4).tolist())) == 4
