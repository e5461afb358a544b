"""Images per second of training steps on one GPU: a training alone, several that share it, and the share of its peak.

    python benchmarks/gpu_step.py [--steps 40] [--batch-size 64] [--sides 64 128] [--processes 4] [--compiled]

Prints a row a family and side: with the networks recorded as CUDA graphs (where the family does) and without; with
`--compiled` also by torch.compile in place of the recording; the share that the recorded step has of the bfloat16
products of a large matrix; and the sum of `--processes` trainings at once. The images are random: no step depends on
them. A family that records nothing has the same rate twice.
"""

from __future__ import annotations

import argparse
import multiprocessing
import sys
import time
from collections.abc import Callable
from multiprocessing.synchronize import Barrier
from typing import Any

import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import flop_registry

from raysynth.config import build_config
from raysynth.models.context import Context
from raysynth.models.cuda_graphs import GraphedNetwork
from raysynth.models.family import Family
from raysynth.models.registry import get_family

NUM_CLASSES = 4
NUM_FIRST_STEPS = 8  # in which kernels are chosen and recorded
NUM_COUNTED_STEPS = 5  # whose operations are counted: one of these is a generator's
MATRIX_SIDE = 8192
ROWS: tuple[tuple[str, dict[str, Any]], ...] = (
    ("wcgan_gp", {}),
    ("cvae", {"encoder": "conv6", "decoder": "deconv6"}),
    ("denoising_vae", {"depth": 19, "width": 16}),
    ("pixel_diffusion", {"width": 32, "num_blocks": 2}),
    ("vae", {"encoder": "grid", "decoder": "grid", "latent_dim": 256, "feature_weight": 16, "adversarial_weight": 8}),
)
RECORD = GraphedNetwork._record


class Operations(TorchDispatchMode):
    """Counts those of products and convolutions, there and back. Not torch's `FlopCounterMode`, which follows modules
    and cannot follow a gradient penalty's."""

    def __init__(self) -> None:
        super().__init__()
        self.total = 0

    def __torch_dispatch__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        value = function(*args, **(kwargs or {}))
        count = flop_registry.get(function.overloadpacket)
        if count is not None:
            self.total += count(*args, **(kwargs or {}), out_val=value)
        return value


def plain(graphed: GraphedNetwork, inputs: tuple[torch.Tensor, ...]) -> Callable[..., Any]:
    return graphed.network


def compiled(graphed: GraphedNetwork, inputs: tuple[torch.Tensor, ...]) -> Callable[..., Any]:
    function: Callable[..., Any] = torch.compile(graphed.network)
    return function


def build(name: str, options: dict[str, Any], *, batch_size: int, side: int, num_steps: int) -> Family:
    family_class = get_family(name)
    config = build_config(family_class.Config, {**options, "batch_size": batch_size}, origin="benchmark")
    context = Context(
        device=torch.device("cuda"), num_epochs=1, steps_per_epoch=NUM_FIRST_STEPS + num_steps + NUM_COUNTED_STEPS
    )
    family = family_class(config, shape=(1, side, side), num_classes=NUM_CLASSES, context=context)
    family.start_phase(family.phases(1)[0])
    return family


def measure(
    name: str, options: dict[str, Any], *, batch_size: int, side: int, num_steps: int, barrier: Barrier | None = None
) -> tuple[float, int]:
    """Images a second of `num_steps` steps after the first few, and operations an image; others wait at `barrier` and
    begin with it."""
    family = build(name, options, batch_size=batch_size, side=side, num_steps=num_steps)
    images = torch.rand(batch_size, 1, side, side, device="cuda") * 2 - 1
    labels = torch.arange(batch_size, device="cuda") % NUM_CLASSES
    for step in range(NUM_FIRST_STEPS):
        family.context.at(1, step)
        family.train_step(images, labels)
    torch.cuda.synchronize()
    if barrier is not None:
        barrier.wait()
    started = time.perf_counter()
    for step in range(NUM_FIRST_STEPS, NUM_FIRST_STEPS + num_steps):
        family.context.at(1, step)
        family.train_step(images, labels)
    torch.cuda.synchronize()
    rate = batch_size * num_steps / (time.perf_counter() - started)
    if barrier is not None:
        barrier.wait()
        return rate, 0
    with Operations() as operations:  # which sees no replay of a recording: of use where nothing is recorded
        for step in range(NUM_COUNTED_STEPS):
            family.context.at(1, NUM_FIRST_STEPS + num_steps + step)
            family.train_step(images, labels)
    return rate, operations.total // (NUM_COUNTED_STEPS * batch_size)


def peak_rate() -> float:
    """Operations a second of bfloat16 products of large matrices."""
    left, right = (torch.randn(MATRIX_SIDE, MATRIX_SIDE, device="cuda", dtype=torch.bfloat16) for _ in range(2))
    for _ in range(3):
        left @ right
    torch.cuda.synchronize()
    started = time.perf_counter()
    for _ in range(10):
        left @ right
    torch.cuda.synchronize()
    return 10 * 2 * MATRIX_SIDE**3 / (time.perf_counter() - started)


def measure_beside_others(barrier: Barrier, rows: list[tuple[str, int]], sizes: dict[str, int], rates: Any) -> None:
    """One of several processes: each row when all are ready."""
    options = dict(ROWS)
    for name, side in rows:
        rate, _ = measure(name, options[name], side=side, barrier=barrier, **sizes)
        rates.put((name, side, rate))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--steps", type=int, default=40)
    parser.add_argument("--batch-size", type=int, default=64)
    parser.add_argument("--sides", type=int, nargs="+", default=[64, 128])
    parser.add_argument("--processes", type=int, default=4)
    parser.add_argument("--compiled", action="store_true")
    parser.add_argument("--families", nargs="+", default=[name for name, _ in ROWS])
    options = parser.parse_args()
    if not torch.cuda.is_available():
        sys.exit("no GPU that torch can use; on a CPU: benchmarks/training_step.py")
    sizes = {"batch_size": options.batch_size, "num_steps": options.steps}
    rows = [(name, side) for name, _ in ROWS if name in options.families for side in options.sides]

    together: dict[tuple[str, int], float] = dict.fromkeys(rows, 0.0)
    if options.processes > 1:
        spawn = multiprocessing.get_context("spawn")
        rates, barrier = spawn.Queue(), spawn.Barrier(options.processes)
        others = [
            spawn.Process(target=measure_beside_others, args=(barrier, rows, sizes, rates))
            for _ in range(options.processes)
        ]
        for other in others:
            other.start()
        for _ in range(options.processes * len(rows)):
            name, side, rate = rates.get(timeout=300)
            together[name, side] += rate
        for other in others:
            other.join()

    peak = peak_rate()
    print(f"{torch.cuda.get_device_name()}, torch {torch.__version__}, batch {options.batch_size}")
    print(f"matrix product of side {MATRIX_SIDE}, bfloat16: {peak / 1e12:.0f} TFLOP/s")
    print("family, side | images/s recorded | not | compiled | GFLOP an image | % of peak | together | to one alone")
    for name, side in rows:
        of_family = dict(ROWS)[name]
        found = {}
        ways = {"recorded": RECORD, "plain": plain} | ({"compiled": compiled} if options.compiled else {})
        for way, record in ways.items():
            GraphedNetwork._record = record  # type: ignore[method-assign]
            found[way] = measure(name, of_family, side=side, **sizes)
        alone, operations = found["recorded"][0], found["plain"][1]
        by_compiler = f"{found['compiled'][0]:.0f}" if options.compiled else "-"
        all_of_them = together[name, side]
        print(
            f"{name}, {side} | {alone:.0f} | {found['plain'][0]:.0f} | {by_compiler} | {operations / 1e9:.2f} | "
            f"{100 * alone * operations / peak:.1f} | {all_of_them:.0f} | {all_of_them / alone:.2f}",
            flush=True,
        )


if __name__ == "__main__":
    main()
