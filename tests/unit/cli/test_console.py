"""What the command line prints, and to whom."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from raysynth.data.dataset import Dataset
from raysynth.training.run_folder import RunFolder


def test_a_training_whose_reader_has_gone_goes_on(stripes: Dataset, tmp_path: Path):
    """As with `raysynth train ... | head -1`."""
    small = [word for each in ("batch_size=8", "width=4", "latent_dim=4", "n_critic=1") for word in ("--set", each)]
    arguments = ["train", "wcgan_gp", "--data", str(stripes.path), "--epochs", "5", *small, "--workers", "0"]
    process = subprocess.Popen(
        [sys.executable, "-m", "raysynth", *arguments, "--out", str(tmp_path)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    assert process.stderr is not None
    process.stdout.readline()
    process.stdout.close()
    said = process.stderr.read()
    assert process.wait() == 0, said
    assert said == ""
    (run,) = map(RunFolder, tmp_path.iterdir())
    assert run.status()["state"] == "finished"
