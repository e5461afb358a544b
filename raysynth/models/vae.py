"""VAE: a variational autoencoder that is given no labels."""

from __future__ import annotations

from raysynth.models.autoencoding import LayersConfig
from raysynth.models.registry import register
from raysynth.models.variational import VariationalFamily


@register
class VAE(VariationalFamily):
    """Kingma & Welling 2014. One network for all classes; a class is a Gaussian among its latents, learnt beside."""

    summary = "variational autoencoder, given no labels; a Gaussian of latents for each class"
    labelled = False

    class Config(VariationalFamily.Config, LayersConfig):
        pass

    config: Config
