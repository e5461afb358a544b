"""CVAE: a variational autoencoder whose encoder and decoder are given the label."""

from __future__ import annotations

from raysynth.models.registry import register
from raysynth.models.variational import VariationalFamily


@register
class CVAE(VariationalFamily):
    """The study's CVAE (Sohn et al. 2015): the label is concatenated to the encoder's features and to the latent."""

    summary = "conditional variational autoencoder, label in both networks (the study's grid)"
    labelled = True
