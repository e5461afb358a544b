import numpy as np
import pandas as pd
import pytest

from raysynth.evaluation.curves import (
    AUGMENTED,
    MIXED,
    PLAIN,
    curve_table,
    describe_curves,
    plan_points,
    point_training,
)


def test_the_points_of_both_curves():
    points = plan_points(200, 500)
    assert len({point.name for point in points}) == len(points)
    by_share = [point for point in points if "number of real images" in point.curves]
    assert sorted({point.num_real for point in by_share}) == [10, 20, 50, 100, 200]
    for arm, num_synthetic in ((PLAIN, 0), (AUGMENTED, 0), (MIXED, 500)):
        assert [point.num_synthetic for point in by_share if point.arm == arm] == [num_synthetic] * 5
    by_ratio = [point.num_synthetic / point.num_real for point in points if "ratio" in point.curves]
    assert sorted(by_ratio) == [0, 0.25, 0.5, 1, 2]  # no more than there are


def test_a_point_in_both_curves_is_trained_once():
    points = plan_points(100, 200)
    both = [point for point in points if len(point.curves) == 2]
    assert {(point.num_real, point.num_synthetic) for point in both} == {(100, 0), (100, 200)}


def test_all_points_take_the_same_number_of_steps():
    trainings = [point_training(point, "made", seed=1, steps=30, batch_size=16) for point in plan_points(100, 200)]
    assert {training.steps for training in trainings} == {30}
    smallest = min(trainings, key=lambda training: training.num_images)
    assert (smallest.num_images, smallest.batch_size, smallest.synthetic) == (5, 5, None)
    assert {training.num_images - training.real_images for training in trainings if training.synthetic} == {
        25, 50, 100, 200
    }  # fmt: skip


def predict(points, accuracy) -> pd.DataFrame:
    """The same images are hard for every classifier; accuracy(point) of them are right."""
    rows = []
    for point in points:
        for seed in range(2):
            for image in range(400):
                right = (image * 37 % 400) < 400 * accuracy(point) + seed
                row = {"image_id": image, "group": f"g{image}", "split": "test", "trained_on": point.name, "seed": seed}
                rows.append({**row, "label": 0, "predicted": 0 if right else 1})
    return pd.DataFrame(rows)


def test_differences_are_to_as_many_real_images():
    points = plan_points(200, 200)

    def accuracy(point) -> float:
        return 0.5 + 0.001 * point.num_real + (0.1 if point.arm == MIXED else -0.05 if point.arm == PLAIN else 0)

    table = curve_table(predict(points, accuracy), points)
    assert list(table["curve"].unique()) == ["number of real images", "ratio"]
    mixed = table[table["arm"] == MIXED]
    assert mixed["difference"].to_numpy() == pytest.approx(0.1, abs=3e-3)
    assert (mixed["low"] > 0).all()
    assert (mixed["p_corrected"] >= mixed["p_value"]).all()
    assert (mixed["p_corrected"] < 0.05).all()
    assert table.loc[table["arm"] == PLAIN, "difference"].to_numpy() == pytest.approx(-0.05, abs=3e-3)
    assert table.loc[table["arm"] == AUGMENTED, "difference"].isna().all()
    row = table[(table["arm"] == AUGMENTED) & (table["num_real"] == 100)].iloc[0]
    assert row["accuracy"] == pytest.approx(0.6, abs=5e-3)
    assert row["accuracy_low"] < row["accuracy"] < row["accuracy_high"]

    lines = describe_curves(table)
    assert len(lines) == 5 + 3
    assert "   100 real: 0.551 not augmented, 0.601 augmented, 0.701 with 200 synthetic: +10.0 points" in lines[3]


def test_what_makes_no_difference_is_no_finding():
    points = plan_points(200, 200)
    table = curve_table(predict(points, lambda point: 0.7), points)
    assert np.nanmin(table["p_corrected"]) == pytest.approx(1)
