"""A lock in a bucket, which knows none: each process that wants it writes a file and looks whether it is alone.

Of two that write at once, whoever looks after both were written sees the other; so never do both find themselves alone.
Whoever is not alone takes its file back. The holder writes its file anew from time to time, and one that has not done
so for a while counts as dead: by the bucket's clock, since both times are the bucket's.
"""

from __future__ import annotations

import random
import sys
import threading
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from raysynth.data.buckets import BucketError, BucketPath
from raysynth.data.locations import naming
from raysynth.errors import UserError
from raysynth.locking.holder import describe_self, is_known_to_be_dead, name_holder

FOLDER = ".lock"
BEAT_S = 20.0  # between two writings
LEASE_S = 90.0  # without one
NUM_ATTEMPTS = 3  # two that begin at once both give way
PAUSE_S = 1.0  # at most, before another attempt


@contextmanager
def locked_in_bucket(place: BucketPath, option: str) -> Iterator[None]:
    """Hold the lock of a folder in a bucket while the block runs.

    Raises UserError, naming `option` and who holds it, where somebody else does. A process that cannot reach the bucket
    for longer than `LEASE_S` may lose it to another one, and says so on standard error when it finds out.
    """
    file = place / FOLDER / f"{uuid.uuid4().hex}.json"
    description = describe_self()
    with naming(option):
        _acquire(file, description, f"{option} {place}")
    done = threading.Event()
    beating = threading.Thread(target=_beat, args=(file, description, done), daemon=True)
    beating.start()
    try:
        yield
    finally:
        done.set()
        beating.join()
        with suppress(BucketError, FileNotFoundError):
            file.unlink()


def _acquire(file: BucketPath, description: str, what: str) -> None:
    for attempt in range(NUM_ATTEMPTS):
        file.write_text(description)
        versions = file.parent.versions()
        _, now_ns = versions.pop(file.name)
        others = {name: written_ns for name, (_, written_ns) in versions.items()}
        held = {
            name: written_ns for name, written_ns in others.items() if _is_held(file.parent / name, written_ns, now_ns)
        }
        if not held:
            for name in others:
                with suppress(FileNotFoundError):
                    (file.parent / name).unlink()
            return
        file.unlink()
        if attempt + 1 < NUM_ATTEMPTS:
            time.sleep(random.uniform(0.1, PAUSE_S))
    name, written_ns = max(held.items(), key=lambda each: each[1])
    holder, silent_s = _read_holder(file.parent / name), max(0.0, (now_ns - written_ns) / 1e9)
    raise UserError(
        f"{what}: in use by {holder}, last heard of {silent_s:.0f} s ago; wait until that has ended, or end it first "
        f"(one that has died is forgotten after {LEASE_S:.0f} s)"
    )


def _is_held(file: BucketPath, written_ns: int, now_ns: int) -> bool:
    if now_ns - written_ns > LEASE_S * 1e9:
        return False
    try:
        return not is_known_to_be_dead(file.read_bytes())
    except FileNotFoundError:  # given back a moment ago
        return False


def _read_holder(file: BucketPath) -> str:
    try:
        return name_holder(file.read_bytes())
    except FileNotFoundError:
        return "another process"


def _beat(file: BucketPath, description: str, done: threading.Event) -> None:
    while not done.wait(BEAT_S):
        try:
            if not file.exists():
                print(
                    f"warning: {file.parent.parent} was out of reach for so long that another process could begin to "
                    "use it; look which one should go on",
                    file=sys.stderr,
                )
                return
            file.write_text(description)
        except BucketError:
            continue  # who writes there has to speak of it
