"""What a node is, as the node itself says it: plain values, for `raysynth doctor`."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

PACKAGES = ("raysynth", "ray", "torch", "torchvision", "numpy", "pyarrow")
CONNECT_TIMEOUT_S = 5.0


def node_facts() -> dict[str, Any]:
    """Versions, GPUs, memory and disk of this machine."""
    import torch

    from raysynth.cluster.session import num_cores

    ray_folder = os.environ.get("RAY_TMPDIR") or tempfile.gettempdir()
    return {
        "host": socket.gethostname(),
        "python": ".".join(map(str, sys.version_info[:3])),
        "packages": {name: _version(name) for name in PACKAGES},
        "cores": num_cores(),
        "gpus": _gpus(),
        "torch_cuda": torch.version.cuda,
        "memory_bytes": _memory("MemTotal"),
        "free_memory_bytes": _memory("MemAvailable"),
        "disk": ray_folder,
        "free_disk_bytes": shutil.disk_usage(ray_folder).free,
        "shared_memory_bytes": shutil.disk_usage("/dev/shm").total if Path("/dev/shm").is_dir() else None,
    }


class NodeProbe:
    """What the doctor asks on each node, as a Ray actor."""

    def __init__(self) -> None:
        self.listener: socket.socket | None = None

    def facts(self) -> dict[str, Any]:
        return node_facts()

    def now(self) -> float:
        """This node's clock, in seconds since 1970."""
        return time.time()

    def listen(self) -> int:
        """Open a port of the system's choice, as the workers of a sharded training do, and return it."""
        self.listener = socket.create_server(("", 0))
        return int(self.listener.getsockname()[1])

    def connect_problem(self, host: str, port: int) -> str:
        """Why this node cannot reach another one's port; empty where it can."""
        try:
            socket.create_connection((host, port), timeout=CONNECT_TIMEOUT_S).close()
        except OSError as error:
            return str(error)
        return ""


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def _gpus() -> list[dict[str, Any]]:
    """The driver's own list: torch sees none in a Ray process that asked for none."""
    query = ["nvidia-smi", "--query-gpu=name,memory.total,memory.free", "--format=csv,noheader,nounits"]
    try:
        said = subprocess.run(query, capture_output=True, text=True, check=True, timeout=30).stdout
    except (OSError, subprocess.SubprocessError):
        return []
    rows = [[cell.strip() for cell in line.rsplit(",", 2)] for line in said.splitlines()]
    return [{"name": name, "memory_mib": int(total), "free_mib": int(free)} for name, total, free in rows]


def _memory(key: str) -> int | None:
    """A line of /proc/meminfo; None elsewhere than on Linux."""
    file = Path("/proc/meminfo")
    if not file.is_file():
        return None
    for line in file.read_text().splitlines():
        if line.startswith(f"{key}:"):
            return int(line.split()[1]) * 1024
    return None
