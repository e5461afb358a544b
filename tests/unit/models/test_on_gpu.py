"""Every family on a GPU, where there is one."""

from __future__ import annotations

import math

import pytest
import torch
from pretrained_runs import pretrained_overrides

from raysynth.config import build_config
from raysynth.models.context import Context
from raysynth.models.cuda_graphs import GraphedNetwork
from raysynth.models.family import Family
from raysynth.models.registry import family_names, get_family
from raysynth.training.checkpoints import check_finite

pytestmark = pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU")
NARROW: dict[str, object] = {"width": 8, "latent_dim": 8}


def build(name: str, device: str) -> Family:
    family = get_family(name)
    shape = (1, *[32 if family.num_dims == 2 else 16] * family.num_dims)
    narrow = {key: value for key, value in NARROW.items() if key in family.Config.model_fields}
    config = build_config(family.Config, {**narrow, **pretrained_overrides(name, shape)}, origin="test")
    return family(config, shape=shape, num_classes=3, context=Context(device=torch.device(device)))


@pytest.mark.parametrize("name", family_names())
def test_a_family_learns_on_the_gpu_and_draws_the_same_on_the_cpu(name):
    """The same to a tenth of grey's range: a GPU multiplies floats of fewer bits (TF32)."""
    family = build(name, "cuda")
    context = family.context
    context.num_epochs, context.steps_per_epoch = 1, 10
    images = torch.rand((12, *family.shape), device="cuda") * 2 - 1
    labels = torch.arange(12, device="cuda") % 3
    family.start_phase(family.phases(2)[0])
    for step in range(10):
        context.at(1, step)
        metrics = family.train_step(images, labels)
        assert all(math.isfinite(float(value)) for value in metrics.values())
    check_finite(family.state_dict())
    assert all(math.isfinite(float(value)) for value in family.validate(images, labels).values())

    other = build(name, "cpu")
    other.load_state_dict(family.state_dict())
    seeds = torch.arange(12)
    drawn = family.sample(labels.cpu(), seeds)
    assert drawn.device.type == "cuda"
    torch.testing.assert_close(drawn.cpu(), other.sample(labels.cpu(), seeds), atol=0.2, rtol=0)

    few = family.sample(labels.cpu()[:5], seeds[:5])
    torch.testing.assert_close(few, drawn[:5], atol=0.2, rtol=0)
    family.validate(images[:7], labels[:7])


def test_workers_draw_the_rows_of_the_global_batch_there_too():
    whole = Context(seed=3, device=torch.device("cuda"))
    whole.at(2, 5)
    everything = whole.normal("latents", 8, 4)
    worker = Context(seed=3, device=torch.device("cuda"), rank=1, world_size=2)
    worker.at(2, 5)
    assert torch.equal(worker.normal("latents", 4, 4), everything[4:])
    noise = worker.normal("noise", 8, 2, 256, 256)
    assert torch.equal(noise, whole.normal("noise", 16, 2, 256, 256)[8:])
    assert everything.device.type == "cuda"


def train(family: Family, num_steps: int) -> list[float]:
    """Losses of steps on the same images, in two phases where there are two."""
    context = family.context
    context.num_epochs, context.steps_per_epoch = 2, num_steps // 2
    generator = torch.Generator().manual_seed(0)
    images = (torch.rand((12, *family.shape), generator=generator) * 2 - 1).cuda()
    labels = torch.arange(12, device="cuda") % 3
    losses = []
    for step in range(num_steps):
        epoch = 1 + step // (num_steps // 2)
        if step % (num_steps // 2) == 0:
            phases = family.phases(2)
            family.start_phase(phases[min(epoch, len(phases)) - 1])
        context.at(epoch, step % (num_steps // 2))
        losses.append(float(family.train_step(images, labels)["loss"]))
    return losses


@pytest.mark.parametrize("name", ["cvae", "denoising_vae", "transfer_cvae", "latent_flow", "pixel_diffusion"])
def test_a_recorded_step_learns_as_one_that_is_not(name, monkeypatch):
    """The weights have moved to nearly the same place; a recording that is stale leaves them elsewhere."""
    initial = weights(build(name, "cuda"))
    recorded = build(name, "cuda")
    losses = train(recorded, 20)
    monkeypatch.setattr(GraphedNetwork, "_record", lambda self, inputs: self.network)
    plain = build(name, "cuda")
    torch.testing.assert_close(torch.tensor(losses), torch.tensor(train(plain, 20)), rtol=0.02, atol=0.02)
    moved = weights(plain) - initial
    assert moved.norm() > 0
    assert (weights(recorded) - weights(plain)).norm() < 0.3 * moved.norm()


def weights(family: Family) -> torch.Tensor:
    """The parameters of what learns, in one row; no statistics."""
    return torch.cat([part.detach().flatten() for part in family.network.parameters()])
