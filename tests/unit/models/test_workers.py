"""Workers whose rows are of unequal classes, or that have none of a class, learn what one worker would.

Two processes of their own, started once: this file is also the program that they run.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.distributed as distributed
from pretrained_runs import pretrained_overrides
from torch import Tensor

from raysynth.config import build_config
from raysynth.models.blocks import BatchNorm
from raysynth.models.context import Context
from raysynth.models.family import Family
from raysynth.models.registry import family_names, get_family

SHARES = (torch.tensor([0, 0, 3, 3]), torch.tensor([1, 1, 1, 3]))  # of classes 0 to 3, of which no worker has class 2
ROWS = {"fewer": (5, 1), "none": (6, 0)}  # of each worker, for batch normalisation
# What is learnt: every family by itself, and options that keep numbers over all workers.
FOLLOWED = "r3gan, LeCam and adaptive augmentation"
CASES: dict[str, tuple[str, dict[str, object]]] = {name: (name, {}) for name in family_names()} | {
    "cvae, features and a critic": ("cvae", {"feature_weight": 5.0, "adversarial_weight": 5.0}),
    "latent_flow, Gaussians": ("latent_flow", {"prior": "mixture", "components": 1}),
    FOLLOWED: (
        "r3gan",
        {"lecam_weight": 0.3, "augment_target": 0.6, "augment": ("translation", "cutout", "brightness")},
    ),
}
SHAPES = {2: (1, 16, 16), 3: (1, 16, 16, 16)}


def normalise(rank: int | None, case: str, num_dims: int) -> dict[str, Tensor]:
    """Batch normalisation of one worker's rows, or of all: output, statistics, and two orders of gradients."""
    numbers = torch.Generator().manual_seed(0)
    everything, weights = torch.randn(2, 6, 3, *[2] * num_dims, generator=numbers, dtype=torch.float64) * 2 + 1
    first = ROWS[case][0]
    own = slice(None) if rank is None else slice(first) if rank == 0 else slice(first, None)
    rows = everything[own].clone().requires_grad_()
    layer = BatchNorm(3).double()
    output = layer(rows)
    (gradient,) = torch.autograd.grad((output * weights[own]).sum(), rows, create_graph=True)
    (second,) = torch.autograd.grad((gradient.square() * weights[own]).sum(), rows)
    result = {"output": output, "gradient": gradient, "second": second}
    return {**result, "mean": layer.running_mean, "variance": layer.running_var}  # type: ignore[dict-item]


def learn(case: str, rank: int | None) -> dict[str, Tensor]:
    """The gradients and the running statistics of a step of a family, on one worker's share or on all of it."""
    name, options = CASES[case]
    family_class = get_family(name)
    # No dropout: masks are a worker's own. A slow critic: Adam's first step is as long where a gradient is nothing but
    # rounding, and the generator's gradient goes through the critic after that step.
    # Few blocks in a stack: of 13, a change of 2e-6 in the images moved a gradient by 8 % of its largest (of 4, by
    # 1e-5), for a rectifier or a pooling took its other side.
    wanted = {
        "width": 8,
        "latent_dim": 4,
        "n_critic": 1,
        "critic": "batchnorm",
        "critic_learning_rate": 1e-6,
        "depth": 4,
    }
    overrides = {key: value for key, value in wanted.items() if key in family_class.Config.model_fields} | options
    # In the middle of a training, where terms that come to count slowly do.
    context = Context(rank=rank or 0, world_size=1 if rank is None else 2, num_epochs=2, steps_per_epoch=1)
    shape = SHAPES[family_class.num_dims]
    overrides |= pretrained_overrides(name, shape, 4)
    family: Any = family_class(
        build_config(family_class.Config, overrides, origin="test"), shape=shape, num_classes=4, context=context
    )
    labels = torch.cat(SHARES)
    images = torch.rand(len(labels), *shape, generator=torch.Generator().manual_seed(0)) * 2 - 1
    own = slice(None) if rank is None else slice(4 * rank, 4 * rank + 4)
    context.at(2, 0)
    family.train_step(images[own], labels[own])
    assert isinstance(family, Family)
    networks = {part: getattr(family, part) for part in ("generator", "critic", "network") if hasattr(family, part)}
    gradients = {
        f"{part}.{key}": parameter.grad
        for part, network in networks.items()
        for key, parameter in network.named_parameters()
        if parameter.grad is not None
    }
    if case == FOLLOWED:
        followed = [*family.average_scores, family.augment_strength]
        gradients["followed"] = torch.tensor(followed, dtype=torch.float64)
    for part in ("prior", "standardisation", "mixtures"):
        if getattr(family, part, None) is not None:
            gradients |= {f"{part}.{key}": value for key, value in getattr(family, part).state_dict().items()}
    learns = networks.get("generator", networks.get("network"))
    return gradients | {key: value for key, value in learns.state_dict().items() if "running" in key}


def work(rank: int, folder: Path) -> None:
    torch.set_num_threads(1)
    distributed.init_process_group("gloo", init_method=f"file://{folder / 'meeting'}", rank=rank, world_size=2)
    results: dict[str, Any] = {f"{case} {dims}": normalise(rank, case, dims) for case in ROWS for dims in (2, 3)}
    results |= {case: learn(case, rank) for case in CASES}
    torch.save(results, folder / f"{rank}.pt")
    distributed.destroy_process_group()


@pytest.fixture(scope="module")
def of_two(tmp_path_factory: pytest.TempPathFactory) -> list[dict[str, dict[str, Tensor]]]:
    """What each of two workers has."""
    folder = tmp_path_factory.mktemp("workers")
    environment = {**os.environ, "GLOO_SOCKET_IFNAME": "lo", "PYTHONPATH": str(Path(__file__).parents[2])}
    processes = [
        subprocess.Popen(
            [sys.executable, __file__, str(rank), str(folder)], env=environment, stderr=subprocess.PIPE, text=True
        )
        for rank in range(2)
    ]
    try:
        for process in processes:
            _, errors = process.communicate(timeout=300)
            assert process.returncode == 0, errors
    finally:
        for process in processes:
            process.kill()
    return [torch.load(folder / f"{rank}.pt", weights_only=True) for rank in range(2)]


@pytest.mark.parametrize("case", [f"{case} {dims}" for case in ROWS for dims in (2, 3)])
def test_unequal_shares_are_normalised_by_the_statistics_of_all(of_two, case):
    kind, dims = case.split()
    one = normalise(None, kind, int(dims))
    for key in ("output", "gradient", "second"):
        torch.testing.assert_close(torch.cat([worker[case][key] for worker in of_two]), one[key])
    for key in ("mean", "variance"):
        for worker in of_two:
            torch.testing.assert_close(worker[case][key], one[key])


@pytest.mark.parametrize("case", CASES)
def test_a_step_of_two_workers_is_the_step_of_one(of_two, case):
    one = learn(case, None)
    for worker in of_two:
        assert worker[case].keys() == one.keys()  # a class that nobody has, has no gradient anywhere
        for key, value in one.items():
            torch.testing.assert_close(worker[case][key], value, rtol=2e-3, atol=1e-4 * float(value.abs().max()) + 1e-7)


if __name__ == "__main__":
    work(int(sys.argv[1]), Path(sys.argv[2]))
