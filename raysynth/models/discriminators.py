"""Critics and discriminators: an image or a volume and, where the network is given one, a label in; a score out."""

from __future__ import annotations

from typing import Literal

from torch import Tensor, nn
from torch.nn.utils import parametrizations

from raysynth.models.blocks import CONVOLUTIONS, BatchNorm
from raysynth.models.double_backward import Conv2d, LeakyReLU
from raysynth.models.generators import FIRST_SIDE, num_doublings

Normalisation = Literal["dropout", "batchnorm", "layernorm"]


class Critic(nn.Module):
    """Images or volumes, and labels (N,) unless `num_classes` is None, to scores (N,), unbounded.

    Blocks of strided convolutions halve the side down to 4 pixels: convolution + LeakyReLU + Dropout (`dropout`, the
    study's discriminator 1), convolution + BatchNorm + LeakyReLU (`batchnorm`, its discriminator 2; a score then
    depends on the whole batch, which the gradient penalty of Gulrajani et al. 2017 does not intend), or `layernorm`,
    which keeps the score, and so the penalty, each image's own. The label enters by projection (Miyato & Koyama 2018):
    the score is w . h + e(label) . h for the flattened features h. `spectral_norm` divides every weight by its largest
    singular value (Miyato et al. 2018). The number of dimensions is that of `shape`: (C, H, W) or (C, D, H, W).
    """

    def __init__(
        self,
        *,
        num_classes: int | None,
        shape: tuple[int, ...],
        width: int,
        normalisation: Normalisation,
        dropout: float,
        spectral_norm: bool = False,
    ) -> None:
        super().__init__()
        num_dims = len(shape) - 1
        convolutions = {**CONVOLUTIONS, 2: Conv2d}
        channels = [min(width * 2**level, width * 8) for level in range(num_doublings(shape))]
        blocks: list[nn.Module] = []
        for level, (before, after) in enumerate(zip((shape[0], *channels), channels, strict=False)):
            batch_normalised = normalisation == "batchnorm" and level > 0  # which takes a bias away again
            convolution = convolutions[num_dims](before, after, 4, 2, 1, bias=not batch_normalised)
            nn.init.kaiming_normal_(convolution.weight, a=0.2)  # He et al. 2015: scores keep their scale
            layers: list[nn.Module] = [convolution]
            if batch_normalised:
                layers.append(BatchNorm(after))
            if normalisation == "layernorm" and level > 0:
                layers.append(nn.GroupNorm(1, after))
            layers.append(LeakyReLU())
            if normalisation == "dropout" and dropout > 0:
                layers.append(nn.Dropout(dropout))
            blocks.append(nn.Sequential(*layers))
        self.blocks = nn.Sequential(*blocks)
        num_features = channels[-1] * FIRST_SIDE**num_dims
        self.score = nn.Linear(num_features, 1)
        self.label_embedding: nn.Embedding | None = None
        if num_classes is not None:
            self.label_embedding = nn.Embedding(num_classes, num_features)
            nn.init.normal_(self.label_embedding.weight, 0.0, num_features**-0.5)
        if spectral_norm:
            for module in list(self.modules()):
                if isinstance(module, (*CONVOLUTIONS.values(), nn.Linear, nn.Embedding)):
                    parametrizations.spectral_norm(module)

    def forward(self, images: Tensor, labels: Tensor | None = None) -> Tensor:
        features = self.blocks(images).flatten(1)
        scores: Tensor = self.score(features).squeeze(1)
        if self.label_embedding is not None:
            scores = scores + (self.label_embedding(labels) * features).sum(1)
        return scores
