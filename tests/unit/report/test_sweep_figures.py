"""The figures of a sweep folder, whole or broken."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import yaml
from matplotlib.figure import Figure
from PIL import Image

from raysynth.report.image_figures import join_images
from raysynth.report.sweep_figures import _read_samples, draw_metric, draw_samples, draw_sweep, read_sweep
from raysynth.training.grid import write_grid


def texts(figure: Figure) -> list[str]:
    labels = [text for legend in figure.legends for text in legend.get_texts()]
    return [text.get_text() for text in [*figure.texts, *labels]]


def test_both_figures_are_written(study: Any) -> None:
    written = draw_sweep(study.sweep)
    assert [path.name for path in written] == ["metric.png", "samples.png"]
    for path in written:
        with Image.open(path) as image:
            assert min(image.size) > 200
    assert not list(study.sweep.glob(".*"))


def test_trials_are_ranked_and_named_by_what_differs(study: Any) -> None:
    sweep = read_sweep(study.sweep)
    assert [trial.name for trial in sweep.trials] == [f"trial_{i:05d}" for i in range(4)]
    assert sweep.varied == ["generator", "latent_dim"]
    assert sweep.title(sweep.trials[1]) == "generator transposed, latent_dim 128"
    assert sweep.best == "trial_00000"
    metric, samples = draw_metric(sweep), draw_samples(sweep)
    assert metric is not None
    assert samples is not None
    labels = texts(metric)
    assert len(labels) == 3  # the failed trial has no curve
    assert labels[0].startswith("transposed, 64: ")
    assert labels[0].endswith("(best)")
    assert set(study.classes) <= set(texts(samples))
    assert len(samples.axes) == 4 * len(study.classes)


def test_trials_on_a_leaky_split_are_marked(study: Any) -> None:
    def marks() -> tuple[int, int]:
        sweep = read_sweep(study.sweep)
        figures = draw_metric(sweep), draw_samples(sweep)
        return tuple(sum("[leaky split]" in text for text in texts(figure)) for figure in figures if figure)  # type: ignore[return-value]

    assert marks() == (0, 0)
    (study.sweep / "sweep.json").write_text('{"data": {"leakage": "leaky"}}')  # a sweep of an older version
    assert marks() == (3, 4)
    table = pd.read_csv(study.sweep / "table.csv")
    table.assign(leakage=["leaky", "clean", "touches", "clean"]).to_csv(study.sweep / "table.csv", index=False)
    assert marks() == (1, 1)
    assert read_sweep(study.sweep).trials[2].mark == "knows held-out images"


def test_cells_are_cut_where_they_lie(study: Any) -> None:
    run = study.sweep / "runs" / "trial_00000"
    grid = np.zeros((4 * 18 + 2, 6 * 18 + 2), dtype=np.uint8)
    for row in range(4):
        for column in range(6):
            grid[2 + 18 * row : 18 + 18 * row, 2 + 18 * column : 18 + 18 * column] = 10 * (6 * row + column + 1)
    Image.fromarray(grid).save(run / "samples" / "epoch_00020.png")
    samples = draw_samples(read_sweep(study.sweep))
    assert samples is not None
    shown = np.asarray(samples.axes[1].images[0].get_array())  # the best trial, second class
    assert shown.shape == (16, 3 * 16)
    assert np.array_equal(shown[0, ::16], [70, 80, 90])
    assert all(len(np.unique(shown[:, i * 16 : (i + 1) * 16])) == 1 for i in range(3))


def test_cells_of_volumes_hold_three_slices(tmp_path: Path) -> None:
    run = tmp_path / "runs" / "trial_00000"
    config = {"data": {"classes": ["a", "b"], "shape": [1, 8, 8, 8]}}
    (run / "samples").mkdir(parents=True)
    (run / "config.yaml").write_text(yaml.safe_dump(config))
    volumes = np.arange(1, 5, dtype=np.uint8)[:, None, None, None, None] * np.ones((4, 1, 8, 8, 8), np.uint8)
    write_grid(run / "samples" / "epoch_00001.png", volumes, num_columns=2)
    samples = _read_samples(run)
    assert {name: cells.shape for name, cells in samples.items()} == {"a": (2, 8, 24, 3), "b": (2, 8, 24, 3)}
    assert [np.unique(cell).tolist() for name in "ab" for cell in samples[name]] == [[1], [2], [3], [4]]


def test_broken_sweeps(study: Any, tmp_path: Path) -> None:
    for name in ("table.csv", "best.json", "space.yaml"):
        (study.sweep / name).unlink()
    runs = study.sweep / "runs"
    (runs / "trial_00000" / "metrics.csv").write_text("epoch,frechet\n1,nan\n2,")
    (runs / "trial_00001" / "metrics.csv").unlink()
    (runs / "trial_00001" / "samples" / "epoch_00010.png").write_bytes(b"no image")
    (runs / "trial_00002" / "config.yaml").write_text("data: [1")
    assert [path.name for path in draw_sweep(study.sweep)] == ["metric.png", "samples.png"]
    assert draw_sweep(tmp_path) == []


@pytest.mark.parametrize("channels", [1, 3])
def test_joined_images_stand_row_by_row(channels: int) -> None:
    images = np.arange(5, dtype=np.uint8)[:, None, None, None] * np.ones((1, channels, 8, 8), np.uint8)
    assert join_images(images, 3).shape == (channels, 18, 28)
