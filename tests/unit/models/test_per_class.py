from __future__ import annotations

import torch
from torch import nn

from raysynth.models.per_class import PerClass


class Times(nn.Module):
    """Rows times a number that is learnt."""

    def __init__(self, factor: float) -> None:
        super().__init__()
        self.factor = nn.Parameter(torch.tensor(factor))

    def forward(self, rows: torch.Tensor) -> torch.Tensor:
        return rows * self.factor


def test_every_row_goes_through_its_network_and_comes_back_to_its_place():
    network = PerClass([Times(1.0), Times(10.0), Times(100.0)])
    rows = torch.arange(12.0).view(6, 2)
    labels = torch.tensor([2, 0, 1, 1, 0, 2])
    assert torch.equal(network(rows, labels), rows * torch.tensor([100.0, 1, 10, 10, 1, 100])[:, None])


def test_gradients_go_to_the_network_of_the_row_and_to_no_other():
    network = PerClass([Times(1.0), Times(10.0), Times(100.0)])
    rows = torch.tensor([[1.0], [2.0], [4.0]], requires_grad=True)
    network(rows, torch.tensor([2, 0, 2])).sum().backward()
    gradients = [None if n.factor.grad is None else float(n.factor.grad) for n in network.networks]
    assert gradients == [2.0, None, 5.0]
    assert rows.grad is not None
    assert rows.grad.flatten().tolist() == [100.0, 1.0, 100.0]


def test_a_drawn_row_has_the_same_bits_whatever_labels_stand_beside_it():
    torch.manual_seed(0)
    networks = PerClass([nn.Sequential(nn.Linear(64, 257), nn.ReLU(), nn.Linear(257, 3)) for _ in range(3)]).eval()
    inputs = torch.randn(64, 64)
    with torch.no_grad():
        alone = networks(inputs, torch.ones(64, dtype=torch.long))
        mixed_labels = torch.arange(64) % 3
        mixed = networks(inputs, mixed_labels)
    assert torch.equal(mixed[mixed_labels == 1], alone[mixed_labels == 1])
    assert not torch.equal(mixed[mixed_labels == 0], alone[mixed_labels == 0])
