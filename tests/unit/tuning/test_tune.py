"""Mistakes in a call of `tune`: answered in one line, before anything is written."""

from __future__ import annotations

import json
import os
import shutil

import pytest
import torch

from raysynth.errors import UserError
from raysynth.locking.lock import locked
from raysynth.training.run_folder import RunFolder
from raysynth.tuning.tune import tune


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"space": None}, "SPACE: missing"),
        ({"workers_per_trial": 0}, "--workers-per-trial 0: want 1 or more"),
        ({"workers_per_trial": 3000}, "--workers-per-trial 3000: a trial needs"),
        ({"max_concurrent": 0}, "--max-concurrent 0: want 1 or more"),
        ({"epochs": 0}, "--epochs 0: want 1 or more"),
        ({"overrides": {"batch_size": 1000}}, "batch_size=1000: more than the"),
        ({"data": "nowhere"}, "--data nowhere: no dataset.json"),
        ({"out": __file__}, "is not a folder that can be written to"),
        ({"resume": "nowhere"}, "--resume nowhere"),
    ],
)
def test_mistakes_are_answered_before_anything_is_written(stripes, tmp_path, arguments, message):
    options = {"space": "wcgan_gp", "data": stripes.path, "overrides": {"batch_size": 8}, "out": tmp_path / "sweeps"}
    options |= arguments
    with pytest.raises(UserError) as error:
        tune(options.pop("space"), **options, say=lambda line: None)
    assert message in str(error.value)
    assert "\n" not in str(error.value)
    assert not (tmp_path / "sweeps").exists()


@pytest.fixture
def stopped_sweep(tiny_run, tmp_path):
    """A sweep of one trial that was cut off in its second epoch."""
    sweep = tmp_path / "sweep"
    run = RunFolder(shutil.copytree(tiny_run, sweep / "runs" / "0-4"))
    run.write_status("running", 1)
    (sweep / "space.yaml").write_text("family: wcgan_gp\nepochs: 2\nspace: {latent_dim: {grid: [4]}}\n")
    settings = run.settings()
    content = {"data": settings["data"], "scoring_network": settings["scoring_network"], "workers_per_trial": 1}
    (sweep / "sweep.json").write_text(json.dumps(content))
    return sweep


def test_a_sweep_is_not_finished_twice_at_once(stopped_sweep):
    with locked(stopped_sweep, "X"), pytest.raises(UserError, match=f"--resume .*: in use by process {os.getpid()}"):
        tune(resume=stopped_sweep, say=lambda line: None)


def test_a_checkpoint_cut_short_is_named_before_its_trial_goes_on(stopped_sweep):
    newest = max((stopped_sweep / "runs" / "0-4" / "checkpoints").iterdir())
    newest.write_bytes(newest.read_bytes()[:999])
    lines: list[str] = []
    with locked(stopped_sweep, "X"), pytest.raises(UserError):
        tune(resume=stopped_sweep, say=lines.append)
    assert "epoch_00002.pt cannot be read" in lines[0]


def test_a_scoring_network_of_another_version_is_told_with_a_remedy(stopped_sweep, tmp_path):
    torch.save({"format": 1}, tmp_path / "old.pt")
    content = json.loads((stopped_sweep / "sweep.json").read_text())
    (stopped_sweep / "sweep.json").write_text(json.dumps(content | {"scoring_network": str(tmp_path / "old.pt")}))
    with pytest.raises(UserError, match=r"old\.pt: cannot be read \(classifier format 1, .*finish what it scored with"):
        tune(resume=stopped_sweep, say=lambda line: None)
