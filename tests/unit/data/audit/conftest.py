"""Fixtures of the tests of the audit: phantoms, copies of them, and data sets and subjects that hold them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from raysynth.data.audit import shortcuts
from raysynth.data.audit.subject import Subject
from raysynth.data.dataset import Dataset
from raysynth.data.dataset_writer import write_dataset
from raysynth.data.phantom import CLASSES, draw_slice
from raysynth.data.thumbnails import hash_pixels

MakeSet = Callable[..., Dataset]
MakeSubject = Callable[..., Subject]


@pytest.fixture(scope="session")
def draw() -> Callable[..., np.ndarray]:
    """Function of (number of images, seed): thumbnails (N, 64, 64) of as many patients."""

    def draw(num_images: int, seed: int = 0) -> np.ndarray:
        return np.stack(
            [
                draw_slice(
                    CLASSES[i % len(CLASSES)],
                    64,
                    patient=np.random.default_rng([seed, i]),
                    rng=np.random.default_rng([seed, i, 1]),
                )
                for i in range(num_images)
            ]
        )

    return draw


@pytest.fixture(scope="session")
def change() -> Callable[[np.ndarray, str], np.ndarray]:
    """Function of (thumbnail, name of a change): the changed copy, 64 x 64 pixels."""
    rng = np.random.default_rng(0)

    def crop(image: np.ndarray) -> np.ndarray:  # 57/64 wide, 56/64 high
        return np.asarray(Image.fromarray(image).crop((3, 4, 60, 60)).resize((64, 64)))

    def noise(image: np.ndarray) -> np.ndarray:
        return (image + rng.normal(0, 4, image.shape)).clip(0, 255).astype(np.uint8)

    changes = {
        "none": lambda image: image,
        "left-right": lambda image: image[:, ::-1],
        "up-down": lambda image: image[::-1],
        "turned left": lambda image: np.rot90(image),
        "turned right": lambda image: np.rot90(image, 3),
        "half turn": lambda image: np.rot90(image, 2),
        "transposed": lambda image: image.T,
        "cropped": crop,
        "gamma": lambda image: (255 * (image / 255) ** 0.7).round().astype(np.uint8),
        "window": lambda image: (image * 0.7 + 10).astype(np.uint8),
        "resized": lambda image: np.asarray(Image.fromarray(image).resize((48, 48)).resize((64, 64))),
        "noise": noise,
        "inverted": lambda image: 255 - image,
        "inverted, mirrored": lambda image: 255 - image[:, ::-1],
    }
    return lambda image, name: np.ascontiguousarray(changes[name](image))


@pytest.fixture
def few_trees(monkeypatch: pytest.MonkeyPatch) -> None:
    """The shortcut rules with fewer trees: how good they are is tested elsewhere."""
    monkeypatch.setattr(shortcuts, "NUM_TREES", 5)


@pytest.fixture
def make_set(tmp_path: Path) -> MakeSet:
    """Function that writes a data set of thumbnails (N, 64, 64) with the class and the split of each."""

    def make_set(
        name: str,
        thumbnails: np.ndarray,
        classes: Sequence[str],
        splits: Sequence[str],
        *,
        images: np.ndarray | None = None,
        **columns: Any,
    ) -> Dataset:
        names = sorted(set(classes))
        return write_dataset(
            tmp_path / name,
            name=name,
            kind="real",
            classes=names,
            images=thumbnails[:, None, ::4, ::4] if images is None else images,
            columns={
                "id": [f"{name}-{i:03d}" for i in range(len(thumbnails))],
                "label": [names.index(class_name) for class_name in classes],
                "split": list(splits),
                "thumbnail": thumbnails,
                "pixel_hash": [hash_pixels(picture) for picture in thumbnails],
                **columns,
            },
            source={},
        )

    return make_set


@pytest.fixture(scope="session")
def make_subject() -> MakeSubject:
    """Function that makes a subject of N images of which the columns that matter are given."""

    def make_subject(num_images: int, **columns: Any) -> Subject:
        values: dict[str, Any] = {
            "name": "here",
            "ids": [f"id{i}" for i in range(num_images)],
            "paths": [f"path{i}" for i in range(num_images)],
            "classes": ["a"] * num_images,
            "splits": ["train"] * num_images,
            "groups": [""] * num_images,
            "hashes": [f"{i:04d}" for i in range(num_images)],
            "thumbnails": np.zeros((num_images, 64, 64), dtype=np.uint8),
            "source_splits": [None] * num_images,
            "source_groups": [None] * num_images,
            "widths": [10] * num_images,
            "heights": [10] * num_images,
            "formats": ["PNG"] * num_images,
        } | columns
        for name in ("classes", "splits"):
            values[name] = np.array(values[name], dtype=object)
        return Subject(**values)

    return make_subject
