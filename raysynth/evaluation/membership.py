"""Does the distance to the nearest generated image tell the train images from held-out ones?

A model that copied its train images, or only learnt them better than others like them, makes images nearer to them. So
a set is tested as a whole, where no single image of it need be a copy (Chen et al. 2020, "GAN-Leaks", section 4.1, with
the distances of the whole set for an attack's score).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

NUM_DRAWS = 1000
SEED = 0
_CHUNK = 50  # draws at once


@dataclass(frozen=True)
class Membership:
    """The area under the ROC curve: the chance that a train image is nearer to the generated ones than a held-out image
    is. 0.5: nothing of it can be told. `low` and `high` are its 95 % interval."""

    auc: float
    low: float
    high: float


def membership_auc(
    train: np.ndarray,
    held_out: np.ndarray,
    train_groups: np.ndarray,
    held_out_groups: np.ndarray,
    *,
    confidence: float = 0.95,
) -> Membership:
    """From the distance of each train image (N,) and held-out image (M,) to its nearest generated one.

    The interval resamples groups, of either split by itself, for images of one patient are not independent. Raises
    ValueError where a split has no images.
    """
    if not len(train) or not len(held_out):
        raise ValueError(f"want train and held-out images: {len(train)}, {len(held_out)}")
    random = np.random.default_rng(SEED)
    values, place = np.unique(np.concatenate([train, held_out]), return_inverse=True)
    place_train, place_held_out = np.split(place, [len(train)])
    draws = []
    for start in range(0, NUM_DRAWS, _CHUNK):
        num_draws = min(_CHUNK, NUM_DRAWS - start)
        counts = [
            _spread(_draw(groups, num_draws, random), places, len(values))
            for groups, places in ((train_groups, place_train), (held_out_groups, place_held_out))
        ]
        draws.append(_auc(*counts))
    low, high = np.quantile(np.concatenate(draws), [0.5 - confidence / 2, 0.5 + confidence / 2])
    once = [_spread(np.ones((1, len(places))), places, len(values)) for places in (place_train, place_held_out)]
    return Membership(float(_auc(*once)[0]), float(low), float(high))


def _draw(groups: np.ndarray, num_draws: int, random: np.random.Generator) -> np.ndarray:
    """How often each image (N,) is drawn, (num_draws, N), where groups are drawn with replacement."""
    _, index = np.unique(groups, return_inverse=True)
    num_groups = int(index.max()) + 1
    counts: np.ndarray = random.multinomial(num_groups, np.full(num_groups, 1 / num_groups), size=num_draws)[:, index]
    return counts


def _spread(counts: np.ndarray, places: np.ndarray, num_values: int) -> np.ndarray:
    """Counts (draws, N) of images as counts (draws, num_values) of their values, which are numbered in their order."""
    totals = np.zeros((len(counts), num_values))
    for total, count in zip(totals, counts, strict=True):
        total += np.bincount(places, weights=count, minlength=num_values)
    return totals


def _auc(train: np.ndarray, held_out: np.ndarray) -> np.ndarray:
    """AUC (draws,) of counts (draws, V) of ordered values: train less than held-out, half where they are the same."""
    above = held_out.sum(axis=1, keepdims=True) - held_out.cumsum(axis=1)
    wins = (train * (above + held_out / 2)).sum(axis=1)
    share: np.ndarray = wins / (train.sum(axis=1) * held_out.sum(axis=1))
    return share
