"""Every search space that is shipped is run, its trials one after another in this process: Ray Tune's part is the same
for all, and tests/ray/test_tune.py's."""

from __future__ import annotations

from contextlib import nullcontext

import pandas as pd
import pytest
from pretrained_runs import pretrained_overrides

from raysynth.models.registry import get_family
from raysynth.training.worker import train_run
from raysynth.tuning import tune as module
from raysynth.tuning.space import SearchSpace, load_space, space_names
from raysynth.tuning.sweep_folder import SweepFolder, name_trials
from raysynth.tuning.tune import tune


@pytest.fixture(autouse=True)
def trials_here(monkeypatch: pytest.MonkeyPatch) -> None:
    def train_all(sweep: SweepFolder, space: SearchSpace, *args: object) -> None:
        for trial in name_trials(space):
            train_run(str(sweep.run(trial).path), num_threads=1)

    monkeypatch.setattr(module, "ray_for_trials", lambda workers: nullcontext())
    monkeypatch.setattr(module, "_run_ray", train_all)


@pytest.mark.parametrize("name", space_names())
def test_every_shipped_space_runs_by_name(name, stripes, stacked_stripes, tmp_path):
    """On a tiny data set, one epoch, with one value where a grid is only another size or layer."""
    search = load_space(name)
    small = {"batch_size": 8, "width": 8, "latent_dim": 4, "generator": "transposed", "critic": "dropout"}
    small |= {"encoder": "conv3", "decoder": "deconv3", "depth": 4, "num_steps": 2}
    family = get_family(search.family)
    overrides = {key: value for key, value in small.items() if key in family.Config.model_fields}
    dataset = {2: stripes, 3: stacked_stripes}[family.num_dims]
    overrides |= pretrained_overrides(search.family, dataset.shape, len(dataset.classes), tuple(dataset.classes))
    epochs = 2 if search.family == "transfer_cvae" else 1  # it has two phases
    # The networks that a pre-trained run has here are like no data: whatever they have seen is beside the point.
    folder = tune(
        name,
        data=dataset.path,
        epochs=epochs,
        overrides=overrides,
        out=tmp_path,
        allow_leakage=True,
        say=lambda line: None,
    )
    table = pd.read_csv(folder / "table.csv")
    assert len(table) == len(load_space(name, overrides).trials())
    assert set(table["status"]) == {"finished"}
    assert (folder / "best.json").is_file()
