"""`--json`: the result alone on standard output, progress on standard error."""

from __future__ import annotations

import json

from raysynth.cli.main import run


def test_phantom(tmp_path, capsys):
    out = tmp_path / "data"
    assert run(["data", "phantom", "--out", str(out), "--images", "40", "--size", "16", "--json"]) == 0
    printed = json.loads(capsys.readouterr().out)
    assert sum(sum(classes.values()) for classes in printed["counts"].values()) == 40


def test_generate(tiny_run, tmp_path, capsys):
    assert run(["generate", str(tiny_run), "--out", str(tmp_path / "made"), "--per-class", "2", "--json"]) == 0
    captured = capsys.readouterr()
    assert json.loads(captured.out)["counts"] == {"left": 2, "right": 2}
    assert "drawing 4 images" in captured.err


def test_train_dry_run(stripes, tmp_path, capsys):
    arguments = ["train", "wcgan_gp", "--data", str(stripes.path), "--out", str(tmp_path), "--set", "batch_size=8"]
    assert run([*arguments, "--dry-run", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["run"].startswith(str(tmp_path))
    assert not list(tmp_path.iterdir())


def test_tune_dry_run_prints_the_trials(stripes, tmp_path, capsys):
    assert run(["tune", "wcgan_gp", "--data", str(stripes.path), "--out", str(tmp_path), "--dry-run",
                "--set", "batch_size=8"]) == 0  # fmt: skip
    printed = capsys.readouterr().out
    assert "8 trials of wcgan_gp, 300 epochs each, fixed: batch_size=8" in printed
    assert "generator=upsample critic=batchnorm latent_dim=128" in printed
    assert not list(tmp_path.iterdir())
