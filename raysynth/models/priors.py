"""Distributions of latents to sample from, learnt from the latents of the training images."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from raysynth.errors import UserError
from raysynth.models.context import Context

MAX_FULL = 1024  # latent numbers up to which their covariances are kept, and not their variances alone
LEAST = 1e-6  # variance in any direction, as a share of the mean variance: of rounding, some would be negative


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
        # Sums, in float64: of latents far from 0 the squares are large and their differences small.
        self.register_buffer("weight", torch.zeros(num_classes, dtype=torch.float64))
        self.register_buffer("mean", torch.zeros(num_classes, num_latents, dtype=torch.float64))
        second = (num_latents, num_latents) if self.full else (num_latents,)
        self.register_buffer("square", torch.zeros(num_classes, *second, dtype=torch.float64))
        self._moments: tuple[tuple[int, int], Tensor, Tensor] | None = None

    @torch.no_grad()
    def follow(self, latents: Tensor, labels: Tensor, context: Context) -> None:
        """Take in latents (N, D) of a step: they are forgotten within about an epoch, as the encoder moves on."""
        latents = latents.double()
        kept = 1 - 1 / max(2, context.steps_per_epoch)
        of_class = F.one_hot(labels, len(self.weight)).to(latents.dtype)
        squares = (latents[:, :, None] * latents[:, None]) if self.full else latents.square()
        sums = [of_class.sum(0), of_class.T @ latents, torch.einsum("nk,n...->k...", of_class, squares)]
        for total, new in zip((self.weight, self.mean, self.square), context.sum_over_workers(sums), strict=True):
            total.mul_(kept).add_(new)

    def moments(self) -> tuple[Tensor, Tensor]:
        """Means (K, D) and symmetric square roots (K, D, D) of the covariances, or deviations (K, D), of the classes.

        The symmetric root is the only one that does not depend on who computes it: eigenvectors come with any sign.
        """
        version = (self.weight._version, self.square._version)  # which every change in place raises
        if self._moments is None or self._moments[0] != version:
            self._moments = (version, *self._compute_moments())
        return self._moments[1:]

    def _compute_moments(self) -> tuple[Tensor, Tensor]:
        seen = self.weight > 0
        weight = self.weight.clamp(min=1e-6)
        mean = self.mean / weight[:, None]
        if not self.full:
            variance = (self.square / weight[:, None] - mean.square()).clamp(min=0)
            return mean.float(), torch.where(seen[:, None], variance.sqrt(), 1.0).float()
        covariance = self.square / weight[:, None, None] - mean[:, :, None] * mean[:, None]
        identity = torch.eye(mean.shape[1], dtype=mean.dtype, device=mean.device)
        values, vectors = torch.linalg.eigh(torch.where(seen[:, None, None], covariance, identity))
        values = torch.maximum(values, LEAST * values.mean(1, keepdim=True).clamp(min=1e-12))
        return mean.float(), ((vectors * values.sqrt()[:, None]) @ vectors.mT).float()

    def place(self, normal: Tensor, labels: Tensor) -> Tensor:
        """Latents (N, D) of classes `labels` (N,), made of standard normal numbers (N, D)."""
        mean, spread = self.moments()
        if not self.full:
            return mean[labels] + spread[labels] * normal
        placed = torch.empty_like(normal)
        for label in labels.unique():
            rows = labels == label
            # Products and a sum: a matrix product rounds differently for another number of rows.
            placed[rows] = mean[label] + (spread[label] * normal[rows][:, None]).sum(2)
        return placed


class Standardisation(nn.Module):
    """Mean and deviation of each latent number over all latents seen, and the way there and back."""

    count: Tensor
    mean: Tensor
    square: Tensor

    def __init__(self, num_latents: int) -> None:
        super().__init__()
        self.register_buffer("count", torch.zeros((), dtype=torch.float64))
        self.register_buffer("mean", torch.zeros(num_latents, dtype=torch.float64))
        self.register_buffer("square", torch.ones(num_latents, dtype=torch.float64))

    @torch.no_grad()
    def follow(self, latents: Tensor, context: Context) -> None:
        """Take in latents (N, D); all latents weigh alike, so that the moments settle within an epoch."""
        latents = latents.double()
        count, total, square = context.sum_over_workers(
            [torch.full_like(self.count, len(latents)), latents.sum(0), latents.square().sum(0)]
        )
        self.count += count
        share = count / self.count
        self.mean.lerp_(total / count, share)
        self.square.lerp_(square / count, share)

    def _deviation(self) -> Tensor:
        return (self.square - self.mean.square()).clamp(min=1e-12).sqrt()

    def standardise(self, latents: Tensor) -> Tensor:
        return ((latents - self.mean) / self._deviation()).float()

    def restore(self, latents: Tensor) -> Tensor:
        return (latents * self._deviation() + self.mean).float()


class ClassMixtures(nn.Module):
    """For each of K classes a mixture of C Gaussians of (D,) numbers with one covariance, by scikit-learn.

    Fitted at the end of an epoch to that epoch's latents; N(0, I) before the first.
    """

    weights: Tensor
    means: Tensor
    factor: Tensor
    precision: Tensor

    def __init__(self, num_classes: int, num_latents: int, num_components: int) -> None:
        """Raises UserError for more numbers than covariances are kept of."""
        super().__init__()
        if num_latents > MAX_FULL:
            raise UserError(f"prior=mixture: of {num_latents} latent numbers; want {MAX_FULL} or fewer, or prior=flow")
        self.num_components = num_components
        identity = torch.eye(num_latents).repeat(num_classes, 1, 1)
        self.register_buffer("weights", torch.full((num_classes, num_components), 1 / num_components))
        self.register_buffer("means", torch.zeros(num_classes, num_components, num_latents))
        self.register_buffer("factor", identity)  # lower Cholesky factor of the covariance
        self.register_buffer("precision", identity.clone())  # its inverse
        self._seen: list[tuple[Tensor, Tensor]] = []  # of this epoch, in the order of the global batch

    @torch.no_grad()
    def learn(self, latents: Tensor, labels: Tensor, context: Context) -> dict[str, Tensor | float]:
        """Keep latents (N, D); behind the last step of an epoch, fit. What they cost under the last fit."""
        if context.step == 0:
            self._seen = []
        loss = self.negative_log_likelihood(latents, labels).mean()
        rows = torch.cat([latents, labels[:, None].to(latents.dtype)], 1)
        if context.world_size > 1:
            whole = rows.new_zeros(context.world_size, *rows.shape)
            whole[context.rank] = rows
            rows = context.sum_over_workers([whole])[0].flatten(0, 1)
        self._seen.append((rows[:, :-1].cpu(), rows[:, -1].long().cpu()))
        if context.step == max(1, context.steps_per_epoch) - 1:
            self._fit()
        return {"loss": loss}

    def _fit(self) -> None:
        from sklearn.mixture import GaussianMixture

        latents, labels = (torch.cat(parts) for parts in zip(*self._seen, strict=True))
        for label in labels.unique().tolist():
            points = latents[labels == label].double().numpy()
            if len(points) < 2:
                continue  # one point has no spread: it stays N(0, I)
            num = min(self.num_components, len(points) // 2)
            mixture = GaussianMixture(num, covariance_type="tied", reg_covar=1e-3, random_state=0).fit(points)
            factor = torch.linalg.cholesky(torch.as_tensor(mixture.covariances_))
            self.weights[label] = 0.0
            self.weights[label, :num] = torch.as_tensor(mixture.weights_).float()
            self.means[label, :num] = torch.as_tensor(mixture.means_).float()
            self.factor[label] = factor
            self.precision[label] = torch.linalg.inv(factor)

    def negative_log_likelihood(self, latents: Tensor, labels: Tensor) -> Tensor:
        """Nats (N,) for one number of each latent (N, D)."""
        offsets = latents[:, None] - self.means[labels]
        scaled = torch.einsum("nde,nce->ncd", self.precision[labels], offsets)
        log_norm = self.precision.diagonal(dim1=1, dim2=2).log().sum(1)[labels]
        log_densities = log_norm[:, None] - (scaled.square() + math.log(2 * math.pi)).sum(2) / 2
        return -torch.logsumexp(self.weights[labels].log() + log_densities, 1) / latents.shape[1]

    def place(self, normal: Tensor, choices: Tensor, labels: Tensor) -> Tensor:
        """Latents (N, D) of standard normal numbers (N, D); `choices` (N,) in (0, 1) pick the component."""
        edges = self.weights.cumsum(1)[labels]
        num_used = (self.weights > 0).sum(1)[labels]
        component = (choices[:, None] > edges).sum(1).minimum(num_used - 1)
        return self.means[labels, component] + (self.factor[labels] @ normal.unsqueeze(2)).squeeze(2)
