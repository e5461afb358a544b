"""Losses of adversarial training, each a function of scores or of a critic; none knows an optimiser or a loop."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor


def wasserstein_estimate(real_scores: Tensor, generated_scores: Tensor) -> Tensor:
    """Mean critic score of real images less that of generated ones: the estimate of the Wasserstein-1 distance
    (Arjovsky et al. 2017, eq. 2). The critic maximises it."""
    return real_scores.mean() - generated_scores.mean()


def gradient_penalty(critic: Callable[[Tensor], Tensor], real: Tensor, generated: Tensor, weights: Tensor) -> Tensor:
    """Mean of (||grad critic(x)||_2 - 1)^2 at points x between real and generated images
    (Gulrajani et al. 2017, eq. 3).

    `real` and `generated` are (N, ...) images; `weights` (N,) in [0, 1] places x_i at
    weights_i * real_i + (1 - weights_i) * generated_i; `critic` gives scores (N,). The result can be differentiated.
    """
    mix = weights.view(-1, *[1] * (real.ndim - 1))
    between = (mix * real + (1 - mix) * generated).detach().requires_grad_()
    (gradient,) = torch.autograd.grad(critic(between).sum(), between, create_graph=True)
    norms = gradient.flatten(1).norm(dim=1)
    return (norms - 1).square().mean()
