"""The study's convolutional networks and their options: what its GANs share, whatever their loss."""

from __future__ import annotations

from pydantic import Field
from torch import nn

from raysynth.models.adversarial import AdversarialFamily
from raysynth.models.discriminators import Critic, Normalisation
from raysynth.models.generators import Generator, Upsampling


class ConvolutionalFamily(AdversarialFamily):
    """A `Generator` and a `Critic`, both given the label unless a family builds its pairs otherwise."""

    class Config(AdversarialFamily.Config):
        generator: Upsampling = Field(default="transposed", description="how the generator doubles its side")
        critic: Normalisation = Field(default="layernorm", description="what follows the critic's convolutions")
        dropout: float = Field(default=0.25, ge=0, lt=1, description="of the critic `dropout`")

    config: Config

    def build(self) -> tuple[nn.Module, nn.Module]:
        return self.build_pair(self.num_classes)

    def build_pair(self, num_classes: int | None, *, spectral_norm: bool = False) -> tuple[nn.Module, nn.Module]:
        """One generator and one critic; `num_classes` None: they are given no label."""
        config = self.config
        generator = Generator(
            latent_dim=config.latent_dim,
            num_classes=num_classes,
            shape=self.shape,
            width=config.width,
            upsampling=config.generator,
        )
        critic = Critic(
            num_classes=num_classes,
            shape=self.shape,
            width=config.width,
            normalisation=config.critic,
            dropout=config.dropout,
            spectral_norm=spectral_norm,
        )
        return generator, critic
