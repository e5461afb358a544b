"""What can be freed is what nothing needs: not the best, not what images were drawn from, not what is in use."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
import torch

from raysynth.cli.main import run as run_cli
from raysynth.data.buckets import BucketPath
from raysynth.data.dataset import Dataset
from raysynth.data.locations import locate
from raysynth.errors import UserError
from raysynth.locking.lock import locked
from raysynth.training.checkpoints import checkpoint_paths, save_checkpoint
from raysynth.training.clean import clean
from raysynth.training.run_folder import RunFolder


def make_run(path: Path, dataset: Dataset, state: str = "finished", **config: object) -> RunFolder:
    run = RunFolder.create(path, family="wcgan_gp", dataset=dataset, num_epochs=2, config={"seed": 0, **config})
    for epoch in (1, 2):
        save_checkpoint(run.checkpoints, epoch, {"weights": torch.zeros(1000)})
    run.write_status(state, 2)
    return run


def kept(run: RunFolder) -> list[str]:
    return [path.stem for path in checkpoint_paths(run.checkpoints)]


def write_set(folder: Path, provenance: dict[str, object]) -> None:
    folder.mkdir()
    (folder / "dataset.json").write_text(json.dumps({"provenance": provenance}))


def quiet(line: str) -> None:
    pass


@pytest.fixture
def sweep(stripes, tmp_path) -> list[RunFolder]:
    """Five trials: the best, one that images were drawn from, one that another run starts from, a poor and a failed
    one."""
    runs = [
        make_run(tmp_path / "sweep" / "runs" / str(i), stripes, "failed" if i == 4 else "stopped") for i in range(5)
    ]
    (tmp_path / "sweep" / "sweep.json").write_text("{}")
    (tmp_path / "sweep" / "best.json").write_text(json.dumps({"trial": "0", "run": "runs/0"}))
    write_set(tmp_path / "synthetic", {"run": str(runs[1].path.resolve())})
    make_run(tmp_path / "another", stripes, "running", pretrained=str(runs[2].path))
    return runs


def test_of_a_sweep_only_what_is_needed_stays(sweep, tmp_path):
    lines: list[str] = []
    listed = clean(tmp_path, days=0, say=lines.append)
    assert all(kept(run) == ["epoch_00001", "epoch_00002"] for run in sweep)  # listed only
    assert lines[-1].endswith(f"can be freed: checkpoints of 5 runs below {tmp_path}")
    assert clean(tmp_path, days=0, yes=True, say=quiet) == listed > 0
    assert [kept(run) for run in sweep] == [["epoch_00002"]] * 3 + [[]] * 2
    assert kept(RunFolder(tmp_path / "another")) == ["epoch_00001", "epoch_00002"]
    assert clean(tmp_path, days=0, yes=True, say=quiet) == 0


def test_what_is_in_use_recent_or_not_at_its_end_is_let_alone(stripes, tmp_path):
    run = make_run(tmp_path / "run", stripes)
    make_run(tmp_path / "running", stripes, "running")
    make_run(tmp_path / "unfinished" / "runs" / "0", stripes)
    (tmp_path / "unfinished" / "sweep.json").write_text("{}")
    with locked(run.path, "X"):
        assert clean(tmp_path, days=0, yes=True, say=quiet) == 0
    assert clean(tmp_path, yes=True, say=quiet) == 0  # ended a moment ago
    long_ago = run.path.stat().st_mtime - 31 * 86_400
    os.utime(run.path / "status.json", (long_ago, long_ago))
    assert clean(tmp_path, yes=True, say=quiet) > 0
    assert kept(run) == ["epoch_00002"]


def test_a_newest_checkpoint_that_is_cut_short_does_not_cost_the_one_before(stripes, tmp_path):
    run = make_run(tmp_path / "run", stripes)
    newest = checkpoint_paths(run.checkpoints)[-1]
    newest.write_bytes(newest.read_bytes()[:500])
    assert clean(tmp_path, days=0, yes=True, say=quiet) == 0
    assert kept(run) == ["epoch_00001", "epoch_00002"]


def test_the_command_removes_nothing_unless_told_to(stripes, tmp_path, capsys):
    run = make_run(tmp_path / "run", stripes)
    assert run_cli(["clean", str(tmp_path), "--days", "0"]) == 0
    assert "nothing was removed; add --yes" in capsys.readouterr().out
    assert len(kept(run)) == 2
    assert run_cli(["clean", str(tmp_path), "--days", "0", "--yes", "--json"]) == 0
    captured = capsys.readouterr()
    assert json.loads(captured.out)["removed"] is True
    assert "freed" in captured.err
    assert len(kept(run)) == 1


def test_mistakes_are_named(tmp_path):
    with pytest.raises(UserError, match=r"FOLDER .*nowhere: no such folder"):
        clean(tmp_path / "nowhere", say=quiet)
    with pytest.raises(UserError, match="--days -1: want 0 or more"):
        clean(tmp_path, days=-1, say=quiet)


def test_the_runs_of_joined_sets_stay(sweep, tmp_path):
    poor = sweep[3]
    write_set(tmp_path / "joined", {"run": None, "joined": [{"run": "/elsewhere"}, {"run": str(poor.path.resolve())}]})
    clean(tmp_path, days=0, yes=True, say=quiet)
    assert kept(poor) == ["epoch_00002"]
    assert kept(sweep[4]) == []


def test_in_a_bucket_a_broken_newest_one_does_not_cost_the_one_before_and_nothing_is_written(
    stripes, bucket, tmp_path, monkeypatch
):
    run = make_run(tmp_path / "run", stripes)
    for path in (path for path in run.path.rglob("*") if path.is_file()):
        content = path.read_bytes()
        broken = content[:500] if path.name == "epoch_00002.pt" else content
        (locate(bucket) / "broken" / path.relative_to(run.path).as_posix()).write_bytes(broken)
        (locate(bucket) / "whole" / path.relative_to(run.path).as_posix()).write_bytes(content)
    monkeypatch.setattr(BucketPath, "write_bytes", lambda self, content: pytest.fail("written for a list"))
    lines: list[str] = []
    clean(bucket, days=0, say=lines.append)
    (line,) = lines[:-1]
    assert f"{bucket}/whole: all but the newest" in line


def test_files_that_cannot_be_read_are_passed_over(stripes, tmp_path, monkeypatch):
    run = make_run(tmp_path / "run", stripes)
    foreign = tmp_path / "foreign"
    foreign.mkdir()
    for name in ("config.yaml", "dataset.json"):
        (foreign / name).write_text("{}")
    read = Path.read_text

    def refuse(self: Path, *arguments: object, **more: object) -> str:
        if self.parent == foreign:
            raise PermissionError(13, "Permission denied")
        return read(self, *arguments, **more)

    def refuse_to_open(self: Path, *arguments: object, **more: object) -> object:
        if self.name == "epoch_00002.pt" and self.parent.parent == closed.path:
            raise PermissionError(13, "Permission denied")
        return open_file(self, *arguments, **more)

    closed, open_file = make_run(tmp_path / "closed", stripes), Path.open
    monkeypatch.setattr(Path, "read_text", refuse)
    monkeypatch.setattr(Path, "open", refuse_to_open)
    assert clean(tmp_path, days=0, yes=True, say=quiet) > 0
    assert kept(run) == ["epoch_00002"]
    assert kept(closed) == ["epoch_00001", "epoch_00002"]  # nothing is known of the newest


def test_in_a_bucket_the_same_goes(sweep, bucket, tmp_path, capsys):
    """The same files, those that name runs rewritten as they would have been there."""
    there = locate(bucket) / "lab"
    for path in sorted(path for path in tmp_path.rglob("*") if path.is_file()):
        content = path.read_bytes().replace(f"{tmp_path}/".encode(), f"{there}/".encode())
        (there / path.relative_to(tmp_path).as_posix()).write_bytes(content)
    run_cli(["clean", str(tmp_path), "--days", "0", "--json"])
    here = json.loads(capsys.readouterr().out)
    assert run_cli(["clean", "--storage", str(there), "--json"]) == 0  # ended a moment ago
    assert json.loads(capsys.readouterr().out)["num_bytes"] == 0
    with locked(there / "sweep/runs/4", "X"):
        assert run_cli(["clean", "lab", "--storage", bucket, "--days", "0", "--json"]) == 0
        part = json.loads(capsys.readouterr().out)
        assert part["folder"] == str(there)
    assert 0 < part["num_bytes"] < here["num_bytes"]
    assert clean(there, days=0, yes=True, say=quiet) == here["num_bytes"]
    clean(tmp_path, days=0, yes=True, say=quiet)
    left = {path.relative_to(tmp_path).as_posix() for path in tmp_path.rglob("*") if path.is_file()}
    assert {name for name, _ in there.files()} == left
    assert clean(there, days=0, yes=True, say=quiet) == 0
