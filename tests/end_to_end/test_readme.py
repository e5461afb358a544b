"""The commands of the README, run in their order as they stand, on smaller images and for fewer epochs."""

from __future__ import annotations

import re
import shlex
import zipfile
from glob import glob
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from raysynth.cli.main import run

pytestmark = pytest.mark.usefixtures("ray_cluster")
README = Path(__file__).parents[2] / "README.md"
CLASSES = ("glioma_tumor", "meningioma_tumor", "no_tumor", "pituitary_tumor")


def commands() -> list[str]:
    """Every line of a code block that calls raysynth, but for the demo, which has its own test."""
    blocks = re.findall(r"^```sh\n(.*?)^```", README.read_text(), flags=re.MULTILINE | re.DOTALL)
    lines = [line for block in blocks for line in block.splitlines()]
    return [line for line in lines if line.startswith("raysynth ")]


def smaller(command: str) -> list[str]:
    """The command's words with fewer pixels, epochs and seeds, and its globs expanded as a shell would."""
    for option, value in (("--size", 16), ("--epochs", 1), ("--seeds", 1)):
        command = re.sub(rf"{option} \d+", f"{option} {value}", command)
    words = []
    for word in shlex.split(command)[1:]:
        found = sorted(glob(word)) if "*" in word else [word]
        assert len(found) == 1, f"{word}: {found}"
        words += found
    return words


def write_zip(path: Path) -> None:
    """The Kaggle layout with 16 images a class and folder, each class bright in its own quarter."""
    rng = np.random.default_rng(0)
    with zipfile.ZipFile(path, "w") as archive:
        for label, name in enumerate(CLASSES):
            for index in range(32):
                image = rng.integers(0, 90, (24, 20), dtype=np.uint8)
                image[label * 6 : label * 6 + 6] += 120
                file = BytesIO()
                Image.fromarray(image).save(file, format="PNG")
                folder = "Training" if index < 26 else "Testing"
                archive.writestr(f"{folder}/{name}/image ({index}).png", file.getvalue())


def test_every_command_runs(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    write_zip(tmp_path / "brain_tumor_mri_3264.zip")
    verbs = []
    for command in commands():
        arguments = smaller(command)
        if arguments[0] in ("tune", "train"):
            arguments += ["--set", "width=4", "--set", "batch_size=16"]
        if arguments[0] == "evaluate":
            arguments += ["--epochs", "2"]
        assert run(arguments) == 0, f"{command}\n{capsys.readouterr().err}"
        verbs.append(" ".join(arguments[:2]) if arguments[0] == "data" else arguments[0])
    assert {"data import", "data audit", "data show", "train", "tune", "generate", "evaluate", "report"} <= set(verbs)
    page = (tmp_path / "report.html").read_text()
    assert "meningioma_tumor" in page
    assert "http://" not in re.sub(r'xmlns(:\w+)?="[^"]*"', "", page)


def test_the_demo_makes_a_report(tmp_path, monkeypatch, capsys):
    space = tmp_path / "small.yaml"
    space.write_text(
        "family: wcgan_gp\nepochs: 1\nfixed: {width: 4, batch_size: 16}\nspace: {latent_dim: {grid: [4, 8]}}\n"
    )
    for name, value in {
        "NUM_IMAGES": 80,
        "SIZE": 16,
        "CLASSIFIER_EPOCHS": 1,
        "NUM_SEEDS": 1,
        "SPACE": str(space),
    }.items():
        monkeypatch.setattr(f"raysynth.demo.{name}", value)
    out = tmp_path / "demo"
    assert run(["demo", "--out", str(out)]) == 0, capsys.readouterr().err
    kept = {"data", "spaces", "sweeps", "synthetic", "evaluations", "report.html", "report_files"}
    kept |= {"study.yaml", "stages.json"}
    assert {path.name for path in out.iterdir()} == kept
    assert "glioma" in (out / "report.html").read_text()
    before = (out / "report.html").stat().st_mtime_ns
    assert run(["demo", "--out", str(out)]) == 0  # all of it is there: nothing is done again
    assert (out / "report.html").stat().st_mtime_ns == before
    assert run(["demo", "--out", str(out), "--seed", "1"]) == 2  # nothing is overwritten
    assert "choose another folder" in capsys.readouterr().err
