"""Features of images in the two networks that judge them, computed once for a set and shared by all scores.

The scoring network has learnt the classes at hand and little else; the backbone has learnt ImageNet and nothing of
these images. What both call close is close for two reasons.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from raysynth.data.dataset import Dataset, tensor_column
from raysynth.data.locations import Location, locate
from raysynth.data.slices import middle_slices
from raysynth.evaluation.classes import label_mapping
from raysynth.evaluation.classifiers import THREADS
from raysynth.evaluation.tasks import run_tasks

SCORING, BACKBONE = "scoring", "backbone"
SPACES = (SCORING, BACKBONE)
MAX_IMAGES = 1024  # of a set, drawn from it: scores rest on as many as there are validation images
_ROWS = 64  # images of a task


@dataclass(frozen=True)
class FeatureSet:
    """Images of one split: features (N, D) float by space, labels (N,) among the real set's classes, groups (N,)."""

    features: dict[str, np.ndarray]
    labels: np.ndarray
    groups: np.ndarray


class FeatureExtractor:
    """Both networks' features of rows of data sets."""

    def __init__(self, chosen: Sequence[tuple[Dataset, np.ndarray]], scoring_network: str) -> None:
        """`chosen` are data sets and the numbers of their rows; `scoring_network` is a file."""
        import torch

        from raysynth.evaluation.scoring_network import load_scoring_network
        from raysynth.models.backbone import load_backbone

        torch.set_num_threads(THREADS)
        self.chosen = chosen
        self.scoring = load_scoring_network(locate(scoring_network))
        self.backbone = load_backbone().eval().requires_grad_(False)

    def __call__(self, batch: dict[str, Any]) -> dict[str, np.ndarray]:
        """One task {set, start} as columns, to one row an image: set, row and its features in each space."""
        index, start = int(batch["set"][0]), int(batch["start"][0])
        dataset, rows = self.chosen[index]
        images = tensor_column(dataset.take(["image"], rows[start : start + _ROWS]), "image")
        return {
            "set": np.full(len(images), index),
            "row": np.arange(start, start + len(images)),
            SCORING: self.scoring.features(images).astype(np.float32),
            BACKBONE: self.backbone_features(images),
        }

    def backbone_features(self, images: np.ndarray) -> np.ndarray:
        """Features (N, D) float32 of images (N, C, H, W), or (N, 3 D) of volumes, uint8.

        Of a volume those of its axial, coronal and sagittal middle slice, joined; of images that are neither grey nor
        in three channels those of the channels' mean.
        """
        import torch

        from raysynth.data.batches import to_float

        if images.shape[1] not in (1, 3):
            images = images.mean(axis=1, keepdims=True).round().astype(np.uint8)
        views = (images,) if images.ndim == 4 else middle_slices(images)
        with torch.inference_mode():
            parts = [self.backbone(to_float(torch.from_numpy(np.array(view)))).numpy() for view in views]
        return np.concatenate(parts, axis=1)


def extract_features(
    parts: Sequence[tuple[Dataset, str]], classes: Sequence[str], scoring_network: Location, *, with_ray: bool
) -> list[FeatureSet]:
    """Features of each (data set, split), of 1024 images drawn from it where it has more.

    Images of a set of kind "synthetic" are each their own group. With Ray its processes, one a CPU, share the work;
    a session must be running.
    """
    chosen, labels, groups = [], [], []
    for dataset, split in parts:
        table = dataset.read(["label", "split", "group"])
        own = label_mapping(dataset.classes, classes)[table["label"].to_numpy()]
        rows = np.flatnonzero((table["split"].to_numpy() == split) & (own >= 0))
        if len(rows) > MAX_IMAGES:
            rows = np.sort(np.random.default_rng(0).choice(rows, MAX_IMAGES, replace=False))
        chosen.append((replace(dataset, path=dataset.path.resolve()), rows))  # Ray's processes work in another folder
        labels.append(own[rows])
        groups.append(table["group"].to_numpy()[rows] if dataset.kind == "real" else rows)
    tasks = [
        {"set": index, "start": start} for index, (_, rows) in enumerate(chosen) for start in range(0, len(rows), _ROWS)
    ]
    arguments = (chosen, str(scoring_network.resolve()))
    batches = list(run_tasks(FeatureExtractor, arguments, tasks, with_ray=with_ray))
    table = {name: np.concatenate([batch[name] for batch in batches]) for name in ("set", "row", *SPACES)}
    found = []
    for index in range(len(parts)):
        own_rows = np.flatnonzero(table["set"] == index)
        own_rows = own_rows[np.argsort(table["row"][own_rows])]
        features = {space: table[space][own_rows] for space in SPACES}
        found.append(FeatureSet(features, labels[index], groups[index]))
    return found
