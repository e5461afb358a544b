"""A sweep and a training that are really interrupted, by signals to their command, and finished afterwards."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest

from raysynth.data.dataset import Dataset
from raysynth.training.checkpoints import checkpoint_paths
from raysynth.training.run_folder import RunFolder
from raysynth.training.train import train

SPACE = """
family: wcgan_gp
epochs: 16
fixed: {batch_size: 2, width: 4, n_critic: 1}
space:
  latent_dim: {grid: [4, 6]}
"""


def interrupt(arguments: list[str], signal_number: int, after_epochs: int) -> tuple[int, str]:
    """Run `raysynth`, send it a signal when that many epochs have been printed; its status and output."""
    command = [sys.executable, "-m", "raysynth", *arguments]
    process = subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, start_new_session=True
    )
    assert process.stdout is not None
    lines, num_epochs, sent = [], 0, False
    for line in process.stdout:
        lines.append(line)
        num_epochs += " epoch " in f" {line}"
        if num_epochs >= after_epochs and not sent:
            # As a terminal, `timeout` or a shell does, to all of the command's processes; SIGKILL to one.
            (os.kill if signal_number == signal.SIGKILL else os.killpg)(process.pid, signal_number)
            sent = True
    return process.wait(), "".join(lines)


def kept_within_an_epoch(run: RunFolder) -> list[str]:
    """Names of the checkpoints that are not of an epoch's end."""
    return [path.name for path in checkpoint_paths(run.checkpoints) if "_step_" in path.name]


def test_a_training_over_workers_keeps_a_checkpoint_when_told_to_stop(
    stripes: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    """And loses nothing: its end is as of one in-process to which nothing happened."""
    monkeypatch.setenv("OMP_NUM_THREADS", "1")  # for all, so that sums are rounded alike
    config = {"batch_size": 2, "width": 4, "latent_dim": 4, "n_critic": 1, "checkpoint_every": 1000}
    num_epochs = 60
    arguments = ["train", "wcgan_gp", "--data", str(stripes.path), "--epochs", str(num_epochs), "--workers", "1"]
    arguments += [part for key, value in config.items() for part in ("--set", f"{key}={value}")]
    status, output = interrupt([*arguments, "--out", str(tmp_path / "runs")], signal.SIGINT, after_epochs=3)
    (run,) = map(RunFolder, (tmp_path / "runs").iterdir())
    assert status == 130, output
    *_, stopping, last = [line for line in output.splitlines() if "epoch" not in line]
    assert stopping == "stopping when checkpoints have been written; Ctrl-C again does not wait for them"
    assert last == f"raysynth: stopped; go on with: raysynth train --resume {run.path}"
    assert kept_within_an_epoch(run)

    train(resume=run.path, workers=0, say=lambda line: None)
    whole = RunFolder(
        train(
            "wcgan_gp",
            data=stripes.path,
            epochs=num_epochs,
            overrides=config,
            workers=0,
            out=tmp_path / "whole",
            say=lambda line: None,
        )
    )
    timed = ("seconds", "images_per_s", "score_seconds")
    found, wanted = (
        [{name: value for name, value in row.items() if name not in timed} for row in each.history()]
        for each in (run, whole)
    )
    assert found == wanted


def test_a_sweep_survives_sigterm_and_kill_9(stripes: Dataset, tmp_path: Path):
    space = tmp_path / "space.yaml"
    space.write_text(SPACE)
    arguments = [
        "tune",
        str(space),
        "--data",
        str(stripes.path),
        "--out",
        str(tmp_path / "sweeps"),
        "--max-concurrent",
        "1",
    ]
    status, output = interrupt(arguments, signal.SIGTERM, after_epochs=3)
    (sweep,) = (tmp_path / "sweeps").iterdir()
    assert status == 130, output
    assert output.splitlines()[-1] == f"raysynth: stopped; finish it with: raysynth tune --resume {sweep}"
    (under_way,) = (run for path in (sweep / "runs").iterdir() if (run := RunFolder(path)).history())
    assert kept_within_an_epoch(under_way)

    # One trial after the other: by 20 more epochs the first has ended and the second is under way.
    status, output = interrupt(
        ["tune", "--resume", str(sweep), "--max-concurrent", "1"], signal.SIGKILL, after_epochs=20
    )
    assert status == -signal.SIGKILL
    first, second = (RunFolder(path) for path in sorted((sweep / "runs").iterdir()))
    assert first.status()["state"] == "finished", output
    assert second.status()["state"] == "running", output
    trained_once = checkpoint_paths(first.checkpoints)[-1].stat().st_mtime_ns
    known = len(second.history())

    command = [sys.executable, "-m", "raysynth", "tune", "--resume", str(sweep)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert checkpoint_paths(first.checkpoints)[-1].stat().st_mtime_ns == trained_once
    assert [row["epoch"] for row in second.history()] == list(range(1, 17))
    assert known > 0
    table = pd.read_csv(sweep / "table.csv")
    assert list(table["status"]) == ["finished", "finished"]
    assert list(table["epoch"]) == [16, 16]
