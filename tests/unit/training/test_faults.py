"""Faults of one process that really happen to it: told to end in the middle of an epoch, storage that cannot be
written to, a checkpoint cut short, a run that is begun twice. Those of Ray's processes: tests/ray/test_faults.py."""

from __future__ import annotations

import os
import resource
import shutil
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import torch

from raysynth.config import build_config
from raysynth.data.dataset import Dataset
from raysynth.errors import TrainingStopped, UserError
from raysynth.locking.lock import locked
from raysynth.models.wcgan_gp import WCGANGP
from raysynth.training import preemption, recorder
from raysynth.training.checkpoints import checkpoint_paths, load_newest_checkpoint
from raysynth.training.run_folder import RunFolder
from raysynth.training.train import train
from raysynth.training.worker import train_run

NARROW = {"batch_size": 4, "width": 4, "latent_dim": 4, "n_critic": 2}
NOT_COMPARED = ("seconds", "images_per_s")


def create(path: Path, dataset: Dataset, num_epochs: int = 3, **overrides: object) -> RunFolder:
    """A run that has not begun, without a scoring network, which would take longer than all else."""
    config = build_config(WCGANGP.Config, {**NARROW, **overrides}, origin="test").model_dump()
    return RunFolder.create(path, family="wcgan_gp", dataset=dataset, num_epochs=num_epochs, config=config)


@pytest.fixture(scope="module")
def whole(stripes: Dataset, tmp_path_factory: pytest.TempPathFactory) -> RunFolder:
    """What every faulty run must come to."""
    run = create(tmp_path_factory.mktemp("runs") / "whole", stripes)
    train_run(str(run.path), num_threads=1)
    return run


def assert_equal(run: RunFolder, whole: RunFolder) -> None:
    rows = [
        [{k: v for k, v in row.items() if k not in NOT_COMPARED} for row in each.history()] for each in (run, whole)
    ]
    assert rows[0] == rows[1]
    states = [load_newest_checkpoint(each.checkpoints) for each in (run, whole)]
    assert states[0] is not None
    assert states[1] is not None
    for part in ("generator", "critic"):
        for name, value in states[1]["model"][part].items():
            assert torch.equal(states[0]["model"][part][name], value), f"{part}.{name}"


@contextmanager
def signalled_at(number: int, steps: list[int]) -> Iterator[None]:
    """A signal to this process in each of these steps, counted over the epochs of the block."""
    step, count = WCGANGP.train_step, 0

    def counting(self, *arguments):
        nonlocal count
        count += 1
        if count in steps:
            os.kill(os.getpid(), number)
        return step(self, *arguments)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(WCGANGP, "train_step", counting)
        yield


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_told_to_end_it_leaves_a_checkpoint_of_the_middle_of_the_epoch(stripes, whole, tmp_path, number):
    """Spot preemption: nothing is trained twice, and the end is as if it had not been."""
    run = create(tmp_path / "run", stripes)
    handler = signal.getsignal(number)
    for steps, expected in (([3], "epoch_00000_step_00003.pt"), ([2], "epoch_00000_step_00005.pt")):
        with signalled_at(number, steps), pytest.raises(KeyboardInterrupt):
            train_run(str(run.path), num_threads=1)
        assert checkpoint_paths(run.checkpoints)[-1].name == expected
    with signalled_at(number, [4]), pytest.raises(KeyboardInterrupt):
        train_run(str(run.path), num_threads=1)
    assert checkpoint_paths(run.checkpoints)[-1].name == "epoch_00001_step_00002.pt"
    train_run(str(run.path), num_threads=1)
    assert_equal(run, whole)
    assert signal.getsignal(number) is handler


def test_a_machine_that_will_go_makes_it_keep_a_checkpoint_and_go_on(stripes, whole, tmp_path, monkeypatch):
    """Its end is as if nothing had been said, and so is that of a copy that was killed right after the checkpoint."""
    run, copy = create(tmp_path / "run", stripes, num_checkpoints=9), create(tmp_path / "copy", stripes)
    monkeypatch.setattr(preemption, "STEPS_PER_NOTICE", 9)
    answered: list[str] = []
    train_run(
        str(run.path),
        num_threads=1,
        reasons_to_keep=lambda: {"this node"},
        kept=lambda: answered.extend(path.name for path in run.checkpoints.glob("epoch_*_step_*.pt")),
    )
    assert answered == ["epoch_00001_step_00002.pt"]  # once, and when it was there
    (path,) = run.checkpoints.glob("epoch_*_step_*.pt")
    assert path.name == "epoch_00001_step_00002.pt"
    assert_equal(run, whole)
    shutil.copytree(path.parent, copy.checkpoints, ignore=lambda folder, names: {n for n in names if n != path.name})
    train_run(str(copy.path), num_threads=1)
    assert_equal(copy, whole)


def test_a_second_signal_ends_it_at_once(stripes, tmp_path):
    run = create(tmp_path / "run", stripes)
    step = WCGANGP.train_step

    def impatient(self, *arguments):
        os.kill(os.getpid(), signal.SIGINT)
        os.kill(os.getpid(), signal.SIGINT)
        return step(self, *arguments)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(WCGANGP, "train_step", impatient)
        with pytest.raises(KeyboardInterrupt):
            train_run(str(run.path), num_threads=1)
    assert checkpoint_paths(run.checkpoints) == []


def test_memory_that_runs_out_is_one_line_with_a_remedy(stripes, tmp_path):
    """Of torch's own allocator, asked for more than any machine has."""
    run = create(tmp_path / "run", stripes)
    step = WCGANGP.train_step

    def greedy(self, *arguments):
        if self.context.epoch == 2:
            torch.empty(1 << 55)
        return step(self, *arguments)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(WCGANGP, "train_step", greedy)
        with pytest.raises(TrainingStopped, match=r"^epoch 2: out of memory \(.*smaller batch_size than 4"):
            train_run(str(run.path), num_threads=1)
    assert run.status()["state"] == "failed"
    assert "out of memory" in run.status()["message"]
    assert checkpoint_paths(run.checkpoints)[-1].name == "epoch_00001.pt"


def test_another_error_is_not_taken_for_it(stripes, tmp_path):
    run = create(tmp_path / "run", stripes)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(WCGANGP, "train_step", lambda self, *arguments: torch.zeros(2) @ torch.zeros(3))
        with pytest.raises(RuntimeError, match="size"):
            train_run(str(run.path), num_threads=1)
    assert run.status()["state"] != "failed"


def test_a_command_that_is_terminated_says_how_to_go_on(stripes, tmp_path, capsys):
    from raysynth.cli.main import run as run_cli

    run = create(tmp_path / "run", stripes)
    with signalled_at(signal.SIGTERM, [9]):
        assert run_cli(["train", "--resume", str(run.path), "--workers", "0"]) == 130
    assert f"raysynth: stopped; go on with: raysynth train --resume {run.path}" in capsys.readouterr().err
    assert checkpoint_paths(run.checkpoints)[-1].name == "epoch_00001_step_00002.pt"
    assert run_cli(["train", "--resume", str(run.path), "--workers", "0"]) == 0
    assert [row["epoch"] for row in run.history()] == [1, 2, 3]


def test_storage_that_comes_back_costs_nothing_but_time(stripes, whole, tmp_path):
    run = create(tmp_path / "run", stripes)
    run.checkpoints.write_text("in the way of the folder")
    threading.Timer(0.5, run.checkpoints.unlink).start()
    train_run(str(run.path), num_threads=1)
    assert_equal(run, whole)


@contextmanager
def room_for(num_bytes: int) -> Iterator[None]:
    """Any file that grows beyond this is cut there by the system, as on a full disk."""
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (num_bytes, limits[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)


def test_a_full_disk_loses_no_checkpoint_that_was_whole(stripes, whole, tmp_path, monkeypatch, capsys):
    from raysynth.cli.main import run as run_cli

    monkeypatch.setattr(recorder, "PATIENCE_S", 0.0)
    run = create(tmp_path / "run", stripes)
    with signalled_at(signal.SIGTERM, [9]), pytest.raises(KeyboardInterrupt):
        train_run(str(run.path), num_threads=1)
    before = {path.name: path.read_bytes() for path in checkpoint_paths(run.checkpoints)}
    assert len(before) == 2
    with room_for(20_000):
        assert run_cli(["train", "--resume", str(run.path), "--workers", "0"]) == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert "cannot be written to (File too large)" in line
    assert f"go on with: raysynth train --resume {run.path}" in line
    assert {path.name: path.read_bytes() for path in run.checkpoints.iterdir()} == before
    train(resume=run.path, workers=0, say=lambda line: None)
    assert [row["epoch"] for row in run.history()] == [1, 2, 3]


def test_a_checkpoint_cut_short_is_named_and_the_one_before_is_used(stripes, whole, tmp_path):
    run = create(tmp_path / "run", stripes, num_epochs=3)
    shutil.copytree(whole.checkpoints, run.checkpoints)
    newest = checkpoint_paths(run.checkpoints)[-1]
    newest.write_bytes(newest.read_bytes()[:5000])
    lines: list[str] = []
    train(resume=run.path, workers=0, say=lines.append)
    assert any("epoch_00003.pt cannot be read" in line and "epoch_00002.pt is used" in line for line in lines)
    assert [row["epoch"] for row in run.history()] == [1, 2, 3]


def test_a_run_is_not_trained_twice_at_once(stripes, tmp_path):
    run = create(tmp_path / "sweep" / "runs" / "0", stripes)
    with locked(run.path, "X"), pytest.raises(UserError, match=f"--resume {run.path}: in use by process {os.getpid()}"):
        train(resume=run.path, workers=0, say=lambda line: None)
    (tmp_path / "sweep" / "sweep.json").write_text("{}")
    with locked(tmp_path / "sweep", "X"), pytest.raises(UserError, match="sweep: in use by process"):
        train(resume=run.path, workers=0, say=lambda line: None)


def test_as_many_checkpoints_are_kept_as_asked_for(stripes, tmp_path):
    run = create(tmp_path / "run", stripes, num_checkpoints=1)
    train_run(str(run.path), num_threads=1)
    assert [path.name for path in checkpoint_paths(run.checkpoints)] == ["epoch_00003.pt"]


def test_patience_ends(stripes, tmp_path, monkeypatch):
    monkeypatch.setattr(recorder, "PATIENCE_S", 0.5)
    run = create(tmp_path / "run", stripes)
    run.checkpoints.write_text("in the way of the folder")
    started = time.monotonic()
    with pytest.raises(TrainingStopped, match=r"cannot be written to \(.+\) for 0 s; mend or free the storage"):
        train_run(str(run.path), num_threads=1)
    assert time.monotonic() - started < 60
    assert run.status()["state"] == "failed"
