"""kill -9 of a Ray Train worker while it trains."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from types import ModuleType

import pytest
import torch

from raysynth.data.dataset import Dataset
from raysynth.training.checkpoints import load_newest_checkpoint
from raysynth.training.train import train

SCRIPT = Path(__file__).parents[2] / "benchmarks" / "fault_recovery.py"


@pytest.fixture(scope="module")
def faults() -> ModuleType:
    spec = importlib.util.spec_from_file_location("fault_recovery", SCRIPT)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.usefixtures("ray_cluster")
def test_a_killed_worker_changes_nothing_but_the_time(stripes: Dataset, tmp_path: Path, faults: ModuleType):
    run, watcher = faults.worker_killed(stripes, tmp_path)
    assert 0 < watcher.epochs["run"] < faults.NUM_EPOCHS
    assert "run" in watcher.seconds
    whole = faults.create_run(tmp_path / "whole", stripes)
    train(resume=whole.path, workers=0, say=lambda line: None)
    rows = [[{k: v for k, v in row.items() if k not in ("seconds", "images_per_s")} for row in each.history()]
            for each in (run, whole)]  # fmt: skip
    assert rows[0] == rows[1]
    states = [load_newest_checkpoint(each.checkpoints) for each in (run, whole)]
    assert states[0] is not None
    assert states[1] is not None
    for name, value in states[1]["model"]["generator"].items():
        assert torch.equal(states[0]["model"]["generator"][name], value), name
