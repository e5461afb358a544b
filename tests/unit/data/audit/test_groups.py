"""Groups of copies: connected components, with chains cut at their weakest pairs."""

from itertools import combinations

import numpy as np
import pandas as pd
import pytest

from raysynth.data.audit.groups import MIN_GUARDED, describe_groups, group_copies

NUM = MIN_GUARDED + 10


def table(pairs, scores=0.9, relation="near") -> pd.DataFrame:
    pairs = np.array(list(pairs), dtype=np.int64).reshape(-1, 2)
    return pd.DataFrame({"a": pairs[:, 0], "b": pairs[:, 1], "score": scores, "relation": relation})


def hashes(num: int = NUM) -> list[str]:
    return [f"{row * 7919 % 9973:04d}" for row in range(num)]  # in no order


def group(pairs: pd.DataFrame, num: int = NUM, *, pixel_hashes=None, min_density: float = 0.1):
    ids = [f"id{row}" for row in range(num)]
    return group_copies(pairs, pixel_hashes or hashes(num), ids, min_density=min_density)


def test_connected_images_are_a_group_of_the_smallest_hash():
    found, cut = group(table([(0, 1), (1, 2), (4, 5)]), 6, pixel_hashes=list("dcfabe"))
    assert found == ["c", "c", "c", "a", "b", "b"]
    assert not cut.any()


def test_a_long_chain_is_cut_into_pieces_none_of_which_is_one():
    """A path: every picture is like the next, and none like the one after."""
    scores = np.full(NUM - 1, 0.95)
    scores[14] = 0.86
    found, cut = group(table([(i, i + 1) for i in range(NUM - 1)], scores))
    assert np.flatnonzero(cut).tolist() == [14]
    assert found[:15] == [found[0]] * 15
    assert found[15:] == [found[15]] * 15
    assert found[0] != found[15]


def test_a_chain_of_equal_links_falls_apart():
    found, cut = group(table([(i, i + 1) for i in range(NUM - 1)]))
    assert cut.all()
    assert len(set(found)) == NUM


def test_only_as_many_weak_pairs_are_cut_as_needed():
    """Two cliques with a bridge of weak pairs over them."""
    first, second = list(combinations(range(15), 2)), list(combinations(range(15, 30), 2))
    bridge = [(i, i + 15) for i in range(3)]
    pairs = table([*first, *second, *bridge], [0.9] * (len(first) + len(second)) + [0.86, 0.86, 0.88])
    found, cut = group(pairs, min_density=0.6)
    assert np.flatnonzero(cut).tolist() == list(range(len(pairs) - 3, len(pairs)))
    assert [len(set(part)) for part in (found[:15], found[15:])] == [1, 1]
    assert found[0] != found[15]
    found, cut = group(pairs, min_density=0.3)  # more than 0.48 of all pairs are copies
    assert not cut.any()
    assert len(set(found)) == 1


def test_a_group_whose_members_resemble_each_other_is_left_whole():
    found, cut = group(table(combinations(range(NUM), 2)))
    assert not cut.any()
    assert len(set(found)) == 1


def test_a_small_chain_is_left_whole():
    found, cut = group(table([(i, i + 1) for i in range(MIN_GUARDED - 1)]), MIN_GUARDED)
    assert not cut.any()
    assert len(set(found)) == 1


def test_one_chain_beside_other_groups_is_cut_alone():
    path = [(i, i + 1) for i in range(24)]
    clique = list(combinations(range(25, 50), 2))
    found, cut = group(table([*path, *clique], [0.9] * len(path) + [0.86] * len(clique)), 50)
    assert cut.tolist() == [True] * len(path) + [False] * len(clique)
    assert len(set(found[25:])) == 1
    assert len(set(found[:25])) == 25


@pytest.mark.parametrize("num_twins", [3, 40, 400])
def test_identical_images_are_never_separated(num_twins):
    """Of very many twins only the pairs with the first are listed: a star is as thin as a chain, and is none."""
    twins = table([(0, twin) for twin in range(1, num_twins)], 1.0, "exact")
    num = num_twins + NUM
    path = table([(i, i + 1) for i in range(num_twins - 1, num - 1)], 0.94)  # and a chain of near copies of others
    pixel_hashes = ["5000"] * num_twins + [f"{i}" for i in range(1000, 1000 + NUM)]
    found, cut = group(pd.concat([twins, path], ignore_index=True), num, pixel_hashes=pixel_hashes)
    assert found[:num_twins] == ["5000"] * num_twins
    assert not cut[: len(twins)].any()
    assert cut[len(twins) :].all()


def test_sure_copies_are_never_cut_however_few_of_their_pairs_are_known():
    """Of a very large group not all pairs are compared, so it may look as thin as a chain."""
    found, cut = group(table([(i, i + 1) for i in range(NUM - 1)], 0.97), NUM)
    assert len(set(found)) == 1
    assert not cut.any()


def test_twins_count_once_in_a_group():
    """Thirty copies of one file do not make a group of a chain, nor a chain of a group."""
    twins = list(combinations([0, *range(NUM, NUM + 30)], 2))
    path = [(i, i + 1) for i in range(NUM - 1)]
    pixel_hashes = hashes()
    pairs = pd.concat([table(twins, 1.0, "exact"), table(path)], ignore_index=True)
    found, cut = group(pairs, NUM + 30, pixel_hashes=pixel_hashes + [pixel_hashes[0]] * 30)
    assert cut.tolist() == [False] * len(twins) + [True] * len(path)
    assert len(set(found)) == NUM


@pytest.mark.parametrize("seed", range(3))
def test_neither_names_nor_pieces_depend_on_the_order(seed):
    rng = np.random.default_rng(seed)
    pairs = np.unique(np.sort(rng.integers(0, NUM, (40, 2))), axis=0)
    pairs = pairs[pairs[:, 0] < pairs[:, 1]]
    scores = rng.uniform(0.85, 1.0, len(pairs))
    found, cut = group(table(pairs, scores), min_density=0.15)
    assert cut.any()
    images, lines = rng.permutation(NUM), rng.permutation(len(pairs))
    place = np.argsort(images)
    shuffled, shuffled_cut = group(
        table(np.sort(place[pairs[lines]]), scores[lines]),
        pixel_hashes=[hashes()[image] for image in images],
        min_density=0.15,
    )
    assert shuffled == [found[image] for image in images]
    assert shuffled_cut.tolist() == cut[lines].tolist()


def test_blank_images_of_one_hash_are_groups_of_their_own():
    found, _ = group(table([(2, 3)]), 5, pixel_hashes=["0", "0", "7", "8", "0"])
    assert len(set(found)) == 4
    assert found[2] == found[3] == "7"
    assert all(name.startswith("0-") for name in (found[0], found[1], found[4]))
    order = [4, 1, 0]
    again, _ = group_copies(table([]), ["0"] * 3, [f"id{row}" for row in order], min_density=0.1)
    assert again == [found[row] for row in order]


def test_groups_are_counted_and_the_largest_is_described():
    pairs = table([(0, 1), (1, 2), (3, 4)])
    groups = ["x", "x", "x", "y", "y", "z"]
    cut = np.array([False, True, False])
    assert describe_groups(groups, cut, pairs, ["a", "a", "b", "b", "b", "b"]) == {
        "num_groups": 3,
        "num_with_copies": 2,
        "images_in_them": 5,
        "sizes": {"1": 1, "2": 1, "3-5": 1, "6-20": 0, "over 20": 0},
        "largest": {
            "group": "x",
            "num_images": 3,
            "share_of_pairs_that_are_copies": 0.667,
            "classes": {"a": 2, "b": 1},
        },
        "pairs_cut": 1,
    }


def test_without_groups_the_largest_has_one_image_and_no_pairs():
    found = describe_groups(["x", "y"], np.zeros(0, dtype=bool), table([]), ["a", "a"])
    assert found["num_with_copies"] == found["images_in_them"] == 0
    assert found["largest"]["share_of_pairs_that_are_copies"] is None
