"""A real cluster of one node with a token: `ray start --head` on ports and in a folder of its own."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from raysynth.cluster.http import ask_version

START_TIMEOUT_S = 180
# Ports that must be known before; Ray finds the others itself.
PORTS = ("port", "dashboard-port", "ray-client-server-port", "dashboard-agent-listen-port", "metrics-export-port")


@dataclass(frozen=True)
class Head:
    """A cluster of one node: its address, the environment of a user who has its token, and its first process, whose
    group is all of its own."""

    address: str
    environment: dict[str, str]
    process: subprocess.Popen[bytes]


@contextmanager
def started_head(token_folder: Path) -> Iterator[Head]:
    """A cluster for as long as the block runs."""
    token = token_folder / "auth_token"
    token.write_text("0123456789abcdef" * 4)
    token.chmod(0o600)
    environment = {name: value for name, value in os.environ.items() if not name.startswith("RAY_")}
    environment |= {
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
        "PYTHONPATH": str(Path(__file__).parents[1]),
        "RAY_AUTH_MODE": "token",
        "RAY_AUTH_TOKEN_PATH": str(token),
        "RAY_USAGE_STATS_ENABLED": "0",
    }
    ports = dict(zip(PORTS, free_ports(len(PORTS)), strict=True))
    address = f"http://127.0.0.1:{ports['dashboard-port']}"
    # Short: a socket's path has at most 107 characters.
    with tempfile.TemporaryDirectory(prefix="rs-", ignore_cleanup_errors=True) as folder:
        options = [f"--{name}={port}" for name, port in ports.items()]
        options += ["--dashboard-host=127.0.0.1", "--include-dashboard=true", "--num-cpus=1", f"--temp-dir={folder}"]
        command = [sys.executable, "-m", "ray.scripts.scripts", "start", "--head", "--block", *options]
        with (Path(folder) / "log").open("w") as log:
            ray = subprocess.Popen(
                command, env=environment, stdout=log, stderr=subprocess.STDOUT, start_new_session=True, cwd=folder
            )
        try:
            wait_for(address, ray, Path(folder) / "log")
            users = {"RAYSYNTH_ADDRESS": address, "RAY_ADDRESS": f"127.0.0.1:{ports['port']}"}
            yield Head(address, {**environment, **users}, ray)
        finally:
            end(ray)


def free_ports(num_ports: int) -> list[int]:
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(num_ports)]
    ports = [each.getsockname()[1] for each in sockets]
    for each in sockets:
        each.close()
    return ports


def wait_for(address: str, ray: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + START_TIMEOUT_S
    while time.monotonic() < deadline and ray.poll() is None:
        try:
            ask_version(address)
            return
        except OSError:
            time.sleep(0.5)
    raise AssertionError(log.read_text())


def end(ray: subprocess.Popen[bytes]) -> None:
    """End `ray start --block`, which ends what it started, and soon whatever of its process group is left."""
    ray.terminate()
    try:
        ray.wait(5)
    except subprocess.TimeoutExpired:
        os.killpg(ray.pid, signal.SIGKILL)
        ray.wait()
