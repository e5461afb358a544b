"""Schedules over a training, as functions of its progress from 0 to 1: a resumed training goes on where it was."""

from __future__ import annotations

import math


def ramp(progress: float, start: float, length: float) -> float:
    """0 until `start`, then evenly up to 1 over `length`, all as shares of the training."""
    if length == 0:
        return float(progress >= start)
    return min(1.0, max(0.0, (progress - start) / length))


def cosine(start: float, end: float, done: float) -> float:
    """Half a cosine from `start` (done 0) to `end` (done 1)."""
    return end + (start - end) * 0.5 * (1 + math.cos(math.pi * done))
