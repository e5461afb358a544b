"""How surely two sets of images differ in their intensities: a permutation test whose units are groups, not pixels."""

from __future__ import annotations

import numpy as np

NUM_PERMUTATIONS = 999  # the least p-value is 0.001
SEED = 0
_CHUNK = 100  # permutations at a time: bounds the memory for many groups


def ks_p_values(
    a: np.ndarray, b: np.ndarray, *, num_permutations: int = NUM_PERMUTATIONS, seed: int = SEED
) -> np.ndarray:
    """p-values (V,) of the Kolmogorov-Smirnov statistics of V views, histograms (G, V, 256) and (H, V, 256) by group.

    The null hypothesis: given the sizes of the groups, it makes no difference for the pixels of a group to which of the
    two sets it belongs. Pixels of an image depend on each other and so do images of a patient, so whole groups change
    sides, G of them and H, and p = (1 + permutations with a statistic as large) / (1 + permutations) (Phipson and
    Smyth 2010). With hundreds of groups it is small for all but perfect generators: it says *whether* there is a
    difference; how large it is says the statistic, beside that of real images.
    """
    if not len(a) or not len(b):
        raise ValueError(f"want groups on both sides: {len(a)}, {len(b)}")
    num_views, num_bins = a.shape[1:]
    pooled = np.concatenate([a, b]).reshape(len(a) + len(b), -1).astype(np.float64)
    total = pooled.sum(axis=0)
    on_side_a = np.zeros(len(pooled))
    on_side_a[: len(a)] = 1
    shape = (-1, num_views, num_bins)
    observed = _statistics((on_side_a @ pooled).reshape(shape), total.reshape(shape))[0]
    rng = np.random.default_rng(seed)
    exceeding = np.zeros(num_views, dtype=np.int64)
    for start in range(0, num_permutations, _CHUNK):
        sides = np.tile(on_side_a, (min(_CHUNK, num_permutations - start), 1))
        found = _statistics((rng.permuted(sides, axis=1) @ pooled).reshape(shape), total.reshape(shape))
        exceeding += np.sum(found >= observed - 1e-12, axis=0)
    p_values: np.ndarray = (1 + exceeding) / (1 + num_permutations)
    return p_values


def _statistics(counts: np.ndarray, total: np.ndarray) -> np.ndarray:
    """KS statistics (B, V) of counts (B, V, 256) against what is left of the total (1, V, 256)."""
    distributions = []
    for part in (counts, total - counts):
        cumulated = part.cumsum(axis=-1)
        distributions.append(cumulated / np.maximum(cumulated[..., -1:], 1))
    statistics: np.ndarray = np.abs(distributions[0] - distributions[1]).max(axis=-1)
    return statistics


def sum_by_group(counts: np.ndarray, groups: np.ndarray) -> np.ndarray:
    """Histograms (G, ...) of the groups that images (N, ...) belong to (N,)."""
    _, places = np.unique(groups, return_inverse=True)
    sums = np.zeros((int(places.max(initial=-1)) + 1, *counts.shape[1:]), dtype=np.int64)
    np.add.at(sums, places, counts)
    return sums
