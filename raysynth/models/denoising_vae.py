"""Denoising VAE: a noised image in, the clean one out, through deep stacks of convolutional blocks."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from pydantic import Field, field_validator, model_validator
from torch import Tensor

from raysynth.models.autoencoding import EncoderDecoder
from raysynth.models.context import Context, content_seeds, seeded_normal
from raysynth.models.family import Figure
from raysynth.models.noise import Noise, add_noise
from raysynth.models.registry import register
from raysynth.models.stacks import StackConfig, StackDecoder, StackEncoder, StackSizes
from raysynth.models.variational import VariationalFamily

# The study's pre-trained models: (depth, latent_dim). Its last name reads JDM10-512 there.
PRESETS: dict[str, tuple[int, int]] = {
    f"JDM{depth}-{size}": (depth, size) for depth in (13, 16, 19) for size in (256, 512)
}


class StackedFamily(VariationalFamily):
    """A variational autoencoder of two stacks. A subclass sets `stack` and `labelled` before it builds."""

    stack: StackConfig

    @property
    def num_latents(self) -> int:
        """Those that were asked for and, with skip links, what is handed over."""
        return self.stack.latent_dim + sum(StackSizes(self.stack, self.shape).num_skips)

    def build(self) -> EncoderDecoder:
        num_classes = self.num_classes if self.labelled else None
        return EncoderDecoder(
            StackEncoder(self.stack, shape=self.shape, num_classes=num_classes),
            StackDecoder(self.stack, shape=self.shape, num_classes=num_classes),
        )


@register
class DenoisingVAE(StackedFamily):
    """The study's denoising (C)VAE: VGG-like stacks of 13, 16 or 19 blocks in the encoder and as many in the decoder.

    In training each image is noised by a strength that is uniform up to `noise_strength`. Without labels, its default,
    it is what `transfer_cvae` starts from.
    """

    summary = "denoising VAE: deep VGG-like stacks, with and without labels (the study's pre-trained models)"

    class Config(StackedFamily.Config, StackConfig):
        preset: str = Field(default="", description=f"depth and latent_dim at once: {', '.join(PRESETS)}")
        labelled: bool = Field(default=False, description="whether the networks are given the label")
        noise: Noise = Field(default="rician", description="kind of noise that is taken away")
        noise_strength: float = Field(
            default=0.2, ge=0, le=1, description="its largest strength: deviation, or share of pixels for salt_pepper"
        )

        @model_validator(mode="before")
        @classmethod
        def _take_preset(cls, values: dict[str, Any]) -> dict[str, Any]:
            sizes = PRESETS.get(str(values.get("preset")), ())
            for name, wanted in zip(("depth", "latent_dim"), sizes, strict=False):
                if values.get(name, wanted) != wanted:
                    raise ValueError(f"{name}={values[name]} is not that of preset {values['preset']}; leave one out")
                values = {**values, name: wanted}
            return values

        @field_validator("preset")
        @classmethod
        def _know_preset(cls, preset: str) -> str:
            if preset and preset not in PRESETS:
                raise ValueError(f"want one of {', '.join(PRESETS)}")
            return preset

    config: Config

    def __init__(self, config: Config, *, shape: tuple[int, ...], num_classes: int, context: Context) -> None:
        self.stack, self.labelled = config, config.labelled
        super().__init__(config, shape=shape, num_classes=num_classes, context=context)

    @property
    def learns_prior(self) -> bool:
        return not self.labelled

    def seen(self, images: Tensor) -> Tensor:
        strengths = self.context.uniform("strength", len(images)) * self.config.noise_strength
        normal = self.context.normal("noise", len(images), 2, *self.shape)
        return add_noise(images, self.config.noise, strengths, normal)

    def seen_in_validation(self, images: Tensor) -> Tensor:
        seeds = content_seeds(images)
        strengths = torch.special.ndtr(seeded_normal(seeds + 1, 1)[:, 0]) * self.config.noise_strength
        return self._noised(images, strengths, seeds)

    def _noised(self, images: Tensor, strengths: Tensor, seeds: Tensor) -> Tensor:
        normal = seeded_normal(seeds, 2, *self.shape).to(images.device)
        return add_noise(images, self.config.noise, strengths.to(images.device), normal)

    @torch.no_grad()
    def denoise(self, images: Tensor, labels: Tensor, strength: float) -> tuple[Tensor, Tensor]:
        """Images (N, C, H, W) noised by one strength, and what the averaged network makes of them."""
        noised = self._noised(images, torch.full((len(images),), strength), content_seeds(images))
        return noised, self.reconstruct(noised, labels)

    @classmethod
    def figures(cls, run: Path) -> list[Figure]:
        from raysynth.models.denoising_figures import draw_denoising

        return [*super().figures(run), *draw_denoising(run)]
