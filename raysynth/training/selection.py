"""Drawing until there are as many images as are wanted of those that may be kept."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from raysynth.errors import UserError
from raysynth.training.worker import CHUNK_SIZE

MAX_DRAWS, MIN_DRAWS = 20, 640  # drawn for each one that is wanted, and at least, before a class is given up

Draw = Callable[[np.ndarray, np.ndarray], np.ndarray]
SeedOf = Callable[[int, int], int]


@dataclass(frozen=True)
class Judge:
    """`keeps(images, label)` says which images (n, C, H, W) uint8 that were drawn for a label may stay, (n,) bool.

    `problem` is what is wrong where hardly any may: a line with the places {drawn}, {name} and {kept}.
    """

    keeps: Callable[[np.ndarray, int], np.ndarray]
    problem: str


@dataclass(frozen=True)
class Chosen:
    """Images (N, C, H, W) uint8, labels (N,) and numbers (N,) of those kept; `num_drawn` of each class, up to the last
    one kept, and `num_refused` (judges, classes), of each judge those that the ones before it had let pass."""

    images: np.ndarray
    labels: np.ndarray
    numbers: np.ndarray
    num_drawn: np.ndarray
    num_refused: np.ndarray


def draw_chosen(
    draw: Draw, seed_of: SeedOf, counts: Sequence[int], classes: Sequence[str], judges: Sequence[Judge]
) -> Chosen:
    """The first `counts` images of each class that all judges keep.

    `draw(labels, seeds)` draws images; `seed_of(class, number)` is the seed of a class's image of that number. Raises
    UserError, with the problem of the judge that refused most, where hardly any of a class are kept.
    """
    images, labels, numbers = [], [], []
    num_drawn = np.zeros(len(classes), np.int64)
    num_refused = np.zeros((len(judges), len(classes)), np.int64)
    for label, (name, wanted) in enumerate(zip(classes, counts, strict=True)):
        kept, drawn = 0, 0
        while kept < wanted:
            if drawn >= max(MAX_DRAWS * wanted, MIN_DRAWS):
                worst = judges[int(num_refused[:, label].argmax())]
                raise UserError(worst.problem.format(drawn=drawn, name=name, kept=kept))
            num_chunks = -(-(wanted - kept) // CHUNK_SIZE)
            block = np.arange(drawn, drawn + num_chunks * CHUNK_SIZE)
            of_label = np.full(len(block), label)
            candidates = draw(of_label, np.array([seed_of(label, int(number)) for number in block], dtype=np.int64))
            refused_by = _first_refusal(judges, candidates, label)
            taken = np.flatnonzero(refused_by < 0)[: wanted - kept]
            # Of the images after the last that was taken nothing is asked.
            considered = int(taken[-1]) + 1 if len(taken) == wanted - kept else len(block)
            drawn += considered
            for number in range(len(judges)):
                num_refused[number, label] += int(np.sum(refused_by[:considered] == number))
            images.append(candidates[taken])
            numbers.append(block[taken])
            labels.append(of_label[taken])
            kept += len(taken)
        num_drawn[label] = drawn
    return Chosen(np.concatenate(images), np.concatenate(labels), np.concatenate(numbers), num_drawn, num_refused)


def _first_refusal(judges: Sequence[Judge], images: np.ndarray, label: int) -> np.ndarray:
    """The place (n,) of the first judge that does not keep an image; -1 for one that stays."""
    refused_by = np.full(len(images), -1)
    for number, judge in enumerate(judges):
        refused_by[(refused_by < 0) & ~judge.keeps(images, label)] = number
    return refused_by
