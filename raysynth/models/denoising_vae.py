"""Denoising VAE: a noised image in, the clean one out, through deep stacks of convolutional blocks."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from pydantic import Field, model_validator
from torch import Tensor

from raysynth.models.context import Context
from raysynth.models.family import Figure
from raysynth.models.noise import Noise, add_noise
from raysynth.models.registry import register
from raysynth.models.stacked import StackedFamily
from raysynth.models.stacks import StackConfig

# The study's pre-trained models: (depth, latent_dim). Its last name reads JDM10-512 there.
PRESETS: dict[str, tuple[int, int]] = {
    f"JDM{depth}-{size}": (depth, size) for depth in (13, 16, 19) for size in (256, 512)
}


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
            if not values.get("preset"):
                return values
            if values["preset"] not in PRESETS:
                raise ValueError(f"preset {values['preset']!r}: want one of {', '.join(PRESETS)}")
            for name, wanted in zip(("depth", "latent_dim"), PRESETS[values["preset"]], strict=True):
                if values.get(name, wanted) != wanted:
                    raise ValueError(f"{name}={values[name]} is not that of preset {values['preset']}; leave one out")
                values = {**values, name: wanted}
            return values

    config: Config

    def __init__(self, config: Config, *, shape: tuple[int, ...], num_classes: int, context: Context) -> None:
        self.stack, self.labelled = config, config.labelled
        super().__init__(config, shape=shape, num_classes=num_classes, context=context)

    @property
    def learns_prior(self) -> bool:
        return not self.labelled

    def seen(self, images: Tensor, name: str) -> Tensor:
        strengths = self.context.uniform(f"{name} strength", len(images)) * self.config.noise_strength
        return add_noise(images, self.config.noise, strengths, self.context, name)

    @torch.no_grad()
    def denoise(self, images: Tensor, labels: Tensor, strength: float) -> tuple[Tensor, Tensor]:
        """Images (N, C, H, W) noised by one strength, and what the averaged network makes of them."""
        strengths = torch.full((len(images),), strength, device=images.device)
        noised = add_noise(images, self.config.noise, strengths, self.context, "denoise")
        return noised, self.reconstruct(noised, labels)

    @classmethod
    def figures(cls, run: Path) -> list[Figure]:
        from raysynth.models.denoising_figures import draw_denoising

        return [*super().figures(run), *draw_denoising(run)]
