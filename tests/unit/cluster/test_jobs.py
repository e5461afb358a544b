"""What of jobs needs no cluster: a log that is read twice, statuses, and who answers at an address."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest

from raysynth.cluster.jobs import Cluster, JobLines, exit_status
from raysynth.errors import UserError

LOG = "2026 INFO: setting up\nRunning entrypoint for job a: python3 ...\nepoch 1\nepoch 2\nlast"


@contextmanager
def server(answer: Callable[[str], tuple[int, str]]) -> Iterator[str]:
    """A server on this machine that answers what a request's Authorization header deserves; its address."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            status, text = answer(self.headers.get("Authorization", ""))
            self.send_response(status)
            self.end_headers()
            self.wfile.write(text.encode())

        def log_message(self, *words: object) -> None:
            pass

    http = HTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=http.serve_forever, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{http.server_port}"
    http.shutdown()
    thread.join()
    http.server_close()


def ray_server(token: str = "") -> Callable[[str], tuple[int, str]]:
    def answer(header: str) -> tuple[int, str]:
        if token and header != f"Bearer {token}":
            return (403, "wrong") if header else (401, "missing")
        return 200, json.dumps({"version": "4", "ray_version": "2.60.0", "ray_commit": "x"})

    return answer


@pytest.fixture(autouse=True)
def token(monkeypatch, tmp_path) -> None:
    monkeypatch.delenv("RAY_AUTH_TOKEN", raising=False)
    monkeypatch.setenv("RAY_AUTH_TOKEN_PATH", str(tmp_path / "token"))
    monkeypatch.setenv("RAY_API_SERVER_ADDRESS", "http://127.0.0.1:1")  # which must not win


def test_each_line_is_said_once_though_a_log_is_read_again():
    said: list[str] = []
    lines = JobLines(said.append)
    for text in (LOG[:50], LOG[50 : LOG.index("epoch 2") + 3]):
        lines.add(text)
    assert said == ["epoch 1"]
    lines.begin()  # the connection broke
    lines.add(LOG)
    assert said == ["epoch 1", "epoch 2"]
    lines.begin()
    lines.add(LOG + "\n")
    assert said == ["epoch 1", "epoch 2", "last"]


@pytest.mark.parametrize(
    ("job", "status"),
    [
        ({"status": "SUCCEEDED", "exit_status": 0}, 0),
        ({"status": "FAILED", "exit_status": 2}, 2),
        ({"status": "FAILED", "exit_status": None}, 1),
        ({"status": "STOPPED", "exit_status": None}, 1),
    ],
)
def test_the_exit_status_is_the_jobs(job, status):
    assert exit_status(job) == status


def test_a_cluster_without_a_token_is_warned_of():
    said: list[str] = []
    with server(ray_server()) as address:
        cluster = Cluster(address)
        cluster.warn(said.append)
    assert cluster.is_open
    assert len(said) == 1
    assert "answers without a token" in said[0]
    assert "RAY_AUTH_MODE=token" in said[0]


def test_the_token_is_shown_to_a_cluster_that_wants_one(monkeypatch):
    monkeypatch.setenv("RAY_AUTH_TOKEN", "right")
    said: list[str] = []
    with server(ray_server("right")) as address:
        Cluster(address).warn(said.append)
        monkeypatch.setenv("RAY_AUTH_TOKEN", "wrong")
        with pytest.raises(UserError, match="refuses this user's token; copy the head's"):
            Cluster(address)
        monkeypatch.delenv("RAY_AUTH_TOKEN")
        with pytest.raises(UserError, match="wants a token, and there is none here; copy the head's"):
            Cluster(address)
    assert not said


def test_an_address_where_no_ray_answers_is_said():
    with server(lambda header: (200, "<html>")) as address, pytest.raises(UserError, match="no Ray answers there"):
        Cluster(address)
    with pytest.raises(UserError, match=r"cannot be reached \(.*the tunnel to it open"):
        Cluster(address)  # the server is gone


class Refusing:
    """A job server that gives these refusals, then takes the job."""

    def __init__(self, *refusals: str) -> None:
        self.refusals = list(refusals)
        self.submitted: list[str] = []

    def submit_job(self, *, submission_id: str, **_: object) -> None:
        self.submitted.append(submission_id)
        if self.refusals:
            raise RuntimeError(f"Request failed with status code 500: {self.refusals.pop(0)}.")


BUSY = "No available agent to submit job, please try again later"


@pytest.mark.parametrize("refusals", [(BUSY, BUSY), (BUSY, "Job with submission_id a already exists")])
def test_a_cluster_that_has_just_begun_is_asked_again(monkeypatch, refusals):
    monkeypatch.setattr("raysynth.cluster.jobs.POLL_S", 0.0)
    with server(ray_server()) as address:
        cluster = Cluster(address)
    cluster.client = Refusing(*refusals)
    job = cluster.submit("doctor", [], {}, lambda line: None)
    assert set(cluster.client.submitted) == {job}
    assert len(cluster.client.submitted) == (3 if refusals[1] == BUSY else 2)


@pytest.mark.parametrize(("refusal", "num_asked"), [(BUSY, 2), ("the disk is full", 1)])
def test_a_job_that_is_not_taken_is_one_line(monkeypatch, refusal, num_asked):
    monkeypatch.setattr("raysynth.cluster.jobs.POLL_S", 0.01)
    monkeypatch.setattr("raysynth.cluster.jobs.PATIENCE_S", 0.001)
    with server(ray_server()) as address:
        cluster = Cluster(address)
    cluster.client = Refusing(*[refusal] * 9)
    with pytest.raises(UserError, match=f"does not take the job .*{refusal}.*; try again"):
        cluster.submit("doctor", [], {}, lambda line: None)
    assert len(cluster.client.submitted) == num_asked
