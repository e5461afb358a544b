"""Which classifiers an evaluation trains, and for how long, so that comparing them is fair.

A mix of real and synthetic images has more steps in an epoch than the real images alone. Trained for equally many
epochs, both classifiers see each real image equally often, but the mix is trained longer; trained for equally many
steps, the mix sees each real image less often. Real-only is therefore trained both ways, and a mix has to beat the
better one.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

REAL = "real"
# 1400 steps on 2610 grey images of 64 x 64 pixels (3264 images, random split) took 204 CPU-seconds and reached a test
# accuracy of 0.948 (one seed); a mix with as many synthetic images takes twice as long.
DEFAULT_STEPS = {"cnn": 1200, "transfer": 480}
DEFAULT_SEEDS = {"cnn": 5, "transfer": 3}
MIN_EPOCHS, MAX_EPOCHS = 5, 200
MIN_STEPS = 4  # a learning rate that rises and falls needs as many
# What an evaluation takes one core, by measurement on two (`cnn` at 64 pixels, `transfer` at 128): to train on an image
# once, of which the most is by its numbers; and to compare an image and have a classifier score it.
EXPOSURE_S, NUMBER_S = 2e-4, 8e-7
COMPARISON_S, PREDICTION_S = 7e-3, 4e-4
RAY_OVERHEAD_S = 20.0  # Ray's start, and torch's in each of its processes: 17 to 20 s for a hundred images of 16 pixels

Kind = Literal["real", "synthetic", "mixed", "distilled"]


@dataclass(frozen=True)
class Training:
    """One classifier to train. `distilled` is on synthetic images with soft labels, those of the classifier of the real
    images with the same seed. `num_images` are those it is trained on, `epochs` how often it sees each (about:
    the images that fill no batch wait for the next epoch)."""

    trained_on: str
    kind: Kind
    synthetic: str | None
    seed: int
    num_images: int
    batch_size: int
    steps: int
    real_images: int

    @property
    def epochs(self) -> float:
        return round(self.steps * self.batch_size / self.num_images, 2)

    @property
    def real_exposures(self) -> int:
        """How many real images it sees, repeats counted."""
        return round(self.steps * self.batch_size * self.real_images / self.num_images)


def plan_trainings(
    num_real: int,
    num_synthetic: Mapping[str, int],
    *,
    seeds: Sequence[int],
    epochs: int,
    batch_size: int,
    soft_labels: bool = False,
) -> list[Training]:
    """Real, real at each mix's number of steps, each synthetic set, each mix; with `soft_labels` each synthetic set
    distilled; every seed of each.

    `num_synthetic` is the number of training images of each synthetic set, by name.
    """
    rows: list[tuple[str, Kind, str | None, int, int]] = []
    real_steps = steps_of(num_real, epochs, batch_size)
    rows.append((REAL, "real", None, num_real, real_steps))
    for num_images in num_synthetic.values():
        steps = steps_of(num_real + num_images, epochs, batch_size)
        row = (baseline_at(steps), "real", None, num_real, steps)
        if steps != real_steps and row not in rows:
            rows.append(row)  # type: ignore[arg-type]
    for name, num_images in num_synthetic.items():
        steps = steps_of(num_images, epochs, batch_size)
        rows.append((f"generated: {name}", "synthetic", name, num_images, steps))
    for name, num_images in num_synthetic.items():
        steps = steps_of(num_real + num_images, epochs, batch_size)
        rows.append((f"mixed: {name}", "mixed", name, num_real + num_images, steps))
    for name, num_images in num_synthetic.items() if soft_labels else ():
        rows.append((f"distilled: {name}", "distilled", name, num_images, steps_of(num_images, epochs, batch_size)))
    return [
        Training(
            trained_on=trained_on,
            kind=kind,
            synthetic=synthetic,
            seed=seed,
            num_images=num_images,
            batch_size=min(batch_size, num_images),
            steps=steps,
            real_images=num_real if kind in ("real", "mixed") else 0,
        )
        for trained_on, kind, synthetic, num_images, steps in rows
        for seed in seeds
    ]


def pays_for_ray(trainings: Iterable[Training], *, num_images: int, num_values: int, num_cores: int) -> bool:
    """Whether so many cores save more time than Ray's start on one machine takes.

    `num_images` are those of all sets, `num_values` the numbers of one as the classifier sees it.
    """
    trainings = list(trainings)
    exposures = sum(training.steps * training.batch_size for training in trainings)
    training_s = exposures * (EXPOSURE_S + NUMBER_S * num_values)
    alone_s = training_s + num_images * (COMPARISON_S + len(trainings) * PREDICTION_S)
    return alone_s - alone_s / num_cores > RAY_OVERHEAD_S


def steps_of(num_images: int, epochs: int, batch_size: int) -> int:
    """Optimiser steps of `epochs` epochs; a set smaller than a batch is one batch."""
    return max(MIN_STEPS, epochs * max(1, num_images // batch_size))


def baseline_at(steps: int) -> str:
    """The name of real-only training for a mix's number of steps."""
    return f"{REAL}, {steps} steps"


def default_epochs(num_real: int, batch_size: int, classifier: str = "cnn") -> int:
    """Epochs for about `DEFAULT_STEPS` steps on the real images, within reason for tiny and huge sets."""
    steps_per_epoch = max(1, num_real // batch_size)
    return min(MAX_EPOCHS, max(MIN_EPOCHS, round(DEFAULT_STEPS[classifier] / steps_per_epoch)))


def unique_names(names: Iterable[str], taken: Iterable[str] = ()) -> list[str]:
    """The names with ` (2)`, ` (3)`, ... after one that was there before."""
    unique: list[str] = []
    for name in names:
        candidate, number = name, 2
        while candidate in unique or candidate in taken:
            candidate, number = f"{name} ({number})", number + 1
        unique.append(candidate)
    return unique
