"""Training over two workers is training by one: the same losses and weights, penalty and batch statistics included."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest
import torch

from raysynth.data.dataset import Dataset
from raysynth.training.checkpoints import load_newest_checkpoint
from raysynth.training.run_folder import RunFolder
from raysynth.training.train import train

pytestmark = pytest.mark.usefixtures("ray_cluster")
# Steps are few and rates low, so that differences of rounding cannot grow; no dropout, whose masks are a worker's own.
CONFIG = {
    "batch_size": 8,
    "width": 4,
    "latent_dim": 4,
    "n_critic": 1,
    "critic": "batchnorm",
    "score_every": 2,
    "generator_learning_rate": 1e-4,
    "critic_learning_rate": 1e-4,
}


def test_two_workers_equal_one(stripes: Dataset, tmp_path: Path):
    runs, lines = [], []
    for workers in (0, 2):
        runs.append(
            train(
                "wcgan_gp",
                data=stripes.path,
                epochs=2,
                overrides=CONFIG,
                workers=workers,
                out=tmp_path / str(workers),
                say=lines.append,
            )
        )
    tables = [pd.read_csv(run / "metrics.csv") for run in runs]
    for column in (
        "d_loss",
        "g_loss",
        "wasserstein",
        "penalty",
        "critic_real",
        "critic_generated",
        "critic_validation",
    ):
        assert tables[1][column].tolist() == pytest.approx(tables[0][column].tolist(), rel=1e-3, abs=1e-4), column
    states = [load_newest_checkpoint(run / "checkpoints") for run in runs]
    assert states[0] is not None
    assert states[1] is not None
    compared = 0
    for part in ("generator", "critic"):
        for name, one in states[0]["model"][part].items():
            torch.testing.assert_close(states[1]["model"][part][name], one, rtol=2e-3, atol=2e-4, msg=f"{part}.{name}")
            compared += 1
    assert compared > 20
    assert [RunFolder(run).status()["state"] for run in runs] == ["finished", "finished"]
    assert sum(line.startswith("epoch 2/2") for line in lines) == 2
