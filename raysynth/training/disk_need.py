"""How much disk trainings will need, said and checked before they begin."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path

import torch

from raysynth.data.locations import Location, locate
from raysynth.errors import UserError
from raysynth.models.family import Family
from raysynth.training.checkpoints import named_tensors

# Beside the checkpoints: samples, events, metrics, hashes of the images; measured at 0.2 to 2 MB.
REST_BYTES = 2_000_000
NUM_MOMENTS = 2  # of Adam's for each weight, which an optimiser has only after its first step


def run_bytes(model: Family) -> int:
    """What the run folder of a fresh model will hold at most: its checkpoints, and one more that is being written."""
    optimisers = [value for value in vars(model).values() if isinstance(value, torch.optim.Optimizer)]
    trained = [weight for optimiser in optimisers for group in optimiser.param_groups for weight in group["params"]]
    tensors = [tensor for _, tensor in named_tensors(model.state_dict())]
    checkpoint = sum(tensor.numel() * tensor.element_size() for tensor in tensors)
    checkpoint += NUM_MOMENTS * sum(weight.numel() * weight.element_size() for weight in trained)
    return (model.config.num_checkpoints + 1) * checkpoint + REST_BYTES


def refuse_full(out: Location | str, num_bytes: int, what: str) -> None:
    """Raise UserError when the disk of `out`, or of the working folders of a bucket, has no room for `what`."""
    folder = locate(out)
    folder = (folder if isinstance(folder, Path) else Path(tempfile.gettempdir())).absolute()
    existing = next(path for path in (folder, *folder.parents) if path.exists())
    free = shutil.disk_usage(existing).free
    if num_bytes > free:
        raise UserError(
            f"--out {out}: {what} may need {format_bytes(num_bytes)}, {format_bytes(free)} are free there; make room "
            "(`raysynth clean` lists what can go), choose another disk, or --set num_checkpoints=1"
        )


def format_bytes(num_bytes: float) -> str:
    """Bytes as `12 kB`, `3.4 MB` or `5.6 GB`."""
    for unit, size in (("GB", 1e9), ("MB", 1e6)):
        if num_bytes >= size:
            return f"{num_bytes / size:.1f} {unit}"
    return f"{num_bytes / 1e3:.0f} kB"
