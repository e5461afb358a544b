"""Images per second of `raysynth train` beside a plain PyTorch loop over an ImageFolder, on the same networks.

    python benchmarks/training_loop.py [--size 64] [--seconds 20]

The plain loop is what one would write first: PNG files, DataLoader, the same critic and generator steps by hand.
One process, all cores.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from pathlib import Path

import torch
from torchvision import transforms
from torchvision.datasets import ImageFolder

from raysynth.cluster.session import num_cores, prepare_environment
from raysynth.data.batches import Batches
from raysynth.data.dataset import Dataset
from raysynth.data.export import export_images
from raysynth.data.phantom import phantom
from raysynth.models.context import Context
from raysynth.models.wcgan_gp import WCGANGP
from raysynth.training.loop import run_epochs


def build(dataset: Dataset) -> tuple[WCGANGP, Context]:
    context = Context()
    config = WCGANGP.Config(critic="layernorm")
    return WCGANGP(config, shape=dataset.shape, num_classes=len(dataset.classes), context=context), context


def plain(dataset: Dataset, folder: Path, seconds: float, num_workers: int) -> float:
    """Images per second of the loop written by hand."""
    family, _ = build(dataset)
    config = family.config
    to_tensor = transforms.Compose([transforms.Grayscale(), transforms.ToTensor(), transforms.Normalize(0.5, 0.5)])
    loader = torch.utils.data.DataLoader(
        ImageFolder(folder / "train", to_tensor),
        batch_size=config.batch_size,
        shuffle=True,
        drop_last=True,
        num_workers=num_workers,
    )
    critic, generator = family.critic, family.generator
    seen, steps, started = 0, 0, time.perf_counter()
    while time.perf_counter() - started < seconds:
        for images, labels in loader:
            fake = generator(torch.randn(len(images), config.latent_dim), labels).detach()
            mix = torch.rand(len(images), 1, 1, 1)
            between = (mix * images + (1 - mix) * fake).requires_grad_()
            (gradient,) = torch.autograd.grad(critic(between, labels).sum(), between, create_graph=True)
            penalty = ((gradient.flatten(1).norm(dim=1) - 1) ** 2).mean()
            loss = critic(fake, labels).mean() - critic(images, labels).mean() + config.penalty_weight * penalty
            family.critic_optimizer.zero_grad()
            loss.backward()
            family.critic_optimizer.step()
            steps += 1
            if steps % config.n_critic == 0:
                loss = -critic(generator(torch.randn(len(images), config.latent_dim), labels), labels).mean()
                family.generator_optimizer.zero_grad()
                loss.backward()
                family.generator_optimizer.step()
            seen += len(images)
            if time.perf_counter() - started >= seconds:
                break
    return seen / (time.perf_counter() - started)


def ours(dataset: Dataset, seconds: float) -> float:
    """Images per second of the loop of `raysynth train`, everything within an epoch included."""
    family, context = build(dataset)
    batches = Batches(*dataset.pixels("train"), batch_size=family.config.batch_size, context=context)
    seen, started = 0, time.perf_counter()
    while time.perf_counter() - started < seconds:
        run_epochs(family, batches, context=context, num_epochs=1)
        seen += batches.num_steps * batches.batch_size
    return seen / (time.perf_counter() - started)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--size", type=int, default=64)
    parser.add_argument("--seconds", type=float, default=20.0)
    arguments = parser.parse_args()
    torch.set_num_threads(num_cores())
    with tempfile.TemporaryDirectory() as folder:
        dataset = phantom(Path(folder) / "data", num_images=600, size=arguments.size, say=lambda line: None)
        export_images(dataset.path, Path(folder) / "png", say=lambda line: None)
        print(f"WCGAN-GP at {arguments.size} px, batch 32, penalty at every critic step, {num_cores()} cores: images/s")
        ours_rate = ours(dataset, arguments.seconds)
        print(f"raysynth's loop: {ours_rate:.0f}")
        for num_workers in (0, 2):
            rate = plain(dataset, Path(folder) / "png", arguments.seconds, num_workers)
            print(f"plain loop, ImageFolder, {num_workers} loader workers: {rate:.0f}; ratio {ours_rate / rate:.2f}")


if __name__ == "__main__":
    prepare_environment()
    main()
