"""torch's optimisers, without the compiler that they load.

At its first use an optimiser of torch imports all of `torch.compile` (torch._dynamo, torch._inductor) only to be left
out by it. That took every process that trains 2.2 s of CPU, where importing torch itself takes 2.9 (two cores, torch
2.15). Nothing here is compiled. The numbers are torch's own: its methods are called without what wraps them.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import optim


def _unwrapped(method: Callable[..., Any]) -> Callable[..., Any]:
    """A method below its decorator; the method itself in a torch whose optimisers have none."""
    inner: Callable[..., Any] = getattr(method, "__wrapped__", method)
    return inner


class _Uncompiled:
    state_dict = _unwrapped(optim.Optimizer.state_dict)
    load_state_dict = _unwrapped(optim.Optimizer.load_state_dict)
    zero_grad = _unwrapped(optim.Optimizer.zero_grad)
    add_param_group = _unwrapped(optim.Optimizer.add_param_group)


class Adam(_Uncompiled, optim.Adam):
    """Kingma and Ba 2015."""

    step = torch.no_grad()(_unwrapped(optim.Adam.step))


class AdamW(_Uncompiled, optim.AdamW):
    """Loshchilov and Hutter 2019."""

    step = torch.no_grad()(_unwrapped(optim.AdamW.step))


class RMSprop(_Uncompiled, optim.RMSprop):
    """Tieleman and Hinton 2012."""

    step = torch.no_grad()(_unwrapped(optim.RMSprop.step))
