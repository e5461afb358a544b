"""Who holds a lock, as it is written down there: a process, on which machine, of whom and since when."""

from __future__ import annotations

import getpass
import json
import os
import socket
from datetime import datetime
from pathlib import Path

BOOT = Path("/proc/sys/kernel/random/boot_id")  # another one on each machine, and after each start of it
PROCESSES = Path("/proc/self/ns/pid")  # whose number is that of a container's own processes


def describe_self() -> str:
    """This process, as JSON."""
    try:
        user = getpass.getuser()
    except (KeyError, OSError):  # a container's user without a name
        user = str(os.getuid())
    since = datetime.now().astimezone().isoformat(timespec="seconds")
    return json.dumps(
        {"process": os.getpid(), "host": socket.gethostname(), "user": user, "since": since, "among": _among()}
    )


def name_holder(text: str | bytes) -> str:
    """What `describe_self` wrote, in words."""
    try:
        holder = json.loads(text)
        return f"process {holder['process']} of {holder['user']} on {holder['host']} since {holder['since']}"
    except (ValueError, KeyError, TypeError):  # it is just being written
        return "another process"


def is_known_to_be_dead(text: str | bytes) -> bool:
    """Whether the process that wrote this was one of this machine and is no more."""
    try:
        holder = json.loads(text)
        if _among() is None or holder["among"] != _among():
            return False
        os.kill(holder["process"], 0)
    except ProcessLookupError:
        return True
    except (ValueError, KeyError, TypeError, PermissionError):
        return False
    return False


def _among() -> str | None:
    """Whose process numbers these are, a machine's since its start or a container's of its own; None: unknown."""
    try:
        return f"{BOOT.read_text().strip()}/{PROCESSES.stat().st_ino}"
    except OSError:
        return None
