from __future__ import annotations

import time

import pytest

from raysynth.training.follow import describe_epoch, following, format_duration
from raysynth.training.health import Finding
from raysynth.training.run_folder import RunFolder


@pytest.mark.parametrize(
    ("seconds", "text"), [(8.4, "8 s"), (200, "3 min 20 s"), (59.6, "1 min 00 s"), (7500, "2 h 05 min")]
)
def test_durations_read_well(seconds, text):
    assert format_duration(seconds) == text


def test_an_epoch_is_a_line():
    line = describe_epoch({"epoch": 2.0, "d_loss": -1.23456, "images_per_s": 99.6, "seconds": 30.0}, num_epochs=4)
    assert line == "epoch 2/4  d_loss -1.235  100 images/s  1 min 00 s left"


def test_each_epoch_is_said_once_as_it_ends(tmp_path):
    (tmp_path / "config.yaml").write_text("family: wcgan_gp\nepochs: 3\nconfig: {}\ndata: {}\n")
    run = RunFolder(tmp_path)
    rows = [{"epoch": float(e), "images_per_s": 1.0, "seconds": 1.0} for e in (1, 2, 3)]
    run.write_history(rows[:1])
    lines: list[str] = []
    with following(run, lines.append):
        run.write_history(rows[:2])
        deadline = time.monotonic() + 10
        while len(lines) < 2 and time.monotonic() < deadline:
            time.sleep(0.05)
        assert lines[0] == "going on after epoch 1"
        run.write_history(rows)
    assert [line.split()[1] for line in lines[1:]] == ["2/3", "3/3"]


def test_what_goes_wrong_is_said_once(tmp_path):
    (tmp_path / "config.yaml").write_text("family: wcgan_gp\nepochs: 3\nconfig: {}\ndata: {}\n")
    run = RunFolder(tmp_path)
    lines: list[str] = []
    with following(run, lines.append):
        for epoch in (1, 2, 3):
            rows = [{"epoch": float(e), "images_per_s": 1.0, "seconds": 1.0} for e in range(1, epoch + 1)]
            run.write_findings([Finding("collapse", 1, epoch, f"collapse: images differ by only {epoch} %")])
            run.write_history(rows)
            deadline = time.monotonic() + 10
            while len(lines) < epoch + 1 and time.monotonic() < deadline:
                time.sleep(0.05)
    warnings = [line for line in lines if line.startswith("warning: ")]
    assert warnings == ["warning: epoch 1: collapse: images differ by only 1 %"]
    assert len(lines) == 4


def test_nothing_is_read_while_nothing_is_written(tmp_path, monkeypatch):
    (tmp_path / "config.yaml").write_text("family: wcgan_gp\nepochs: 3\nconfig: {}\ndata: {}\n")
    run = RunFolder(tmp_path)
    run.write_history([{"epoch": 1.0, "images_per_s": 1.0, "seconds": 1.0}])
    reads = []
    history = run.history
    monkeypatch.setattr("raysynth.training.follow.POLL_S", 0.01)
    monkeypatch.setattr(run, "history", lambda: reads.append(1) or history())
    with following(run, lambda line: None):
        time.sleep(0.3)
        assert len(reads) == 1
