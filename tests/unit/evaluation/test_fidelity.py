"""The table of fidelity in two networks' features."""

from __future__ import annotations

import numpy as np
import pytest

from raysynth.evaluation import fidelity
from raysynth.evaluation.features import BACKBONE, SCORING, FeatureSet
from raysynth.evaluation.fidelity import FeatureSpace, describe_fidelity, fidelity_table, leading_components
from raysynth.evaluation.frechet import joint_frechet
from raysynth.evaluation.kid import kernel_distance

CLASSES = ("a", "b", "c", "d")


def draw(num_images: int, seed: int, *, labels: tuple[int, ...] = (0, 1, 2, 3), shift: float = 0.0) -> FeatureSet:
    """Classes apart in 8 scoring features; 200 of a backbone that vary in 20 directions."""
    rng = np.random.default_rng(seed)
    own = np.resize(labels, num_images)
    means, mixing = (np.random.default_rng(99).normal(size=shape) for shape in ((4, 8), (20, 200)))
    scoring = 3 * means[own] + rng.normal(size=(num_images, 8)) + shift
    backbone = (rng.normal(size=(num_images, 20)) + shift) @ mixing
    return FeatureSet({SCORING: scoring, BACKBONE: backbone}, own, np.arange(num_images))


def test_each_set_stands_beside_the_floor():
    collapsed = draw(240, 3)
    for values in collapsed.features.values():
        values[:] = values[np.arange(240) % 4]  # one image a class, again and again
    sets = {"good": draw(240, 2), "far": draw(240, 4, shift=1.0), "collapsed": collapsed}
    table = fidelity_table(draw(160, 0), draw(80, 1), sets, CLASSES)
    assert list(table.columns) == list(fidelity.COLUMNS)
    assert list(table["source"].unique()) == ["real", "good", "far", "collapsed"]
    assert len(table) == 4 * 2 * 5
    scores = table.set_index(["features", "source", "class"])
    assert set(table[table["class"] == "all"]["n"]) == {80}
    assert set(table[table["class"] == "a"]["n"]) == {20}
    for space in (SCORING, BACKBONE):
        assert scores.loc[(space, "real", "all"), "frechet_ratio"] == 1
        assert scores.loc[(space, "good", "all"), "frechet_ratio"] == pytest.approx(1, abs=0.35)
        assert scores.loc[(space, "far", "all"), "frechet_ratio"] > 2
        assert scores.loc[(space, "good", "all"), "coverage"] > 0.8
        assert scores.loc[(space, "collapsed", "all"), "coverage"] < 0.5
        for source, is_far in (("real", False), ("good", False), ("far", True)):
            row = scores.loc[(space, source, "all")]
            assert (row["kid"] > 3 * row["kid_error"]) == is_far
    assert table[["frechet", "kid", "coverage"]].notna().all().all()


def test_numbers_are_those_of_the_parts_where_nothing_is_drawn():
    """As many images of each class on either side: one draw is all of them."""
    real, made = draw(80, 1), draw(80, 2, shift=0.3)
    row = fidelity_table(draw(160, 0), real, {"made": made}, CLASSES).set_index(["features", "source", "class"])
    raw = [each.features[BACKBONE] for each in (real, made)]
    assert row.loc[(BACKBONE, "made", "all"), "kid"] == pytest.approx(kernel_distance(*raw))
    chosen = [values[each.labels == 2] for values, each in zip(raw, (real, made), strict=True)]
    assert row.loc[(BACKBONE, "made", "c"), "kid"] == pytest.approx(kernel_distance(*chosen))
    scaled = [each.features[SCORING] / real.features[SCORING].std(axis=0) for each in (real, made)]
    wanted = joint_frechet(scaled[0], real.labels, scaled[1], made.labels, 4)
    assert row.loc[(SCORING, "made", "all"), "frechet"] == pytest.approx(wanted)


def test_a_class_that_a_set_lacks_and_one_with_few_images():
    partial = draw(14, 2, labels=(1, 3))
    table = fidelity_table(draw(160, 0), draw(80, 1), {"partial": partial}, CLASSES)
    scores = table.set_index(["features", "source", "class"])
    for space in (SCORING, BACKBONE):
        assert scores.loc[(space, "partial", "a"), ["n", "coverage", "recall"]].tolist() == [0, 0, 0]
        assert scores.loc[(space, "partial", "all"), "coverage"] <= 0.5  # two of four classes, equally many of each
        assert scores.loc[(space, "partial", "d"), "n"] == 7
        # A Frechet distance of 7 images is none of 20.
        assert np.isnan(scores.loc[(space, "partial", "d"), "frechet_ratio"])
        assert np.isfinite(scores.loc[(space, "partial", "d"), "frechet"])
    few = fidelity_table(draw(160, 0), draw(20, 1), {"few": draw(80, 2)}, CLASSES).set_index(["source", "class"])
    assert (few.loc[("few", "a"), "n"] == 5).all()
    assert few.loc[("few", "a"), ["coverage", "density", "kid", "frechet"]].isna().all(axis=None)
    assert few.loc[("few", "all"), ["coverage", "kid", "frechet"]].notna().all(axis=None)


def test_lines_name_both_networks():
    table = fidelity_table(draw(160, 0), draw(80, 1), {"made": draw(80, 2)}, CLASSES)
    real, made = describe_fidelity(table)
    assert real.startswith("real train images: Frechet")
    assert "x real" not in real
    assert made.startswith("made: Frechet")
    assert made.count("x real") == made.count("KID") == made.count("±") == 2
    assert made.endswith("(80 images)")
    too_few = fidelity_table(draw(160, 0), draw(4, 1), {"made": draw(80, 2)}, CLASSES)
    assert describe_fidelity(too_few)[1] == "made: too few images for fidelity (4)"


def test_nothing_is_said_without_validation_images():
    table = fidelity_table(draw(160, 0), draw(0, 1), {"made": draw(80, 2)}, CLASSES)
    assert table.empty
    assert describe_fidelity(table) == []


def test_many_features_are_projected_on_the_leading_components_of_train_images():
    train, validation = draw(160, 0).features[BACKBONE], draw(80, 1).features[BACKBONE]
    space = FeatureSpace.fit(train, validation)
    projected = space.projected(space.vectors(validation))
    assert projected.shape == (80, 64)
    assert projected.var(axis=0).mean() == pytest.approx(1)
    # All variance is in 20 directions, and a rotation and one scale change no ratio of distances.
    ratios = np.divide(*(np.linalg.norm(points[1:] - points[0], axis=1) for points in (projected, validation)))
    assert ratios == pytest.approx(np.full(79, ratios[0]))
    components = leading_components(train, 20)
    assert components.T @ components == pytest.approx(np.eye(20), abs=1e-9)
    assert ((train - train.mean(axis=0)) @ components).var(axis=0).sum() == pytest.approx(train.var(axis=0).sum())
