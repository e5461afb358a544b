"""A run from its plan to its folder: what stands in it, resuming, and the mistakes a user can make."""

from __future__ import annotations

import json
from pathlib import Path

import pandas as pd
import pytest
import torch
import yaml
from PIL import Image

from raysynth.data.dataset import Dataset
from raysynth.data.provenance import training_provenance
from raysynth.errors import TrainingStopped, UserError
from raysynth.training.checkpoints import load_newest_checkpoint
from raysynth.training.run_folder import RunFolder
from raysynth.training.train import train

NARROW = {"batch_size": 8, "width": 4, "latent_dim": 4, "n_critic": 2}


def quiet(line: str) -> None:
    pass


def test_a_run_folder_explains_itself(tiny_run, stripes):
    settings = yaml.safe_load((tiny_run / "config.yaml").read_text())
    assert settings["family"] == "wcgan_gp"
    assert settings["config"]["latent_dim"] == 4
    assert settings["config"]["penalty_weight"] == 10  # defaults are written out
    assert settings["data"]["fingerprint"] == stripes.fingerprint
    environment = json.loads((tiny_run / "environment.json").read_text())
    assert environment["packages"]["torch"]
    assert environment["data_fingerprint"] == stripes.fingerprint
    assert settings["trained_on"] == list(training_provenance(stripes).entries)
    assert RunFolder(tiny_run).provenance() == training_provenance(stripes)
    assert set(pd.read_csv(tiny_run / "metrics.csv")["leakage"]) == {"clean"}
    metrics = pd.read_csv(tiny_run / "metrics.csv")
    assert list(metrics["epoch"]) == [1, 2]
    expected = {
        "d_loss",
        "g_loss",
        "wasserstein",
        "penalty",
        "critic_real",
        "critic_generated",
        "images_per_s",
        "frechet",
    }
    assert expected <= set(metrics.columns)
    assert metrics[sorted(expected)].notna().all().all()
    assert RunFolder(tiny_run).status()["state"] == "finished"
    assert len(list(tiny_run.glob("events.*"))) == 1
    grid = Image.open(tiny_run / "samples" / "epoch_00002.png")
    assert grid.size == (8 * 18 + 2, 2 * 18 + 2)  # eight 16 px columns, one row a class


def test_resuming_is_equal_to_never_stopping(stripes: Dataset, tmp_path: Path):
    """Bit-equal weights and metrics, on one CPU worker: whole, and stopped after the second of four epochs."""
    options = {"data": stripes.path, "overrides": NARROW, "workers": 0, "say": quiet}
    whole = train("wcgan_gp", epochs=4, out=tmp_path / "whole", **options)
    part = train("wcgan_gp", epochs=2, out=tmp_path / "part", **options)
    settings = yaml.safe_load((part / "config.yaml").read_text())
    (part / "config.yaml").write_text(yaml.safe_dump(settings | {"epochs": 4}))
    RunFolder(part).write_status("running", 2)
    (part / "checkpoints" / ".epoch_00003.pt.partial-1").write_bytes(b"cut short by a crash")
    train(resume=part, workers=0, say=quiet)

    states = [load_newest_checkpoint(run / "checkpoints") for run in (whole, part)]
    flat = [dict(flatten(state["model"])) for state in states if state]
    assert flat[0].keys() == flat[1].keys()
    for key, value in flat[0].items():
        assert torch.equal(value, flat[1][key]) if isinstance(value, torch.Tensor) else value == flat[1][key], key
    columns = ["epoch", "d_loss", "g_loss", "wasserstein", "penalty", "frechet"]
    tables = [pd.read_csv(run / "metrics.csv")[columns] for run in (whole, part)]
    pd.testing.assert_frame_equal(*tables, check_exact=True)


def flatten(value, name=""):
    if isinstance(value, dict):
        for key, item in value.items():
            yield from flatten(item, f"{name}/{key}")
    elif isinstance(value, (list, tuple)):
        for index, item in enumerate(value):
            yield from flatten(item, f"{name}/{index}")
    else:
        yield name, value


def test_a_diverging_run_says_so_and_keeps_its_last_good_checkpoint(stripes, tmp_path):
    run = None
    with pytest.raises(TrainingStopped, match=r"epoch \d.*(try|not saved)"):
        train(
            "wcgan_gp",
            data=stripes.path,
            epochs=30,
            overrides={**NARROW, "critic_learning_rate": 1e9, "penalty_weight": 1e9},
            workers=0,
            out=tmp_path,
            say=quiet,
        )
    (run,) = [path for path in tmp_path.iterdir() if (path / "config.yaml").is_file()]
    assert RunFolder(run).status()["state"] == "failed"
    state = load_newest_checkpoint(run / "checkpoints")
    if state is not None:
        assert all(torch.isfinite(v).all() for _, v in flatten(state) if isinstance(v, torch.Tensor))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"family": "wcgan"}, "FAMILY wcgan: unknown family"),
        ({"family": None}, "FAMILY: missing"),
        ({"overrides": {"latent": 3}}, "--set latent: unknown key; did you mean latent_dim"),
        ({"overrides": {"latent_dim": "many"}}, "--set latent_dim='many': input should be a valid integer"),
        ({"overrides": {"critic": "spectral"}}, "--set critic='spectral': input should be 'dropout'"),
        ({"overrides": {"batch_size": 1000}}, "batch_size=1000: more than the"),
        ({"epochs": 0}, "--epochs 0: want 1 or more"),
        ({"workers": -1}, "--workers -1"),
        ({"workers": 3000}, "--workers 3000: this machine has"),
        ({"overrides": {"batch_size": 9}, "workers": 2}, "not divisible among 2 workers"),
        ({"out": __file__}, "is not a folder that can be written to"),
        ({"resume": "nowhere", "epochs": None}, "--resume nowhere: not a run"),
        ({"data": "nowhere"}, "--data nowhere: no dataset.json"),
        ({"resume": "nowhere"}, "--resume nowhere: not a run"),
    ],
)
def test_mistakes_are_answered_in_one_line(stripes, tmp_path, arguments, message):
    options = {"family": "wcgan_gp", "data": stripes.path, "overrides": {}, "workers": 0} | arguments
    options["overrides"] = {"batch_size": 8} | options["overrides"]
    options = {"out": tmp_path / "runs"} | options
    with pytest.raises(UserError) as error:
        train(options.pop("family"), **options, say=quiet)
    assert message in str(error.value)
    assert "\n" not in str(error.value)
    assert not (tmp_path / "runs").exists()


def test_a_finished_run_is_not_resumed(tiny_run):
    with pytest.raises(UserError, match="finished all its 2 epochs"):
        train(resume=tiny_run, workers=0, say=quiet)


def test_a_resumed_run_keeps_what_it_was_asked(tiny_run, tmp_path):
    for arguments, option in (
        ({"epochs": 9}, "--epochs 9"),
        ({"overrides": {"width": 8}}, "--set width"),
        ({"data": "x"}, "--data x"),
    ):
        with pytest.raises(UserError, match=rf"{option}: a resumed run keeps its own"):
            train(resume=tiny_run, workers=0, say=quiet, **arguments)
    (tmp_path / "config.yaml").write_text("family: wcgan_gp\n")
    with pytest.raises(UserError, match=r"config\.yaml lacks 'config'"):
        train(resume=tmp_path, workers=0, say=quiet)


def test_a_crash_between_checkpoint_and_metrics_loses_nothing(stripes, tmp_path):
    """The newest checkpoint knows an epoch that metrics.csv does not: no epoch is trained twice."""
    options = {"data": stripes.path, "overrides": NARROW, "workers": 0, "say": quiet}
    whole = train("wcgan_gp", epochs=3, out=tmp_path / "whole", **options)
    part = train("wcgan_gp", epochs=2, out=tmp_path / "part", **options)
    settings = yaml.safe_load((part / "config.yaml").read_text())
    (part / "config.yaml").write_text(yaml.safe_dump(settings | {"epochs": 3}))
    run = RunFolder(part)
    run.write_history(run.history()[:1])
    run.write_status("running", 1)
    train(resume=part, workers=0, say=quiet)
    states = [load_newest_checkpoint(path / "checkpoints") for path in (whole, part)]
    steps = [state["model"]["num_critic_steps"] for state in states if state]
    assert steps[0] == steps[1]
    assert [row["epoch"] for row in run.history()] == [1, 2, 3]


def test_a_dry_run_writes_nothing(stripes, tmp_path):
    lines: list[str] = []
    train(
        "wcgan_gp", data=stripes.path, overrides=NARROW, workers=0, out=tmp_path / "o", dry_run=True, say=lines.append
    )
    assert "latent_dim=4" in lines[0]
    assert not (tmp_path / "o").exists()


def test_images_from_a_file_make_the_same_training(stripes, tmp_path):
    """Bit-equal weights and metrics, whether the train images lie in memory or on the disk."""
    options = {"data": stripes.path, "epochs": 2, "workers": 0, "say": quiet}
    runs = [
        RunFolder(train("wcgan_gp", overrides=NARROW | {"memory_share": share}, out=tmp_path / str(share), **options))
        for share in (0, 1)
    ]
    states = [run.newest_checkpoint() for run in runs]
    flat = [dict(flatten(state["model"])) for state in states if state]
    for key, value in flat[0].items():
        assert torch.equal(value, flat[1][key]) if isinstance(value, torch.Tensor) else value == flat[1][key], key
    columns = ["d_loss", "g_loss", "frechet"]
    pd.testing.assert_frame_equal(*(pd.DataFrame(run.history())[columns] for run in runs), check_exact=True)


def test_a_run_that_is_refused_leaves_nothing(stripes, tmp_path, monkeypatch):
    """As where workers on other nodes do not see its folder, which only Ray can tell; one that had begun is kept."""

    def refuse(run: RunFolder, workers: int, min_workers: int | None, say: object) -> None:
        raise UserError("--out: node 10.0.0.2 does not see it")

    train("wcgan_gp", data=stripes.path, epochs=1, overrides=NARROW, workers=0, out=tmp_path, say=quiet)
    (run,) = tmp_path.iterdir()
    monkeypatch.setattr("raysynth.training.train._fit", refuse)
    with pytest.raises(UserError, match="does not see it"):
        train("wcgan_gp", data=stripes.path, epochs=1, overrides=NARROW, workers=0, out=tmp_path, say=quiet)
    assert list(tmp_path.iterdir()) == [run]
    (run / "status.json").write_text(json.dumps({"state": "running", "epoch": 1, "message": ""}))
    with pytest.raises(UserError, match="does not see it"):
        train(resume=run, workers=0, say=quiet)
    assert (run / "checkpoints").is_dir()
