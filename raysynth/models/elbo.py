"""The terms of a variational autoencoder's loss: how far a reconstruction is from its image, and what a latent costs.

All are sums over an image's pixels or over a latent's numbers, one value an image (N,): the units in which the study
reports them. Divergences are in nats.
"""

from __future__ import annotations

from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor

Reconstruction = Literal["mse", "l1", "bce"]
LARGEST_LOGIT = 7.0  # less than a quarter of a grey value from white or black
SSIM_SIDE, SSIM_SIGMA = 7, 1.5  # pixels, of the Gaussian window
SSIM_C1, SSIM_C2 = 0.01**2, 0.03**2  # for pixels from 0 to 1 (Wang et al. 2004, sec. III-B)


def reconstruction_error(logits: Tensor, pixels: Tensor, kind: Reconstruction) -> Tensor:
    """Sums over the pixels of each image: squared errors (`mse`), absolute errors (`l1`) or binary cross-entropy
    (`bce`). `pixels` (N, C, H, W) are in [0, 1]; the sigmoid of `logits` is the reconstruction."""
    if kind == "bce":
        return F.binary_cross_entropy_with_logits(logits, pixels, reduction="none").flatten(1).sum(1)
    difference = (logits.sigmoid() - pixels).flatten(1)
    return difference.square().sum(1) if kind == "mse" else difference.abs().sum(1)


def saturation(logits: Tensor) -> Tensor:
    """Sums (N,), over the pixels of each image, of the squares by which logits are beyond what white or black takes.

    There the sigmoid is flat, and no error of pixels brings a decoder back that has gone too far: on black backgrounds
    one training of three stayed there for all of its 60 epochs, others for hundreds of steps. Cross-entropy
    needs no such term.
    """
    return (logits.abs() - LARGEST_LOGIT).clamp(min=0).square().flatten(1).sum(1)


def structural_dissimilarity(first: Tensor, second: Tensor) -> Tensor:
    """Sum over pixels of (1 - SSIM) / 2 of images (N, C, H, W) in [0, 1] (Wang et al. 2004, eq. 13)."""
    channels = first.shape[1]
    offsets = torch.arange(SSIM_SIDE, dtype=first.dtype, device=first.device) - SSIM_SIDE // 2
    line = torch.exp(-offsets.square() / (2 * SSIM_SIGMA**2))
    window = (line / line.sum()).outer(line / line.sum()).expand(channels, 1, -1, -1)

    def blur(images: Tensor) -> Tensor:
        padded = F.pad(images, [SSIM_SIDE // 2] * 4, mode="replicate")
        return F.conv2d(padded, window, groups=channels)

    mean1, mean2 = blur(first), blur(second)
    variance1, variance2 = blur(first * first) - mean1.square(), blur(second * second) - mean2.square()
    covariance = blur(first * second) - mean1 * mean2
    luminance = (2 * mean1 * mean2 + SSIM_C1) / (mean1.square() + mean2.square() + SSIM_C1)
    structure = (2 * covariance + SSIM_C2) / (variance1 + variance2 + SSIM_C2)
    return ((1 - luminance * structure) / 2).flatten(1).sum(1)


def divergence_from_normal(mean: Tensor, log_variance: Tensor, *, free_bits: float = 0.0) -> Tensor:
    """KL(N(mean, variance) || N(0, I)) in nats, summed over a latent's numbers (Kingma & Welling 2014, app. B).

    With `free_bits`, in nats in spite of the name, each number costs at least so much, so that none is pressed to say
    nothing (Kingma et al. 2016, app. C.8; there over a minibatch, here for each image: no worker needs another's).
    """
    of_each = (mean.square() + log_variance.exp() - 1 - log_variance) / 2
    return of_each.clamp(min=free_bits).sum(1) if free_bits else of_each.sum(1)
