"""Files that come from somebody else are data: no code in them runs, wherever it is planted."""

from __future__ import annotations

import os
import pickle
import re
import shutil
from contextlib import suppress
from pathlib import Path

import pytest
import torch

from raysynth.config import load_yaml
from raysynth.data.dataset import load_dataset
from raysynth.errors import UserError
from raysynth.evaluation.classifier_cache import ClassifierRecorder, find_results
from raysynth.evaluation.kept_classifier import ensure_classifier
from raysynth.evaluation.scoring_network import RECIPE, load_scoring_network
from raysynth.models.backbone import _load_file
from raysynth.training.checkpoints import checkpoint_paths
from raysynth.training.generate import generate
from raysynth.training.run_folder import RunFolder
from raysynth.training.train import train
from raysynth.tuning.tune import tune

PACKAGE = Path(__file__).parents[2] / "raysynth"


class Malicious:
    """Leaves a file where it is unpickled."""

    def __init__(self, sign: Path) -> None:
        self.sign = sign

    def __reduce__(self):
        return (os.mkdir, (str(self.sign),))


@pytest.fixture
def sign(tmp_path) -> Path:
    return tmp_path / "it ran"


@pytest.fixture(params=["pickle", "torch"])
def plant(request, sign):
    """A function that puts such a file at a path, as a bare pickle or as torch writes it."""

    def put(path: Path) -> Path:
        path.parent.mkdir(parents=True, exist_ok=True)
        content = {"epoch": 9, "format": 2, "model": Malicious(sign), "history": []}
        if request.param == "pickle":
            path.write_bytes(pickle.dumps(content))
        else:
            torch.save(content, path)
        return path

    return put


def quiet(line: str) -> None:
    pass


def test_the_bait_would_work(plant, sign, tmp_path):
    with suppress(Exception):  # what comes after it may find fault with the file
        torch.load(plant(tmp_path / "x.pt"), weights_only=False)
    assert sign.is_dir()


def test_a_run_from_somebody_else(plant, sign, tiny_run, tmp_path):
    run = RunFolder(shutil.copytree(tiny_run, tmp_path / "run"))
    run.write_status("running", 1)
    for path in checkpoint_paths(run.checkpoints):
        plant(path)
    with pytest.raises(UserError, match="checkpoints can be read"):
        train(resume=run.path, workers=0, say=quiet)
    with pytest.raises(UserError, match="checkpoints can be read"):
        generate(run.path, out=tmp_path / "made", say=quiet)
    assert not sign.exists()


def test_a_scoring_network_from_somebody_else(plant, sign, tiny_run, stripes, tmp_path):
    run = RunFolder(shutil.copytree(tiny_run, tmp_path / "run"))
    run.write_status("running", 1)
    network = plant(tmp_path / "scoring.pt")
    settings = (run.path / "config.yaml").read_text()
    (run.path / "config.yaml").write_text(re.sub("scoring_network: .*", f"scoring_network: {network}", settings))
    with pytest.raises(UserError, match=r"scoring network .*scoring\.pt: cannot be read"):
        train(resume=run.path, workers=0, say=quiet)
    assert not sign.exists()


def test_a_sweep_from_somebody_else(plant, sign, tmp_path, tiny_run, stripes):
    """Ray's own state, which it would unpickle, is not read at all; the rest is plain text."""
    sweep = tmp_path / "sweep"
    run = RunFolder(shutil.copytree(tiny_run, sweep / "runs" / "0-4"))
    run.write_status("running", 1)
    (sweep / "space.yaml").write_text("family: wcgan_gp\nepochs: 2\nspace: {latent_dim: {grid: [4]}}\n")
    network = plant(sweep / "scoring.pt")
    (sweep / "sweep.json").write_text(
        f'{{"data": {{"path": "{stripes.path}"}}, "scoring_network": "{network}", "workers_per_trial": 1}}'
    )
    for name in ("tuner.pkl", "trainable.pkl", "searcher-state-2026.pkl", "experiment_state-2026.json"):
        plant(sweep / name)
    with pytest.raises(UserError, match="scoring network"):
        tune(resume=sweep, say=quiet)
    assert not sign.exists()


def test_classifiers_from_somebody_else(plant, sign, stripes, tmp_path):
    assert find_results(plant(tmp_path / "cnn-1.pt")) is None
    plant(tmp_path / "cnn-2" / "epoch_00001.pt")
    assert ClassifierRecorder(tmp_path / "cnn-2.pt").restore(None) == ([], [])  # type: ignore[arg-type]
    with pytest.raises(UserError, match="scoring network"):
        load_scoring_network(plant(tmp_path / "network.pt"))
    with pytest.raises(UserError, match="--weights"):
        _load_file(torch.nn.Linear(1, 1), str(plant(tmp_path / "weights.pth")))
    lines: list[str] = []
    data = shutil.copytree(stripes.path, tmp_path / "data")
    recipe = RECIPE | {"num_steps": 4}
    file = ensure_classifier(load_dataset(data), recipe, purpose="scoring network")
    plant(file)
    assert ensure_classifier(load_dataset(data), recipe, purpose="scoring network", say=lines.append) == file
    assert any("cannot be read" in line for line in lines)
    assert not sign.exists()


def test_yaml_makes_no_objects(sign, tmp_path):
    file = tmp_path / "space.yaml"
    file.write_text(f"family: !!python/object/apply:os.mkdir ['{sign}']\n")
    with pytest.raises(UserError, match="malformed YAML"):
        load_yaml(file, "SPACE")
    assert not sign.exists()


def test_nothing_is_read_that_could_run():
    """Every reader of pickles in the package asks for plain values, and YAML is read by the safe loader alone."""
    loads = 0
    for file in PACKAGE.rglob("*.py"):
        text = file.read_text()
        for call in re.findall(r"torch\.load\([^\n]*", text):
            assert "weights_only=True" in call, f"{file}: {call}"
            loads += 1
        for forbidden in (
            "pickle.load",
            "yaml.load(",
            "unsafe_load",
            "allow_pickle=True",
            "joblib.load",
            "Tuner.restore",
        ):
            assert forbidden not in text, f"{file}: {forbidden}"
    assert loads >= 3
