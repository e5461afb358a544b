"""The contact sheet shows the right two images of each pair, the most pressing pair first."""

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from raysynth.data.audit.pair_sheet import CAPTION, COLUMNS, GAP, MAX_PAIRS_OF_ONE, SCALE, draw_pairs, worst_first


def table(*rows: tuple) -> pd.DataFrame:
    """Pairs of (row_a, row_b, set_b, class_b, split_b, score); the first image is an `a` of train."""
    pairs = pd.DataFrame(rows, columns=["row_a", "row_b", "set_b", "class_b", "split_b", "score"])
    return pairs.assign(
        class_a="a",
        split_a="train",
        relation="mirrored",
        orientation="left-right",
        id_a=[f"id{row}" for row in pairs["row_a"]],
        id_b=[f"id{row}" for row in pairs["row_b"]],
        data_b=[("here", "there")[number] for number in pairs["set_b"]],
        path_a=[f"folder/{'n' * 200} é 脑 {row}.png" for row in pairs["row_a"]],
        path_b="b.png",
    )


def test_label_conflicts_come_first_then_pairs_across_splits_then_the_least_certain():
    pairs = table(
        *[(0, 1, 0, "a", "train", 0.90), (2, 3, 0, "a", "train", 0.87), (4, 5, 0, "a", "test", 0.99)],
        *[(6, 7, 0, "b", "train", 0.97), (8, 9, 0, "b", "test", 0.95)],
    )
    assert worst_first(pairs)["row_a"].tolist() == [8, 6, 4, 2, 0]


def test_many_copies_of_one_picture_do_not_fill_the_sheet():
    copies = [(0, row, 0, "a", "train", 0.9) for row in range(1, 40)]
    others = [(row, 50, 0, "a", "train", 0.92) for row in range(40, 50)]
    there = [(60, 50, 1, "a", "train", 0.94)]  # the image 50 of another data set
    kept = worst_first(table(*copies, *others, *there))
    assert kept["row_a"].tolist() == [0] * MAX_PAIRS_OF_ONE + [40 + i for i in range(MAX_PAIRS_OF_ONE)] + [60]


@pytest.mark.parametrize("num_pairs", [1, COLUMNS, COLUMNS + 1])
def test_every_pair_has_its_two_pictures_side_by_side(num_pairs, tmp_path):
    rng = np.random.default_rng(0)
    here, there = (rng.integers(0, 256, (num_pairs + 3, 64, 64), dtype=np.uint8) for _ in range(2))
    pairs = table(*[(i + 2, i + 1, i % 2, "a", "train", 0.85 + i / 100) for i in range(num_pairs)])
    draw_pairs(pairs, [here, there], tmp_path / "sheet.png")
    with Image.open(tmp_path / "sheet.png") as image:
        sheet = np.asarray(image.convert("L"))
    side = 64 * SCALE
    for i in range(num_pairs):
        top = GAP + i // COLUMNS * (side + CAPTION + GAP)
        left = GAP + i % COLUMNS * (2 * side + 2 * GAP)
        shown = sheet[top : top + side, left : left + 2 * side]
        expected = np.concatenate([here[i + 2], (here, there)[i % 2][i + 1]], axis=1)
        inner = np.s_[2 : side - 2, 2 : 2 * side - 2]  # the frame is drawn over the outermost pixels
        np.testing.assert_array_equal(shown[inner], np.kron(expected, np.ones((SCALE, SCALE), dtype=np.uint8))[inner])
        caption = sheet[top + side + 2 : top + side + CAPTION, left : left + 2 * side]
        assert caption.min() < 100


def test_of_many_pairs_some_are_shown_and_of_none_a_line_says_so(tmp_path):
    thumbnails = [np.full((60, 64, 64), 128, dtype=np.uint8)]
    sizes = []
    for num_pairs in (2, 30, 0):
        pairs = table(*[(2 * i, 2 * i + 1, 0, "a", "train", 0.9) for i in range(num_pairs)])
        draw_pairs(pairs, thumbnails, tmp_path / "sheet.png", max_pairs=2)
        with Image.open(tmp_path / "sheet.png") as image:
            sizes.append(image.size)
            assert np.asarray(image.convert("L")).min() < 50
    assert sizes[0] == sizes[1] != sizes[2]
