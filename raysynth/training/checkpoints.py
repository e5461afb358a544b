"""Checkpoints: tensors and plain values, complete or absent, read with `weights_only=True`."""

from __future__ import annotations

import pickle
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from raysynth.errors import TrainingStopped, UserError
from raysynth.files import replacing
from raysynth.models.family import Model

NUM_KEPT = 2


def save_checkpoint(
    folder: Path, epoch: int, state: dict[str, Any], *, step: int = 0, num_kept: int = NUM_KEPT
) -> Path:
    """Write `folder/epoch_00001.pt` and remove all but the newest `num_kept`.

    With `step` it is `epoch_00001_step_00020.pt`: 20 steps into the epoch after that. The file is written beside its
    place, flushed to disk and renamed, and older ones go only after that, so a crash never leaves a broken one as the
    newest.
    """
    path = folder / (f"epoch_{epoch:05d}_step_{step:05d}.pt" if step else f"epoch_{epoch:05d}.pt")
    with replacing(path) as file:
        torch.save({"epoch": epoch, **state}, file)
    for old in checkpoint_paths(folder)[:-num_kept]:
        old.unlink(missing_ok=True)
    return path


def check_finite(state: dict[str, Any]) -> None:
    """Raise TrainingStopped, naming it, when a weight or an optimiser's moment is not finite."""
    named = [(name, tensor) for name, tensor in named_tensors(state) if tensor.is_floating_point() and tensor.numel()]
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


def load_newest_checkpoint(folder: Path, *, say: Callable[[str], None] | None = None) -> dict[str, Any] | None:
    """The newest checkpoint that can be read, on the CPU (a model moves it where it belongs), or None without any.

    A broken one (cut short by a full disk, say) is passed over for the one before it, and `say` is told. Raises
    UserError when there are checkpoints and none can be read.
    """
    paths = checkpoint_paths(folder)
    problem: Exception | None = None
    for path in reversed(paths):
        try:
            state: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=True)
            if problem is not None and say is not None:
                say(f"{folder}: {paths[-1].name} cannot be read ({brief(problem)}); {path.name} is used in its place")
            return state
        except (OSError, RuntimeError, EOFError, ValueError, pickle.UnpicklingError) as error:
            problem = error
    if problem is not None:
        raise UserError(f"{folder}: none of its {len(paths)} checkpoints can be read ({brief(problem)}); train again")
    return None


def brief(problem: Exception) -> str:
    """Its first sentence: torch's go on with advice to switch the protection off."""
    return " ".join(str(problem).split()).partition(". ")[0][:200] or type(problem).__name__


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


def named_tensors(value: Any, name: str = "") -> Iterator[tuple[str, Tensor]]:
    """The tensors of nested dicts and lists, with their places, e.g. `optimizer.moments[1]`."""
    if isinstance(value, Tensor):
        yield name, value
    elif isinstance(value, dict):
        for key, item in value.items():
            yield from named_tensors(item, f"{name}.{key}" if name else str(key))
    elif isinstance(value, (list, tuple)):
        for index, item in enumerate(value):
            yield from named_tensors(item, f"{name}[{index}]")
