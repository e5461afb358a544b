"""Leaving out what another data set is judged by."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from raysynth.data.dataset import Dataset, load_dataset
from raysynth.data.dataset_writer import write_dataset
from raysynth.data.exclusion import find_excluded, write_rest
from raysynth.data.leakage import Leakage
from raysynth.data.provenance import read_hashes, write_hashes
from raysynth.errors import UserError


@pytest.fixture
def public(tmp_path: Path) -> Dataset:
    """Twelve images in six groups of two, e.g. i00 and i01."""
    images = np.random.default_rng(0).integers(0, 255, (12, 1, 16, 16), dtype=np.uint8)
    return write_dataset(
        tmp_path / "public",
        name="public",
        kind="real",
        classes=["a", "b"],
        images=images,
        columns={
            "id": [f"i{i:02d}" for i in range(12)],
            "label": np.arange(12) % 2,
            "split": ["train"] * 8 + ["validation"] * 4,
            "group": [f"g{i // 2}" for i in range(12)],
        },
        source={"path": "public.zip"},
    )


def exclude_copies(dataset: Dataset, target: Dataset, out: Path, find: Any) -> Dataset:
    return write_rest(find_excluded(dataset, target, find_copies=find), out)


def copies_of(*ids: str) -> Any:
    asked: dict[str, Any] = {}

    def find(a: Dataset, b: Dataset, **splits: Any) -> pd.DataFrame:
        asked.update(splits)
        return pd.DataFrame({"id_a": list(ids), "id_b": ["x"] * len(ids)})

    find.asked = asked  # type: ignore[attr-defined]
    return find


def test_copies_go_with_their_groups_and_it_is_written_down(public, stripes, tmp_path):
    find = copies_of("i00", "i09")
    rest = exclude_copies(public, stripes, tmp_path / "rest", find)
    assert find.asked["splits_b"] == ("validation", "test")
    rest = load_dataset(rest.path)
    ids = rest.read(["id"])["id"].to_pylist()
    assert ids == [f"i{i:02d}" for i in range(12) if i not in (0, 1, 8, 9)]
    images, labels = public.pixels()
    assert np.array_equal(rest.pixels()[0], images[[int(i[1:]) for i in ids]])
    assert np.array_equal(rest.pixels()[1], labels[[int(i[1:]) for i in ids]])
    assert rest.source["path"] == "public.zip"
    excluded = rest.source["excluded"]
    assert (excluded["num_copies"], excluded["num_images"], excluded["of"]) == (2, 4, 12)
    assert excluded["fingerprint"] == stripes.fingerprint
    assert rest.name == "public without 4 images of stripes"


def test_nothing_to_leave_out_leaves_the_images(public, stripes, tmp_path):
    rest = exclude_copies(public, stripes, tmp_path / "rest", copies_of())
    assert np.array_equal(rest.pixels()[0], public.pixels()[0])


def test_a_set_of_nothing_but_copies_is_refused(public, stripes, tmp_path):
    find = copies_of(*[f"i{i:02d}" for i in range(12)])
    with pytest.raises(UserError, match=r"--exclude .*leaves no train images of public"):
        exclude_copies(public, stripes, tmp_path / "rest", find)
    assert not (tmp_path / "rest").exists()


def test_equal_stored_pixels_are_copies_whatever_their_originals(public, stripes, tmp_path):
    """As of two imports of one picture of which one was cropped: the audit sees originals only."""
    images, labels = public.pixels()
    images = images.copy()
    images[3] = stripes.pixels("test")[0][0]
    columns = public.read(["id", "split", "group"])
    thumbnails = np.random.default_rng(1).integers(0, 255, (12, 64, 64), dtype=np.uint8)
    other = write_dataset(
        tmp_path / "other",
        name="other",
        kind="real",
        classes=public.classes,
        images=images,
        columns={
            **{name: columns[name].to_pylist() for name in columns.column_names},
            "label": labels,
            "thumbnail": thumbnails,
            "pixel_hash": [f"{i}" for i in range(12)],
        },
        source={},
    )
    rest = exclude_copies(other, stripes, tmp_path / "rest", copies_of())
    assert rest.num_images() == 10  # with its group


def test_what_was_known_of_a_set_is_known_of_what_is_left(public, stripes, tmp_path):
    leaky = Leakage("leaky", "as tests say", num_test=3)
    images, labels = public.pixels()
    columns = public.read(["id", "split", "group"])
    marked = write_dataset(
        tmp_path / "marked",
        name="marked",
        kind="synthetic",
        classes=public.classes,
        images=images,
        columns={**{name: columns[name].to_pylist() for name in columns.column_names}, "label": labels},
        source={},
        leakage=leaky,
        extra_files=partial(write_hashes, {"another": frozenset({"ffff"})}),
    )
    rest = exclude_copies(marked, stripes, tmp_path / "rest", copies_of("i00"))
    assert rest.leakage == leaky
    assert read_hashes(rest.path) == {"another": frozenset({"ffff"})}
