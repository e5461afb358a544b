"""Decoders: a latent and, where the network is given one, a label in; the logits of an image's pixels out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from torch import Tensor, nn

from raysynth.models.blocks import BatchNorm
from raysynth.models.encoders import with_label
from raysynth.models.generators import num_doublings

DecoderName = Literal["deconv3", "deconv6", "grid"]  # grid: see `grids.py`


@dataclass(frozen=True)
class DecoderLayers:
    """`num_dense` dense layers make a map of an eighth of the side and four times the width; transposed convolutions
    follow, each (multiple of the width, stride), the last to the image's channels."""

    num_dense: int
    transposed: Sequence[tuple[int, int]]


# The study's decoders.
DECODERS: dict[DecoderName, DecoderLayers] = {
    "deconv3": DecoderLayers(1, ((2, 2), (1, 2), (0, 2))),
    "deconv6": DecoderLayers(2, ((4, 1), (2, 2), (2, 1), (1, 2), (1, 1), (0, 2))),
}


class Decoder(nn.Module):
    """Latents (N, latent_dim), and labels (N,) unless `num_classes` is None, to logits of pixels (N, C, H, W).

    The label, one-hot, is concatenated to the latent. The sigmoid of a logit is a pixel from 0 (black) to 1 (white).
    """

    def __init__(
        self,
        layers: DecoderLayers,
        *,
        shape: tuple[int, ...],
        width: int,
        latent_dim: int,
        num_classes: int | None,
    ) -> None:
        super().__init__()
        num_doublings(shape)  # refuses other sides than those of every family
        self.num_classes = num_classes
        before, side = 4 * width, shape[-1] // 8
        num_inputs, num_features = latent_dim + (num_classes or 0), before * side**2
        dense: list[nn.Module] = []
        for _ in range(layers.num_dense - 1):
            dense += [nn.Linear(num_inputs, 16 * width), nn.LeakyReLU(0.2)]
            num_inputs = 16 * width
        self.dense = nn.Sequential(*dense, nn.Linear(num_inputs, num_features), nn.LeakyReLU(0.2))
        self.first = nn.Unflatten(1, (before, side, side))
        modules: list[nn.Module] = []
        for place, (multiple, stride) in enumerate(layers.transposed, start=1):
            last = place == len(layers.transposed)
            after = shape[0] if last else width * multiple
            kernel = 4 if stride == 2 else 3  # a side that the stride divides leaves no checkerboard
            modules.append(nn.ConvTranspose2d(before, after, kernel, stride, 1, bias=last))
            if not last:
                modules += [BatchNorm(after), nn.LeakyReLU(0.2)]
            before = after
        self.layers = nn.Sequential(*modules)

    def forward(self, latents: Tensor, labels: Tensor | None = None) -> Tensor:
        logits: Tensor = self.layers(self.first(self.dense(with_label(latents, labels, self.num_classes))))
        return logits
