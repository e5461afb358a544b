"""One process at a time in a folder, until it ends, however it ends."""

from __future__ import annotations

import errno
import os
import signal

import pytest

from raysynth.errors import UserError
from raysynth.locking.lock import FILE_NAME, is_in_use, locked


def test_a_second_one_is_told_who_holds_it(tmp_path):
    with locked(tmp_path, "--resume"):
        with pytest.raises(UserError) as error, locked(tmp_path, "--resume"):
            pass
        assert f"--resume {tmp_path}: in use by process {os.getpid()} of " in str(error.value)
        assert is_in_use(tmp_path)
    assert not is_in_use(tmp_path)
    assert list(tmp_path.iterdir()) == []
    with locked(tmp_path, "--resume"):
        pass


def test_a_killed_process_gives_it_back(tmp_path, hold_elsewhere):
    process = hold_elsewhere(tmp_path)
    with pytest.raises(UserError, match=f"process {process.pid} of"), locked(tmp_path, "--resume"):
        pass
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert (tmp_path / FILE_NAME).is_file()
    with locked(tmp_path, "--resume"):
        pass


def test_where_there_are_no_locks_nothing_is_locked(tmp_path, monkeypatch):
    def refuse(*arguments: object) -> None:
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr("fcntl.flock", refuse)
    with locked(tmp_path, "--resume"), locked(tmp_path, "--resume"):
        pass
