"""Layers that several networks share."""

from __future__ import annotations

from typing import Any, TypeVar

import torch
import torch.distributed as distributed
import torch.nn.functional as F
from torch import Tensor, nn

# By the number of dimensions of what they take: images and volumes.
CONVOLUTIONS: dict[int, type[nn.Conv2d | nn.Conv3d]] = {2: nn.Conv2d, 3: nn.Conv3d}
TRANSPOSED_CONVOLUTIONS: dict[int, type[nn.ConvTranspose2d | nn.ConvTranspose3d]] = {
    2: nn.ConvTranspose2d,
    3: nn.ConvTranspose3d,
}

Network = TypeVar("Network", bound=nn.Module)


def lay_out(network: Network, num_dims: int) -> Network:
    """The network with the channels of a pixel side by side in memory, as its outputs then have them too.

    Convolutions are quickest so: 1.1 to 1.2 times the images/s on a CPU. Networks of volumes stay as they are.
    """
    return network.to(memory_format=torch.channels_last) if num_dims == 2 else network


class _SumOverWorkers(torch.autograd.Function):
    """All-reduce by sum whose gradient is the same sum of gradients, to any order of differentiation."""

    @staticmethod
    def forward(ctx: Any, tensor: Tensor) -> Tensor:
        total = tensor.contiguous().clone()
        distributed.all_reduce(total)
        return total

    @staticmethod
    def backward(ctx: Any, *gradients: Any) -> Any:
        return _SumOverWorkers.apply(gradients[0])


def among_workers() -> bool:
    """Whether this process is one of several that train together."""
    return distributed.is_available() and distributed.is_initialized() and distributed.get_world_size() > 1


class BatchNorm(nn.BatchNorm2d):
    """Batch normalisation over the global batch, whatever the number of workers and the device.

    With several workers the statistics are sums over all of them, and so is the number of values, for a worker may have
    fewer rows than another, or none. The sums are an all-reduce that is differentiable twice, as a gradient penalty
    needs; torch's SyncBatchNorm refuses CPU tensors. Takes (N, C, H, W) and (N, C, D, H, W).
    """

    def _check_input_dim(self, input: Tensor) -> None:
        if input.ndim not in (4, 5):
            raise ValueError(f"want 4 or 5 dimensions, not {input.ndim}")

    def forward(self, input: Tensor) -> Tensor:
        if not self.training or not among_workers():
            return super().forward(input)
        assert self.running_mean is not None
        assert self.running_var is not None
        assert self.num_batches_tracked is not None
        axes = (0, *range(2, input.ndim))
        per_channel = (-1, *[1] * (input.ndim - 2))
        values = input if input.dtype == torch.float64 else input.float()  # sums of bfloat16 lose their last digits
        num_own = values.new_tensor([values.numel() // values.shape[1]])
        sums = _SumOverWorkers.apply(torch.cat([values.sum(axes), num_own]))
        num_values = sums[-1].detach()
        mean = sums[:-1] / num_values
        centred = values - mean.view(per_channel)
        variance = _SumOverWorkers.apply(centred.square().sum(axes)) / num_values
        with torch.no_grad():
            momentum = self.momentum or 0.1
            self.num_batches_tracked += 1
            self.running_mean.lerp_(mean.detach(), momentum)
            self.running_var.lerp_(variance.detach() * num_values / (num_values - 1), momentum)
        scale = self.weight * torch.rsqrt(variance + self.eps)
        return (centred * scale.view(per_channel) + self.bias.view(per_channel)).to(input.dtype)


class ResidualBlock(nn.Module):
    """Two convolutions of side 3 with batch normalisation and a shortcut (He et al. 2016), for classifiers.

    `dimensions` are 2 for images and 3 for volumes.
    """

    def __init__(self, in_channels: int, out_channels: int, *, stride: int, dimensions: int = 2) -> None:
        super().__init__()
        convolution, pooling = CONVOLUTIONS[dimensions], {2: nn.AvgPool2d, 3: nn.AvgPool3d}[dimensions]
        self.conv1 = convolution(in_channels, out_channels, 3, stride, 1, bias=False)
        self.norm1 = BatchNorm(out_channels)
        self.conv2 = convolution(out_channels, out_channels, 3, 1, 1, bias=False)
        self.norm2 = BatchNorm(out_channels)
        self.shortcut: nn.Module = nn.Identity()
        if stride != 1 or in_channels != out_channels:
            self.shortcut = nn.Sequential(
                pooling(stride, ceil_mode=True) if stride > 1 else nn.Identity(),
                convolution(in_channels, out_channels, 1, bias=False),
                BatchNorm(out_channels),
            )

    def forward(self, features: Tensor) -> Tensor:
        hidden = F.relu(self.norm1(self.conv1(features)))
        return F.relu(self.norm2(self.conv2(hidden)) + self.shortcut(features))
