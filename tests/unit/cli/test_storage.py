"""`--storage`: one place for all names, from drawing a data set to a report."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from raysynth.cli.main import run
from raysynth.data.locations import locate
from raysynth.evaluation import scoring_network


@pytest.fixture(autouse=True)
def short_scoring(monkeypatch: pytest.MonkeyPatch) -> None:
    """A scoring network of a few steps: what it scores is not looked at here."""
    monkeypatch.setitem(scoring_network.RECIPE, "num_steps", 5)


def test_names_are_below_the_storage(bucket: str, tmp_path: Path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("RAYSYNTH_STORAGE", f"{bucket}/lab")

    def call(*arguments: str) -> str:
        assert run(list(arguments)) == 0, capsys.readouterr().err
        return capsys.readouterr().out

    call("data", "phantom", "--images", "40", "--size", "16", "--out", "data")
    small = ["--set", "width=4", "--set", "batch_size=8", "--workers", "0"]
    printed = call("train", "wcgan_gp", "--data", "data", "--epochs", "1", *small, "--json")
    place = json.loads(printed)["run"]
    assert place.startswith(f"{bucket}/lab/runs/wcgan_gp-")
    call("generate", "runs/wcgan_gp-*", "--out", "made", "--per-class", "2")
    assert (locate(bucket) / "lab/made/dataset.json").is_file()
    call("data", "show", "made", "--out", "sheet.png")
    assert [path.name for path in tmp_path.iterdir()] == ["sheet.png"]
    call("data", "phantom", "--images", "40", "--size", "16", "--out", "./here")
    assert (tmp_path / "here" / "dataset.json").is_file()


def test_the_option_goes_before_the_environment(tmp_path: Path, monkeypatch):
    monkeypatch.setenv("RAYSYNTH_STORAGE", str(tmp_path / "other"))
    arguments = ["data", "phantom", "--images", "40", "--size", "16", "--out", "data"]
    assert run([*arguments, "--storage", str(tmp_path / "lab")]) == 0
    assert (tmp_path / "lab" / "data" / "dataset.json").is_file()


def test_a_name_that_is_not_there_is_answered_in_one_line(tmp_path: Path, capsys):
    assert run(["generate", "runs/*", "--out", "x", "--storage", str(tmp_path)]) == 2
    (line,) = capsys.readouterr().err.strip().splitlines()
    assert "RUN runs/*: nothing of that name in" in line
