"""Checkpoints: tensors and plain values, complete or absent, read with `weights_only=True`."""

from __future__ import annotations

import pickle
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from raysynth.errors import TrainingStopped, UserError
from raysynth.files import replacing
from raysynth.models.family import Model

NUM_KEPT = 2


def save_checkpoint(folder: Path, epoch: int, state: dict[str, Any]) -> Path:
    """Write `folder/epoch_00001.pt` and remove all but the newest `NUM_KEPT`.

    The file is written beside its place, flushed to disk and renamed, and older ones go only after that, so a crash
    never leaves a broken one as the newest.
    """
    path = folder / f"epoch_{epoch:05d}.pt"
    with replacing(path) as file:
        torch.save({"epoch": epoch, **state}, file)
    for old in checkpoint_paths(folder)[:-NUM_KEPT]:
        old.unlink(missing_ok=True)
    return path


def check_finite(state: dict[str, Any]) -> None:
    """Raise TrainingStopped, naming it, when a weight or an optimiser's moment is not finite."""
    named = [(name, tensor) for name, tensor in _tensors(state) if tensor.is_floating_point() and tensor.numel()]
    if not named:
        return
    # A sum is finite only where all is: one pass a tensor, and one wait for the device in all. It may also overflow
    # where nothing else is wrong, so the elements have the last word.
    device = named[0][1].device  # an optimiser may count its steps on the CPU
    sums = torch.stack([tensor.detach().sum().float().to(device, non_blocking=True) for _, tensor in named])
    for at in (~torch.isfinite(sums)).nonzero().flatten().tolist():
        name, tensor = named[at]
        if not bool(torch.isfinite(tensor).all()):
            raise TrainingStopped(f"{name} is not finite after the last step of the epoch, which was not saved")


def load_newest_checkpoint(folder: Path) -> dict[str, Any] | None:
    """The newest checkpoint that can be read, on the CPU (a model moves it where it belongs), or None without any.

    A broken one (cut short by a full disk, say) is passed over for the one before it. Raises UserError when there
    are checkpoints and none can be read.
    """
    paths = checkpoint_paths(folder)
    problem: Exception | None = None
    for path in reversed(paths):
        try:
            state: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=True)
            return state
        except (OSError, RuntimeError, EOFError, ValueError, pickle.UnpicklingError) as error:
            problem = error
    if problem is not None:
        raise UserError(f"{folder}: none of its {len(paths)} checkpoints can be read ({problem}); train again")
    return None


def restore(model: Model, state: dict[str, Any], folder: Path) -> None:
    """Put a checkpoint's `state` of `folder` into `model`.

    Raises UserError where it does not fit: another version's networks had other parts.
    """
    try:
        model.load_state_dict(state["model"])
    except (RuntimeError, KeyError, ValueError) as error:
        reason = " ".join(str(error).split())[:200]
        raise UserError(f"{folder}: made by another version, whose networks differ ({reason}); train again") from error


def checkpoint_paths(folder: Path) -> list[Path]:
    """Complete checkpoints, oldest first."""
    return sorted(folder.glob("epoch_*.pt"))


def _tensors(value: Any, name: str = "") -> Iterator[tuple[str, Tensor]]:
    if isinstance(value, Tensor):
        yield name, value
    elif isinstance(value, dict):
        for key, item in value.items():
            yield from _tensors(item, f"{name}.{key}" if name else str(key))
    elif isinstance(value, (list, tuple)):
        for index, item in enumerate(value):
            yield from _tensors(item, f"{name}[{index}]")
