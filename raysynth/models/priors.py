"""Distributions of latents to sample from, learnt from the latents of the training images."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from raysynth.models.context import Context

MAX_FULL = 1024  # latent numbers up to which their covariances are kept, and not their variances alone
RIDGE = 1e-4  # added to a covariance, as a share of its mean variance, so that it has a Cholesky factor


class ClassGaussians(nn.Module):
    """A Gaussian for each class, (K,) of (D,) numbers, with the mean and covariance of the latents seen of late.

    N(0, I) until a class has been seen. Above `MAX_FULL` numbers the covariance is diagonal.
    """

    weight: Tensor
    mean: Tensor
    square: Tensor

    def __init__(self, num_classes: int, num_latents: int) -> None:
        super().__init__()
        self.full = num_latents <= MAX_FULL
        self.register_buffer("weight", torch.zeros(num_classes))
        self.register_buffer("mean", torch.zeros(num_classes, num_latents))
        second = (num_latents, num_latents) if self.full else (num_latents,)
        self.register_buffer("square", torch.zeros(num_classes, *second))

    @torch.no_grad()
    def follow(self, latents: Tensor, labels: Tensor, context: Context) -> None:
        """Take in latents (N, D) of a step: they are forgotten within about an epoch, as the encoder moves on."""
        latents = latents.float()
        kept = 1 - 1 / max(2, context.steps_per_epoch)
        of_class = F.one_hot(labels, len(self.weight)).to(latents.dtype)
        squares = (latents[:, :, None] * latents[:, None]) if self.full else latents.square()
        sums = [of_class.sum(0), of_class.T @ latents, torch.einsum("nk,n...->k...", of_class, squares)]
        for total, new in zip((self.weight, self.mean, self.square), context.sum_over_workers(sums), strict=True):
            total.mul_(kept).add_(new)

    def moments(self) -> tuple[Tensor, Tensor]:
        """Means (K, D) and lower Cholesky factors (K, D, D), or standard deviations (K, D), of the classes."""
        seen = self.weight > 0
        weight = self.weight.clamp(min=1e-6)
        mean = self.mean / weight[:, None]
        if not self.full:
            variance = (self.square / weight[:, None] - mean.square()).clamp(min=0)
            return mean, torch.where(seen[:, None], variance.sqrt(), torch.ones_like(mean))
        covariance = (self.square / weight[:, None, None] - mean[:, :, None] * mean[:, None]).double()
        identity = torch.eye(mean.shape[1], dtype=torch.float64, device=mean.device)
        typical = covariance.diagonal(dim1=1, dim2=2).mean(1).clamp(min=1e-6)
        covariance = covariance + RIDGE * typical[:, None, None] * identity
        covariance = torch.where(seen[:, None, None], covariance, identity)
        return mean, torch.linalg.cholesky(covariance).to(mean.dtype)

    def place(self, normal: Tensor, labels: Tensor) -> Tensor:
        """Latents (N, D) of classes `labels` (N,), made of standard normal numbers (N, D)."""
        mean, spread = self.moments()
        if not self.full:
            return mean[labels] + spread[labels] * normal
        placed = torch.empty_like(normal)
        for label in labels.unique():
            rows = labels == label
            # One product a row: a matrix product rounds differently for another number of rows.
            placed[rows] = mean[label] + (spread[label] @ normal[rows].unsqueeze(2)).squeeze(2)
        return placed
