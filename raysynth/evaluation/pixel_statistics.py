"""What one pass over the images of data sets finds in their pixels: counts and sums that add up, whoever counted."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from raysynth.data.dataset import Dataset, tensor_column
from raysynth.evaluation.background import find_foreground
from raysynth.evaluation.chunks import Chunk, list_chunks, read_chunk
from raysynth.evaluation.classes import label_mapping
from raysynth.evaluation.histograms import NUM_INTENSITIES, count_intensities
from raysynth.evaluation.permutation import sum_by_group
from raysynth.evaluation.spectrum import radial_power

ALL_PIXELS, FOREGROUND = "all", "foreground"
MAX_GROUPED = 4096  # images of a set whose own histograms are kept: 2 KB each and view


@dataclass(frozen=True)
class PixelStatistics:
    """Of one split of a data set, for K classes, matched by name, and V views of the pixels: all, or foreground too.

    `histograms` (V, K, C, 256) and `num_images` (K,) are counts; `power` (K, F) is the sum over images of the power at
    each frequency (see `raysynth.evaluation.spectrum`). `grouped` (G, V, C, 256) are histograms by group and class, of
    about 4096 images drawn from the set where it has more, with the `labels` (G,) and the `groups` (G,) they are of.
    """

    views: tuple[str, ...]
    histograms: np.ndarray
    num_images: np.ndarray
    power: np.ndarray
    grouped: np.ndarray
    labels: np.ndarray
    groups: np.ndarray


def measure_pixels(
    parts: Sequence[tuple[Dataset, str]], classes: Sequence[str], *, level: int | None, with_ray: bool = True
) -> list[PixelStatistics]:
    """The statistics of each (data set, split); `level` is that of `learn_background`, None: all pixels only.

    With Ray, chunks of the Parquet shards are counted in parallel and only counts travel; a Ray session must be
    running. Images of a set of kind "synthetic" are each their own group.
    """
    datasets, splits = [dataset for dataset, _ in parts], [split for _, split in parts]
    mappings = [label_mapping(dataset.classes, classes) for dataset in datasets]
    strides = [-(-max(1, dataset.num_images(split)) // MAX_GROUPED) for dataset, split in parts]
    are_grouped = [dataset.kind == "real" for dataset in datasets]
    chunks = [chunk | {"place": place} for place, chunk in enumerate(list_chunks(datasets))]

    def measure_chunk(chunk: Chunk) -> dict[str, Any]:
        table = read_chunk(chunk, ("image", "label", "split", "group"))
        labels = mappings[chunk["set"]][table["label"].to_numpy()]
        chosen = (table["split"].to_numpy() == splits[chunk["set"]]) & (labels >= 0)
        labels = labels[chosen]
        groups = table["group"].to_numpy()[chosen].astype(str)
        if not are_grouped[chunk["set"]]:
            groups = np.array([f"{chunk['place']}-{row}" for row in range(len(labels))], dtype=str)
        # At random: generated images may come with their classes in turn, of which every second one is half.
        draw = np.random.default_rng(chunk["place"]).permutation(len(labels))
        kept = np.sort(draw[: -(-len(labels) // strides[chunk["set"]])])
        measured = measure_images(tensor_column(table, "image")[chosen], labels, len(classes), level, kept)
        identity = {"set": chunk["set"], "place": chunk["place"], "labels": labels[kept], "groups": groups[kept]}
        return measured | identity

    measured: Iterable[dict[str, Any]] = map(measure_chunk, chunks)
    if with_ray:
        import ray

        measured = ray.data.from_items(chunks, override_num_blocks=len(chunks)).map(measure_chunk).iter_rows()
    of_set: list[list[dict[str, Any]]] = [[] for _ in parts]
    for part in sorted(measured, key=lambda part: part["place"]):  # sums of floats depend on their order
        of_set[part["set"]].append(part)
    views = (ALL_PIXELS,) if level is None else (ALL_PIXELS, FOREGROUND)
    return [_add_up(found, views) for found in of_set]


def measure_images(
    images: np.ndarray, labels: np.ndarray, num_classes: int, level: int | None, kept: np.ndarray
) -> dict[str, np.ndarray]:
    """`histograms`, `num_images` and `power` as in `PixelStatistics`, and `counts` (M, V, C, 256) of the rows `kept`.

    Images are (N, C, H, W), or (N, C, D, H, W), uint8 with labels (N,) from 0.
    """
    histograms = [count_intensities(images, labels, num_classes)]
    masks = [np.ones((len(kept), *images.shape[2:]), dtype=bool)]
    if level is not None:
        foreground = find_foreground(images, level)
        inside = [(images[labels == label], foreground[labels == label]) for label in range(num_classes)]
        histograms.append(np.stack([count_masked(members, mask) for members, mask in inside]))
        masks.append(foreground[kept])
    power = radial_power(images)
    return {
        "histograms": np.stack(histograms),
        "num_images": np.bincount(labels, minlength=num_classes),
        "power": np.stack([power[labels == label].sum(axis=0) for label in range(num_classes)]),
        "counts": np.stack([count_by_image(images[kept], mask) for mask in masks], axis=1),
    }


def count_masked(images: np.ndarray, mask: np.ndarray) -> np.ndarray:
    """Pixels of each intensity (C, 256) int64 of images (N, C, ...) uint8 where mask (N, ...) is set."""
    channels = [images[:, channel][mask] for channel in range(images.shape[1])]
    return np.stack([np.bincount(pixels, minlength=NUM_INTENSITIES) for pixels in channels])


def count_by_image(images: np.ndarray, mask: np.ndarray) -> np.ndarray:
    """`count_masked` of each image on its own: (N, C, 256) uint32."""
    counts = np.zeros((*images.shape[:2], NUM_INTENSITIES), dtype=np.uint32)
    for place in range(len(images)):
        counts[place] = count_masked(images[place : place + 1], mask[place : place + 1])
    return counts


def _add_up(parts: Sequence[dict[str, Any]], views: tuple[str, ...]) -> PixelStatistics:
    filled = [part for part in parts if len(part["labels"])] or parts[:1]
    counts, labels, groups = (
        np.concatenate([part[name] for part in filled]) for name in ("counts", "labels", "groups")
    )
    keys = np.array([f"{label} {group}" for label, group in zip(labels, groups, strict=True)], dtype=str)
    _, first = np.unique(keys, return_index=True)
    return PixelStatistics(
        views=views,
        histograms=sum(part["histograms"] for part in parts),
        num_images=sum(part["num_images"] for part in parts),
        power=sum(part["power"] for part in parts),
        grouped=sum_by_group(counts, keys),
        labels=labels[first],
        groups=groups[first],
    )
