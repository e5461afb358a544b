"""Layers of critics whose gradient a penalty differentiates once more: the same numbers as torch's own, in less time.

For the second derivative torch sends a gradient of zeros back through everything before a LeakyReLU, whose slope does
not change, and computes a convolution's part by a dilated convolution, the slowest kind. Here neither happens.
`benchmarks/training_step.py` measures it.
"""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

NEGATIVE_SLOPE = 0.2
_convolution_backward = torch.ops.aten.convolution_backward


class Conv2d(nn.Conv2d):
    """torch's, padded with zeros and not dilated, with a quick second derivative of its input's gradient."""

    def __init__(self, in_channels: int, out_channels: int, kernel_size: int, stride: int = 1, padding: int = 0,
                 bias: bool = True) -> None:  # fmt: skip
        super().__init__(in_channels, out_channels, kernel_size, stride, padding, bias=bias)

    def forward(self, input: Tensor) -> Tensor:
        # A view of the weight has a node of its own in the graph, which the engine can be asked about; a leaf has not.
        # (`view_as` would forget the layout of a single channel.)
        weight, bias = self.weight.expand_as(self.weight), self.bias
        if torch.is_autocast_enabled(input.device.type):  # which sees torch's own layers only
            dtype = torch.get_autocast_dtype(input.device.type)
            input, weight, bias = input.to(dtype), weight.to(dtype), None if bias is None else bias.to(dtype)
        out: Tensor = _Convolution.apply(input, weight, bias, self.stride, self.padding)
        return out


class _Convolution(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, input: Tensor, weight: Tensor, bias: Tensor | None, stride: Any, padding: Any) -> Tensor:
        ctx.save_for_backward(input, weight)
        ctx.stride, ctx.padding, ctx.has_bias = stride, padding, bias is not None
        return F.conv2d(input, weight, bias, stride, padding)

    @staticmethod
    def backward(ctx: Any, *gradients: Any) -> Any:
        (gradient,), (input, weight) = gradients, ctx.saved_tensors
        # A penalty asks for the gradient of images alone, a generator's step for none of the critic's weights.
        weight_node = ctx.next_functions[1][0]
        for_weight = weight_node is not None and bool(torch._C._will_engine_execute_node(weight_node))
        if torch.is_grad_enabled() and not for_weight:
            for_input = _InputGradient.apply(gradient, weight, input.detach(), ctx.stride, ctx.padding)
            return for_input, None, None, None, None
        mask = [ctx.needs_input_grad[0], for_weight, for_weight and ctx.has_bias]
        return (*_backward(gradient, input, weight, ctx.stride, ctx.padding, mask), None, None)


class _InputGradient(torch.autograd.Function):
    """The gradient of a convolution's input: linear in the output's gradient and in the weight, free of the input."""

    @staticmethod
    def forward(ctx: Any, gradient: Tensor, weight: Tensor, input: Tensor, stride: Any, padding: Any) -> Tensor:
        ctx.save_for_backward(gradient, weight)
        ctx.stride, ctx.padding = stride, padding
        return _backward(gradient, input, weight, stride, padding, [True, False, False])[0]

    @staticmethod
    def backward(ctx: Any, *gradients: Any) -> Any:
        (outer,), (gradient, weight) = gradients, ctx.saved_tensors
        for_gradient = F.conv2d(outer, weight, None, ctx.stride, ctx.padding) if ctx.needs_input_grad[0] else None
        mask = [False, ctx.needs_input_grad[1], False]
        for_weight = _backward(gradient, outer, weight, ctx.stride, ctx.padding, mask)[1]
        return for_gradient, for_weight, None, None, None


def _backward(gradient: Tensor, input: Tensor, weight: Tensor, stride: Any, padding: Any, mask: list[bool]) -> Any:
    """Gradients of input, weight and bias, those that `mask` asks for; torch's, and differentiable like them."""
    sizes = [weight.shape[0]] if mask[2] else None
    return _convolution_backward(gradient, input, weight, sizes, stride, padding, [1, 1], False, [0, 0], 1, mask)


class LeakyReLU(nn.LeakyReLU):
    """x where x is positive, `NEGATIVE_SLOPE` * x elsewhere."""

    def __init__(self) -> None:
        super().__init__(NEGATIVE_SLOPE)

    def forward(self, input: Tensor) -> Tensor:
        return leaky_relu(input)


def leaky_relu(input: Tensor) -> Tensor:
    """x where x is positive, `NEGATIVE_SLOPE` * x elsewhere."""
    out: Tensor = _LeakyReLU.apply(input)
    return out


class _LeakyReLU(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, input: Tensor) -> Tensor:
        out = F.leaky_relu(input, NEGATIVE_SLOPE)
        ctx.save_for_backward(out)
        return out

    @staticmethod
    def backward(ctx: Any, *gradients: Any) -> Any:
        (out,) = ctx.saved_tensors
        # The slope is a constant of the second derivative: nothing goes back to `out`.
        return torch.ops.aten.leaky_relu_backward(gradients[0], out.detach(), NEGATIVE_SLOPE, True)
