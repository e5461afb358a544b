"""A sweep that is really interrupted, by Ctrl-C and by kill -9 of its driver, and finished afterwards."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pandas as pd

from raysynth.data.dataset import Dataset
from raysynth.training.checkpoints import checkpoint_paths
from raysynth.training.run_folder import RunFolder

SPACE = """
family: wcgan_gp
epochs: 16
fixed: {batch_size: 8, width: 4, n_critic: 1}
space:
  latent_dim: {grid: [4, 6]}
"""


def interrupt(arguments: list[str], signal_number: int, after_epochs: int) -> tuple[int, str]:
    """Run `raysynth tune`, send it a signal when that many epochs have been printed; its status and output."""
    command = [sys.executable, "-c", "from raysynth.cli.main import main; main()", "tune", *arguments]
    process = subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, start_new_session=True
    )
    assert process.stdout is not None
    lines, num_epochs, sent = [], 0, False
    for line in process.stdout:
        lines.append(line)
        num_epochs += "  epoch " in line
        if num_epochs >= after_epochs and not sent:
            os.kill(process.pid, signal_number)
            sent = True
    return process.wait(), "".join(lines)


def test_a_sweep_survives_ctrl_c_and_kill_9(stripes: Dataset, tmp_path: Path):
    space = tmp_path / "space.yaml"
    space.write_text(SPACE)
    arguments = [str(space), "--data", str(stripes.path), "--out", str(tmp_path / "sweeps"), "--max-concurrent", "1"]
    status, output = interrupt(arguments, signal.SIGINT, after_epochs=3)
    (sweep,) = (tmp_path / "sweeps").iterdir()
    assert status == 130, output
    assert output.splitlines()[-1] == f"raysynth: stopped; finish it with: raysynth tune --resume {sweep}"

    # One trial after the other: by 20 more epochs the first has ended and the second is under way.
    status, output = interrupt(["--resume", str(sweep), "--max-concurrent", "1"], signal.SIGKILL, after_epochs=20)
    assert status == -signal.SIGKILL
    first, second = (RunFolder(path) for path in sorted((sweep / "runs").iterdir()))
    assert first.status()["state"] == "finished", output
    assert second.status()["state"] == "running", output
    trained_once = checkpoint_paths(first.checkpoints)[-1].stat().st_mtime_ns
    known = len(second.history())

    command = [sys.executable, "-c", "from raysynth.cli.main import main; main()", "tune", "--resume", str(sweep)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert checkpoint_paths(first.checkpoints)[-1].stat().st_mtime_ns == trained_once
    assert [row["epoch"] for row in second.history()] == list(range(1, 17))
    assert known > 0
    table = pd.read_csv(sweep / "table.csv")
    assert list(table["status"]) == ["finished", "finished"]
    assert list(table["epoch"]) == [16, 16]
