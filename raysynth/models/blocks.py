"""Layers that several networks share."""

from __future__ import annotations

from typing import Any

import torch
import torch.distributed as distributed
import torch.nn.functional as F
from torch import Tensor, nn


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


class BatchNorm(nn.BatchNorm2d):
    """Batch normalisation over the global batch, whatever the number of workers and the device.

    With several workers the statistics are sums over all of them, through an all-reduce that is differentiable
    twice, as a gradient penalty needs; torch's SyncBatchNorm refuses CPU tensors. Takes (N, C, H, W).
    """

    def forward(self, input: Tensor) -> Tensor:
        alone = not (distributed.is_available() and distributed.is_initialized()) or distributed.get_world_size() == 1
        if alone or not self.training:
            return super().forward(input)
        assert self.running_mean is not None
        assert self.running_var is not None
        assert self.num_batches_tracked is not None
        num_values = input.shape[0] * input.shape[2] * input.shape[3] * distributed.get_world_size()
        mean = _SumOverWorkers.apply(input.sum((0, 2, 3))) / num_values
        centred = input - mean[:, None, None]
        variance = _SumOverWorkers.apply(centred.square().sum((0, 2, 3))) / num_values
        with torch.no_grad():
            momentum = self.momentum or 0.1
            self.num_batches_tracked += 1
            self.running_mean.lerp_(mean.detach(), momentum)
            self.running_var.lerp_(variance.detach() * num_values / (num_values - 1), momentum)
        scale = self.weight * torch.rsqrt(variance + self.eps)
        return centred * scale[:, None, None] + self.bias[:, None, None]


class ResidualBlock(nn.Module):
    """Two 3x3 convolutions with batch normalisation and a shortcut (He et al. 2016), for classifiers."""

    def __init__(self, in_channels: int, out_channels: int, *, stride: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(in_channels, out_channels, 3, stride, 1, bias=False)
        self.norm1 = BatchNorm(out_channels)
        self.conv2 = nn.Conv2d(out_channels, out_channels, 3, 1, 1, bias=False)
        self.norm2 = BatchNorm(out_channels)
        self.shortcut: nn.Module = nn.Identity()
        if stride != 1 or in_channels != out_channels:
            self.shortcut = nn.Sequential(
                nn.AvgPool2d(stride, ceil_mode=True) if stride > 1 else nn.Identity(),
                nn.Conv2d(in_channels, out_channels, 1, bias=False),
                BatchNorm(out_channels),
            )

    def forward(self, features: Tensor) -> Tensor:
        hidden = F.relu(self.norm1(self.conv1(features)))
        return F.relu(self.norm2(self.conv2(hidden)) + self.shortcut(features))
