"""An evaluation through Ray: tasks, Ray Data histograms and the actor pool give what this process gives."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from raysynth.data.dataset import Dataset
from raysynth.data.dataset_writer import write_dataset
from raysynth.evaluation.evaluate import evaluate
from raysynth.evaluation.pixel_statistics import measure_pixels

pytestmark = pytest.mark.usefixtures("ray_cluster")


def make_set(path: Path, *, splits: dict[str, int], seed: int, classes: tuple[str, ...] = ("a", "b")) -> Dataset:
    num_images = sum(splits.values())
    labels = np.arange(num_images) % 2
    images = np.random.default_rng(seed).integers(0, 256, (num_images, 1, 16, 16), dtype=np.uint8)
    images[:, :, :8] //= 1 + labels[:, None, None, None].astype(np.uint8)
    return write_dataset(
        path,
        name=path.name,
        kind="real",
        classes=classes,
        images=images,
        columns={
            "id": [f"{index:04d}" for index in range(num_images)],
            "label": labels,
            "split": [split for split, count in splits.items() for _ in range(count)],
        },
        source={},
    )


def test_ray_gives_what_one_process_gives(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)  # paths may be relative: Ray's processes work elsewhere
    real = make_set(Path("real"), splits={"train": 64, "validation": 20, "test": 30}, seed=0)
    made = make_set(tmp_path / "made", splits={"train": 64}, seed=1, classes=("b", "a"))
    parts = [(made, "train"), (real, "train")]
    through_ray, in_process = (measure_pixels(parts, real.classes, level=60, with_ray=ray) for ray in (True, False))
    assert [found.histograms[0].sum() for found in through_ray] == [64 * 16 * 16] * 2
    for found, wanted in zip(through_ray, in_process, strict=True):
        for name, value in vars(found).items():
            assert np.array_equal(value, getattr(wanted, name)), name

    said: list[str] = []
    from_ray = evaluate(real, [made.path], seeds=1, epochs=4, out=tmp_path / "ray", workers=2, say=said.append)
    from_here = evaluate(real, [made.path], seeds=1, epochs=4, out=tmp_path / "here", workers=0)

    assert sum(line.startswith("classifier ") for line in said) == 4
    assert json.loads((from_ray / "evaluation.json").read_text())["verdict"]["items"]
    for table in ("ks.csv", "histograms.csv", "spectrum.csv", "spectrum_summary.csv"):
        assert (from_ray / table).read_bytes() == (from_here / table).read_bytes()
    # Products of matrices are rounded otherwise where batches are cut otherwise.
    for table in ("fidelity.csv", "copies.csv", "copies_held_out.csv", "copies_summary.csv"):
        found, wanted = (pd.read_csv(folder / table) for folder in (from_ray, from_here))
        pd.testing.assert_frame_equal(found, wanted, rtol=1e-3, atol=1e-4)
    a, b = (pd.read_parquet(folder / "predictions.parquet") for folder in (from_ray, from_here))
    columns = ["image_id", "group", "split", "trained_on", "seed", "label"]
    pd.testing.assert_frame_equal(a[columns], b[columns])
    # One thread in either place, so the same weights; other batches of images while scoring, so not the same bits.
    assert a["confidence"].to_numpy() == pytest.approx(b["confidence"].to_numpy(), abs=1e-4)
    assert (a["predicted"] == b["predicted"]).mean() > 0.99
