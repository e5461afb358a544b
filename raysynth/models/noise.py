"""Noise that magnetic resonance images and careless copies have."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor

Noise = Literal["gaussian", "rician", "salt_pepper"]


def add_noise(images: Tensor, kind: Noise, strengths: Tensor, normal: Tensor) -> Tensor:
    """Noised images (N, C, H, W) in [-1, 1], made of standard normal numbers (N, 2, C, H, W), clipped to the range of
    images.

    A strength, (N,), is the standard deviation of `gaussian` and `rician` noise, for pixels from 0 to 1, and the share
    of a channel's pixels that `salt_pepper` makes black or white. Rician noise is what is left of complex Gaussian
    noise in a magnitude image: sqrt((x + s e1)^2 + (s e2)^2) (Gudbjartsson & Patz 1995, eq. 1); it brightens the
    background.
    """
    pixels, shape = (images + 1) / 2, images.shape[1:]
    strength = strengths.view(-1, *[1] * len(shape)).to(pixels.dtype)
    if kind == "salt_pepper":
        draws = torch.special.ndtr(normal)  # uniform
        noised = torch.where(draws[:, 0] < strength, (draws[:, 1] < 0.5).to(pixels.dtype), pixels)
    else:
        parts = normal * strength[:, None]
        noised = pixels + parts[:, 0]
        if kind == "rician":
            noised = (noised.square() + parts[:, 1].square()).sqrt()
    return noised.clamp(0, 1) * 2 - 1


def peak_signal_to_noise(first: Tensor, second: Tensor) -> Tensor:
    """PSNR (N,) in decibels of images (N, C, H, W) in [-1, 1]: 10 log10 of 1 / the mean squared error of pixels from
    0 to 1."""
    error = ((first - second) / 2).square().flatten(1).mean(1)
    return -10 * torch.log10(error.clamp(min=1e-10))
