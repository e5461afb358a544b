"""What a command and its workers say to each other through Ray when the command is told to stop."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Iterator

import pytest
from ray.exceptions import RpcError

from raysynth.training import stop_request
from raysynth.training.stop_request import StopRequest

pytestmark = pytest.mark.usefixtures("ray_cluster")


def test_a_command_waits_for_what_runs_and_has_not_answered():
    request = StopRequest()
    worker = StopRequest(request.id)
    said: list[str] = []
    handler = signal.getsignal(signal.SIGINT)
    with worker.training("a"), worker.training("b"):
        assert worker.reasons() == set()
        with request.sent_on_interrupt(said.append, lambda: None):
            os.kill(os.getpid(), signal.SIGINT)
            assert request.is_sent
        assert signal.getsignal(signal.SIGINT) is handler
        assert worker.reasons() == {request.id}
        assert StopRequest().reasons() == set()  # of another command
        assert not request.is_due(said.append)
        worker.answer("a")
        assert not request.is_due(said.append)
        assert request.is_due(said.append, is_running=lambda run: run == "a")
    assert request.is_due(said.append)  # what has ended has nothing to answer
    assert said == ["stopping when checkpoints have been written; Ctrl-C again does not wait for them"]


def test_it_does_not_wait_for_ever(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(stop_request, "PATIENCE_S", 0.0)
    request = StopRequest()
    said: list[str] = []
    with request.training("a"), request.sent_on_interrupt(said.append, lambda: None):
        os.kill(os.getpid(), signal.SIGINT)
        assert request.is_due(said.append)
    assert "no checkpoint within 0 s" in said[-1]


def test_a_reader_that_has_gone_does_not_keep_the_request_from_being_sent():
    request = StopRequest()

    def say(line: str) -> None:
        raise BrokenPipeError

    done: list[str] = []
    with request.training("a"), request.sent_on_interrupt(say, lambda: done.append("then")):
        os.kill(os.getpid(), signal.SIGINT)
        assert StopRequest(request.id).reasons() == {request.id}
    assert done == ["then"]


@pytest.fixture
def silent_ray(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A Ray that gives no answer until the test has ended."""
    monkeypatch.setattr(stop_request, "ANSWER_S", 0.1)
    ended = threading.Event()

    def wait(*arguments: object, **more: object) -> list[bytes]:
        ended.wait(60)
        return []

    for name in ("_internal_kv_put", "_internal_kv_list"):
        monkeypatch.setattr(f"ray.experimental.internal_kv.{name}", wait)
    yield
    ended.set()


@pytest.mark.usefixtures("silent_ray")
def test_a_ray_that_does_not_answer_is_asked_as_long_as_there_is_time(monkeypatch: pytest.MonkeyPatch):
    """It may only be busy."""
    monkeypatch.setattr(stop_request, "PATIENCE_S", 0.5)
    request = StopRequest()
    said: list[str] = []
    started = time.monotonic()
    with request.sent_on_interrupt(said.append, lambda: None):
        os.kill(os.getpid(), signal.SIGINT)
        assert not request.is_due(said.append)
        while not request.is_due(said.append):
            pass
    assert 0.5 < time.monotonic() - started < 20
    assert "no checkpoint within" in said[-1]


def test_a_ray_that_has_gone_is_not_waited_for(monkeypatch: pytest.MonkeyPatch):
    def fail(*arguments: object, **more: object) -> None:
        raise RpcError("gone")

    request = StopRequest()
    with request.sent_on_interrupt(print, lambda: None):
        os.kill(os.getpid(), signal.SIGINT)
        monkeypatch.setattr("ray.experimental.internal_kv._internal_kv_list", fail)
        assert request.is_due(print)
    monkeypatch.setattr("ray.experimental.internal_kv._internal_kv_exists", fail)
    assert StopRequest(request.id).reasons() == set()  # and a training that asks goes on


def test_a_second_ctrl_c_waits_for_nothing():
    request = StopRequest()
    with request.training("a"), request.sent_on_interrupt(print, lambda: None):
        os.kill(os.getpid(), signal.SIGINT)
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(signal.SIGINT)
