"""Autoencoder: no noise and no divergence, only reconstruction."""

from __future__ import annotations

from raysynth.models.autoencoding import AutoencodingFamily, LayersConfig
from raysynth.models.registry import register


@register
class Autoencoder(AutoencodingFamily):
    """Hinton & Salakhutdinov 2006. One network for all classes; a class is a Gaussian among its latents, learnt beside,
    for nothing tells the latents where to be."""

    summary = "autoencoder, given no labels; a Gaussian of latents for each class"
    labelled = False

    class Config(AutoencodingFamily.Config, LayersConfig):
        pass

    config: Config
