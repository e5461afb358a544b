"""Flow matching: a velocity that carries noise to data along straight lines (Lipman et al. 2023; rectified flow, Liu
et al. 2023). Whatever the data are: latents or images. No network is defined here.

Time runs from 0, noise, to 1, data: x_t = (1 - t) noise + t data, whose velocity is data - noise.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from pydantic import Field, ValidationInfo, field_validator
from torch import Tensor

from raysynth.config import Config
from raysynth.models.context import Context, seeded_normal

NUM_TIME_FEATURES = 64
SAMPLING_OPTIONS = ("guidance", "num_steps")

# (points (N, ...), times (N,), labels (N,)) -> velocities (N, ...). The label `num_classes` stands for none.
Velocity = Callable[[Tensor, Tensor, Tensor], Tensor]


def flow_matching_errors(velocity: Velocity, data: Tensor, labels: Tensor, noise: Tensor, times: Tensor) -> Tensor:
    """Mean squared errors (N,) of the velocity at `times` (N,) of the lines from `noise` to `data`, both (N, ...)."""
    along = times.view(-1, *[1] * (data.ndim - 1))
    predicted = velocity((1 - along) * noise + along * data, times, labels)
    return (predicted.float() - (data - noise)).square().flatten(1).mean(1)


def training_errors(
    velocity: Velocity, data: Tensor, labels: Tensor, context: Context, *, label_drop: float, unlabelled: int
) -> Tensor:
    """The errors (N,) at random times. Times are logit-normal, the middle of the way more often (Esser et al. 2024,
    eq. 19). With probability `label_drop` a label is replaced by `unlabelled`, so that one network knows the velocity
    with and without it, for guidance."""
    noise = context.normal("flow noise", len(data), *data.shape[1:])
    times = torch.sigmoid(context.normal("flow times", len(data)))
    dropped = context.uniform("label drop", len(data)) < label_drop
    return flow_matching_errors(velocity, data, labels.masked_fill(dropped, unlabelled), noise, times)


def validation_errors(velocity: Velocity, data: Tensor, labels: Tensor, seeds: Tensor) -> Tensor:
    """The errors (N,) at noise and times that depend on `seeds` (N,) alone, so that epochs can be compared."""
    noise = seeded_normal(seeds, *data.shape[1:]).to(data.device)
    times = torch.sigmoid(seeded_normal(seeds + 1, 1)[:, 0]).to(data.device)
    return flow_matching_errors(velocity, data, labels, noise, times)


class Guidance(Config):
    """The options of sampling with guidance, and of the training that makes it possible."""

    guidance: float = Field(default=1.5, ge=0, description="of samples; 1: none, more: more typical of the label")
    num_steps: int = Field(default=16, gt=0, description="steps from noise to data")
    label_drop: float = Field(default=0.1, ge=0, lt=1, description="share of labels that the network is not told")

    @field_validator("label_drop")
    @classmethod
    def _allow_guidance(cls, label_drop: float, info: ValidationInfo) -> float:
        if label_drop == 0 and info.data.get("guidance", 1) != 1:
            raise ValueError("guidance needs a network that is not always told the label; want more, or guidance=1")
        return label_drop


@torch.no_grad()
def integrate(
    velocity: Velocity, noise: Tensor, labels: Tensor, *, num_steps: int, guidance: float, unlabelled: int
) -> Tensor:
    """Data (N, ...) from standard normal `noise` in `num_steps` steps, by the method of Adams and Bashforth of second
    order, which needs one velocity a step (two in the first, Heun's), none at the end, where all is data already. Of
    learnt velocities it was far closer to many small steps than Heun's method throughout; why was not found out.

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

    points, length = noise, 1 / num_steps
    before: Tensor | None = None
    for step in range(num_steps):
        slope = guided(points, step * length)
        if num_steps == 1:
            mean = slope
        elif before is None:
            mean = (slope + guided(points + length * slope, length)) / 2
        else:
            mean = (3 * slope - before) / 2
        points, before = points + length * mean, slope
    return points


def embed_times(times: Tensor) -> Tensor:
    """Sines and cosines (N, NUM_TIME_FEATURES) of times (N,) in [0, 1] (Vaswani et al. 2017, sec. 3.5)."""
    half = NUM_TIME_FEATURES // 2
    frequencies = torch.exp(torch.linspace(0, 6.9, half, device=times.device))  # 1 to about 1000
    angles = times[:, None] * frequencies
    return torch.cat([angles.sin(), angles.cos()], 1)
