"""What is recorded when, with a recorder that needs no GPU; `test_on_gpu.py` has the real one."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from pretrained_runs import pretrained_overrides
from torch import Tensor, nn

from raysynth.models.context import Context
from raysynth.models.cuda_graphs import GraphedNetwork
from raysynth.models.transfer_cvae import TransferCVAE


class CountingNetwork(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.norm = nn.BatchNorm2d(1)

    def forward(self, images: Tensor) -> Tensor:
        out: Tensor = self.norm(images)
        return out


@pytest.fixture
def recordings(monkeypatch: pytest.MonkeyPatch) -> list[torch.Size]:
    """The shapes that were recorded; a recording takes some passes, and refuses every other shape than its own."""
    shapes: list[torch.Size] = []

    def record(network: nn.Module, examples: tuple[Tensor, ...]) -> None:
        plain = network.forward
        plain(*examples)
        shapes.append(examples[0].shape)

        def replay(*inputs: Tensor) -> Any:
            assert inputs[0].shape == examples[0].shape
            return plain(*inputs)

        network.forward = replay

    monkeypatch.setattr(torch.cuda, "make_graphed_callables", record)
    return shapes


def test_each_shape_is_recorded_and_others_may_call_the_network_as_ever(recordings):
    network = CountingNetwork()
    graphed = GraphedNetwork(network, Context(device=torch.device("cuda")))
    for num_images in (4, 4, 2, 2, 4):
        assert graphed(torch.randn(num_images, 1, 3, 3)).shape == (num_images, 1, 3, 3)
        network(torch.randn(7, 1, 3, 3))
    assert [shape[0] for shape in recordings] == [4, 2, 4]
    graphed.forget()
    graphed(torch.randn(4, 1, 3, 3))
    assert len(recordings) == 4


def test_with_and_without_gradients_are_two_recordings(recordings):
    graphed = GraphedNetwork(CountingNetwork(), Context(device=torch.device("cuda")))
    images = torch.randn(4, 1, 3, 3)
    graphed(images)
    with torch.no_grad():
        assert not graphed(images).requires_grad
    assert len(recordings) == 2


def test_a_new_phase_is_recorded_anew(recordings, monkeypatch):
    """What is frozen in the one phase learns in the next."""
    monkeypatch.setattr(torch, "is_autocast_enabled", lambda kind: False)
    family = transfer_family()
    family.context = family.encoder.context = family.decoder.context = Context(device=torch.device("cuda"))
    for phase in family.phases(4):
        family.start_phase(phase)
        for _ in range(2):
            family.decoder(torch.zeros(2, family.num_latents), torch.tensor([0, 1]))
    assert len(recordings) == 2


def transfer_family() -> TransferCVAE:
    shape = (1, 16, 16)
    config = TransferCVAE.Config(**pretrained_overrides("transfer_cvae", shape))
    return TransferCVAE(config, shape=shape, num_classes=3, context=Context())


def test_recording_leaves_no_trace_in_the_statistics(recordings):
    network, twin = CountingNetwork(), CountingNetwork()
    graphed = GraphedNetwork(network, Context(device=torch.device("cuda")))
    images = torch.randn(6, 1, 4, 4)
    graphed(images)
    twin(images)
    assert recordings
    torch.testing.assert_close(network.state_dict(), twin.state_dict())


@pytest.mark.parametrize("context", [Context(), Context(device=torch.device("cuda"), world_size=2)])
def test_nothing_is_recorded_on_a_cpu_or_among_workers(recordings, context):
    GraphedNetwork(CountingNetwork(), context)(torch.randn(4, 1, 3, 3))
    assert not recordings
