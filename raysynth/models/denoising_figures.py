"""What a denoising autoencoder makes of noise: images side by side, and PSNR and SSIM against the noise's strength."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
import torch
from matplotlib.figure import Figure as MatplotlibFigure

from raysynth.models.elbo import structural_dissimilarity
from raysynth.models.family import Figure
from raysynth.models.latent_figures import load_with_data, shown
from raysynth.models.noise import peak_signal_to_noise

if TYPE_CHECKING:
    from raysynth.data.dataset import Dataset
    from raysynth.models.denoising_vae import DenoisingVAE

NUM_IMAGES = 256  # of the validation split, at most, that the measures are means of
NUM_STRENGTHS = 9


def draw_denoising(run: Path) -> list[Figure]:
    """The figures of a run folder; none without a checkpoint or where its data set is no longer what it was."""
    loaded = load_with_data(run)
    if loaded is None:
        return []
    family, dataset = loaded
    return [_draw_images(family, dataset), _draw_measures(family, dataset)]  # type: ignore[arg-type]


def measure_denoising(family: DenoisingVAE, dataset: Dataset) -> pd.DataFrame:
    """PSNR (dB) and SSIM of noised and of denoised validation images, for strengths from 0 to twice the training's."""
    images, labels = dataset.pixels("validation")
    clean = torch.tensor(images[:NUM_IMAGES]).float() / 127.5 - 1
    of_clean = torch.tensor(labels[:NUM_IMAGES])
    rows = []
    for strength in np.linspace(0, min(1.0, 2 * family.config.noise_strength or 0.4), NUM_STRENGTHS):
        noised, denoised = family.denoise(clean, of_clean, float(strength))
        row = {"strength": float(strength)}
        for name, made in (("noised", noised), ("denoised", denoised)):
            dissimilarity = structural_dissimilarity((clean + 1) / 2, (made + 1) / 2) / clean[0].numel()
            row[f"psnr_{name}"] = peak_signal_to_noise(clean, made).clamp(max=60).mean().item()
            row[f"ssim_{name}"] = (1 - 2 * dissimilarity).mean().item()
        rows.append(row)
    return pd.DataFrame(rows)


def _draw_images(family: DenoisingVAE, dataset: Dataset) -> Figure:
    images, labels = dataset.pixels("validation")
    rows = [int(np.flatnonzero(labels == label)[0]) for label in np.unique(labels)]
    clean = torch.tensor(images[rows]).float() / 127.5 - 1
    strength = family.config.noise_strength
    noised, denoised = family.denoise(clean, torch.tensor(labels[rows]), strength)
    figure = MatplotlibFigure(figsize=(4.6, 1.5 * len(rows)), layout="constrained")
    axes = figure.subplots(len(rows), 3, squeeze=False)
    for place, label in enumerate(labels[rows]):
        for axis, title, made in zip(
            axes[place], ("ground truth", "noised", "denoised"), (clean, noised, denoised), strict=True
        ):
            axis.set_axis_off()
            axis.imshow(shown(made[place]), cmap="gray", vmin=0, vmax=1)
            axis.set_title(f"{dataset.classes[label]}, {title}" if axis is axes[place, 0] else title, fontsize=7)
    return Figure(
        "denoising",
        "Validation images, noised and denoised",
        f"{family.config.noise} noise of strength {strength:g}, the largest of the training.",
        figure,
    )


def _draw_measures(family: DenoisingVAE, dataset: Dataset) -> Figure:
    table = measure_denoising(family, dataset)
    figure = MatplotlibFigure(figsize=(8.4, 3.0), layout="constrained")
    for axes, name, title in zip(figure.subplots(1, 2), ("psnr", "ssim"), ("PSNR, dB", "SSIM"), strict=True):
        for made in ("noised", "denoised"):
            axes.plot(table["strength"], table[f"{name}_{made}"], marker=".", label=made)
        axes.axvline(family.config.noise_strength, color="grey", linestyle="--", linewidth=1)
        axes.set_xlabel(f"strength of {family.config.noise} noise")
        axes.set_title(title, fontsize=10)
        axes.grid(alpha=0.25)
        axes.legend(frameon=False)
    return Figure(
        "denoising_measures",
        "PSNR and SSIM against the noise's strength",
        f"Means over {min(NUM_IMAGES, dataset.num_images('validation'))} validation images, against the clean ones; "
        "the dashed line is the largest strength of the training. Where the curves cross, denoising begins to pay.",
        figure,
    )
