"""The table of a sweep and its best run say on what split they were measured."""

from __future__ import annotations

import json
from dataclasses import replace

import pandas as pd
import pytest

from raysynth.data.dataset import Leakage
from raysynth.training.health import Finding
from raysynth.training.run_folder import RunFolder
from raysynth.tuning.space import Domain, SearchSpace
from raysynth.tuning.sweep_folder import SweepFolder, name_trials


@pytest.mark.parametrize("leakage", ["clean", "leaky"])
def test_leakage_stands_in_the_table_and_beside_the_best(stripes, tmp_path, leakage):
    data = replace(stripes, leakage=Leakage(leakage))
    space = SearchSpace(family="wcgan_gp", epochs=1, space={"latent_dim": Domain(grid=[4, 8])})
    sweep = SweepFolder.create(tmp_path, space=space, dataset=data, scoring_network=tmp_path / "network.pt")
    for place, trial in enumerate(name_trials(space)):
        contact = {"status": "touches"} if place else None
        run = RunFolder.create(
            sweep.run(trial).path, family="wcgan_gp", dataset=data, num_epochs=1, config={"seed": 0}, contact=contact
        )
        run.write_history([{"epoch": 1.0, "frechet": 9.0 - place, "images_per_s": 1.0, "seconds": 1.0}])
        run.write_status("finished", 1)
    best = sweep.write_results(space)
    assert list(pd.read_csv(sweep.path / "table.csv")["leakage"]) == [leakage, "touches"]
    assert best == json.loads((sweep.path / "best.json").read_text())
    assert best["leakage"] == "touches"


@pytest.mark.parametrize(("collapsed", "expected"), [((), 1), ((1,), 0), ((0, 1), 1)])
def test_a_collapsed_run_is_the_best_only_if_all_are(stripes, tmp_path, collapsed, expected):
    space = SearchSpace(family="wcgan_gp", epochs=1, space={"latent_dim": Domain(grid=[4, 8])})
    sweep = SweepFolder.create(tmp_path, space=space, dataset=stripes, scoring_network=tmp_path / "network.pt")
    for place, trial in enumerate(name_trials(space)):
        run = RunFolder.create(
            sweep.run(trial).path, family="wcgan_gp", dataset=stripes, num_epochs=1, config={"seed": 0}
        )
        run.write_history([{"epoch": 1.0, "frechet": 9.0 - place, "images_per_s": 1.0, "seconds": 1.0}])
        run.write_status("finished", 1)
        if place in collapsed:
            run.write_findings([Finding("collapse", 1, 1, "collapse: all alike")])
    best = sweep.write_results(space)
    assert best["trial"] == name_trials(space)[expected].name
    assert best["collapsed"] == (len(collapsed) == 2)
    table = sweep.table(space)
    assert list(table["findings"] == "collapse") == [place in collapsed for place in range(2)]
