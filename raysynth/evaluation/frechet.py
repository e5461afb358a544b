"""Frechet distance between two sets of images *with their labels*, in a space of features.

Each set is described by the mean and covariance of the vectors [features, scaled one-hot label]. The covariance
between features and label is part of it, so a generator that makes good images of the wrong class is far away.
"""

from __future__ import annotations

import numpy as np

MAX_FEATURES = 64  # more of them could not be estimated from the few hundred images of a validation split


def joint_frechet(
    features_a: np.ndarray, labels_a: np.ndarray, features_b: np.ndarray, labels_b: np.ndarray, num_classes: int
) -> float:
    """Frechet distance, >= 0, of two sets: features (N, D) with D <= 64, labels (N,); 0 for equal sets.

    Features are expected in units of the reference's standard deviation. The one-hot label is scaled to the total
    variance of D such features under balanced classes, so label and features weigh the same.
    Covariances are shrunk towards their diagonal by D / (D + n), n the size of the smaller set: distances are
    comparable for equal n and D only.
    """
    num_features = features_a.shape[1]
    if features_b.shape[1] != num_features or not 0 < num_features <= MAX_FEATURES:
        raise ValueError(f"want equally many features, 1 to {MAX_FEATURES}: {features_a.shape}, {features_b.shape}")
    num_samples = min(len(features_a), len(features_b))
    if num_samples == 0:
        raise ValueError("a Frechet distance needs at least one image in either set")
    shrinkage = num_features / (num_features + num_samples)
    moments_a = _moments(_join(features_a, labels_a, num_classes), shrinkage)
    moments_b = _moments(_join(features_b, labels_b, num_classes), shrinkage)
    return frechet_distance(*moments_a, *moments_b)


def frechet_distance(mean_a: np.ndarray, cov_a: np.ndarray, mean_b: np.ndarray, cov_b: np.ndarray) -> float:
    """Squared 2-Wasserstein distance of two Gaussians, means (D,) and covariances (D, D), in float64."""
    # tr sqrt(A^1/2 B A^1/2) is the sum of the singular values of A^1/2 B^1/2: no root of rounding errors is taken,
    # which would be felt where a covariance is singular (the one-hot part always is).
    product = _matrix_sqrt(cov_a) @ _matrix_sqrt(cov_b)
    overlap = np.linalg.svd(product, compute_uv=False).sum()
    difference = np.asarray(mean_a, dtype=np.float64) - mean_b
    return max(0.0, float(difference @ difference + np.trace(cov_a) + np.trace(cov_b) - 2 * overlap))


def _join(features: np.ndarray, labels: np.ndarray, num_classes: int) -> np.ndarray:
    scale = np.sqrt(features.shape[1] * num_classes / max(num_classes - 1, 1))
    return np.concatenate([features.astype(np.float64), scale * np.eye(num_classes)[labels]], axis=1)


def _moments(vectors: np.ndarray, shrinkage: float) -> tuple[np.ndarray, np.ndarray]:
    mean = vectors.mean(axis=0)
    centred = vectors - mean
    covariance = centred.T @ centred / len(vectors)
    return mean, (1 - shrinkage) * covariance + shrinkage * np.diag(np.diag(covariance))


def _matrix_sqrt(covariance: np.ndarray) -> np.ndarray:
    """Symmetric positive semi-definite root; eigenvalues that rounding made negative count as zero."""
    values, vectors = np.linalg.eigh(np.asarray(covariance, dtype=np.float64))
    return (vectors * np.sqrt(np.clip(values, 0.0, None))) @ vectors.T
