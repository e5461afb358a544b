"""WGAN-GP: a Wasserstein GAN with gradient penalty, one pair of networks a class."""

from __future__ import annotations

from raysynth.models.registry import register
from raysynth.models.wasserstein import WassersteinPerClass
from raysynth.models.wcgan_gp import WCGANGP


@register
class WGANGP(WassersteinPerClass, WCGANGP):
    """Gulrajani et al. 2017: WCGAN-GP's losses and options, over networks that are given no label."""

    summary = "Wasserstein GAN with gradient penalty; one pair of networks a class, given no labels"

    class Config(WCGANGP.Config):
        pass

    config: Config
