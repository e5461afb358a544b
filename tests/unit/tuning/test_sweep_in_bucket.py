"""A sweep in a bucket, whose driver and trials see nothing of each other's disks. Ray's part: tests/ray/test_tune.py"""

from __future__ import annotations

from pathlib import Path

import pytest

from raysynth.data.buckets import BucketPath
from raysynth.data.dataset import Dataset
from raysynth.evaluation import scoring_network
from raysynth.training.generate import generate
from raysynth.training.worker import train_run
from raysynth.tuning import tune as tune_module
from raysynth.tuning.progress import SweepProgress
from raysynth.tuning.space import SearchSpace
from raysynth.tuning.sweep_folder import SweepFolder, name_trials
from raysynth.tuning.tune import tune

SPACE = """
family: wcgan_gp
epochs: 2
fixed: {batch_size: 8, width: 4, n_critic: 1}
space:
  latent_dim: {grid: [4, 6]}
"""


@pytest.fixture(autouse=True)
def short_scoring(monkeypatch: pytest.MonkeyPatch) -> None:
    """A scoring network of a few steps: what it scores is not looked at here."""
    monkeypatch.setitem(scoring_network.RECIPE, "num_steps", 5)


def test_the_driver_sees_what_its_trials_left_in_the_bucket(stripes: Dataset, bucket: str, tmp_path: Path, monkeypatch):
    class Trial:
        def __init__(self, name: str) -> None:
            self.config = {"job": {"trial": name, "replay": False}}

    trained: list[str] = []

    def run_here(sweep: SweepFolder, space: SearchSpace, *_: object) -> None:
        progress = SweepProgress(sweep, space, lambda line: None)
        for trial in name_trials(space):
            if sweep.run(trial).status()["state"] == "finished":
                continue
            train_run(str(sweep.run(trial).location), num_threads=1)
            progress.on_trial_complete(1, [], Trial(trial.name))
            assert progress.status[trial.name] == "finished"
            trained.append(trial.name)

    monkeypatch.setattr(tune_module, "_run_ray", run_here)
    (tmp_path / "space.yaml").write_text(SPACE)
    place = tune(str(tmp_path / "space.yaml"), data=stripes.path, out=f"{bucket}/sweeps", say=lambda line: None)
    assert isinstance(place, BucketPath)
    files = place.versions()
    assert {"sweep.json", "space.yaml", "table.csv", "best.json", "metric.png", "samples.png"} <= set(files)
    folder = SweepFolder.open(place, "SWEEP")
    table = folder.table(folder.space())
    assert list(table["status"]) == ["finished", "finished"]
    assert list(table["epoch"]) == [2, 2]
    assert folder.best()["trial"] in trained  # type: ignore[index]

    assert tune(resume=str(place), say=lambda line: None) == place
    assert len(trained) == 2
    made = generate(str(place), out=tmp_path / "made", per_class=2, say=lambda line: None)
    assert made.provenance is not None
    assert made.provenance["sweep"] == str(place)
    assert made.provenance["run"].startswith(f"{place}/runs/")
