"""Coverage, density, precision and recall: which real images have generated ones near them, and the other way round."""

from __future__ import annotations

import numpy as np
from scipy.spatial.distance import cdist

NEIGHBOURS = 5  # k of Naeem et al.
_CHUNK = 1024  # rows of a matrix of distances at a time


def manifold_scores(real: np.ndarray, generated: np.ndarray, k: int = NEIGHBOURS) -> dict[str, float]:
    """Coverage, density, precision and recall of generated (M, D) against real (N, D) features; N, M > k.

    The ball of a point reaches to its k-th nearest neighbour in its own set. Coverage: share of the real points whose
    ball holds a generated point; density: mean number of real balls that hold a generated point, over k (Naeem et al.
    2020, eqs. 4 and 3). Precision: share of the generated points in any real ball; recall: share of the real points
    in any generated ball (Kynkaanniemi et al. 2019, eqs. 1 and 2).
    Equal distributions have a density of 1 and a coverage of about 1 - 2 ** -k for N = M.
    """
    if min(len(real), len(generated)) <= k:
        raise ValueError(f"want more than k = {k} points in either set: {len(real)}, {len(generated)}")
    real_radii, generated_radii = neighbour_distances(real, k), neighbour_distances(generated, k)
    num_balls = np.zeros(len(generated), dtype=np.int64)  # real balls around each generated point
    covered = np.zeros(len(real), dtype=bool)
    recalled = np.zeros(len(real), dtype=bool)
    for start in range(0, len(real), _CHUNK):
        rows = slice(start, start + _CHUNK)
        distances = cdist(real[rows], generated)
        in_real_ball = distances <= real_radii[rows, None]
        num_balls += in_real_ball.sum(axis=0)
        covered[rows] = in_real_ball.any(axis=1)
        recalled[rows] = (distances <= generated_radii[None, :]).any(axis=1)
    return {
        "coverage": float(covered.mean()),
        "density": float(num_balls.mean() / k),
        "precision": float((num_balls > 0).mean()),
        "recall": float(recalled.mean()),
    }


def neighbour_distances(points: np.ndarray, k: int) -> np.ndarray:
    """Distance (N,) of each point (N, D) to its k-th nearest other one."""
    chunks = [
        # Place 0 is the point itself.
        np.partition(cdist(points[start : start + _CHUNK], points), k, axis=1)[:, k]
        for start in range(0, len(points), _CHUNK)
    ]
    return np.concatenate(chunks)
