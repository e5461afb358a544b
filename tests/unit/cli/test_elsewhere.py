"""`--address`: what is refused before a cluster is asked, and which words reach it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from raysynth.cli.elsewhere import ResultLines
from raysynth.cli.main import run
from raysynth.cluster import jobs

ADDRESS = ["--address", "http://127.0.0.1:1"]  # where nobody answers
SMALL = ["--set", "batch_size=8", "--set", "width=4"]


class StandIn:
    """A cluster that takes down what it is sent."""

    sent: tuple[str, list[str], dict[str, Path]] | None = None

    def __init__(self, address: str) -> None:
        self.address = address
        type(self).sent = None

    def warn(self, say: Any) -> None:
        pass

    def submit(self, verb: str, words: Sequence[str], files: dict[str, Path], say: Any) -> str:
        type(self).sent = (verb, list(words), files)
        return "job-1"

    def follow(self, job: str, say: Any) -> dict[str, Any]:
        for line in ("epoch 1/1", "{", '  "run": "/r"', "}"):
            say(line)
        return {"status": "FAILED", "exit_status": 3, "message": ""}

    def how_to_follow(self, job: str) -> str:
        return f"jobs logs -f {job}"


@pytest.fixture
def cluster(monkeypatch) -> Iterator[type[StandIn]]:
    monkeypatch.setattr(jobs, "Cluster", StandIn)
    yield StandIn
    StandIn.sent = None


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["train", "wcgan", "--out", "/o"], "FAMILY wcgan: "),
        (["train", "wcgan_gp", "--set", "latent=3", "--out", "/o"], "--set latent: "),
        (["tune", "nothing", "--out", "/o"], "SPACE nothing: "),
        (["study", "wcgan_gp", "nothing", "--out", "/o"], "SPACE nothing: "),
        (["train", "wcgan_gp", "--data", "brain", "--out", "/o"], "--data brain: a path of this machine"),
        (["train", "wcgan_gp", "--data", "/brain"], "--out: not given"),
        (["generate", "runs/a", "--out", "/o"], "RUN runs/a: a path of this machine"),
        (["evaluate", "--synthetic", "made", "--out", "/o"], "--synthetic made: a path of this machine"),
        (["train", "wcgan_gp", "--data", "/brain", "--out", "/o"], "--address http://127.0.0.1:1: cannot be reached"),
        (["train", "wcgan_gp", "--address", "head"], "--address head: want http://HEAD:8265"),
    ],
)
def test_a_mistake_is_said_here(arguments, message, capsys):
    assert run([*arguments, *(ADDRESS if "--address" not in arguments else [])]) == 2
    captured = capsys.readouterr()
    assert captured.err.startswith(f"raysynth: {message}")
    assert captured.err.count("\n") == 1


def test_detach_is_for_jobs(capsys):
    assert run(["train", "wcgan_gp", "--detach"]) == 2
    assert "--detach: is for jobs" in capsys.readouterr().err


def test_the_job_has_the_same_words_and_its_exit_status_is_ours(cluster, stripes, tmp_path, capsys):
    arguments = ["wcgan_gp", "--data", str(stripes.path), "--out", "/shared/runs", "--epochs", "1", "--workers", "8"]
    assert run(["train", *arguments, *SMALL, "--json", *ADDRESS]) == 3
    verb, words, files = cluster.sent
    assert verb == "train"
    assert sorted(words) == sorted([*arguments, *SMALL, "--json"])
    assert words[-1] == "wcgan_gp"
    assert not files
    captured = capsys.readouterr()
    assert captured.out == '{\n  "run": "/r"\n}\n'
    assert "epoch 1/1" in captured.err
    assert not Path("/shared").exists()


@pytest.mark.parametrize("verb", ["tune", "study"])
def test_a_space_of_ones_own_travels_with_the_job(verb, cluster, stripes, tmp_path, capsys):
    space = tmp_path / "own.yaml"
    space.write_text("family: wcgan_gp\nepochs: 1\nspace: {latent_dim: {grid: [4]}}\nresources: {gpu: 8}\n")
    data = ["--data", str(stripes.path), "--out", "/shared/sweeps"]
    assert run([verb, str(space), *data, *SMALL, "--detach", *ADDRESS]) == 0
    sent, words, files = cluster.sent
    assert sent == verb
    assert words[-1] == "files/0/own.yaml"
    assert files == {"files/0/own.yaml": space}
    assert "jobs logs -f job-1" in capsys.readouterr().out


def test_the_storage_of_the_environment_travels_with_the_job(cluster, bucket, monkeypatch, capsys):
    monkeypatch.setenv("RAYSYNTH_STORAGE", f"{bucket}/lab")
    assert run(["train", "wcgan_gp", "--data", "brain", "--epochs", "1", *SMALL, "--detach", *ADDRESS]) == 0
    _, words, _ = cluster.sent
    assert words[words.index("--storage") + 1] == f"{bucket}/lab"
    assert words[words.index("--data") + 1] == "brain"
    assert f"--data {bucket}/lab/brain" in capsys.readouterr().out  # is not there yet: for the job to look


def test_a_dry_run_sends_nothing(cluster, stripes, capsys):
    data = ["--data", str(stripes.path), "--out", "/shared/runs"]
    assert run(["train", "wcgan_gp", *data, *SMALL, "--dry-run", *ADDRESS]) == 0
    assert cluster.sent is None
    assert "/shared/runs/wcgan_gp-" in capsys.readouterr().out


def test_what_only_the_cluster_sees_is_checked_there(cluster, capsys):
    assert run(["train", "wcgan_gp", "--data", "/only/there", "--out", "/o", "--detach", *ADDRESS]) == 0
    assert "not checked here, where it cannot be seen: --data /only/there" in capsys.readouterr().out


def test_the_json_that_ends_a_log_is_kept_apart():
    said: list[str] = []
    lines = ResultLines(said.append)
    for line in ("a", "{", "  1", "}", "b"):
        lines(line)
    assert said == ["a", "b"]
    assert lines.lines == ["{", "  1", "}"]
