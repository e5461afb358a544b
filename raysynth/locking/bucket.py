"""A lock in a bucket, which knows none: each process that wants it writes a file and looks whether it is alone.

Of two that write at once, whoever looks after both were written sees the other; so never do both find themselves alone.
Whoever is not alone takes its file back; whoever is writes another one, which says so, before it removes the first: at
no moment is there none of its files. The holder writes its file anew from time to time, and one that has not done
so for a while counts as dead: by the bucket's clock, since both times are the bucket's.
"""

from __future__ import annotations

import random
import sys
import threading
import time
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress

from raysynth.data.buckets import BucketError, BucketPath
from raysynth.data.locations import naming
from raysynth.errors import UserError
from raysynth.locking.holder import describe_self, is_known_to_be_dead, name_holder

FOLDER = ".lock"
CLAIM, HOLD = "claim-", "hold-"  # what a process writes first, and what it writes when it is alone
BEAT_S = 20.0  # between two writings of the latter
LEASE_S = 120.0  # without one; a bucket that does not answer costs up to a minute
RETRY_S = 2.0  # after a writing that failed
NUM_ATTEMPTS = 6  # of two that begin at once both give way
PAUSE_S = 0.5  # at most before the second attempt; twice as long before each other one


@contextmanager
def locked_in_bucket(place: BucketPath, option: str) -> Iterator[None]:
    """Hold the lock of a folder in a bucket while the block runs.

    Raises UserError, naming `option` and who holds it, where somebody else does. A process that cannot reach the bucket
    for about `LEASE_S` may lose it to another one, and says so on standard error when it finds out.
    """
    description = describe_self()
    with naming(option):
        file = _acquire(place / FOLDER, description, f"{option} {place}")
    done = threading.Event()
    beating = threading.Thread(target=_beat, args=(file, description, done), daemon=True)
    beating.start()
    try:
        yield
    finally:
        done.set()
        beating.join()
        _remove(file)


def is_held_in_bucket(place: BucketPath) -> bool:
    """Whether somebody holds the lock of a folder in a bucket, or wants it; nothing is written for the question.

    Without a file of ours the bucket's clock is unknown: a holder's silence is measured by this machine's.
    """
    folder = place / FOLDER
    return bool(_held(folder, folder.versions(), time.time_ns()))


def _acquire(folder: BucketPath, description: str, what: str) -> BucketPath:
    """The file that holds the lock."""
    held: dict[str, str] = {}
    for attempt in range(NUM_ATTEMPTS):
        if attempt:
            time.sleep(random.uniform(0.1, 1.0) * PAUSE_S * 2 ** (attempt - 1))
        name = f"{uuid.uuid4().hex}.json"
        claim, hold = folder / f"{CLAIM}{name}", folder / f"{HOLD}{name}"
        claim.write_text(description)
        try:
            versions = folder.versions()
            if claim.name not in versions:  # somebody has removed it
                continue
            _, now_ns = versions.pop(claim.name)
            held = _held(folder, versions, now_ns)
            if not held:
                hold.write_text(description)
                for dead in versions:
                    _remove(folder / dead)
                return hold
        finally:
            _remove(claim)
        if holders := [name for name in held if name.startswith(HOLD)]:  # who has a claim may give way
            silent_s = max(0.0, (now_ns - versions[holders[0]][1]) / 1e9)
            raise UserError(
                f"{what}: in use by {held[holders[0]]}, last heard of {silent_s:.0f} s ago; wait until that has ended, "
                f"or end it first (one that has died is forgotten after {LEASE_S:.0f} s)"
            )
    others = ", ".join(held.values()) or "files of this process have gone"
    raise UserError(
        f"{what}: others begin to use it at the same time ({others}); try again (one that has died is forgotten after "
        f"{LEASE_S:.0f} s)"
    )


def _held(folder: BucketPath, versions: Mapping[str, tuple[int, int]], now_ns: int) -> dict[str, str]:
    """Name -> whose it is, of those files whose process may live."""
    found = {}
    for name, (_, written_ns) in versions.items():
        if now_ns - written_ns > LEASE_S * 1e9:
            continue
        try:
            text = (folder / name).read_bytes()
        except FileNotFoundError:  # given back a moment ago; or a claim that has become the other file
            if name.startswith(CLAIM):
                found[name] = "another process"
        else:
            if not is_known_to_be_dead(text):
                found[name] = name_holder(text)
    return found


def _remove(file: BucketPath) -> None:
    """If it cannot be done now, nobody takes the file for a living process's for long."""
    with suppress(FileNotFoundError, BucketError):
        file.unlink()


def _beat(file: BucketPath, description: str, done: threading.Event) -> None:
    wait_s, warned = BEAT_S, False
    while not done.wait(wait_s):
        wait_s = BEAT_S
        try:
            names = file.parent.versions()
            is_lost = file.name not in names
            if not warned and (is_lost or any(name.startswith(HOLD) and name != file.name for name in names)):
                warned = True
                print(
                    f"warning: another process uses {file.parent.parent} too, which was out of reach for one of both "
                    "for so long that it counted as dead; look which one should go on",
                    file=sys.stderr,
                )
            if is_lost:  # it is the other's
                return
            file.write_text(description)
        except (BucketError, OSError):  # who writes there has to speak of it
            wait_s = RETRY_S
