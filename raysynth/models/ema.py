"""Exponential moving average of a network's weights: what samples are drawn from."""

from __future__ import annotations

import copy

import torch
from torch import nn


class MovingAverage:
    """A copy of `network` whose weights and statistics follow it: average <- d * average + (1 - d) * network.

    The decay d starts small, min(decay, (1 + t) / (10 + t)) at update t, so that a short training is not averaged
    with its initialisation (Tarvainen & Valpola 2017).
    """

    def __init__(self, network: nn.Module, decay: float) -> None:
        self.network = copy.deepcopy(network).eval().requires_grad_(False)
        self.decay = decay
        self.num_updates = 0

    @torch.no_grad()
    def update(self, network: nn.Module) -> None:
        decay = min(self.decay, (1 + self.num_updates) / (10 + self.num_updates))
        self.num_updates += 1
        averages, currents = _tensors(self.network), _tensors(network)
        weights = [index for index, tensor in enumerate(averages) if tensor.is_floating_point()]
        # All at once: on a GPU each call by itself takes longer to ask for than to do.
        torch._foreach_lerp_([averages[i] for i in weights], [currents[i] for i in weights], 1 - decay)
        for average, current in zip(averages, currents, strict=True):
            if not average.is_floating_point():
                average.copy_(current)

    def state_dict(self) -> dict[str, object]:
        return {"network": self.network.state_dict(), "num_updates": self.num_updates}

    def load_state_dict(self, state: dict[str, object]) -> None:
        self.network.load_state_dict(state["network"])  # type: ignore[arg-type]
        self.num_updates = int(state["num_updates"])  # type: ignore[call-overload]


def _tensors(network: nn.Module) -> list[torch.Tensor]:
    return [*network.parameters(), *network.buffers()]
