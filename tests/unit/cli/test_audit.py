"""`raysynth data audit` as a user meets it."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from raysynth.cli.audit import parse_rename
from raysynth.cli.main import run
from raysynth.data.audit import shortcuts
from raysynth.data.dataset import Dataset
from raysynth.data.dataset_writer import write_dataset
from raysynth.data.phantom import CLASSES, draw_slice
from raysynth.errors import UserError


def draw(num_images: int, seed: int) -> np.ndarray:
    return np.stack(
        [
            draw_slice(
                CLASSES[i % 4],
                64,
                patient=np.random.default_rng([seed, i]),
                rng=np.random.default_rng([seed, i, 1]),
            )
            for i in range(num_images)
        ]
    )


def write(path: Path, thumbnails: np.ndarray, num_test: int, classes: tuple[str, str] = ("left", "right")) -> Dataset:
    num = len(thumbnails)
    return write_dataset(
        path,
        name=path.name,
        kind="real",
        classes=classes,
        images=thumbnails[:, None, ::4, ::4],
        columns={
            "id": [f"{i:02d}" for i in range(num)],
            "label": [i % 2 for i in range(num)],
            "split": ["train"] * (num - num_test) + ["test"] * num_test,
            "thumbnail": thumbnails,
        },
        source={},
    )


@pytest.fixture
def own(tmp_path, monkeypatch) -> Dataset:
    """Ten images; the last one, of test, is the mirrored first one."""
    monkeypatch.setattr(shortcuts, "NUM_TREES", 5)
    pictures = draw(9, 0)
    return write(tmp_path / "own", np.stack([*pictures, pictures[0][:, ::-1]]), 3)


def test_it_prints_a_summary_and_writes_what_is_asked_for(own, tmp_path, capsys):
    public = write(tmp_path / "public", np.stack([*draw(5, 1), 255 - draw(8, 0)[7]]), 0, ("l", "r"))
    arguments = ["data", "audit", str(own.path), "--against", str(public.path), "--rename", "l=left"]
    out, file = tmp_path / "audit", tmp_path / "alone.json"
    assert run([*arguments, "--out", str(out), "--json", str(file), "--workers", "0"]) == 0
    captured = capsys.readouterr()
    assert captured.err == ""
    assert "audit: 0 exact, 0 near, 1 mirrored, 0 rotated, 0 inverted pairs of copies among 10 images" in captured.out
    assert "verdict: LEAKY: 1 test" in captured.out
    assert "against public (6 images)" in captured.out
    assert "labels of r are not compared" in captured.out
    assert captured.out.splitlines()[-1] == f"written: {out}/audit.json, pairs.parquet, audit.png"
    content = json.loads(file.read_text(encoding="utf-8"))
    assert content == json.loads((out / "audit.json").read_text(encoding="utf-8"))
    assert content["cross"][0]["inverted"]["pairs"] == 1
    assert content["cross"][0]["classes_compared"] == ["left"]


def test_every_threshold_is_an_option(own, tmp_path, capsys):
    thresholds = {"score": 0.99, "inverted_score": 0.98, "similarity": 0.7, "num_neighbours": 3, "group_density": 0.2}
    options = ["--score", "0.99", "--inverted-score", "0.98", "--similarity", "0.7"]
    options += ["--neighbours", "3", "--group-density", "0.2"]
    assert run(["data", "audit", str(own.path), *options, "--json", str(tmp_path / "a.json")]) == 0
    assert json.loads((tmp_path / "a.json").read_text())["thresholds"] == thresholds
    assert not (tmp_path / "audit").exists()  # without --out there is no folder


@pytest.mark.parametrize(
    "arguments",
    [
        ["--score", "0"],
        ["--score", "1.01"],
        ["--inverted-score", "nan"],
        ["--similarity", "-0.5"],
        ["--neighbours", "0"],
        ["--group-density", "2"],
        ["--workers", "-1"],
        ["--out", "."],
        ["--against", "nowhere"],
        ["--rename", "x"],
        ["--rename", "x=y"],
        ["--score", "high"],
    ],
)
def test_a_mistake_is_one_line_that_names_the_option(arguments, own, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    before = sorted(tmp_path.rglob("*"))
    assert run(["data", "audit", "own", *arguments]) == 2
    captured = capsys.readouterr()
    assert captured.err.startswith("raysynth: ")
    assert captured.err.count("\n") == 1
    assert arguments[0] in captured.err
    assert sorted(tmp_path.rglob("*")) == before


def test_an_import_takes_the_same_thresholds(tmp_path, capsys):
    assert run(["data", "import", str(tmp_path), "--out", str(tmp_path / "out"), "--score", "3"]) == 2
    assert "--score 3.0: want a number above 0 and at most 1" in capsys.readouterr().err


def test_names_are_paired():
    assert parse_rename(["a=b", "c=d=e"]) == {"a": "b", "c": "d=e"}
    assert parse_rename([]) == {}
    for pairs in (["a"], ["=b"], ["a="], ["a=b", "a=c"]):
        with pytest.raises(UserError, match="--rename "):
            parse_rename(pairs)


def test_a_file_that_cannot_be_written_is_said_before_the_search(own, tmp_path, capsys):
    (tmp_path / "file").touch()
    for option, name in (("--json", "a.json"), ("--out", "a")):
        assert run(["data", "audit", str(own.path), option, str(tmp_path / "file" / name)]) == 2
        said = capsys.readouterr()
        assert "cannot be written (Not a directory)" in said.err
        assert not said.out
