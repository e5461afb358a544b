"""kill -9 of what holds a job: its supervisor, and the whole head with it; the run is gone on with by another job."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest
from ray_head import Head, started_head

from raysynth.data.dataset import Dataset
from raysynth.evaluation.scoring_network import ensure_scoring_network
from raysynth.training.run_folder import RunFolder

pytestmark = pytest.mark.skipif(
    not os.environ.get("RAYSYNTH_TEST_CLUSTER"),
    reason="starts clusters of its own, which a busy machine may be too slow for; RAYSYNTH_TEST_CLUSTER=1 runs it",
)
NUM_EPOCHS, KILL_AFTER = 10_000, 3
TIMEOUT_S = 240


def raysynth(head: Head, *words: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "raysynth", *map(str, words)]
    return subprocess.run(command, env=head.environment, capture_output=True, text=True, timeout=TIMEOUT_S)


def begin(head: Head, dataset: Dataset, out: Path) -> tuple[str, RunFolder]:
    """A job that trains in its own process, when it is under way."""
    small = ["--set", "batch_size=8", "--set", "width=4", "--set", "n_critic=1", "--epochs", NUM_EPOCHS]
    sent = raysynth(
        head, "train", "wcgan_gp", "--data", dataset.path, *small, "--workers", 0, "--out", out, "--detach", "--json"
    )
    assert sent.returncode == 0, sent.stderr

    def runs() -> list[RunFolder]:
        return [RunFolder(path.parent) for path in out.glob("wcgan_gp-*/status.json")]

    wait_until(lambda: bool(runs()) and runs()[0].status()["epoch"] >= KILL_AFTER)
    return json.loads(sent.stdout)["job"], runs()[0]


def wait_until(true: Callable[[], bool]) -> None:
    deadline = time.monotonic() + TIMEOUT_S
    while not true():
        assert time.monotonic() < deadline
        time.sleep(0.2)


def commands_of(run: RunFolder) -> list[psutil.Process]:
    """The processes that train the run, wherever they have come to."""
    found = []
    for process in psutil.process_iter():
        try:
            words = process.cmdline()
        except psutil.Error:
            continue
        if "raysynth" in words and str(run.path.parent) in words:
            found.append(process)
    return found


def resumed(head: Head, run: RunFolder) -> None:
    """Go on with the run until it has new epochs, then end that."""
    epoch = run.status()["epoch"]
    sent = raysynth(head, "train", "--resume", run.path, "--workers", 0, "--detach", "--json")
    assert sent.returncode == 0, sent.stderr
    job = json.loads(sent.stdout)["job"]
    wait_until(lambda: run.status()["epoch"] > epoch)
    assert raysynth(head, "jobs", "stop", job).returncode == 0


@pytest.fixture(scope="module", autouse=True)
def scoring_network(stripes: Dataset) -> None:
    ensure_scoring_network(stripes)


def test_a_job_whose_supervisor_or_head_is_killed(stripes: Dataset, tmp_path: Path):
    with started_head(tmp_path) as head:
        job, run = begin(head, stripes, tmp_path / "runs")
        below = psutil.Process(head.process.pid).children(recursive=True)
        supervisors = [process for process in below if "JobSupervisor" in " ".join(process.cmdline()[:1])]
        assert len(supervisors) == 1
        supervisors[0].kill()
        waited = raysynth(head, "jobs", "wait", job, "--json")
        assert (waited.returncode, json.loads(waited.stdout)["status"]) == (1, "FAILED")
        wait_until(lambda: not commands_of(run))
        resumed(head, run)

        _, other = begin(head, stripes, tmp_path / "others")
        os.killpg(head.process.pid, signal.SIGKILL)
    wait_until(lambda: not commands_of(other))
    with started_head(tmp_path) as head:
        resumed(head, other)
