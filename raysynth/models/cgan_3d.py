"""cGAN for volumes: the conditional GAN in three dimensions."""

from __future__ import annotations

from pydantic import Field

from raysynth.models.cgan import CGAN
from raysynth.models.registry import register


@register
class CGAN3D(CGAN):
    """`cgan` on volumes (C, D, H, W) of 16, 32 or 64 voxels a side: the same networks with 3-D convolutions.

    The default width and batch are those with which two CPU cores get through volumes of 32 voxels a side.
    """

    summary = "conditional GAN on volumes of 16, 32 or 64 voxels a side, with 3-D convolutions"
    num_dims = 3

    class Config(CGAN.Config):
        batch_size: int = Field(default=16, gt=0, description="volumes in a step, over all workers")
        width: int = Field(default=8, gt=0, description="channels at the largest side; doubled at each halving")

    config: Config
