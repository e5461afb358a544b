from __future__ import annotations

import torch
from torch import nn

from raysynth.models.ema import MovingAverage


def test_the_average_follows_with_a_decay_that_grows():
    network = nn.Linear(1, 1, bias=False)
    nn.init.zeros_(network.weight)
    average = MovingAverage(network, decay=0.5)
    nn.init.ones_(network.weight)
    average.update(network)  # decay (1 + 0) / (10 + 0) = 0.1
    assert torch.isclose(average.network.weight, torch.tensor(0.9)).all()
    average.update(network)  # (1 + 1) / (10 + 1)
    assert torch.isclose(average.network.weight, torch.tensor(1 - 0.1 * 2 / 11)).all()
    for _ in range(100):
        nn.init.zeros_(network.weight)
        average.update(network)
    assert average.num_updates == 102
    assert average.network.weight.abs().max() < 1e-6


def test_statistics_are_averaged_and_counters_copied():
    network = nn.BatchNorm1d(2)
    average = MovingAverage(network, decay=0.9)
    network(torch.randn(8, 2) + 5)
    average.update(network)
    assert average.network.num_batches_tracked == 1
    assert (average.network.running_mean != network.running_mean).all()
