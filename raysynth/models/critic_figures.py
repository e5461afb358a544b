"""What a way of keeping a critic from growing steep does to it: its weights, and its gradients by depth.

The two pictures by which Gulrajani et al. 2017 (fig. 1) compare weight clipping with the gradient penalty.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from matplotlib.figure import Figure as MatplotlibFigure
from matplotlib.ticker import MaxNLocator
from torch import Tensor, nn

from raysynth.models.discriminators import Critic
from raysynth.models.family import Figure, Metrics

GRADIENT = "critic_gradient_"  # then the block's number from 1, the one nearest to the image
NUM_EPOCHS_DRAWN = 5
NUM_BINS = 80


def gradient_norms(critic: nn.Module, images: Tensor, labels: Tensor) -> Metrics:
    """Mean over images of the norm of the critic's gradient with respect to each block's output.

    That is the Wasserstein loss's gradient for one image, times the number of images: so it does not depend on the size
    of the batch. `critic` is a `Critic` or is made of several; no gradient is left in it.
    """
    outputs: dict[int, list[Tensor]] = {}
    hooks = [
        block.register_forward_hook(lambda _, __, output, level=level: outputs.setdefault(level, []).append(output))
        for one in critic.modules()
        if isinstance(one, Critic)
        for level, block in enumerate(one.blocks, start=1)
    ]
    try:
        with torch.enable_grad():
            score = critic(images, labels).sum()
            # A class's critic gives rows of its own: those of one depth are gathered.
            flat = [(level, output) for level, of_level in outputs.items() for output in of_level]
            gradients = torch.autograd.grad(score, [output for _, output in flat])
    finally:
        for hook in hooks:
            hook.remove()
    norms: dict[int, list[Tensor]] = {}
    for (level, _), gradient in zip(flat, gradients, strict=True):
        norms.setdefault(level, []).append(gradient.detach().float().flatten(1).norm(dim=1))
    return {f"{GRADIENT}{level}": torch.cat(rows).mean() for level, rows in sorted(norms.items())}


def draw_critic(run: Path) -> list[Figure]:
    """Both figures of a run folder, as far as it holds what they need."""
    return [figure for figure in (_draw_weights(run), _draw_gradients(run)) if figure is not None]


def _draw_weights(run: Path) -> Figure | None:
    from raysynth.training.checkpoints import load_newest_checkpoint

    state = load_newest_checkpoint(run / "checkpoints")
    if state is None:
        return None
    values = np.concatenate([weights.numpy().ravel() for weights in _weights(state["model"]["critic"].items())])
    figure = MatplotlibFigure(figsize=(5.2, 3.0), layout="constrained")
    axes = figure.subplots()
    density, edges = np.histogram(values, bins=NUM_BINS, density=True)
    axes.stairs(density, edges, fill=True)
    axes.set_xlabel("weight")
    axes.set_ylabel("density")
    return Figure(
        "critic_weights",
        f"Weights of the critic, epoch {state['epoch']}",
        "Of all its convolutions and its dense layer. Clipping drives weights to the two bounds; a gradient penalty "
        "leaves them spread out.",
        figure,
    )


def _weights(state: Iterable[tuple[str, Tensor]]) -> list[Tensor]:
    """Kernels and matrices, and neither biases nor scales."""
    return [tensor.float() for _, tensor in state if tensor.ndim >= 2]


def _draw_gradients(run: Path) -> Figure | None:
    file = run / "metrics.csv"
    metrics = pd.read_csv(file) if file.is_file() else pd.DataFrame()
    names = [str(name) for name in metrics if re.fullmatch(rf"{GRADIENT}\d+", str(name))]
    columns = sorted(names, key=lambda name: int(name[len(GRADIENT) :]))
    measured = metrics[["epoch", *columns]].dropna() if columns else metrics
    if not len(measured):
        return None
    figure = MatplotlibFigure(figsize=(5.2, 3.0), layout="constrained")
    axes = figure.subplots()
    rows = np.unique(np.linspace(0, len(measured) - 1, NUM_EPOCHS_DRAWN).round().astype(int))
    for shade, row in zip(np.linspace(0.3, 1, len(rows)), measured.iloc[rows].to_dict("records"), strict=True):
        depths, norms = range(1, len(columns) + 1), [row[column] for column in columns]
        axes.plot(depths, norms, marker=".", color="#0072B2", alpha=shade, label=f"epoch {row['epoch']:.0f}")
    axes.set_yscale("log")
    axes.set_xlabel("block of the critic, from the image on")
    axes.set_ylabel("gradient norm")
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.grid(alpha=0.25)
    axes.legend(frameon=False)
    return Figure(
        "critic_gradients",
        "Gradient norm of the critic by depth",
        "Norm of the critic's gradient with respect to each block's output, mean over validation images, log scale. "
        "A steep line is a gradient that vanishes or explodes on its way to the image. Runs are comparable where their "
        "`critic` is the same: normalisation shapes gradients too.",
        figure,
        same_scale=True,
    )
