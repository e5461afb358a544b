"""Curves: accuracy against the number of real images, with and without synthetic ones, and against their ratio.

All classifiers of the curves take equally many optimiser steps. At each number of real images three rivals stand beside
each other: the real images as they are, the same augmented as they always are here (flips, turns, shifts, tones), and
the same, augmented, with all the synthetic images. What the synthetic images add must be seen against the second.

The generator has seen all the real train images. A mix with a part of them therefore knows, by way of the generator,
of those that are left out: the curve tells what synthetic images are worth to somebody who is given them with few real
ones, not what a generator trained on few would be worth.
"""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import pandas as pd

from raysynth.evaluation.correctness import correctness
from raysynth.evaluation.plan import Training
from raysynth.intervals import bootstrap_difference, holm, wilson_interval

SHARES = (0.05, 0.1, 0.25, 0.5, 1.0)  # of the real train images
RATIOS = (0.25, 0.5, 1.0, 2.0, 4.0, 8.0)  # synthetic images for one real one, as far as there are so many
DEFAULT_SEEDS = 2

Curve = Literal["number of real images", "ratio"]
PLAIN, AUGMENTED, MIXED = "real, not augmented", "real", "real and synthetic"


@dataclass(frozen=True)
class Point:
    """A training set of a curve: so many real and synthetic images, and whether they are augmented."""

    curves: tuple[Curve, ...]
    arm: str
    num_real: int
    num_synthetic: int

    @property
    def name(self) -> str:
        """Unique among the points of an evaluation."""
        synthetic = f" and {self.num_synthetic} synthetic" if self.num_synthetic else ""
        return f"{self.num_real} real{synthetic}{', not augmented' if self.arm == PLAIN else ''}"

    @property
    def options(self) -> dict[str, bool]:
        """Of the classifier's config."""
        return {"augment": self.arm != PLAIN}


def plan_points(num_real: int, num_synthetic: int) -> list[Point]:
    """The points of both curves; one that belongs to both is there once. `num_synthetic` is how many there are."""
    wanted: dict[tuple[str, int, int], list[Curve]] = {}

    def want(curve: Curve, arm: str, of_real: int, of_synthetic: int) -> None:
        curves = wanted.setdefault((arm, of_real, of_synthetic), [])
        if curve not in curves:
            curves.append(curve)

    for share in SHARES:
        count = max(1, round(share * num_real))
        want("number of real images", PLAIN, count, 0)
        want("number of real images", AUGMENTED, count, 0)
        want("number of real images", MIXED, count, num_synthetic)
    want("ratio", AUGMENTED, num_real, 0)
    for ratio in RATIOS:
        if (count := round(ratio * num_real)) <= num_synthetic:
            want("ratio", MIXED, num_real, count)
    return [Point(tuple(curves), *key) for key, curves in wanted.items()]


def point_training(point: Point, synthetic: str, *, seed: int, steps: int, batch_size: int) -> Training:
    """The training of a point's classifier."""
    num_images = point.num_real + point.num_synthetic
    return Training(
        trained_on=point.name,
        kind="mixed" if point.num_synthetic else "real",
        synthetic=synthetic if point.num_synthetic else None,
        seed=seed,
        num_images=num_images,
        batch_size=min(batch_size, num_images),
        steps=steps,
        real_images=point.num_real,
    )


def curve_table(predictions: pd.DataFrame, points: Sequence[Point]) -> pd.DataFrame:
    """A row a curve and point, from the predictions on real test images.

    `accuracy` is the mean over seeds, with Wilson's interval `accuracy_low` to `accuracy_high` and the standard
    deviation over seeds `accuracy_std`. `difference` is that to the augmented real images of the same number, with its
    95 % interval (paired bootstrap over groups and seeds), `p_value`, and `p_corrected` for the number of points
    (Holm).
    """
    test = predictions[predictions["split"] == "test"]
    right = {point.name: correctness(test, point.name) for point in points}
    rivals = {point.num_real: point.name for point in points if point.arm == AUGMENTED}
    num_real = max(point.num_real for point in points)
    rows = []
    for point in points:
        own, groups = right[point.name]
        per_seed = own.mean(axis=0)
        low, high = wilson_interval(float(min(1.0, per_seed.mean())), len(own))
        row = {
            "arm": point.arm,
            "num_real": point.num_real,
            "num_synthetic": point.num_synthetic,
            "real_share": point.num_real / num_real,
            "ratio": point.num_synthetic / point.num_real,
            "num_seeds": own.shape[1],
            "num_test_images": len(own),
            "accuracy": float(per_seed.mean()),
            "accuracy_std": float(per_seed.std(ddof=1)) if len(per_seed) > 1 else np.nan,
            "accuracy_low": low,
            "accuracy_high": high,
        }
        if point.arm != AUGMENTED:
            found = bootstrap_difference(own - right[rivals[point.num_real]][0], groups)
            row |= {"difference": found.mean, "low": found.low, "high": found.high, "p_value": found.p_value}
        rows += [{"curve": curve, **row} for curve in point.curves]
    table = pd.DataFrame(rows)
    table["p_corrected"] = np.nan
    for _, compared in table[table["p_value"].notna()].groupby(["curve", "arm"]):
        table.loc[compared.index, "p_corrected"] = holm(compared["p_value"].tolist())
    order = {name: place for place, name in enumerate(("number of real images", "ratio"))}
    return table.sort_values(
        ["curve", "num_real", "num_synthetic", "arm"],
        key=lambda column: column.map(order) if column.name == "curve" else column,
        kind="stable",
        ignore_index=True,
    )


def describe_curves(table: pd.DataFrame) -> list[str]:
    """Lines for people: at each number of real images the three rivals, then accuracy by ratio."""
    lines = []
    by_share = table[table["curve"] == "number of real images"]
    for num_real, rows in by_share.groupby("num_real"):
        accuracy = rows.set_index("arm")["accuracy"]
        mixed = rows[rows["arm"] == MIXED].to_dict("records")[0]
        lines.append(
            f"{num_real:>6} real: {accuracy[PLAIN]:.3f} not augmented, {accuracy[AUGMENTED]:.3f} augmented, "
            f"{accuracy[MIXED]:.3f} with {mixed['num_synthetic']} synthetic: {_difference(mixed)}"
        )
    for row in table[(table["curve"] == "ratio") & (table["arm"] == MIXED)].to_dict("records"):
        lines.append(f"{row['ratio']:>6g} synthetic for one real: {row['accuracy']:.3f}: {_difference(row)}")
    return lines


def _difference(row: Mapping[Hashable, Any]) -> str:
    points = [f"{100 * row[name]:+.1f}" for name in ("difference", "low", "high")]
    return f"{points[0]} points ({points[1]} to {points[2]}), p {row['p_corrected']:.3f} corrected"
