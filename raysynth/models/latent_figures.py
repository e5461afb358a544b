"""What an autoencoder makes of validation images: reconstructions, and for two latent numbers the plane."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
from matplotlib.figure import Figure as MatplotlibFigure

from raysynth.data.batches import in_order
from raysynth.errors import UserError
from raysynth.models.context import Context
from raysynth.models.family import Figure

if TYPE_CHECKING:
    from raysynth.data.dataset import Dataset
    from raysynth.models.autoencoding import AutoencodingFamily

NUM_IMAGES = 4  # of each class
PLANE_SIDE, PLANE_EXTENT = 11, 2.5  # images a side, and the latent numbers that they span


def draw_latents(run: Path) -> list[Figure]:
    """The figures of a run folder; none without a checkpoint or where its data set is no longer what it was."""
    loaded = load_with_data(run)
    if loaded is None:
        return []
    family, dataset = loaded
    figures = [_draw_reconstructions(family, dataset)]
    if family.num_latents == 2:
        figures.append(_draw_plane(family, dataset))
    return figures


def load_with_data(run: Path) -> tuple[AutoencodingFamily, Dataset] | None:
    """The autoencoder of a run, as it was trained, and its data set; None where one of them is gone or has changed."""
    from raysynth.data.dataset import load_dataset
    from raysynth.training.checkpoints import load_newest_checkpoint
    from raysynth.training.run_folder import RunFolder
    from raysynth.training.worker import build_family

    settings, state = RunFolder(run).settings(), load_newest_checkpoint(run / "checkpoints")
    try:
        dataset = load_dataset(settings["data"]["path"])
        if state is None or dataset.fingerprint != settings["data"]["fingerprint"]:
            return None
        family: AutoencodingFamily = build_family(settings, Context())  # type: ignore[assignment]
    except UserError:  # moved or deleted, or a pre-trained run is: the other figures still can be drawn
        return None
    family.load_state_dict(state["model"])
    return family, dataset


def _errors(family: AutoencodingFamily, dataset: Dataset) -> str:
    """Both terms on validation and test images, in words."""
    parts = []
    for split in ("validation", "test"):
        totals: dict[str, float] = {}
        images, labels = dataset.pixels(split)
        for batch, of_batch in in_order(images, labels, batch_size=64, device=torch.device("cpu")):
            for name, value in family.validate(batch, of_batch).items():
                totals[name] = totals.get(name, 0.0) + float(value) * len(batch) / len(images)
        if totals:
            words = {"validation_reconstruction": "reconstruction error", "validation_kl": "KL"}
            said = ", ".join(f"{words[name]} {value:.1f}" for name, value in totals.items())
            parts.append(f"{split} {said} (n = {len(images)})")
    return "; ".join(parts)


def _draw_reconstructions(family: AutoencodingFamily, dataset: Dataset) -> Figure:
    images, labels = dataset.pixels("validation")
    figure = MatplotlibFigure(figsize=(1.0 * 2 * NUM_IMAGES, 1.0 * len(dataset.classes) + 0.3), layout="constrained")
    axes = figure.subplots(len(dataset.classes), 2 * NUM_IMAGES, squeeze=False)
    for axis in axes.flat:
        axis.set_axis_off()
    for label, name in enumerate(dataset.classes):
        rows = np.flatnonzero(labels == label)[:NUM_IMAGES]
        real = torch.tensor(images[rows]).float() / 127.5 - 1
        decoded = family.reconstruct(real, torch.full((len(rows),), label))
        for place, pair in enumerate(zip(real, decoded, strict=True)):
            for offset, image in enumerate(pair):
                axes[label, 2 * place + offset].imshow(shown(image), cmap="gray", vmin=0, vmax=1)
        axes[label, 0].set_title(name, fontsize=8, loc="left")
    return Figure(
        "reconstructions",
        "Validation images beside their reconstructions",
        "Each pair: an image that the training has not seen, and what the decoder makes of its latent's mean. Means of "
        f"an image: {_errors(family, dataset)}.",
        figure,
    )


def _draw_plane(family: AutoencodingFamily, dataset: Dataset) -> Figure:
    images, labels = dataset.pixels("validation")
    with torch.no_grad():
        means, _ = family.encode(torch.tensor(images).float() / 127.5 - 1, torch.tensor(labels))
    figure = MatplotlibFigure(figsize=(9.0, 4.4), layout="constrained")
    left, right = figure.subplots(1, 2)
    for label, name in enumerate(dataset.classes):
        left.plot(*means[torch.tensor(labels == label)].T, ".", markersize=4, label=name)
    left.set_xlabel("first latent number")
    left.set_ylabel("second latent number")
    left.set_aspect("equal", "datalim")
    left.legend(frameon=False, fontsize=8)
    line = torch.linspace(-PLANE_EXTENT, PLANE_EXTENT, PLANE_SIDE)
    latents = torch.cartesian_prod(line.flip(0), line).flip(1)  # rows from the top: the second number falls
    decoded = family.decode(latents, torch.zeros(len(latents), dtype=torch.long))
    tiles = np.stack([shown(image) for image in decoded]).reshape(PLANE_SIDE, PLANE_SIDE, *shown(decoded[0]).shape)
    sheet = np.concatenate(np.concatenate(tiles, axis=1), axis=1)
    right.imshow(sheet, cmap="gray", vmin=0, vmax=1, extent=(-PLANE_EXTENT, PLANE_EXTENT, -PLANE_EXTENT, PLANE_EXTENT))
    return Figure(
        "latent_plane",
        "The latent plane",
        f"Left: means of the validation images' latents. Right: what is decoded there, as {dataset.classes[0]}.",
        figure,
    )


def shown(image: torch.Tensor) -> np.ndarray:
    """An image (C, H, W) in [-1, 1] as (H, W), or (H, W, 3), in [0, 1]."""
    pixels: np.ndarray = ((image + 1) / 2).clamp(0, 1).permute(1, 2, 0).numpy()
    return pixels[..., 0] if pixels.shape[2] == 1 else pixels
