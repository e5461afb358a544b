"""Images per second of a GAN's training step: raysynth's, its loop, Ray Train, a plain PyTorch loop, and Keras.

    python benchmarks/training_step.py [--family wcgan_gp|r3gan] [--rounds 3] [--seconds 20]
        [--keras-python DIR/bin/python]

Each row runs in a process of its own, one after the other, in rounds; medians are printed, and each row's ratio to
raysynth's bare step (the median of the ratios within a round). Images are the real ones that a critic step sees.
Where other work shares the machine a round's ratio moves by a tenth and more; what the loop adds is therefore also
timed from within: the share of a pass over the training images that is spent outside `train_step`.
Keras is installed beside: `uv venv DIR; uv pip install --python DIR/bin/python tensorflow-cpu keras`.
"""

from __future__ import annotations

import argparse
import functools
import json
import math
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from raysynth.cluster.session import num_cores, prepare_environment
from raysynth.config import build_config
from raysynth.data.batches import Batches
from raysynth.data.dataset import Dataset, load_dataset
from raysynth.data.export import export_images
from raysynth.data.phantom import phantom
from raysynth.errors import UserError
from raysynth.evaluation.scoring_network import ensure_scoring_network
from raysynth.models import residual
from raysynth.models.context import Context
from raysynth.models.double_backward import NEGATIVE_SLOPE
from raysynth.models.losses import gradient_penalty
from raysynth.models.registry import get_family
from raysynth.training.loop import phase_at, run_epochs
from raysynth.training.train import train

LAZY = 4  # critic steps between penalties in the rows that are not penalised at every step
SETTINGS: dict[str, dict[str, Any]] = {
    # The networks of the Keras example's kind: no normalisation in the critic, no dropout.
    "wcgan_gp": {"batch_size": 64, "width": 32, "generator": "transposed", "critic": "dropout", "dropout": 0.0},
    # What the plain loop below does too: a penalty at every step, no classifier, no augmentation.
    "r3gan": {"batch_size": 64, "penalty_every": 1, "classifier_weight": 0.0, "augment_strength": 0.0},
}
PLAIN_LAYERS = (nn.Conv2d, nn.ConvTranspose2d, nn.BatchNorm2d, nn.LeakyReLU)
Step = Callable[[Tensor, Tensor], object]


def build(dataset: Dataset, arguments: argparse.Namespace, **overrides: Any) -> tuple[Any, Context]:
    """The family with the benchmark's settings, in its first phase, as `run_epochs` would have it."""
    context = Context()
    family_class = get_family(arguments.family, "--family")
    config = build_config(family_class.Config, settings(arguments) | overrides, origin="--set")
    family = family_class(config, shape=dataset.shape, num_classes=len(dataset.classes), context=context)
    family.start_phase(phase_at(family.phases(1), 1)[0])
    return family, context


def settings(arguments: argparse.Namespace) -> dict[str, Any]:
    return SETTINGS.get(arguments.family, {}) | dict(item.split("=", 1) for item in arguments.set)


def images_per_s(batches: Iterator[tuple[Tensor, Tensor]], step: Step, seconds: float, cycle: int) -> float:
    """Images per second over whole cycles of `cycle` steps, after one that is not timed."""
    for _ in range(cycle):
        step(*next(batches))
    started, num_images = time.perf_counter(), 0
    while (elapsed := time.perf_counter() - started) < seconds:
        for _ in range(cycle):
            images, labels = next(batches)
            step(images, labels)
            num_images += len(images)
    return num_images / elapsed


# The rows


def bare_step(dataset: Dataset, arguments: argparse.Namespace, **overrides: Any) -> dict[str, Any]:
    """`train_step` alone, again and again on one batch."""
    family, context = build(dataset, arguments, **overrides)
    batch = next(Batches(*dataset.pixels("train"), batch_size=family.config.batch_size, context=context).epoch(1))
    cycle = math.lcm(family.config.n_critic, getattr(family.config, "penalty_every", 1))
    rate = images_per_s(iter(lambda: batch, None), family.train_step, arguments.seconds, cycle)
    return {"images_per_s": rate, **num_parameters(family)}


def num_parameters(family: Any) -> dict[str, int]:
    return {
        f"{name}_parameters": sum(parameter.numel() for parameter in getattr(family, name).parameters())
        for name in ("generator", "critic")
    }


def lazy_step(dataset: Dataset, arguments: argparse.Namespace) -> dict[str, Any]:
    return bare_step(dataset, arguments, penalty_every=LAZY)


class StepClock:
    """When each `train_step` of a family began and ended, while it is open; in this process only."""

    def __init__(self, family_class: type[Any]) -> None:
        self.family_class, self.train_step = family_class, family_class.train_step
        self.times: list[tuple[float, float]] = []

    def __enter__(self) -> StepClock:
        def timed(family: Any, images: Tensor, labels: Tensor) -> Any:
            began = time.perf_counter()
            metrics = self.train_step(family, images, labels)
            self.times.append((began, time.perf_counter()))
            return metrics

        self.family_class.train_step = timed
        return self

    def __exit__(self, *error: object) -> None:
        self.family_class.train_step = self.train_step

    def outside(self, steps_per_epoch: int) -> dict[str, float]:
        """The share of the passes that is not in a step, and the seconds from a pass to the next; no first epoch."""
        times = np.array(self.times).reshape(-1, steps_per_epoch, 2)[1:]
        inside, passes = (times[..., 1] - times[..., 0]).sum(), (times[:, -1, 1] - times[:, 0, 0]).sum()
        between_passes_s = np.median(times[1:, 0, 0] - times[:-1, -1, 1])
        return {"outside": float(1 - inside / passes), "between_passes_s": float(between_passes_s)}


def loop(dataset: Dataset, arguments: argparse.Namespace) -> dict[str, Any]:
    """`run_epochs`: batches cut, metrics averaged and checked, all that an epoch costs without a run folder."""
    family, context = build(dataset, arguments)
    batches = Batches(*dataset.pixels("train"), batch_size=family.config.batch_size, context=context)
    started = time.perf_counter()
    run_epochs(family, batches, context=context, num_epochs=1)
    num_epochs = max(3, math.ceil(arguments.seconds / (time.perf_counter() - started)))
    with StepClock(type(family)) as clock:
        started = time.perf_counter()
        run_epochs(family, batches, context=context, num_epochs=num_epochs)
        elapsed = time.perf_counter() - started
    rate = num_epochs * batches.num_steps * batches.batch_size / elapsed
    return {"images_per_s": rate, **clock.outside(batches.num_steps)}


def ray_train(dataset: Dataset, arguments: argparse.Namespace, workers: int) -> dict[str, Any]:
    """`raysynth train`: metrics.csv's images_per_s, the passes over the training images, without the first epoch."""
    config = build_config(get_family(arguments.family).Config, settings(arguments), origin="--set")
    images_an_epoch = dataset.num_images("train") // config.batch_size * config.batch_size
    num_epochs = 1 + max(3, math.ceil(arguments.seconds * arguments.expected / images_an_epoch))
    clock = StepClock(get_family(arguments.family))
    with tempfile.TemporaryDirectory() as out, clock:
        run = train(
            arguments.family,
            data=dataset.path,
            epochs=num_epochs,
            overrides=settings(arguments) | {"score_every": num_epochs, "sample_every": num_epochs},
            workers=workers,
            out=out,
            say=lambda line: None,
        )
        rows = np.genfromtxt(run / "metrics.csv", delimiter=",", names=True)
    rates = rows["images_per_s"][1:]
    outside = clock.outside(dataset.num_images("train") // config.batch_size) if clock.times else {}
    return {"images_per_s": float(len(rates) / (1 / rates).sum()), **outside}


def plain(dataset: Dataset, arguments: argparse.Namespace, num_workers: int) -> dict[str, Any]:
    """The loop that one would write first: ImageFolder, DataLoader, torch's own layers, a pass for each score."""
    from torchvision import transforms
    from torchvision.datasets import ImageFolder

    family, _ = build(dataset, arguments)
    config, critic, generator = family.config, with_torch_layers(family.critic), with_torch_layers(family.generator)
    betas = family.critic_optimizer.param_groups[0]["betas"]
    critic_optimizer = torch.optim.Adam(critic.parameters(), lr=config.critic_learning_rate, betas=betas)
    generator_optimizer = torch.optim.Adam(generator.parameters(), lr=config.generator_learning_rate, betas=betas)
    critic_loss, generator_loss = PLAIN_LOSSES[arguments.family]
    steps = 0

    def step(images: Tensor, labels: Tensor) -> None:
        nonlocal steps
        fake = generator(torch.randn(len(images), config.latent_dim), labels).detach()
        loss = critic_loss(critic, images, fake, labels)
        critic_optimizer.zero_grad()
        loss.backward()
        critic_optimizer.step()
        steps += 1
        if steps % config.n_critic == 0:
            fake = generator(torch.randn(len(images), config.latent_dim), labels)
            loss = generator_loss(critic, images, fake, labels)
            generator_optimizer.zero_grad()
            loss.backward()
            generator_optimizer.step()

    to_tensor = [transforms.Grayscale()] if dataset.shape[0] == 1 else []
    to_tensor += [transforms.ToTensor(), transforms.Normalize(0.5, 0.5)]
    loader = torch.utils.data.DataLoader(
        ImageFolder(arguments.folder / "png" / "train", transforms.Compose(to_tensor)),
        batch_size=config.batch_size,
        shuffle=True,
        drop_last=True,
        num_workers=num_workers,
        persistent_workers=num_workers > 0,
    )
    batches = (batch for _ in iter(int, 1) for batch in loader)  # for ever
    return {"images_per_s": images_per_s(batches, step, arguments.seconds, config.n_critic)}


def with_torch_layers(network: nn.Module) -> nn.Module:
    """The network with layers that raysynth derives from torch's replaced by torch's own, and torch's own layout."""
    residual.leaky_relu = functools.partial(F.leaky_relu, negative_slope=NEGATIVE_SLOPE)  # type: ignore[assignment]
    for layer in network.modules():
        for torch_class in PLAIN_LAYERS:
            if isinstance(layer, torch_class):
                layer.__class__ = torch_class
    return network.to(memory_format=torch.contiguous_format)


def wcgan_gp_critic_loss(critic: nn.Module, images: Tensor, fake: Tensor, labels: Tensor) -> Tensor:
    penalty = gradient_penalty(lambda x: critic(x, labels), images, fake, torch.rand(len(images)))
    return critic(fake, labels).mean() - critic(images, labels).mean() + 10 * penalty


def wcgan_gp_generator_loss(critic: nn.Module, images: Tensor, fake: Tensor, labels: Tensor) -> Tensor:
    return -critic(fake, labels).mean()


def r3gan_critic_loss(critic: nn.Module, images: Tensor, fake: Tensor, labels: Tensor) -> Tensor:
    """Relativistic pairing with R1 and R2 at every step (Huang et al. 2024, section 2)."""
    images, fake = images.requires_grad_(), fake.requires_grad_()
    real_scores, fake_scores = critic(images, labels)[0], critic(fake, labels)[0]
    (r1,) = torch.autograd.grad(real_scores.sum(), images, create_graph=True)
    (r2,) = torch.autograd.grad(fake_scores.sum(), fake, create_graph=True)
    penalty = (r1.square().flatten(1).sum(1) + r2.square().flatten(1).sum(1)).mean()
    return F.softplus(fake_scores - real_scores).mean() + penalty / 2


def r3gan_generator_loss(critic: nn.Module, images: Tensor, fake: Tensor, labels: Tensor) -> Tensor:
    return F.softplus(critic(images, labels)[0] - critic(fake, labels)[0]).mean()


PLAIN_LOSSES = {
    "wcgan_gp": (wcgan_gp_critic_loss, wcgan_gp_generator_loss),
    "r3gan": (r3gan_critic_loss, r3gan_generator_loss),
}


def keras_step(dataset: Dataset, arguments: argparse.Namespace) -> dict[str, Any]:
    """The Keras example's class, in a graph, in its own environment."""
    config = build_config(get_family(arguments.family).Config, settings(arguments), origin="--set")
    command = [str(arguments.keras_python), str(Path(__file__).with_name("keras_training_step.py"))]
    command += ["--images", str(arguments.folder / "train.npz"), "--seconds", str(arguments.seconds)]
    command += ["--threads", str(num_cores()), "--num-classes", str(len(dataset.classes))]
    for name in ("batch_size", "latent_dim", "width", "n_critic"):
        command += [f"--{name.replace('_', '-')}", str(getattr(config, name))]
    return run_json(command, without=("PYTHONPATH",))


ROWS: dict[str, tuple[str, Callable[[Dataset, argparse.Namespace], dict[str, Any]]]] = {
    "step": ("raysynth, bare step, penalty at every critic step", bare_step),
    "lazy": (f"raysynth, bare step, penalty_every={LAZY}", lazy_step),
    "loop": ("raysynth, run_epochs", loop),
    "ray0": ("raysynth, Ray Train in-process (--workers 0)", lambda d, a: ray_train(d, a, 0)),
    "ray1": ("raysynth, Ray Train, one worker", lambda d, a: ray_train(d, a, 1)),
    "plain0": ("plain PyTorch loop, ImageFolder, 0 loader workers", lambda d, a: plain(d, a, 0)),
    "plain2": ("plain PyTorch loop, ImageFolder, 2 loader workers", lambda d, a: plain(d, a, 2)),
    "keras": ("Keras, WGAN-GP example, graph", keras_step),
}


# The rounds


def run_json(command: list[str], without: tuple[str, ...] = ()) -> dict[str, Any]:
    """What a process prints as JSON in its last line."""
    environment = {name: value for name, value in os.environ.items() if name not in without}
    done = subprocess.run(command, env=environment, capture_output=True, text=True)
    if done.returncode:
        raise SystemExit(f"{' '.join(command)}\n{done.stderr[-2000:]}")
    return json.loads(done.stdout.splitlines()[-1])


def rows_to_run(arguments: argparse.Namespace) -> list[str]:
    """The names of the rows that this family and this machine allow; a line says which are left out, and why."""
    fields = get_family(arguments.family, "--family").Config.model_fields
    names = list(dict.fromkeys(arguments.rows or ROWS))  # a row named twice would have twice the rounds of others
    reasons = {}
    if "penalty_every" not in fields:
        reasons["lazy"] = f"{arguments.family} has no penalty_every"
    if arguments.family not in PLAIN_LOSSES:
        reasons["plain0"] = reasons["plain2"] = f"no plain loss for {arguments.family}"
    if arguments.family != "wcgan_gp":
        reasons["keras"] = "its example is a WGAN-GP; use --family wcgan_gp"
    elif arguments.keras_python is None:
        reasons["keras"] = "give --keras-python DIR/bin/python; `--help` says how to install it"
    for name in filter(reasons.get, names):
        print(f"left out: {ROWS[name][0]}: {reasons[name]}")
    return [name for name in names if name not in reasons]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--family", default="wcgan_gp", help="a family with a critic and a generator")
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", help="a config key of the family")
    parser.add_argument("--size", type=int, default=64)
    parser.add_argument("--seconds", type=float, default=20.0, help="of each row in each round")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--rows", nargs="*", choices=ROWS)
    parser.add_argument("--keras-python", type=Path)
    for hidden in ("--row", "--folder", "--expected"):  # how a row's own process is called
        parser.add_argument(hidden, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.row:
        arguments.folder, arguments.expected = Path(arguments.folder), float(arguments.expected)
        torch.set_num_threads(num_cores())
        print(json.dumps(ROWS[arguments.row][1](load_dataset(arguments.folder / "data"), arguments)))
        return

    names = rows_to_run(arguments)
    results: dict[str, list[float]] = {name: [] for name in names}
    parameters: dict[str, str] = {}
    outside: dict[str, list[tuple[float, float]]] = {name: [] for name in names}
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        dataset = phantom(folder / "data", num_images=960, size=arguments.size)
        export_images(dataset, folder / "png", say=lambda line: None)
        images, labels = dataset.pixels("train")
        np.savez(folder / "train.npz", images=images, labels=labels)
        if "ray0" in names or "ray1" in names:
            ensure_scoring_network(dataset)
        print(
            f"{arguments.family}, {arguments.size} px, {settings(arguments)}, {num_cores()} cores: images/s", flush=True
        )
        for _ in range(arguments.rounds):
            for name in names:
                expected = statistics.median(results["step"]) if results.get("step") else 100.0
                call = [sys.executable, __file__, *sys.argv[1:], "--row", name]
                result = run_json([*call, "--folder", temporary, "--expected", str(expected)])
                results[name].append(result["images_per_s"])
                if "outside" in result:
                    outside[name].append((result["outside"], result["between_passes_s"]))
                if "critic_parameters" in result:
                    counts = (result["generator_parameters"], result["critic_parameters"])
                    parameters[name] = "generator {:,} parameters, critic {:,}".format(*counts)
    for name, rates in results.items():
        line = f"{ROWS[name][0]:<52} {statistics.median(rates):6.1f} ({min(rates):.1f} to {max(rates):.1f})"
        if "step" in results:
            ratios = [rate / step for rate, step in zip(rates, results["step"], strict=True)]
            line += f", {statistics.median(ratios):.3f} of the bare step"
        if outside[name]:
            shares, seconds = zip(*outside[name], strict=True)
            line += (
                f"; {statistics.median(shares):.2%} of a pass outside the step ({min(shares):.2%} to {max(shares):.2%})"
            )
            line += f", {statistics.median(seconds):.3f} s between passes"
        print(line + (f"; {parameters[name]}" if name in parameters else ""))


if __name__ == "__main__":
    prepare_environment()
    try:
        main()
    except UserError as error:
        raise SystemExit(str(error)) from None
