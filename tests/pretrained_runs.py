"""Runs for the families that start from a pre-trained one: fresh networks in a checkpoint, for any shape."""

from __future__ import annotations

import atexit
import functools
import shutil
import tempfile
from pathlib import Path

import numpy as np

from raysynth.data.dataset_writer import write_dataset
from raysynth.models.context import Context
from raysynth.models.registry import get_family
from raysynth.training.checkpoints import save_checkpoint
from raysynth.training.run_folder import RunFolder
from raysynth.training.worker import build_family

SOURCES: dict[str, tuple[str, dict[str, object]]] = {  # by the family that starts from it
    "latent_flow": ("cvae", {"width": 2, "latent_dim": 8, "encoder": "conv3", "decoder": "deconv3"}),
    "transfer_cvae": ("denoising_vae", {"width": 2, "latent_dim": 8, "depth": 4}),
}


def pretrained_overrides(
    family: str, shape: tuple[int, ...], num_classes: int = 3, classes: tuple[str, ...] | None = None
) -> dict[str, str]:
    """`{"pretrained": RUN}` for a family that needs one, for images of a shape; else nothing."""
    if family not in SOURCES:
        return {}
    return {"pretrained": str(pretrained_run(family, shape, num_classes, classes))}


@functools.cache
def pretrained_run(
    wanted_by: str,
    shape: tuple[int, ...],
    num_classes: int,
    classes: tuple[str, ...] | None = None,
    **overrides: object,
) -> Path:
    """The folder of a run, which was not trained, of what a family starts from; `overrides` are of its options."""
    source, options = SOURCES[wanted_by]
    options = {**options, **overrides}
    folder = Path(tempfile.mkdtemp(prefix="raysynth-pretrained-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    labels = np.arange(2 * num_classes) % num_classes
    dataset = write_dataset(
        folder / "data",
        name="pretraining",
        kind="real",
        classes=classes or [f"class {k}" for k in range(num_classes)],
        images=np.random.default_rng(0).integers(0, 255, (len(labels), *shape), dtype=np.uint8),
        columns={"id": [str(i) for i in range(len(labels))], "label": labels, "split": ["train"] * len(labels)},
        source={"made_by": "tests"},
    )
    config = get_family(source).Config(**options).model_dump()
    run = RunFolder.create(folder / "run", family=source, dataset=dataset, num_epochs=1, config=config)
    family = build_family(run.settings(), Context())
    save_checkpoint(run.checkpoints, 1, {"model": family.state_dict()})
    run.write_status("finished", 1)
    return run.path
