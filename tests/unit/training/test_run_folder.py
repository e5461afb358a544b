from __future__ import annotations

import pandas as pd
import pytest
import yaml

from raysynth.errors import UserError
from raysynth.training.run_folder import RunFolder, name_folder


def test_history_keeps_what_each_epoch_measured(tmp_path):
    run = RunFolder(tmp_path)
    assert run.history() == []
    rows = [{"epoch": 1.0, "loss": 0.1 + 0.2}, {"epoch": 2.0, "loss": 1e-17, "frechet": 3.0}]
    run.write_history(rows)
    assert run.history() == rows  # exact: a resumed table is the table
    assert [path.name for path in tmp_path.iterdir()] == ["metrics.csv"]


def test_leakage_stands_in_every_row_of_metrics_and_is_no_metric(tmp_path):
    run = RunFolder(tmp_path)
    rows = [{"epoch": 1.0, "loss": 0.5}, {"epoch": 2.0, "loss": 0.25}]
    run.write_history(rows, leakage="leaky")
    assert list(pd.read_csv(tmp_path / "metrics.csv")["leakage"]) == ["leaky", "leaky"]
    assert run.history() == rows


@pytest.mark.parametrize(
    ("data", "contact", "expected"),
    [
        ("clean", None, "clean"),
        ("leaky", None, "leaky"),
        ("clean", {"status": "touches"}, "touches"),
        ("leaky", {"status": "unknown"}, "leaky"),
    ],
)
def test_a_run_is_as_leaky_as_its_data_and_its_pretraining(tmp_path, data, contact, expected):
    content = {"family": "x", "epochs": 1, "config": {}, "data": {"leakage": data}, "contact": contact}
    (tmp_path / "config.yaml").write_text(yaml.safe_dump(content))
    assert RunFolder(tmp_path).leakage() == expected


def test_status_is_new_until_it_is_written(tmp_path):
    run = RunFolder(tmp_path)
    assert run.status()["state"] == "new"
    run.write_status("running", 3, "why")
    assert run.status() == {"state": "running", "epoch": 3, "message": "why"}
    assert [path.name for path in tmp_path.iterdir()] == ["status.json"]  # a card comes when it has ended


def test_names_differ(tmp_path):
    names = {name_folder(tmp_path, "wcgan_gp").name for _ in range(20)}
    assert len(names) > 15
    assert all(name.startswith("wcgan_gp-") for name in names)


def test_a_folder_that_is_no_run_is_refused(tmp_path):
    with pytest.raises(UserError, match=r"--resume .* not a run"):
        RunFolder.open(tmp_path, "--resume")
