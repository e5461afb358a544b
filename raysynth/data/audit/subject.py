"""What an audit looks at: one row an image, from a data set or from an import that is not written yet."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from raysynth.data.audit.shortcuts import Columns
from raysynth.data.dataset import Dataset, tensor_column


@dataclass(frozen=True)
class Subject:
    """Images of one data set. `thumbnails` (N, 64, 64) and `images` (N, C, H, W) are uint8, the rest is (N,).

    Of volumes (N, C, D, H, W) a thumbnail shows three slices and a mean (see `raysynth.data.thumbnails.thumbnail`).

    `images` is None where shortcuts are not asked for. `source_splits` are those of the source's own folders, None
    where it has none; `source_groups` those that the user or the files gave.
    """

    name: str
    ids: Sequence[str]
    paths: Sequence[str | None]
    classes: np.ndarray
    splits: np.ndarray
    groups: Sequence[str]
    hashes: Sequence[str]
    thumbnails: np.ndarray
    source_splits: Sequence[str | None]
    source_groups: Sequence[str | None]
    widths: Sequence[int | None]
    heights: Sequence[int | None]
    formats: Sequence[str | None]
    images: np.ndarray | None = None
    fingerprint: str = ""

    @classmethod
    def read(cls, dataset: Dataset, *, with_images: bool = True) -> Subject:
        """All images of a data set."""
        columns = ["id", "label", "split", "group", "pixel_hash", "source_path", "source_split", "source_group"]
        columns += ["source_width", "source_height", "source_format", "thumbnail", *(["image"] if with_images else [])]
        table = dataset.read(columns)
        values = {name: table[name].to_pylist() for name in columns if name not in ("thumbnail", "image", "label")}
        return cls(
            name=dataset.name,
            ids=values["id"],
            paths=values["source_path"],
            classes=np.array(dataset.classes, dtype=object)[table["label"].to_numpy()],
            splits=np.array(values["split"], dtype=object),
            groups=values["group"],
            hashes=values["pixel_hash"],
            thumbnails=tensor_column(table, "thumbnail"),
            source_splits=values["source_split"],
            source_groups=values["source_group"],
            widths=values["source_width"],
            heights=values["source_height"],
            formats=values["source_format"],
            images=tensor_column(table, "image") if with_images else None,
            fingerprint=dataset.fingerprint,
        )

    def __len__(self) -> int:
        return len(self.ids)

    @property
    def of_volumes(self) -> bool:
        """Whether `images` are volumes (N, C, D, H, W)."""
        return self.images is not None and self.images.ndim == 5

    def places(self) -> list[str]:
        """Where each image comes from, for people to find it: the source's path, else the id."""
        return [path or image_id for path, image_id in zip(self.paths, self.ids, strict=True)]

    def columns(self, split: str) -> Columns:
        """What the shortcut rules look at, for one split."""
        assert self.images is not None
        rows = np.flatnonzero(self.splits == split).tolist()
        names = sorted(set(self.classes))
        return Columns(
            labels=np.array([names.index(self.classes[row]) for row in rows], dtype=np.int64),
            images=self.images[rows],
            thumbnails=self.thumbnails[rows],
            widths=[self.widths[row] for row in rows],
            heights=[self.heights[row] for row in rows],
            formats=[self.formats[row] for row in rows],
        )

    def take(self, rows: np.ndarray) -> Subject:
        """Some of the images, in the order of `rows`."""
        numbers = rows.tolist()
        return replace(self, **{name: _take(value, numbers) for name, value in vars(self).items()})

    def join(self, other: Subject) -> Subject:
        """These images, then the other ones."""
        return replace(self, **{name: _join(value, getattr(other, name)) for name, value in vars(self).items()})

    def named(self, name: str) -> Subject:
        """The same images as a data set of another name, not written yet."""
        return replace(self, name=name, fingerprint="")

    def with_groups(self, groups: Sequence[str]) -> Subject:
        """The same images in other groups."""
        return replace(self, groups=list(groups))

    def with_splits(self, splits: np.ndarray) -> Subject:
        """The same images in other splits."""
        return replace(self, splits=splits)

    def rename(self, names: dict[str, str]) -> Subject:
        """The same images with classes by other names."""
        return replace(self, classes=np.array([names.get(name, name) for name in self.classes], dtype=object))


def _take(value: Any, rows: list[int]) -> Any:
    if isinstance(value, np.ndarray):
        return value[rows]
    return value if value is None or isinstance(value, str) else [value[row] for row in rows]


def _join(value: Any, other: Any) -> Any:
    if isinstance(value, np.ndarray):
        return np.concatenate([value, other])
    return value if value is None or isinstance(value, str) else [*value, *other]
