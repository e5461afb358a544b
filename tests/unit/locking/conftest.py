"""Another process that holds a lock."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Iterator

import pytest

HOLD = """
import sys, time
from raysynth.locking.lock import locked
with locked(sys.argv[1], "X"):
    print("held", flush=True)
    time.sleep(60)
"""


@pytest.fixture
def hold_elsewhere() -> Iterator[Callable[[object], subprocess.Popen[str]]]:
    """Start a process that holds the lock of a place, and wait until it does."""
    processes: list[subprocess.Popen[str]] = []

    def hold(place: object) -> subprocess.Popen[str]:
        process = subprocess.Popen([sys.executable, "-c", HOLD, str(place)], stdout=subprocess.PIPE, text=True)
        processes.append(process)
        assert process.stdout is not None
        assert process.stdout.readline() == "held\n"
        return process

    yield hold
    for process in processes:
        process.kill()
        process.wait()
