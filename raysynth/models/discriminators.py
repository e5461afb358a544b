"""Critics and discriminators: an image and a label in, a score out."""

from __future__ import annotations

from typing import Literal

from torch import Tensor, nn

from raysynth.models.blocks import BatchNorm
from raysynth.models.generators import FIRST_SIDE, num_doublings

Normalisation = Literal["dropout", "batchnorm", "layernorm"]


class ConditionalCritic(nn.Module):
    """Images (N, C, H, W) and labels (N,) to scores (N,), unbounded.

    Strided convolutions halve the side down to 4 pixels: Conv2D + LeakyReLU + Dropout (`dropout`, the study's
    discriminator 1), Conv2D + BatchNorm + LeakyReLU (`batchnorm`, its discriminator 2; a score then depends on the
    whole batch, which the gradient penalty of Gulrajani et al. 2017 does not intend), or `layernorm`, which keeps
    the score, and so the penalty, each image's own. The label enters by projection (Miyato & Koyama 2018): the score
    is w . h + e(label) . h for the flattened features h.
    """

    def __init__(
        self,
        *,
        num_classes: int,
        shape: tuple[int, ...],
        width: int,
        normalisation: Normalisation,
        dropout: float,
    ) -> None:
        super().__init__()
        channels = [min(width * 2**level, width * 8) for level in range(num_doublings(shape))]
        layers: list[nn.Module] = []
        for level, (before, after) in enumerate(zip((shape[0], *channels), channels, strict=False)):
            batch_normalised = normalisation == "batchnorm" and level > 0  # which takes a bias away again
            layers.append(nn.Conv2d(before, after, 4, 2, 1, bias=not batch_normalised))
            if batch_normalised:
                layers.append(BatchNorm(after))
            if normalisation == "layernorm" and level > 0:
                layers.append(nn.GroupNorm(1, after))
            layers.append(nn.LeakyReLU(0.2))
            if normalisation == "dropout" and dropout > 0:
                layers.append(nn.Dropout(dropout))
        self.layers = nn.Sequential(*layers, nn.Flatten())
        num_features = channels[-1] * FIRST_SIDE**2
        self.score = nn.Linear(num_features, 1)
        self.label_embedding = nn.Embedding(num_classes, num_features)
        for module in self.layers:
            if isinstance(module, nn.Conv2d):  # He et al. 2015: without normalisation, scores keep their scale
                nn.init.kaiming_normal_(module.weight, a=0.2)
        nn.init.normal_(self.label_embedding.weight, 0.0, num_features**-0.5)

    def forward(self, images: Tensor, labels: Tensor) -> Tensor:
        features = self.layers(images)
        return self.score(features).squeeze(1) + (self.label_embedding(labels) * features).sum(1)
