"""Test machines on this one: each a set of namespaces, joined by a bridge.

The pid namespace is what makes them machines for Ray: `ray stop` ends every Ray process that it sees.
"""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import NoReturn

HERE = Path(__file__).resolve().parent
SSHD = "/usr/sbin/sshd"
NAMESPACES = ["unshare", "--net", "--mount", "--pid", "--uts", "--ipc", "--fork", "--kill-child", "--mount-proc"]
PACKAGES = {
    "unshare": "util-linux",
    "ip": "iproute2",
    "ssh": "openssh-client",
    SSHD: "openssh-server",
    "rsync": "rsync",
}
GATEWAY = "10.77.0.1"


def why_not() -> str | None:
    """Why test machines cannot be made here, or None."""
    if sys.platform != "linux" or os.geteuid() != 0:
        return "namespaces with a network need Linux and root"
    if missing := sorted(package for command, package in PACKAGES.items() if shutil.which(command) is None):
        return f"not installed: {', '.join(missing)}"
    attempt = "ip link add probe type bridge && ip link add one type veth peer name other && mount -t tmpfs tmpfs /mnt"
    tried = subprocess.run([*NAMESPACES, "sh", "-c", attempt], capture_output=True, text=True)
    return None if tried.returncode == 0 else f"no namespaces here: {tried.stderr.strip()}"


def become_launcher(command: Sequence[str], kept: Sequence[Path]) -> NoReturn:
    """Go on as `command` on a machine of its own, within which the machines lie that it starts.

    When it ends, even by SIGKILL, the kernel ends every process of theirs and removes their mounts and networks.
    `kept` are folders that it sees as they are outside.
    """
    arguments = _machine("launcher", command, kept)
    os.execvp(arguments[0], arguments)


def make_network() -> None:
    """The network of the machines, this one at `GATEWAY`."""
    _ip("link set lo up")
    _ip("link add machines type bridge")
    _ip(f"address add {GATEWAY}/24 dev machines")
    _ip("link set machines up")


def start_host(number: int, public_key: str, kept: Sequence[Path], log: Path) -> str:
    """Start `host<number>`, which lets root in by ssh with `public_key`; returns its address once it answers."""
    name, address = f"host{number}", f"10.77.0.{number + 1}"
    command = _machine(name, [str(HERE / "serve_ssh.sh"), public_key], [*kept, HERE])
    with log.open("wb") as output:
        outer = subprocess.Popen(command, stdout=output, stderr=output)
    pid = _child(outer)
    _ip(f"link add {name} type veth peer name eth0 netns {pid}")
    _ip(f"link set {name} master machines up")
    _ip("link set lo up", inside=pid)
    _ip(f"address add {address}/24 dev eth0", inside=pid)
    _ip("link set eth0 up", inside=pid)
    _ip(f"route add default via {GATEWAY}", inside=pid)  # Ray finds its address by asking which way leads out
    wait_for_port(address, 22, timeout_s=30)
    return address


def _machine(name: str, command: Sequence[str], kept: Sequence[Path]) -> list[str]:
    return [*NAMESPACES, str(HERE / "machine.sh"), name, *map(str, kept), "--", *command]


def _ip(arguments: str, inside: int | None = None) -> None:
    enter = [] if inside is None else ["nsenter", "--target", str(inside), "--net"]
    subprocess.run([*enter, "ip", *arguments.split()], check=True)


def _child(outer: subprocess.Popen[bytes]) -> int:
    """The process that `unshare --fork` starts, which has the namespaces from its beginning."""
    children = Path(f"/proc/{outer.pid}/task/{outer.pid}/children")
    for _ in range(200):
        if found := children.read_text().split():
            return int(found[0])
        if outer.poll() is not None:
            break
        time.sleep(0.05)
    raise RuntimeError(f"the machine did not start (status {outer.poll()})")


def wait_for_port(address: str, port: int, *, timeout_s: float) -> None:
    """Return once something listens there; raises OSError when nothing has after `timeout_s`."""
    end = time.monotonic() + timeout_s
    while True:
        try:
            socket.create_connection((address, port), timeout=1).close()
            return
        except OSError:
            if time.monotonic() > end:
                raise
            time.sleep(0.1)
