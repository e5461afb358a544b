"""One process at a time in a folder: a lock that ends with the process that holds it, however that ends."""

from __future__ import annotations

import errno
import fcntl
import getpass
import json
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import datetime
from pathlib import Path
from typing import BinaryIO

from raysynth.errors import UserError

FILE_NAME = ".lock"  # who holds it, as JSON; removed when it is given back, and worth nothing after a kill -9
WITHOUT_LOCKS = (errno.ENOLCK, errno.EOPNOTSUPP, errno.ENOSYS)  # of file systems that know none


@contextmanager
def locked(folder: Path | str, option: str) -> Iterator[None]:
    """Hold the lock of an existing folder while the block runs.

    The system gives it back when the process ends, killed or not; over NFS it holds between machines too, as far as
    the server grants locks (a dead machine's after its lease). Where a file system knows no locks, nothing is locked.
    Raises UserError, naming `option` and who holds it, where somebody else does.
    """
    file = _acquire(Path(folder) / FILE_NAME, f"{option} {folder}")
    try:
        yield
    finally:
        if file is not None:
            with suppress(OSError):
                (Path(folder) / FILE_NAME).unlink()  # before it is given back: nobody else's is removed
            file.close()


def _acquire(path: Path, what: str) -> BinaryIO | None:
    while True:
        file = path.open("a+b")
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if not _is_at(file, path):  # its holder removed it between our two steps
                file.close()
                continue
            file.truncate(0)
            file.write(json.dumps(_describe_self()).encode())
            file.flush()
            return file
        except BlockingIOError:
            file.seek(0)
            holder = _read_holder(file)
            file.close()
            raise UserError(f"{what}: in use by {holder}; wait until that has ended, or end it first") from None
        except OSError as error:
            file.close()
            if error.errno in WITHOUT_LOCKS:
                return None
            raise


def _is_at(file: BinaryIO, path: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(file.fileno()), path.stat())
    except FileNotFoundError:
        return False


def _describe_self() -> dict[str, str | int]:
    try:
        user = getpass.getuser()
    except (KeyError, OSError):  # a container's user without a name
        user = str(os.getuid())
    since = datetime.now().astimezone().isoformat(timespec="seconds")
    return {"process": os.getpid(), "host": socket.gethostname(), "user": user, "since": since}


def _read_holder(file: BinaryIO) -> str:
    try:
        holder = json.loads(file.read())
        return f"process {holder['process']} of {holder['user']} on {holder['host']} since {holder['since']}"
    except (ValueError, KeyError, TypeError):  # it is just being written
        return "another process"
