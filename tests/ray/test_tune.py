"""Sweeps by Ray Tune: whole, with a failing trial, and finished after they were stopped."""

from __future__ import annotations

import json
from pathlib import Path

import pandas as pd
import pytest

from raysynth.data.dataset import Dataset
from raysynth.training.generate import generate
from raysynth.training.run_folder import RunFolder
from raysynth.tuning.sweep_folder import SweepFolder
from raysynth.tuning.tune import tune

pytestmark = pytest.mark.usefixtures("ray_cluster")
SPACE = """
family: wcgan_gp
epochs: 2
fixed: {batch_size: 8, width: 4, n_critic: 1}
space:
  latent_dim: {grid: [4, 6]}
"""


def space(folder: Path, text: str = SPACE) -> str:
    path = folder / "space.yaml"
    path.write_text(text)
    return str(path)


@pytest.fixture(scope="module")
def sweep(stripes: Dataset, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("sweeps")
    return tune(space(folder), data=stripes.path, out=folder, say=lambda line: None)


def test_a_sweep_has_a_table_a_best_run_and_figures(sweep):
    table = pd.read_csv(sweep / "table.csv")
    assert list(table["latent_dim"]) == [4, 6]
    assert set(table["status"]) == {"finished"}
    best = json.loads((sweep / "best.json").read_text())
    assert best["value"] == pytest.approx(table["frechet"].min())
    assert (sweep / best["run"] / "checkpoints").is_dir()
    for figure in ("metric.png", "samples.png"):
        assert (sweep / figure).read_bytes().startswith(b"\x89PNG")
    assert not list(sweep.rglob("*.pkl"))


def test_resuming_trains_only_what_had_not_finished(sweep, tmp_path):
    """A driver killed in the middle: one trial finished, the other has one of its two epochs on disk."""
    table = pd.read_csv(sweep / "table.csv")
    finished, stopped = (RunFolder(sweep / run) for run in table["run"])
    events = sorted(finished.path.glob("events.*"))
    checkpoint = max(finished.checkpoints.iterdir())
    before = checkpoint.stat().st_mtime_ns
    whole = stopped.history()
    stopped.write_history(whole[:1])
    max(stopped.checkpoints.iterdir()).unlink()
    stopped.write_status("running", 1)
    (sweep / "best.json").unlink()

    lines: list[str] = []
    tune(resume=sweep, say=lines.append)
    assert checkpoint.stat().st_mtime_ns == before
    assert sorted(finished.path.glob("events.*")) == events
    assert stopped.status()["state"] == "finished"
    again = stopped.history()
    assert [row["epoch"] for row in again] == [1, 2]
    assert again[1]["frechet"] == pytest.approx(whole[1]["frechet"], rel=1e-4)
    assert set(pd.read_csv(sweep / "table.csv")["status"]) == {"finished"}
    assert (sweep / "best.json").is_file()


def test_a_sweep_in_a_bucket_is_one_on_disk(sweep, stripes, bucket, s3_options, tmp_path):
    """Its trials are told of a bucket only; so is the driver, which makes the table of what they left there."""
    place = tune(space(tmp_path), data=stripes.path, out=f"{bucket}/sweeps{s3_options}", say=lambda line: None)
    (place / "best.json").unlink()
    assert tune(resume=place, say=lambda line: None) == place
    folder = SweepFolder.open(place, "SWEEP")
    columns = ["trial", "status", "epoch", "frechet", "run"]
    pd.testing.assert_frame_equal(folder.table(folder.space())[columns], pd.read_csv(sweep / "table.csv")[columns])
    assert folder.best()["trial"] == json.loads((sweep / "best.json").read_text())["trial"]
    for figure in ("metric.png", "samples.png"):
        assert (place / figure).read_bytes().startswith(b"\x89PNG")
    made = generate(place, out=tmp_path / "made", per_class=2, say=lambda line: None)
    assert made.provenance["sweep"] == str(place)


def test_a_failing_trial_does_not_end_the_sweep(stripes, tmp_path):
    text = SPACE.replace("latent_dim: {grid: [4, 6]}", "critic_learning_rate: {grid: [1.0e-4, 1.0e+30]}")
    lines: list[str] = []
    path = tune(space(tmp_path, text), data=stripes.path, out=tmp_path, say=lines.append)
    table = pd.read_csv(path / "table.csv")
    assert list(table["status"]) == ["finished", "failed"]
    assert "epoch" in table["message"][1]
    assert any("failed: " in line for line in lines)
    assert json.loads((path / "best.json").read_text())["trial"] == table["trial"][0]


def test_asha_stops_poor_trials(stripes, tmp_path):
    """Four trials one after another, ever worse: those after the first end at the grace period."""
    text = """
family: wcgan_gp
epochs: 4
mode: min
metric: latent
fixed: {batch_size: 8, width: 4, n_critic: 1}
space:
  latent_dim: {grid: [4, 4]}
"""
    text = text.replace("metric: latent\n", "metric: critic_validation\n").replace("[4, 4]", "[2, 3, 4, 5]")
    text += "asha: {grace_period: 1, reduction_factor: 2}\n"
    path = tune(space(tmp_path, text), data=stripes.path, out=tmp_path, max_concurrent=1, say=lambda line: None)
    table = pd.read_csv(path / "table.csv")
    assert set(table["status"]) <= {"finished", "stopped"}
    for _, row in table.iterrows():
        assert (row["epoch"] == 4) == (row["status"] == "finished")
    assert table["status"].iloc[0] == "finished"
    best_first = table["critic_validation"].iloc[0]
    assert (table["status"] == "stopped").any() or (table["critic_validation"].diff().dropna() < 0).all(), best_first


def test_nested_trials_train_over_their_own_workers(stripes, tmp_path):
    text = SPACE.replace("[4, 6]", "[4]")
    path = tune(space(tmp_path, text), data=stripes.path, workers_per_trial=2, out=tmp_path, say=lambda line: None)
    table = pd.read_csv(path / "table.csv")
    assert list(table["status"]) == ["finished"]
    assert list(table["epoch"]) == [2]
