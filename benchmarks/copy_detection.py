"""How many planted copies the copy test finds, where 1 % of held-out real images may be called copies.

Planted are exact and mirrored copies of train images, noised, blurred, darker, shifted and turned ones, and what
trained autoencoders make of them. Beside them stand what must not be found: test images, by which
nothing was chosen, and what the autoencoders make of validation images. With --layer, a late layer of a network
pre-trained on ImageNet is a view too (the last, and the slowest).

python benchmarks/copy_detection.py DATASET [--vae RUN]... [--synthetic DATASET]... [--num 300]
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable

import numpy as np
import torch
import torch.nn.functional as F

from raysynth.data.audit.appearance import blur
from raysynth.data.dataset import load_dataset
from raysynth.evaluation.copy_reference import FALSE_ALARMS, CopyReference, build_reference, threshold_of
from raysynth.evaluation.copy_views import NUM_DECIDING, VIEWS, to_unit, view_vectors
from raysynth.intervals import wilson_interval
from raysynth.models.autoencoding import AutoencodingFamily
from raysynth.models.backbone import load_backbone
from raysynth.models.context import Context
from raysynth.training.pretrained import load_pretrained

SEED = 0


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("dataset", help="real data set")
    parser.add_argument(
        "--vae", action="append", default=[], help="run of an autoencoder trained on it; may be repeated"
    )
    parser.add_argument("--synthetic", action="append", default=[], help="synthetic data set; may be repeated")
    parser.add_argument("--layer", action="store_true", help="look at a layer of EfficientNet-Lite0 as well")
    parser.add_argument("--num", type=int, default=300, help="train images that are planted")
    options = parser.parse_args()

    real = load_dataset(options.dataset)
    images, labels = real.pixels("train")
    validation, validation_labels = real.pixels("validation")
    started = time.perf_counter()
    describe = with_layer(images) if options.layer else view_vectors
    reference = build_reference(real, describe, NUM_DECIDING + options.layer)
    if reference is None:
        raise SystemExit(f"{options.dataset}: too few validation images")
    print(
        f"reference of {len(images)} train, {len(validation)} validation images: {time.perf_counter() - started:.0f} s"
    )
    chosen = np.sort(np.random.default_rng(SEED).permutation(len(images))[: options.num])
    originals = images[chosen]
    planted = {name: (copies, True) for name, copies in degrade(originals).items()}
    for number, run in enumerate(options.vae, start=1):
        planted[f"reconstructed by {number}"] = reconstruct(run, originals, labels[chosen]), True
        planted[f"held-out, reconstructed by {number}"] = reconstruct(run, validation, validation_labels), False
    if real.num_images("test"):
        planted["test images"] = real.pixels("test")[0], False
    for path in options.synthetic:
        dataset = load_dataset(path)
        planted[dataset.name] = dataset.pixels("train")[0], False
    report(reference, planted, chosen)


def degrade(images: np.ndarray) -> dict[str, np.ndarray]:
    """Copies (N, C, H, W) uint8 of images by name."""
    generator = torch.Generator().manual_seed(SEED)
    pixels = torch.from_numpy(images).float()
    side = pixels.shape[-1]
    copies = {"exact": pixels, "mirrored": pixels.flip(-1), "darker, less contrast": pixels * 0.8 + 10}
    for deviation in (5, 10, 25, 50):
        copies[f"noise of {deviation} grey values"] = (
            pixels + torch.randn(pixels.shape, generator=generator) * deviation
        )
    for sigma in (1.0, 2.0):
        blurred = blur(pixels.flatten(0, 1), sigma * side / 64).view_as(pixels)
        copies[f"blurred by {sigma:.0f} px of 64"] = blurred
    copies["shifted by 1/32"] = torch.roll(pixels, (side // 32, side // 32), (-2, -1))
    angle = torch.tensor(np.deg2rad(5.0)).float()
    turn = torch.stack([torch.stack([angle.cos(), -angle.sin()]), torch.stack([angle.sin(), angle.cos()])])
    maps = torch.cat([turn, torch.zeros(2, 1)], dim=1).expand(len(pixels), 2, 3)
    grid = F.affine_grid(maps, list(pixels.shape), align_corners=False)
    copies["turned by 5 degrees"] = F.grid_sample(pixels, grid, padding_mode="border", align_corners=False)
    return {name: copy.round().clamp(0, 255).to(torch.uint8).numpy() for name, copy in copies.items()}


@torch.no_grad()
def reconstruct(run: str, images: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """What a trained autoencoder makes of images (N, C, H, W) uint8."""
    family = load_pretrained(run, Context())
    if not isinstance(family, AutoencodingFamily):
        raise SystemExit(f"--vae {run}: not a run of an autoencoder")
    parts = [
        family.reconstruct(torch.from_numpy(images[rows]).float() / 127.5 - 1, torch.from_numpy(labels[rows]))
        for rows in np.array_split(np.arange(len(images)), max(1, len(images) // 64))
    ]
    return ((torch.cat(parts) + 1) * 127.5).round().clamp(0, 255).to(torch.uint8).numpy()


def with_layer(train_images: np.ndarray) -> Callable[[np.ndarray], list[np.ndarray]]:
    """The views, and features of block 14 of EfficientNet-Lite0 over the image's quarters, standardised by train's."""
    network = load_backbone(side=64).eval().requires_grad_(False)
    store: list[torch.Tensor] = []
    network.body.get_submodule("_blocks.14").register_forward_hook(lambda module, inputs, output: store.append(output))

    def features(images: np.ndarray) -> np.ndarray:
        parts = []
        for start in range(0, len(images), 256):
            network(torch.from_numpy(images[start : start + 256].copy()).float() / 127.5 - 1)
            parts.append(F.adaptive_avg_pool2d(store.pop(), 2).flatten(1).numpy())
        return np.concatenate(parts)

    of_train = features(train_images)
    mean, deviation = of_train.mean(axis=0), of_train.std(axis=0) + 1e-3
    return lambda images: [*view_vectors(images), to_unit((features(images) - mean) / deviation)]


def report(reference: CopyReference, planted: dict[str, tuple[np.ndarray, bool]], chosen: np.ndarray) -> None:
    """A row a kind: how many are found, in all and by each view alone, and how often the original is the nearest."""
    alone = [threshold_of(scores) for scores in reference.held_out_found.view_scores[reference.calibrating].T]
    # What is found where 5 % of held-out images may be.
    looser = threshold_of(reference.held_out_found.score[reference.calibrating], 0.05)
    views = [*VIEWS, "layer"][: len(alone)]
    header = ["n", "found", "95 % interval", "at 5 %", "original nearest", *views, "images/s"]
    print(f"found at {FALSE_ALARMS:.0%} false alarms | " + " | ".join(header))
    for name, (images, is_planted) in planted.items():
        started = time.perf_counter()
        found = reference.find(images)
        seconds = time.perf_counter() - started
        share = float(reference.is_copy(found).mean())
        low, high = wilson_interval(share, len(images))
        groups = reference.real.train.groups
        hits = f"{np.mean(groups[found.nearest] == groups[chosen]):.2f}" if is_planted else "-"
        cells = [
            f"{len(images)}",
            f"{share:.3f}",
            f"{low:.3f}-{high:.3f}",
            f"{np.mean(found.score < looser):.3f}",
            hits,
        ]
        cells += [f"{np.mean(scores < limit):.2f}" for scores, limit in zip(found.view_scores.T, alone, strict=True)]
        print(" | ".join([f"{name:32}", *cells, f"{len(images) / seconds:.0f}"]), flush=True)


if __name__ == "__main__":
    main()
