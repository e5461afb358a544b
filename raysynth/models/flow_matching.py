"""Flow matching: a velocity that carries noise to data along straight lines (Lipman et al. 2023; rectified flow, Liu
et al. 2023). Whatever the data are: latents or images. No network is defined here.

Time runs from 0, noise, to 1, data: x_t = (1 - t) noise + t data, whose velocity is data - noise.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from raysynth.models.context import Context

# (points (N, ...), times (N,), labels (N,)) -> velocities (N, ...). The label `num_classes` stands for none.
Velocity = Callable[[Tensor, Tensor, Tensor], Tensor]


def flow_matching_errors(
    velocity: Velocity, data: Tensor, labels: Tensor, context: Context, *, name: str, label_drop: float, unlabelled: int
) -> Tensor:
    """Mean squared errors (N,) of the velocity at random times of the lines from noise to `data` (N, ...).

    Times are logit-normal, the middle of the way more often (Esser et al. 2024, eq. 19). With probability `label_drop`
    a label is replaced by `unlabelled`, so that one network knows the velocity with and without it, for guidance.
    """
    noise = context.normal(f"{name} noise", len(data), *data.shape[1:])
    times = torch.sigmoid(context.normal(f"{name} times", len(data)))
    dropped = context.uniform(f"{name} label drop", len(data)) < label_drop
    along = times.view(-1, *[1] * (data.ndim - 1))
    predicted = velocity((1 - along) * noise + along * data, times, labels.masked_fill(dropped, unlabelled))
    return (predicted.float() - (data - noise)).square().flatten(1).mean(1)


@torch.no_grad()
def integrate(
    velocity: Velocity, noise: Tensor, labels: Tensor, *, num_steps: int, guidance: float, unlabelled: int
) -> Tensor:
    """Data (N, ...) from standard normal `noise`, by Heun's method in `num_steps` steps.

    `guidance` w follows v_without + w (v_with - v_without), the velocities without and with the label (Ho & Salimans
    2022, eq. 6): 1 is the model as it is, more draws what is typical of the label.
    """

    def guided(points: Tensor, time: float) -> Tensor:
        times = torch.full((len(points),), time, device=points.device)
        with_label = velocity(points, times, labels).float()
        if guidance == 1:
            return with_label
        without = velocity(points, times, torch.full_like(labels, unlabelled)).float()
        return without + guidance * (with_label - without)

    points = noise
    for step in range(num_steps):
        start, length = step / num_steps, 1 / num_steps
        slope = guided(points, start)
        ahead = guided(points + length * slope, start + length)
        points = points + length * (slope + ahead) / 2
    return points


def embed_times(times: Tensor, num_features: int) -> Tensor:
    """Sines and cosines (N, num_features) of times (N,) in [0, 1] (Vaswani et al. 2017, sec. 3.5)."""
    half = num_features // 2
    frequencies = torch.exp(torch.linspace(0, 6.9, half, device=times.device))  # 1 to about 1000
    angles = times[:, None] * frequencies
    return torch.cat([angles.sin(), angles.cos()], 1)
