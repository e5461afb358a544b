"""The way from volumes to a report, by the verbs that images go by: drawn volumes, and NIfTI files."""

from __future__ import annotations

import json
from pathlib import Path

import nibabel
import numpy as np
import pandas as pd
import pytest
from PIL import Image

from raysynth.cli.main import run
from raysynth.data.dataset import load_dataset
from raysynth.evaluation import scoring_network
from raysynth.evaluation.evaluate import evaluate
from raysynth.training.grid import PADDING

SMALL = ["--set", "width=2", "--set", "batch_size=8", "--set", "latent_dim=4"]


@pytest.fixture(autouse=True)
def short_scoring(monkeypatch: pytest.MonkeyPatch) -> None:
    """A scoring network of a few steps: what it scores is not looked at here."""
    monkeypatch.setitem(scoring_network.RECIPE, "num_steps", 5)


def only(folder: Path) -> Path:
    (path,) = folder.iterdir()
    return path


def test_from_drawn_volumes_to_a_report(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)

    def call(*arguments: str | Path) -> str:
        assert run([str(argument) for argument in arguments]) == 0, capsys.readouterr().err
        return capsys.readouterr().out

    call("data", "phantom", "--volumes", "--size", "16", "--images", "48", "--out", "data")
    call("data", "show", "data")
    assert "48 volumes" in call("data", "audit", "data", "--workers", "0")
    call("train", "cgan_3d", "--data", "data", "--epochs", "2", "--workers", "0", "--out", "runs", *SMALL)
    folder = only(tmp_path / "runs")
    with Image.open(folder / "samples" / "epoch_00002.png") as grid:
        num_columns = (grid.width - PADDING) // (3 * 16 + PADDING)
        assert grid.width == num_columns * (3 * 16 + PADDING) + PADDING
        assert grid.height == 4 * (16 + PADDING) + PADDING  # a row a class
    metrics = (folder / "metrics.csv").read_text().splitlines()
    assert {"frechet", "accuracy_real", "accuracy_generated"} <= set(metrics[0].split(","))

    call("generate", folder, "--out", "synthetic")
    real, synthetic = load_dataset("data"), load_dataset("synthetic")
    assert synthetic.shape == real.shape == (1, 16, 16, 16)
    assert synthetic.counts["train"] == real.counts["train"]

    evaluation = evaluate("data", ["synthetic"], seeds=1, epochs=2, workers=0, out="evaluations")
    content = json.loads((evaluation / "evaluation.json").read_text())
    assert content["real"]["shape"] == [1, 16, 16, 16]
    ks = pd.read_csv(evaluation / "ks.csv")
    assert len(ks[(ks["synthetic"] == "synthetic") & (ks["pixels"] == "all")]) == 5  # four classes and all
    assert set(pd.read_csv(evaluation / "fidelity.csv")["features"]) == {"scoring", "backbone"}
    assert pd.read_csv(evaluation / "spectrum.csv")["frequency"].max() == 0.5

    call("report", evaluation, "--out", "report.html")
    page = (tmp_path / "report.html").read_text()
    assert "16 × 16 × 16, grey" in page
    assert "real volumes of the class glioma" in page
    assert "Of each volume the axial, coronal and sagittal middle slice" in page


def test_nifti_volumes_are_trained_on(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    rng = np.random.default_rng(0)
    for label in ("bright", "dark"):
        (tmp_path / "scans" / label).mkdir(parents=True)
        for number in range(10):
            voxels = np.zeros((20, 24, 18), np.float32)
            voxels[2:-2, 2:-2, 2:-2] = rng.uniform(100, 600, (16, 20, 14))
            voxels[5:10, 5:10, 5:10] += 900 if label == "bright" else 0
            image = nibabel.Nifti1Image(voxels, np.diag([1.0, 1.0, 1.2, 1.0]))
            nibabel.save(image, tmp_path / "scans" / label / f"sub-{number:02d}.nii.gz")
    shares = ["--test", "0.2", "--validation", "0.2"]
    assert run(["data", "import", "scans", "--volumes", "--size", "16", "--out", "data", *shares]) == 0
    dataset = load_dataset("data")
    assert (dataset.shape, dataset.num_images()) == ((1, 16, 16, 16), 20)
    assert len(set(dataset.read(["group"])["group"].to_pylist())) == 20  # no volume is taken for another's copy
    arguments = ["--data", "data", "--epochs", "1", "--workers", "0", "--out", "runs"]
    assert run(["train", "cgan_3d", *arguments, *SMALL]) == 0, capsys.readouterr().err
    assert len(list((only(tmp_path / "runs") / "samples").glob("*.png"))) == 1

    assert run(["train", "cgan", *arguments, *SMALL]) == 2  # a family of images
    message = capsys.readouterr().err
    assert message.count("\n") == 1
    assert "volumes of 16 x 16 x 16; cgan takes images: train cgan_3d" in message
