"""CVAE: a variational autoencoder whose encoder and decoder are given the label."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from raysynth.models.autoencoding import LayersConfig
from raysynth.models.registry import register
from raysynth.models.variational import VariationalFamily


@register
class CVAE(VariationalFamily):
    """The study's CVAE (Sohn et al. 2015): the label is concatenated to the encoder's features and to the latent."""

    summary = "conditional variational autoencoder, label in both networks (the study's grid)"
    labelled = True

    class Config(VariationalFamily.Config, LayersConfig):
        prior: Literal["normal", "gaussian"] = Field(
            default="normal", description="latents to sample from: of N(0, I), or a Gaussian learnt for each class"
        )

    config: Config

    @property
    def learns_prior(self) -> bool:
        return self.config.prior == "gaussian"
