"""A distance of images by what a classifier sees in them: edges, textures and parts rather than pixels.

The classifier learns beside the model that uses it, on the train images that both are given. It is another network than
those that score a generator, in seed, layers and training, so that no score is pleased by it.
"""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from raysynth.models.augment import augment_lightly
from raysynth.models.blocks import BatchNorm, lay_out
from raysynth.models.context import Context, hash_seed
from raysynth.models.optimizers import AdamW
from raysynth.models.schedules import ramp

LEARNING_RATE = 2e-3
CHANNELS = (24, 48, 96)  # of the levels, at a half, a quarter and an eighth of the image's side


class FeatureNetwork(nn.Module):
    """Images (N, C, H, W) in [-1, 1] to features of three levels, (N, 24, H/2, W/2) to (N, 96, H/8, W/8)."""

    def __init__(self, num_channels: int, num_classes: int) -> None:
        super().__init__()
        self.levels = nn.ModuleList()
        for channels in CHANNELS:
            self.levels.append(
                nn.Sequential(
                    nn.Conv2d(num_channels, channels, 3, 2, 1, bias=False), BatchNorm(channels), nn.SiLU(),
                    nn.Conv2d(channels, channels, 3, 1, 1, bias=False), BatchNorm(channels), nn.SiLU(),
                )
            )  # fmt: skip
            num_channels = channels
        self.classify = nn.Linear(num_channels, num_classes)

    def forward(self, images: Tensor) -> list[Tensor]:
        features = [images]
        for level in self.levels:
            features.append(level(features[-1]))
        return features[1:]

    def logits(self, images: Tensor) -> Tensor:
        """Logits (N, num_classes)."""
        logits: Tensor = self.classify(self(images)[-1].mean((2, 3)))
        return logits


class FeatureMatching:
    """The network, which learns over the first `share` of a training, and the distance in its features."""

    def __init__(self, *, shape: tuple[int, ...], num_classes: int, share: float, context: Context) -> None:
        self.context, self.share = context, share
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(hash_seed(context.seed, "feature network"))
            network = FeatureNetwork(shape[0], num_classes)
        self.network = lay_out(network.to(context.device), len(shape) - 1)
        self.optimizer = AdamW(self.network.parameters(), lr=LEARNING_RATE, weight_decay=0.05, fused=True)

    @property
    def trust(self) -> float:
        """From 0 to 1 as the network learns: what the distance counts."""
        return ramp(self.context.progress, 0, self.share)

    def learn(self, images: Tensor, labels: Tensor) -> None:
        """One step on augmented train images, while the network still learns."""
        if self.trust >= 1:
            return
        self.network.train().requires_grad_(True)
        for group in self.optimizer.param_groups:
            group["lr"] = LEARNING_RATE * (1 - self.trust)
        loss = F.cross_entropy(self.network.logits(augment_lightly(images, self.context)), labels, label_smoothing=0.05)
        self.context.step_optimizer(loss, self.optimizer)

    def distance(self, images: Tensor, reconstructions: Tensor) -> Tensor:
        """Distances (N,) of images (N, C, H, W) in [-1, 1]: of each level the mean over places of the squared
        difference of features of unit length, summed (Zhang et al. 2018, eq. 1, all channels weighing alike)."""
        self.network.eval().requires_grad_(False)
        with torch.no_grad():
            wanted = self.network(images)
        pairs = zip(wanted, self.network(reconstructions), strict=True)
        return torch.stack([(_unit(a) - _unit(b)).square().sum(1).mean((1, 2)) for a, b in pairs]).sum(0)

    def state_dict(self) -> dict[str, Any]:
        return {"network": self.network.state_dict(), "optimizer": self.optimizer.state_dict()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.network.load_state_dict(state["network"])
        self.optimizer.load_state_dict(state["optimizer"])


def _unit(features: Tensor) -> Tensor:
    """Features (N, C, H, W) of length 1 at each place; where there is hardly any, nearly 0."""
    return features / (features.square().sum(1, keepdim=True) + 1e-2).sqrt()
