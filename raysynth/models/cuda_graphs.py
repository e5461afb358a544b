"""A network's pass there and back as one launch each on a GPU (CUDA graphs).

Small networks leave a GPU waiting: each of some thousand small kernels of a step takes longer to ask for than to do.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils._pytree import tree_map

from raysynth.models.context import Context


class GraphedNetwork:
    """Calls `network`; on a GPU that trains alone the first call of each shape records it, and the others replay that.

    In training one call a step: what it returns is overwritten by the next. Anything random or a wait for the device
    cannot be recorded. Among several workers nothing is recorded, for batch normalisation talks to them. The network
    itself stays as it is for whoever else calls it.
    """

    def __init__(self, network: nn.Module, context: Context) -> None:
        self.network = network
        self.context = context
        self.recorded_for: Any = None
        self.recorded: Callable[..., Any] | None = None

    def __call__(self, *inputs: Tensor) -> Any:
        if self.context.device.type != "cuda" or self.context.world_size > 1:
            return self.network(*inputs)
        of = (torch.is_grad_enabled(), [(tensor.shape, tensor.dtype, tensor.requires_grad) for tensor in inputs])
        if self.recorded is None or self.recorded_for != of:
            self.recorded, self.recorded_for = self._record(inputs), of
        outputs = self.recorded(*inputs)
        return outputs if torch.is_grad_enabled() else tree_map(torch.clone, outputs)

    def forget(self) -> None:
        """Record anew at the next call: something else learns now."""
        self.recorded = None

    def _record(self, inputs: tuple[Tensor, ...]) -> Callable[..., Any]:
        examples = tuple(tensor.detach().clone().requires_grad_(tensor.requires_grad) for tensor in inputs)
        buffers = {name: buffer.clone() for name, buffer in self.network.named_buffers()}
        # In the caller's precision; but a weight that was cast before the recording would stay as it was.
        kind, enabled = self.context.device.type, torch.is_autocast_enabled(self.context.device.type)
        with torch.autocast(kind, torch.get_autocast_dtype(kind), enabled=enabled, cache_enabled=False):
            torch.cuda.make_graphed_callables(self.network, examples)
        recorded: Callable[..., Any] = self.network.__dict__.pop("forward")  # where it was put, for all callers
        with torch.no_grad():  # recording took some passes, and normalisation has seen their images
            for name, buffer in self.network.named_buffers():
                buffer.copy_(buffers[name])
        return recorded
