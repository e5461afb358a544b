"""Verbs as jobs on a real cluster with a token: one `ray start --head` on ports and in a folder of its own."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from ray_head import Head, started_head

from raysynth.cli.main import run
from raysynth.data.dataset import Dataset
from raysynth.evaluation.scoring_network import ensure_scoring_network

SMALL = ["--set", "batch_size=8", "--set", "width=4", "--set", "n_critic=1"]


@dataclass(frozen=True)
class Done:
    """How a command ended, and what it printed."""

    status: int
    out: str
    err: str


Raysynth = Callable[..., Done]


@pytest.fixture
def raysynth(ray_head: Head, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Raysynth:
    """`raysynth WORDS...` in this process, by a user of the cluster; another token by `token`."""

    def call(*words: object, token: str | None = None) -> Done:
        for name in ("RAYSYNTH_ADDRESS", "RAY_AUTH_TOKEN_PATH"):
            monkeypatch.setenv(name, ray_head.environment[name])
        monkeypatch.delenv("RAY_AUTH_TOKEN", raising=False)
        if token == "":
            monkeypatch.setenv("RAY_AUTH_TOKEN_PATH", os.devnull)
        elif token:
            monkeypatch.setenv("RAY_AUTH_TOKEN", token)
        capsys.readouterr()
        status = run([str(word) for word in words])
        return Done(status, *capsys.readouterr())

    return call


@pytest.fixture(scope="module")
def ray_head(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Head]:
    with started_head(tmp_path_factory.mktemp("token")) as head:
        yield head
        assert head.process.poll() is None


@pytest.fixture(scope="module", autouse=True)
def scoring_network(stripes: Dataset) -> None:
    """What every run needs is there already."""
    ensure_scoring_network(stripes)


def submit(address: str, token: str, entrypoint: str) -> int:
    """The status of the answer to a job that is sent as Ray's own client sends it."""
    header = {"Authorization": f"Bearer {token}"} if token else {}
    body = json.dumps({"entrypoint": entrypoint}).encode()
    request = urllib.request.Request(f"{address}/api/jobs/", data=body, headers=header, method="POST")
    try:
        with urllib.request.urlopen(request) as answer:
            return int(answer.status)
    except urllib.error.HTTPError as error:
        return error.code


def test_a_submit_without_the_token_is_refused(ray_head: Head, raysynth: Raysynth, stripes: Dataset, tmp_path: Path):
    """By our own client, in one line, and by the cluster itself, whatever the client does."""
    arguments = ["train", "wcgan_gp", "--data", stripes.path, "--out", tmp_path / "runs", *SMALL]
    for token, why in (("", "wants a token, and there is none here"), ("another", "refuses this user's token")):
        refused = raysynth(*arguments, token=token)
        assert (refused.status, refused.err.count("\n")) == (2, 1)
        assert why in refused.err
    assert submit(ray_head.address, "", f"touch {tmp_path}/ran") == 401
    assert submit(ray_head.address, "another", f"touch {tmp_path}/ran") == 403
    assert not list(tmp_path.iterdir())
    assert json.loads(raysynth("jobs", "list", "--json").out) == []


def test_a_training_runs_as_a_job(raysynth: Raysynth, stripes: Dataset, tmp_path: Path):
    """Followed to its end, on a worker of the cluster, its result as JSON."""
    out = tmp_path / "runs"
    done = raysynth("train", "wcgan_gp", "--data", stripes.path, "--epochs", 1, *SMALL, "--json", "--out", out)
    assert done.status == 0, done.err
    (path,) = (path for path in out.iterdir() if path.name.startswith("wcgan_gp-"))
    assert json.loads(done.out) == {"run": str(path)}
    assert json.loads((path / "status.json").read_text())["state"] == "finished"
    assert "1 workers" in done.err
    assert "epoch 1/1" in done.err
    assert "sending raysynth (" in done.err
    assert "packaging.py" not in done.err  # Ray's own words on it
    assert "without a token" not in done.err
    assert "succeeded" in done.err.splitlines()[-1]


def test_a_mistake_that_only_the_cluster_sees_has_its_exit_status(raysynth: Raysynth, stripes: Dataset, tmp_path: Path):
    arguments = ["train", "wcgan_gp", "--data", stripes.path, *SMALL, "--out", tmp_path / "runs"]
    wrong = raysynth(*arguments, "--workers", 2)
    assert wrong.status == 2
    assert "--workers 2: the cluster has 1 cores; use 1 or fewer" in wrong.out


def test_a_job_is_detached_followed_and_stopped(ray_head: Head, raysynth: Raysynth, stripes: Dataset, tmp_path: Path):
    arguments = ["train", "wcgan_gp", "--data", stripes.path, "--epochs", 100_000, *SMALL, "--workers", 0]
    sent = raysynth(*arguments, "--out", tmp_path / "runs", "--detach", "--json")
    assert sent.status == 0, sent.err
    job = json.loads(sent.out)["job"]
    command = [sys.executable, "-m", "raysynth", "jobs", "logs", "-f", job]
    follow = subprocess.Popen(
        command, env=ray_head.environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    assert follow.stdout is not None
    assert any("epoch 1/100000" in line for line in follow.stdout)
    follow.send_signal(signal.SIGINT)
    _, said = follow.communicate(timeout=120)
    assert follow.returncode == 130
    assert f"raysynth jobs logs -f {job}" in said
    assert f"raysynth jobs stop {job}" in said

    assert json.loads(raysynth("jobs", "status", job, "--json").out)["status"] == "RUNNING"
    assert json.loads(raysynth("jobs", "stop", job, "--json").out)["status"] == "STOPPED"
    assert raysynth("jobs", "wait", job).status == 1
    newest = json.loads(raysynth("jobs", "list", "--json").out)[0]
    assert (newest["job"], newest["status"]) == (job, "STOPPED")
    assert newest["command"].startswith("raysynth train ")
    assert "go on with: raysynth train --resume" in raysynth("jobs", "logs", job).out  # as after Ctrl-C


def test_the_doctor_joins_the_cluster_from_a_node(ray_head: Head, tmp_path: Path):
    command = [sys.executable, "-m", "raysynth", "doctor", "--address", "auto", "--json"]
    command += ["--storage", str(tmp_path), "--space", "wcgan_gp"]
    done = subprocess.run(command, env=ray_head.environment, capture_output=True, text=True, check=False)
    content = json.loads(done.stdout)
    states = {check["subject"]: check["state"] for check in content["checks"]}
    assert {"versions", "storage", "clock", "dashboard", "token", "room"} <= set(states)
    assert states["storage"] == states["dashboard"] == states["room"] == states["token"] == "ok"
    assert [node["resources"]["CPU"] for node in content["nodes"]] == [1]
    assert done.returncode == (0 if content["is_fit"] else 1)
    assert not list(tmp_path.iterdir())
