"""Leaving out what another data set is judged by."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from raysynth.data.dataset import Dataset, load_dataset, write_dataset
from raysynth.data.exclusion import exclude_copies
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


def copies_of(*ids: str) -> Any:
    asked: dict[str, Any] = {}

    def find(a: Dataset, b: Dataset, **splits: Any) -> pd.DataFrame:
        asked.update(splits)
        return pd.DataFrame({"id_a": list(ids), "id_b": ["x"] * len(ids)})

    find.asked = asked  # type: ignore[attr-defined]
    return find


def test_copies_go_with_their_groups_and_it_is_written_down(public, stripes, tmp_path):
    find, said = copies_of("i00", "i09"), []
    rest = exclude_copies(public, stripes, tmp_path / "rest", find_copies=find, say=said.append)
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
    assert "4 of 12 images" in said[0]


def test_nothing_to_leave_out_leaves_the_images(public, stripes, tmp_path):
    rest = exclude_copies(public, stripes, tmp_path / "rest", find_copies=copies_of())
    assert np.array_equal(rest.pixels()[0], public.pixels()[0])


def test_a_set_of_nothing_but_copies_is_refused(public, stripes, tmp_path):
    find = copies_of(*[f"i{i:02d}" for i in range(12)])
    with pytest.raises(UserError, match=r"--exclude .*all 12 images of public"):
        exclude_copies(public, stripes, tmp_path / "rest", find_copies=find)
    assert not (tmp_path / "rest").exists()
