"""Kernel distance of two sets of features, unbiased by how few there are, with its standard error."""

from __future__ import annotations

import numpy as np

NUM_BLOCKS = 20  # left out in turn for the standard error
SEED = 0


def kernel_distance(real: np.ndarray, generated: np.ndarray) -> float:
    """Squared maximum mean discrepancy of features (N, D) and (M, D), both more than one; 0 expected for equal ones.

    KID (Binkowski et al. 2018, "Demystifying MMD GANs", section 4): the unbiased estimate, hence now and then below 0,
    with the kernel (x . y / D + 1) ** 3.
    """
    return jackknife(real, generated, np.zeros(len(real), int), np.zeros(len(generated), int))[0]


def kernel_distance_with_error(
    real: np.ndarray,
    generated: np.ndarray,
    real_groups: np.ndarray,
    generated_groups: np.ndarray,
    *,
    num_blocks: int = NUM_BLOCKS,
    seed: int = SEED,
) -> tuple[float, float]:
    """`kernel_distance` and its standard error, by a jackknife over blocks of whole groups (N,) and (M,).

    A block's images of both sets are left out together; images of one group are not independent and never parted.
    NaN for an error where there are fewer than two groups on a side. Near 0 the estimate's own spread is smaller than
    a jackknife says.
    """
    rng = np.random.default_rng(seed)
    blocks, counts = zip(*(_deal(groups, num_blocks, rng) for groups in (real_groups, generated_groups)), strict=True)
    distance, error = jackknife(real, generated, *blocks)
    return distance, error if min(counts) > 1 else float("nan")


def jackknife(
    real: np.ndarray, generated: np.ndarray, real_blocks: np.ndarray, generated_blocks: np.ndarray
) -> tuple[float, float]:
    """`kernel_distance` and its delete-a-block standard error for blocks (N,) and (M,) numbered from 0.

    Blocks whose absence would leave a side with less than two images are never left out; NaN for an error from fewer
    than two.
    """
    if min(len(real), len(generated)) < 2:
        raise ValueError(f"want at least two images in either set: {len(real)}, {len(generated)}")
    real, generated = np.asarray(real, dtype=np.float64), np.asarray(generated, dtype=np.float64)
    num_blocks = 1 + max(int(real_blocks.max()), int(generated_blocks.max()))
    in_real, in_generated = (np.eye(num_blocks)[blocks] for blocks in (real_blocks, generated_blocks))
    # Sums of the kernel between blocks (B, B): what is left without one block follows from them.
    within_real = _between(_without_diagonal(polynomial_kernel(real, real)), in_real, in_real)
    within_generated = _between(_without_diagonal(polynomial_kernel(generated, generated)), in_generated, in_generated)
    across = _between(polynomial_kernel(real, generated), in_real, in_generated)
    sizes = (in_real.sum(axis=0), in_generated.sum(axis=0))

    def distance(left: np.ndarray) -> float:
        n, m = (float(size @ left) for size in sizes)
        inside = left @ within_real @ left / (n * (n - 1)) + left @ within_generated @ left / (m * (m - 1))
        return float(inside - 2 * (left @ across @ left) / (n * m))

    everything = np.ones(num_blocks)
    without = [everything - row for row in np.eye(num_blocks)]
    without = [left for left in without if min(size @ left for size in sizes) > 1]
    found = np.array([distance(left) for left in without])
    if len(found) < 2:
        return distance(everything), float("nan")
    return distance(everything), float(np.sqrt((len(found) - 1) * found.var()))


def polynomial_kernel(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """(a . b / D + 1) ** 3 of features (N, D) and (M, D): (N, M)."""
    kernel: np.ndarray = (a @ b.T / a.shape[1] + 1) ** 3
    return kernel


def _between(kernel: np.ndarray, rows: np.ndarray, columns: np.ndarray) -> np.ndarray:
    summed: np.ndarray = rows.T @ kernel @ columns
    return summed


def _without_diagonal(kernel: np.ndarray) -> np.ndarray:
    np.fill_diagonal(kernel, 0.0)
    return kernel


def _deal(groups: np.ndarray, num_blocks: int, rng: np.random.Generator) -> tuple[np.ndarray, int]:
    """The block (N,) of each image, all of a group in one, and the number of groups."""
    names, places = np.unique(groups, return_inverse=True)
    return rng.permutation(len(names))[places] % num_blocks, len(names)
