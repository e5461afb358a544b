"""Images per second of a training step on one GPU, with the networks recorded as CUDA graphs and without.

    python benchmarks/gpu_step.py [--steps 40] [--batch-size 64] [--side 64]

Prints a row a family: both rates, and their ratio. The images are random: no step depends on them.
"""

from __future__ import annotations

import argparse
import sys
import time
from typing import Any

import torch

from raysynth.config import build_config
from raysynth.models.context import Context
from raysynth.models.cuda_graphs import GraphedNetwork
from raysynth.models.registry import get_family

NUM_CLASSES = 4
NUM_FIRST_STEPS = 5  # in which kernels are chosen and recorded
ROWS: tuple[tuple[str, dict[str, Any]], ...] = (
    ("pixel_diffusion", {"width": 48, "num_blocks": 2}),
    ("pixel_diffusion", {"width": 32, "num_blocks": 2}),
    ("denoising_vae", {"depth": 19, "width": 16}),
    ("cvae", {"encoder": "conv6", "decoder": "deconv6"}),
    ("vae", {"encoder": "grid", "decoder": "grid", "latent_dim": 256, "feature_weight": 16, "adversarial_weight": 8}),
)


def measure(name: str, options: dict[str, Any], *, batch_size: int, side: int, num_steps: int) -> float:
    """Images a second of `num_steps` steps after the first few."""
    device = torch.device("cuda")
    family_class = get_family(name)
    config = build_config(family_class.Config, {**options, "batch_size": batch_size}, origin="benchmark")
    context = Context(device=device)
    family = family_class(config, shape=(1, side, side), num_classes=NUM_CLASSES, context=context)
    context.num_epochs, context.steps_per_epoch = 1, num_steps + NUM_FIRST_STEPS
    images = torch.rand(batch_size, 1, side, side, device=device) * 2 - 1
    labels = torch.arange(batch_size, device=device) % NUM_CLASSES
    family.start_phase(family.phases(1)[0])
    started = 0.0
    for step in range(NUM_FIRST_STEPS + num_steps):
        if step == NUM_FIRST_STEPS:
            torch.cuda.synchronize()
            started = time.perf_counter()
        context.at(1, step)
        family.train_step(images, labels)
    torch.cuda.synchronize()
    return batch_size * num_steps / (time.perf_counter() - started)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--steps", type=int, default=40)
    parser.add_argument("--batch-size", type=int, default=64)
    parser.add_argument("--side", type=int, default=64)
    options = parser.parse_args()
    if not torch.cuda.is_available():
        sys.exit("no GPU that torch can use; on a CPU: benchmarks/training_step.py")
    print(f"{torch.cuda.get_device_name()}, torch {torch.__version__}, batch {options.batch_size}, {options.side} px")
    record = GraphedNetwork._record
    for name, of_family in ROWS:
        rates = []
        for recorded in (True, False):
            GraphedNetwork._record = record if recorded else lambda self, inputs: self.network  # type: ignore[method-assign]
            sizes = {"batch_size": options.batch_size, "side": options.side, "num_steps": options.steps}
            rates.append(measure(name, of_family, **sizes))
        print(f"{name} {of_family}: {rates[0]:.0f} images/s recorded, {rates[1]:.0f} not, {rates[0] / rates[1]:.2f}")


if __name__ == "__main__":
    main()
