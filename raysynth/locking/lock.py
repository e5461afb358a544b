"""One process at a time in a folder, or in one in a bucket: a lock that ends with its process, however that ends."""

from __future__ import annotations

import errno
import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

from raysynth.data.buckets import BucketPath
from raysynth.data.locations import Location, locate
from raysynth.errors import UserError
from raysynth.locking.bucket import is_held_in_bucket, locked_in_bucket
from raysynth.locking.holder import describe_self, name_holder

FILE_NAME = ".lock"  # who holds it, as JSON; removed when it is given back, and worth nothing after a kill -9
WITHOUT_LOCKS = (errno.ENOLCK, errno.EOPNOTSUPP, errno.ENOSYS)  # of file systems that know none


@contextmanager
def locked(place: Location | str, option: str) -> Iterator[None]:
    """Hold the lock of an existing folder, or of one in a bucket (see `locked_in_bucket`), while the block runs.

    The system gives a folder's back when the process ends, killed or not; over NFS it holds between machines too, as
    far as the server grants locks (a dead machine's after its lease). Where a file system knows no locks, nothing is
    locked. Raises UserError, naming `option` and who holds it, where somebody else does.
    """
    folder = locate(place)
    if isinstance(folder, BucketPath):
        with locked_in_bucket(folder, option):
            yield
        return
    file = _acquire(folder / FILE_NAME, f"{option} {folder}")
    try:
        yield
    finally:
        if file is not None:
            with suppress(OSError):
                (folder / FILE_NAME).unlink()  # before it is given back: nobody else's is removed
            file.close()


def is_in_use(place: Location | str) -> bool:
    """Whether somebody holds the lock of a folder, or of one in a bucket."""
    folder = locate(place)
    if isinstance(folder, BucketPath):
        return is_held_in_bucket(folder)
    try:
        with (folder / FILE_NAME).open("rb") as file:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)  # for a moment: it is closed at once
            return False
    except FileNotFoundError:
        return False
    except OSError as error:  # held, or not for us to know
        return error.errno not in WITHOUT_LOCKS


def _acquire(path: Path, what: str) -> BinaryIO | None:
    while True:
        file = path.open("a+b")
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if not _is_at(file, path):  # its holder removed it between our two steps
                file.close()
                continue
            file.truncate(0)
            file.write(describe_self().encode())
            file.flush()
            return file
        except BlockingIOError:
            file.seek(0)
            holder = name_holder(file.read())
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
