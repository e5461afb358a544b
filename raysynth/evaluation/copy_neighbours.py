"""The real images that are nearest to others, in several views, and how much nearer than all others they are."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

SAME = 2e-3  # distance of vectors of length 1 that is only rounding
_MAX_MATRIX = 2**22  # numbers in a matrix of distances at a time


@dataclass(frozen=True)
class RealImages:
    """One split: ids (N,), groups (N,) as numbers that both splits share, labels (N,), and vectors of each view."""

    ids: np.ndarray
    groups: np.ndarray
    labels: np.ndarray
    vectors: Sequence[np.ndarray]


@dataclass(frozen=True)
class Found:
    """What is nearest to each of N images; distances are those of the view that decides (`view`, its place).

    `nearest` and `nearest_held_out` are rows of the train and the held-out images (-1: there is none), `mirrored` says
    that the image is nearer the other way round. `total` (N,) is the smallest distance to a train image over all views
    together, and `authentic` that it is larger than that image's own to the nearest one of another group.
    `pixel_nearest` and `pixel_distance` are of the first view, whether it decides or not.
    `view_scores` (N, views) are the scores of each view, not yet over its scale.
    `real_distances` (train images + held-out images,) is, over all views, the distance of each real image to the
    nearest of the N.
    """

    score: np.ndarray
    view_scores: np.ndarray
    view: np.ndarray
    nearest: np.ndarray
    mirrored: np.ndarray
    distance: np.ndarray
    nearest_held_out: np.ndarray
    held_out_distance: np.ndarray
    pixel_nearest: np.ndarray
    pixel_distance: np.ndarray
    total: np.ndarray
    authentic: np.ndarray
    real_distances: np.ndarray

    @property
    def ratio(self) -> np.ndarray:
        """Distance to the nearest train image over that to the nearest held-out one."""
        with np.errstate(divide="ignore", invalid="ignore"):
            ratio: np.ndarray = np.where(self.nearest_held_out < 0, np.nan, self.distance / self.held_out_distance)
        return ratio


@dataclass(frozen=True)
class RealNeighbours:
    """What images are held against.

    `own` (views + 1, N) are the distances of train images to the nearest one of another group, in each view and in all
    together; `scales` (views,) are the units of the views' scores, infinitely small of one that does not decide.
    """

    train: RealImages
    held_out: RealImages
    own: np.ndarray
    scales: np.ndarray

    def find(
        self, vectors: Sequence[np.ndarray], mirrored: Sequence[np.ndarray], groups: np.ndarray | None = None
    ) -> Found:
        """What is nearest to N > 0 images with `vectors` of each view, and `mirrored` those of their mirror images.

        `groups` (N,) of images that are held-out ones themselves: no held-out image of its own group is near to one.
        The score of a view is the larger of two ratios, at most 1, of the distance to the nearest train image: to that
        image's own distance to another group's, and to the distance to the nearest train image of another group.
        """
        parts = []
        for rows in _blocks(len(vectors[0]), max(len(self.train.ids), len(self.held_out.ids))):
            block = [v[rows] for v in vectors], [v[rows] for v in mirrored]
            parts.append(_find_block(self, *block, None if groups is None else groups[rows]))
        joined = {name: np.concatenate([vars(part)[name] for part in parts]) for name in vars(parts[0])}
        real_distances = np.min([part.real_distances for part in parts], axis=0)
        return Found(**{**joined, "real_distances": real_distances})


def _find_block(
    real: RealNeighbours, vectors: Sequence[np.ndarray], mirrored: Sequence[np.ndarray], groups: np.ndarray | None
) -> Found:
    every = np.arange(len(vectors[0]))
    best: dict[str, np.ndarray] = {}
    view_scores = np.zeros((len(every), len(vectors)))
    squares = np.zeros((len(every), len(real.train.ids)), np.float32)
    held_out_squares = np.zeros((len(every), len(real.held_out.ids)), np.float32)
    for view in range(len(vectors)):
        distances, flipped = _distances(vectors[view], mirrored[view], real.train.vectors[view])
        squares += distances**2
        nearest = distances.argmin(axis=1)
        distance, other = distances[every, nearest], _other_group(distances, nearest, real.train.groups)
        view_scores[:, view] = np.maximum(_ratio(distance, real.own[view][nearest]), _ratio(distance, other))
        held_out, _ = _distances(vectors[view], mirrored[view], real.held_out.vectors[view])
        held_out_squares += held_out**2
        if groups is not None:
            held_out[groups[:, None] == real.held_out.groups[None]] = np.inf
        nearest_held_out = held_out.argmin(axis=1)
        held_out_distance = held_out[every, nearest_held_out]
        here = {
            "score": view_scores[:, view] / real.scales[view],
            "view": np.full(len(every), view),
            "nearest": nearest,
            "mirrored": flipped[every, nearest],
            "distance": distance,
            "nearest_held_out": np.where(np.isfinite(held_out_distance), nearest_held_out, -1),
            "held_out_distance": held_out_distance,
        }
        if not best:
            in_pixels = {"pixel_nearest": nearest, "pixel_distance": distance}
        better = here["score"] < best["score"] if best else np.ones(len(every), bool)
        best = {name: np.where(better, values, best.get(name, values)) for name, values in here.items()}
    total, nearest = np.sqrt(squares.min(axis=1)), squares.argmin(axis=1)
    real_distances = np.sqrt(np.concatenate([squares.min(axis=0), held_out_squares.min(axis=0)]))
    authentic = total > real.own[-1][nearest]
    return Found(
        **best,
        **in_pixels,
        view_scores=view_scores,
        total=total,
        authentic=authentic,
        real_distances=real_distances,
    )


def _blocks(num_rows: int, num_columns: int) -> list[slice]:
    size = max(1, _MAX_MATRIX // max(num_columns, 1))
    return [slice(start, start + size) for start in range(0, num_rows, size)]


def _distances(vectors: np.ndarray, mirrored: np.ndarray, others: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Distances (n, m) of vectors (n, D), as they are or mirrored, whichever is less, to others (m, D)."""
    plain, flipped = (_squared_distances(side, others) for side in (vectors, mirrored))
    return np.sqrt(np.minimum(plain, flipped)), flipped < plain


def _squared_distances(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    squares = (a**2).sum(1)[:, None] + (b**2).sum(1)[None] - 2 * (a @ b.T)
    found: np.ndarray = np.maximum(squares, 0)
    return found


def _other_group(distances: np.ndarray, nearest: np.ndarray, groups: np.ndarray) -> np.ndarray:
    """For each row of distances (n, m) the smallest to an image of another group than that of its nearest one."""
    smallest: np.ndarray = np.where(groups[nearest][:, None] == groups[None], np.inf, distances).min(axis=1)
    return smallest


def own_distances(train: RealImages, mirrored: Sequence[np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    """Distances (views + 1, N) of train images to the nearest one of another group, the last over all views; and ratios
    (views, N) of that distance to the one to the nearest image of a third group."""
    num = len(train.ids)
    own = np.zeros((len(train.vectors) + 1, num), np.float32)
    ratios = np.zeros((len(train.vectors), num))
    for rows in _blocks(num, num):
        same = train.groups[rows][:, None] == train.groups[None]
        squares = np.zeros(same.shape, np.float32)
        for view, vectors in enumerate(train.vectors):
            distances, _ = _distances(vectors[rows], mirrored[view][rows], vectors)
            squares += distances**2
            distances[same] = np.inf
            own[view, rows] = distances.min(axis=1)
            third = _other_group(distances, distances.argmin(axis=1), train.groups)
            ratios[view, rows] = _ratio(own[view, rows], third)
        squares[same] = np.inf
        own[-1, rows] = np.sqrt(squares.min(axis=1))
    return own, ratios


def _ratio(distance: np.ndarray, other: np.ndarray) -> np.ndarray:
    """Of two distances, at most 1; 0 for what is the same image, though others may be the same too."""
    ratio: np.ndarray = np.minimum(distance / np.maximum(other, 1e-12), 1.0)
    return np.where(distance < SAME, 0.0, ratio)
