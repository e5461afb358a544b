"""kill -9 of processes of Ray, and of a whole node, while something trains."""

from __future__ import annotations

import importlib.util
import json
import os
import re
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest
import torch

from raysynth.data.dataset import Dataset
from raysynth.training.checkpoints import load_newest_checkpoint
from raysynth.training.preemption import STEPS_PER_NOTICE
from raysynth.training.run_folder import RunFolder
from raysynth.training.train import train

SCRIPT = Path(__file__).parents[2] / "benchmarks" / "fault_recovery.py"


@pytest.fixture(autouse=True)
def one_thread(monkeypatch: pytest.MonkeyPatch) -> None:
    """As a node of one core has, so that sums are rounded alike."""
    monkeypatch.setenv("OMP_NUM_THREADS", "1")


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
    watcher = faults.worker_killed(stripes, tmp_path)
    assert 0 < watcher.epochs["run"] < faults.NUM_EPOCHS
    assert "run" in watcher.seconds
    assert_equal(RunFolder(tmp_path / "run"), whole(faults, stripes, tmp_path))


@pytest.mark.skipif(
    not os.environ.get("RAYSYNTH_TEST_CLUSTER"),
    reason="starts clusters of its own, which a busy machine may be too slow for; RAYSYNTH_TEST_CLUSTER=1 runs it",
)
@pytest.mark.parametrize(
    "fault", ["driver", "preemption", "preemption_of_one", "preemption_of_a_trial", "elastic", "node"]
)
def test_what_dies_with_a_node_or_a_command_goes_on(stripes: Dataset, tmp_path: Path, faults: ModuleType, fault: str):
    """Each in a process of its own, which has no other Ray."""
    command = [sys.executable, SCRIPT, fault, tmp_path, stripes.path]
    done = subprocess.run(command, capture_output=True, text=True, timeout=500)
    assert done.returncode == 0, done.stderr[-2000:]
    found = json.loads(done.stdout.splitlines()[-1])
    assert found["seconds_until_a_new_epoch"].keys() == found["at_epoch"].keys()
    of_sweep = fault in ("node", "preemption_of_a_trial")
    runs = [RunFolder(path) for path in (tmp_path.glob("sweeps/*/runs/*") if of_sweep else [tmp_path / "run"])]
    assert len(runs) == (2 if of_sweep else 1)
    for run in runs:
        assert run.status()["state"] == "finished"
        assert [row["epoch"] for row in run.history()] == list(range(1, faults.NUM_EPOCHS + 1))
    if fault.startswith("preemption"):
        # Within an epoch, and at a step at which the worker asks for announcements.
        (name,) = found["checkpoints"]
        epoch, step = (int(number) for number in re.findall(r"\d+", name))
        steps_per_epoch = stripes.num_images("train") // faults.CONFIG["batch_size"]
        assert 0 < step <= steps_per_epoch
        assert (epoch * steps_per_epoch + step) % STEPS_PER_NOTICE == 0
    if fault in ("preemption", "driver"):
        assert_equal(runs[0], whole(faults, stripes, tmp_path))
    if fault == "preemption_of_one":  # of two workers, whose sums are rounded otherwise than one's
        assert_equal(runs[0], whole(faults, stripes, tmp_path), rounding=0.02)


def whole(faults: ModuleType, dataset: Dataset, folder: Path) -> RunFolder:
    """The same training, in-process, to which nothing happened."""
    run: RunFolder = faults.create_run(folder / "whole", dataset)
    train(resume=run.path, workers=0, say=lambda line: None)
    return run


def assert_equal(run: RunFolder, whole: RunFolder, *, rounding: float = 0.0) -> None:
    """To the bit, or but for that much in weights and losses."""
    losses = {"critic_loss", "generator_loss"}
    rows = [
        [{k: v for k, v in row.items() if k not in ("seconds", "images_per_s") and (not rounding or k in losses)}
         for row in each.history()]
        for each in (run, whole)
    ]  # fmt: skip
    for found, wanted in zip(*rows, strict=True):
        assert found == (pytest.approx(wanted, abs=rounding) if rounding else wanted)
    states = [load_newest_checkpoint(each.checkpoints) for each in (run, whole)]
    assert states[0] is not None
    assert states[1] is not None
    for name, value in states[1]["model"]["generator"].items():
        torch.testing.assert_close(states[0]["model"]["generator"][name], value, rtol=0, atol=rounding, msg=name)
