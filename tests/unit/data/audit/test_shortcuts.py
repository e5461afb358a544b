"""Rules that know nothing of anatomy: each finds what it is made for, and nothing where there is nothing."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from raysynth.data.audit import shortcuts as module
from raysynth.data.audit.shortcuts import Columns, aspect_correlation, border_statistics, shortcuts
from raysynth.data.importer import import_images
from raysynth.intervals import wilson_interval

ORIGINAL, STORED, NEAREST = "border of the original", "border of the stored image", "nearest neighbour, 32 x 32"


@pytest.fixture(autouse=True)
def few_trees(monkeypatch):
    monkeypatch.setattr(module, "NUM_TREES", 20)


def columns(seed: int, num: int, **more) -> Columns:
    """Noise in two classes: nothing tells the class."""
    random = np.random.default_rng(seed)
    arguments = {
        "labels": np.arange(num) % 2,
        "images": random.integers(0, 256, (num, 1, 16, 16), dtype=np.uint8),
        "thumbnails": random.integers(0, 256, (num, 64, 64), dtype=np.uint8),
        "widths": [100] * num,
        "heights": [200] * num,
        "formats": ["PNG"] * num,
    }
    return Columns(**(arguments | more))


def accuracies(train: Columns, test: Columns) -> dict[str, float]:
    return {row["rule"]: row["accuracy"] for row in shortcuts(train=train, test=test, num_classes=2)}


def test_every_rule_is_at_chance_where_nothing_tells_the_class():
    found = accuracies(columns(0, 200), columns(1, 200))
    assert len(found) == len(module.RULES)
    for rule, accuracy in found.items():
        assert accuracy == pytest.approx(0.5, abs=0.12), rule


def test_the_majority_is_that_of_train():
    train = columns(0, 10, labels=np.array([1] * 7 + [0] * 3))
    [row, *_] = shortcuts(train=train, test=columns(1, 8, labels=np.array([1] * 6 + [0] * 2)), num_classes=3)
    assert row["rule"] == "majority class"
    assert row["accuracy"] == 0.75
    assert row["balanced_accuracy"] == 0.5  # of the two classes that test has
    assert (row["accuracy_low"], row["accuracy_high"]) == wilson_interval(0.75, 8)
    assert (row["num_train"], row["num_test"], row["note"]) == (10, 8, "")


def test_sizes_are_looked_up_and_unknown_ones_take_the_nearest():
    labels = np.array([0, 0, 1, 1, 1, 0])
    train = columns(0, 6, labels=labels, widths=[10, 10, 400, 400, 10, 400], heights=[20, 20, 300, 300, 20, 300])
    test = columns(1, 4, labels=np.array([0, 1, 0, 1]), widths=[10, 400, 11, 90], heights=[20, 300, 19, 120])
    assert accuracies(train, test)["width x height"] == 1.0  # 90 x 120 is nearer to 400 x 300 by logarithms only


def test_formats_are_looked_up_and_unknown_ones_take_the_majority():
    train = columns(0, 5, labels=np.array([0, 0, 1, 1, 1]), formats=["PNG", "PNG", "JPEG", "JPEG", "JPEG"])
    test = columns(1, 3, labels=np.array([0, 1, 1]), formats=["PNG", "JPEG", "GIF"])
    assert accuracies(train, test)["file format"] == 1.0


def test_rules_whose_columns_are_unknown_are_left_out():
    found = accuracies(columns(0, 20, widths=[None] * 20), columns(1, 20))
    assert "width x height" not in found
    assert "file format" in found
    assert "file format" not in accuracies(columns(0, 20), columns(1, 20, formats=["PNG"] * 19 + [None]))


@pytest.mark.parametrize(
    ("column", "rule", "other"),
    [("images", STORED, ORIGINAL), ("thumbnails", ORIGINAL, STORED)],
)
def test_a_bright_edge_in_one_class_is_found_where_it_is(column, rule, other):
    sides = [columns(seed, 120) for seed in (0, 1)]
    for side in sides:
        getattr(side, column)[side.labels == 1, ..., 0, :] = 255
    found = accuracies(*sides)
    assert found[rule] == 1.0
    assert found[other] == pytest.approx(0.5, abs=0.15)


def test_brightness_in_one_class_is_found():
    sides = [columns(seed, 120) for seed in (0, 1)]
    sides = [
        replace(side, images=side.images // (1 + side.labels)[:, None, None, None].astype(np.uint8)) for side in sides
    ]
    assert accuracies(*sides)["mean intensity"] == 1.0


def test_the_nearest_neighbour_is_that_of_a_direct_search(monkeypatch):
    monkeypatch.setattr(module, "CHUNK", 7)
    labels = np.random.default_rng(2).integers(0, 2, (2, 50))
    train = columns(
        0, 50, labels=labels[0], images=np.random.default_rng(0).integers(0, 256, (50, 1, 32, 32), np.uint8)
    )
    test = columns(1, 50, labels=labels[1], images=np.random.default_rng(1).integers(0, 256, (50, 1, 32, 32), np.uint8))
    known, asked = (side.images.reshape(50, -1).astype(float) for side in (train, test))
    nearest = ((asked[:, None] - known[None]) ** 2).sum(axis=2).argmin(axis=1)
    assert accuracies(train, test)[NEAREST] == np.mean(labels[0][nearest] == labels[1])


def test_copies_in_train_are_found_again():
    train = columns(0, 60, labels=np.random.default_rng(0).integers(0, 2, 60))
    test = Columns(train.labels[:20], train.images[:20], train.thumbnails[:20], [1] * 20, [1] * 20, ["PNG"] * 20)
    assert accuracies(train, test)[NEAREST] == 1.0


def test_the_labels_of_test_decide_nothing():
    train, test = columns(0, 60), columns(1, 40)
    right, wrong = accuracies(train, test), accuracies(train, replace(test, labels=1 - test.labels))
    for rule in right:
        assert right[rule] + wrong[rule] == pytest.approx(1.0)


@pytest.mark.parametrize("shape", [(3, 20, 24), (1, 5, 16, 16)])
def test_colour_images_and_volumes_are_looked_at_too(shape):
    sides = []
    for seed in (0, 1):
        images = np.random.default_rng(seed).integers(0, 100, (60, *shape), dtype=np.uint8)
        images[1::2, ..., :8] += 100
        sides.append(columns(seed, 60, images=images))
    found = accuracies(*sides)
    assert found[NEAREST] == found[STORED] == found["mean intensity"] == 1.0


def test_many_images_are_drawn_from_and_the_row_says_so(monkeypatch):
    monkeypatch.setattr(module, "MAX_IMAGES", 30)
    rows = {row["rule"]: row for row in shortcuts(train=columns(0, 100), test=columns(1, 40), num_classes=2, seed=4)}
    assert (rows[NEAREST]["num_train"], rows[NEAREST]["num_test"]) == (30, 30)
    assert rows[NEAREST]["note"] == "30 of 100 train and 30 of 40 test images, drawn with seed 4"
    assert (rows["width x height"]["num_train"], rows["width x height"]["note"]) == (100, "")


def test_the_same_images_give_the_same_table():
    first, again = (shortcuts(train=columns(0, 80), test=columns(1, 40), num_classes=2) for _ in range(2))
    assert first == again


def test_without_images_there_is_nothing_to_say():
    assert shortcuts(train=columns(0, 4), test=columns(1, 0), num_classes=2) == []


def test_margins_are_shares_of_the_side():
    grey = np.random.default_rng(0).integers(0, 256, (1, 40, 20), dtype=np.uint8)
    grey[:, :10] = 7
    grey[:, :, 15:] = grey[:, 10:11, 15:16] = 7  # the right margin is uniform with the top one
    [top, bottom, left, right] = border_statistics(grey)[0, module.MARGINS]
    assert (top, bottom, left) == (0.25, 0.0, 0.0)
    assert right == 0.25


@pytest.fixture(scope="module")
def shapes(tmp_path_factory) -> Path:
    """Wide images in one class and tall ones in the other, of the same smooth noise."""
    root = tmp_path_factory.mktemp("shapes")
    random = np.random.default_rng(0)
    for name in ("wide", "tall"):
        (root / name).mkdir()
        for i in range(150):
            noise = Image.fromarray(random.integers(0, 256, (6, 6), dtype=np.uint8))
            long_side = int(random.integers(50, 80))
            size = (long_side, 40) if name == "wide" else (40, long_side)
            noise.resize(size, Image.Resampling.BICUBIC).save(root / name / f"{i}.png")
    return root


@pytest.mark.parametrize(("fit", "leaks"), [("pad", True), ("stretch", False)])
def test_the_table_tells_whether_an_import_passes_the_originals_shape_on(shapes, tmp_path, fit, leaks):
    dataset = import_images(shapes, tmp_path / fit, size=32, fit=fit, test=0.4, validation=0.0, say=lambda line: None)
    train, test = Columns.read(dataset, "train"), Columns.read(dataset, "test")
    found = accuracies(train, test)
    assert found["width x height"] > 0.95
    if leaks:
        assert found[STORED] > 0.95
        assert aspect_correlation(train=train, test=test) > 0.9
    else:
        assert found[STORED] == pytest.approx(0.5, abs=0.15)
        assert found[NEAREST] == pytest.approx(0.5, abs=0.15)
        assert aspect_correlation(train=train, test=test) < 0.3


def test_without_different_shapes_there_is_no_correlation():
    assert aspect_correlation(train=columns(0, 20), test=columns(1, 20)) is None
    assert aspect_correlation(train=columns(0, 20, widths=[None] * 20), test=columns(1, 20)) is None
