"""Ctrl-C, or SIGTERM, at a command whose trainings are in Ray's workers: each keeps a checkpoint first.

Ray ends workers in the middle of a step. So the command asks them before, wherever they are, by a note in the key-value
store of the Ray that they share; they look for it every few steps (`raysynth.training.preemption`).
"""

from __future__ import annotations

import signal
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from types import FrameType
from typing import TypeVar

NAMESPACE = "raysynth"
PATIENCE_S = 20.0  # for checkpoints, once the command is told to stop
ANSWER_S = 3.0  # for Ray; where its head is gone, a question to it does not end

Say = Callable[[str], None]
Answer = TypeVar("Answer")


class StopRequest:
    """What one command and its workers have to say to each other, under an `id` that the workers are given.

    The key `ID` is there when the command has been told to stop; `ID/RUN` as long as that run trains and has not kept a
    checkpoint since.
    """

    def __init__(self, id: str | None = None) -> None:
        self.id = id or f"stop-{uuid.uuid4().hex}"
        self._deadline: float | None = None

    # Of the command.

    @contextmanager
    def sent_on_interrupt(self, say: Say, then: Callable[[], None]) -> Iterator[None]:
        """While the block runs, Ctrl-C sends this request and calls `then`; a second one is a KeyboardInterrupt.

        In another thread than the main one nothing is done: signals are none of its business.
        """
        if threading.current_thread() is not threading.main_thread():
            yield
            return

        def stop(number: int, frame: FrameType | None) -> None:
            if self.is_sent:
                raise KeyboardInterrupt
            self._send()
            _say(say, "stopping when checkpoints have been written; Ctrl-C again does not wait for them")
            then()

        before = signal.signal(signal.SIGINT, stop)
        try:
            yield
        finally:
            signal.signal(signal.SIGINT, before)

    def _send(self) -> None:
        from ray.experimental.internal_kv import _internal_kv_put

        self._deadline = time.monotonic() + PATIENCE_S
        with suppress(_Gone, TimeoutError):
            _ask(lambda: _internal_kv_put(self.id, b"", namespace=NAMESPACE))

    @property
    def is_sent(self) -> bool:
        return self._deadline is not None

    def is_due(self, say: Say, *, is_running: Callable[[str], bool] = lambda run: True) -> bool:
        """Once it is sent: whether to wait no longer, for all that still run have kept a checkpoint, or have had the
        time, or their Ray is gone."""
        from ray.experimental.internal_kv import _internal_kv_list

        assert self._deadline is not None
        prefix = f"{self.id}/"
        try:
            keys = _ask(lambda: _internal_kv_list(prefix, namespace=NAMESPACE))
        except _Gone:
            return True
        except TimeoutError:
            keys = None  # it may only be busy
        if keys is not None and not any(is_running(key.decode().removeprefix(prefix)) for key in keys):
            return True
        if time.monotonic() > self._deadline:
            _say(say, f"no checkpoint within {PATIENCE_S:.0f} s: what was done of an epoch will be trained again")
            return True
        return False

    # Of the worker that writes a run's checkpoints.

    @contextmanager
    def training(self, run: str) -> Iterator[None]:
        """While the block runs, the run trains, and the command waits for its checkpoint."""
        from ray.experimental.internal_kv import _internal_kv_put

        _internal_kv_put(f"{self.id}/{run}", b"", namespace=NAMESPACE)
        try:
            yield
        finally:
            self.answer(run)

    def reasons(self) -> set[str]:
        """This request's id once the command has been told to stop; see `noticing_reasons`.

        A question that fails is no reason, and does not end the training that asked it.
        """
        from ray.exceptions import RpcError
        from ray.experimental.internal_kv import _internal_kv_exists

        try:
            return {self.id} if _internal_kv_exists(self.id, namespace=NAMESPACE) else set()
        except RpcError:
            return set()

    def answer(self, run: str) -> None:
        """Tell the command that the run has kept a checkpoint, or has ended."""
        from ray.experimental.internal_kv import _internal_kv_del

        with suppress(_Gone, TimeoutError):
            _ask(lambda: _internal_kv_del(f"{self.id}/{run}", namespace=NAMESPACE))


def _say(say: Say, line: str) -> None:
    """In a handler nothing may go wrong: whoever reads the output may have ended by the same Ctrl-C."""
    with suppress(OSError):
        say(line)


class _Gone(Exception):
    """There is no Ray to ask any more."""


def _ask(question: Callable[[], Answer]) -> Answer:
    """Ray's answer. Raises _Gone where it gives an error, and TimeoutError where it gives none in time: a question to a
    Ray whose head has died does not end, and cannot be interrupted."""
    answers: list[Answer] = []
    errors: list[Exception] = []

    def ask() -> None:
        try:
            answers.append(question())
        except Exception as error:  # told below
            errors.append(error)

    asking = threading.Thread(target=ask, daemon=True)
    asking.start()
    asking.join(ANSWER_S)
    if errors:
        raise _Gone from errors[0]
    if not answers:
        raise TimeoutError
    return answers[0]
