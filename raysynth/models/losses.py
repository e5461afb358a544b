"""Losses of adversarial training, each a function of scores or of a critic; none knows an optimiser or a loop."""

from __future__ import annotations

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor


def cross_entropy_of_scores(real_scores: Tensor, generated_scores: Tensor, *, real_target: float = 1.0) -> Tensor:
    """What a discriminator minimises: binary cross-entropy of scores (N,), logits of "real", mean over real images plus
    mean over generated ones (Goodfellow et al. 2014, eq. 1). A `real_target` below 1 is one-sided label smoothing
    (Salimans et al. 2016, sec. 3.4)."""
    real = F.binary_cross_entropy_with_logits(real_scores, torch.full_like(real_scores, real_target))
    return real + F.softplus(generated_scores).mean()


def cross_entropy_of_generated(generated_scores: Tensor) -> Tensor:
    """What the generator minimises: the mean of -log D, which does not saturate where D is sure
    (Goodfellow et al. 2014, sec. 3)."""
    return F.softplus(-generated_scores).mean()


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


def relativistic_critic_loss(real_scores: Tensor, generated_scores: Tensor) -> Tensor:
    """Mean of -log sigmoid(D(x_i) - D(G(z_i))) over pairs of scores (N,): the critic tells which of a real and a
    generated image is the real one (RpGAN, Jolicoeur-Martineau 2019; Huang et al. 2024, eq. 2)."""
    return F.softplus(generated_scores - real_scores).mean()


def relativistic_generator_loss(real_scores: Tensor, generated_scores: Tensor) -> Tensor:
    """The same with the parts exchanged: the generator wants its image of the pair taken for the real one."""
    return F.softplus(real_scores - generated_scores).mean()


def zero_centred_penalty(scores: Tensor, images: Tensor) -> Tensor:
    """Mean of ||grad D(x)||_2^2 over images (N, ...): R1 for real images, R2 for generated ones (Mescheder et al. 2018,
    eq. 9 and 10; both together: Huang et al. 2024, sec. 2.2). To be weighted by gamma / 2.

    `scores` (N,) come from `images`, which require a gradient. The result can be differentiated.
    """
    (gradient,) = torch.autograd.grad(scores.sum(), images, create_graph=True)
    return gradient.flatten(1).square().sum(1).mean()


def lecam_distance(
    real_scores: Tensor, generated_scores: Tensor, real_average: float, generated_average: float
) -> Tensor:
    """Mean squared distance of real scores (N,) from the moving average of generated ones and the other way round
    (LeCam regularisation, Tseng et al. 2021, eq. 5), which keeps a critic of few images from parting the two."""
    return (real_scores - generated_average).square().mean() + (generated_scores - real_average).square().mean()
