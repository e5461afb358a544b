"""A network for each class, for families whose networks are given no label."""

from __future__ import annotations

from collections.abc import Iterable

import torch
import torch.distributed as distributed
from torch import Tensor, nn

from raysynth.models.blocks import among_workers


class PerClass(nn.Module):
    """`forward(inputs, labels)` sends row i of `inputs` (N, ...) through network `labels[i]`, in order.

    A loss that is a mean over all rows, whatever their class, keeps the average of gradients over workers exact however
    a class's rows fall among them. In training, a network runs on every worker as soon as one of them has a row for it,
    on no rows where there are none: its BatchNorm waits for all workers. A class that no worker has is skipped.
    When samples are drawn (in evaluation, without gradients) every network sees all rows, and its own are kept: a
    kernel may round differently for another batch size, and a sample must not depend on the labels beside it.
    """

    def __init__(self, networks: Iterable[nn.Module]) -> None:
        super().__init__()
        self.networks = nn.ModuleList(networks)

    def forward(self, inputs: Tensor, labels: Tensor) -> Tensor:
        if not self.training and not torch.is_grad_enabled():
            present = labels.unique()
            of_each = torch.stack([self.networks[label](inputs) for label in present.tolist()])
            own: Tensor = of_each[torch.searchsorted(present, labels), torch.arange(len(labels), device=labels.device)]
            return own
        counts = torch.bincount(labels, minlength=len(self.networks))
        totals = counts
        if self.training and among_workers():
            totals = counts.clone()
            distributed.all_reduce(totals)
        order = labels.argsort(stable=True)
        shares = inputs[order].split(counts.tolist())
        parts = zip(self.networks, shares, totals.tolist(), strict=True)
        results = [network(share) for network, share, total in parts if total]
        return torch.cat(results)[order.argsort()]
