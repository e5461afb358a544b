"""`ray up` for real, on machines of one's own: two test hosts, the shipped `cluster.yaml`, a sweep, `ray down`.

    python tests/cluster/own_machines.py          (as root; needs openssh-server and rsync; minutes)

Everything runs in namespaces of its own, which the kernel clears away when this ends, however it ends. What differs
from `cluster.yaml` with its block "Machines of your own": the addresses and the key, that the packages of this
environment are used in place of an installation (the hosts have no internet), and one core for Ray on each host.
"""

from __future__ import annotations

import os
import re
import shlex
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1]))

import pytest
import yaml
from cluster_variants import CLUSTER_YAML, OWN_MACHINES, cluster_config
from machines import become_launcher, make_network, start_host, wait_for_port, why_not

NUM_HOSTS = 2
WORK = Path("/tmp/work")
SHARED = Path("/mnt")  # what all hosts see, as with NFS
BIN = Path(sys.prefix) / "bin"
KEPT = [CLUSTER_YAML.parent, Path(sys.prefix), Path(sys.base_prefix)]
SPACE = "wcgan_gp"
DASHBOARD = "http://127.0.0.1:8265"
WAIT_FOR_HOSTS = f"""
import ray, time
ray.init("auto", log_to_driver=False)
while sum(node["Alive"] for node in ray.nodes()) < {NUM_HOSTS}:
    time.sleep(1)
print("alive:", sorted(node["NodeManagerHostname"] for node in ray.nodes()))
"""


class Transcript:
    """Runs commands as a user would type them and prints them with their output and time."""

    def __init__(self, environment: dict[str, str]) -> None:
        self.environment = environment

    def run(self, command: str, *, check: bool = True) -> str:
        """The output of `command`, run in the checkout. Raises CalledProcessError when it fails, unless not `check`."""
        print(f"$ {command}", flush=True)
        begin = time.monotonic()
        process = subprocess.Popen(
            command,
            shell=True,
            cwd=CLUSTER_YAML.parent,
            env=self.environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
        )
        assert process.stdout is not None
        output = ""
        for line in process.stdout:  # printed as it comes, for who waits
            output += (text := re.sub(r"\x1b\[[0-9;]*[A-Za-z]", "", line))
            print(text, end="", flush=True)
        status = process.wait()
        print(f"[{time.monotonic() - begin:.1f} s, status {status}]\n", flush=True)
        if check and status != 0:
            raise subprocess.CalledProcessError(status, command, output)
        return output

    @contextmanager
    def tunnel(self, config_file: Path) -> Iterator[None]:
        """The head's dashboard at `DASHBOARD`, as long as the block runs."""
        command = f"ray dashboard {config_file}"
        print(f"$ {command} &\n", flush=True)
        process = subprocess.Popen(
            shlex.split(command), env=self.environment, stdout=subprocess.DEVNULL, stderr=subprocess.STDOUT
        )
        try:
            wait_for_port("127.0.0.1", 8265, timeout_s=60)
            yield
        finally:
            process.terminate()


def main() -> int:
    if reason := why_not():
        print(f"no test machines can be made here: {reason}", file=sys.stderr)
        return 3
    if "--inside" not in sys.argv:
        become_launcher([sys.executable, __file__, "--inside"], KEPT)
    for ending in (signal.SIGINT, signal.SIGTERM):  # or the first process of a machine would not hear of them
        signal.signal(ending, lambda number, _: sys.exit(128 + number))
    WORK.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "tmpfs", str(SHARED)], check=True)
    environment = write_token_and_key()
    make_network()
    try:
        key = (WORK / "key.pub").read_text().strip()
        addresses = [start_host(i, key, KEPT[1:], WORK / f"host{i}.log") for i in range(1, NUM_HOSTS + 1)]
        config_file = WORK / "cluster.yaml"
        config_file.write_text(yaml.safe_dump(own_config(addresses), sort_keys=False))
        session(Transcript(environment), config_file, addresses[0])
    except Exception:
        for log in sorted(WORK.glob("host*.log")):
            print(f"--- {log.name}\n{log.read_text()[-2000:]}")
        raise
    print("own machines: passed")
    return 0


def write_token_and_key() -> dict[str, str]:
    """The token and the ssh key of the launcher's user; returns the environment of its commands."""
    environment = {
        "HOME": "/root",
        "PATH": f"{BIN}:{os.environ['PATH']}",
        "PYTHONPATH": str(CLUSTER_YAML.parent),
        "PYTHONWARNINGS": "ignore",
        "LANG": "C.UTF-8",
        "RAY_AUTH_MODE": "token",
        "RAY_USAGE_STATS_ENABLED": "0",
    }
    subprocess.run(["ray", "get-auth-token", "--generate"], env=environment, check=True, capture_output=True)
    Path(environment["HOME"], ".ray", "auth_token").chmod(0o600)
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(WORK / "key")], check=True)
    return environment


def own_config(addresses: list[str]) -> dict[str, Any]:
    """`cluster.yaml` for the test hosts; only what the module's docstring says is another than shipped."""
    config = cluster_config(OWN_MACHINES)
    config["provider"] |= {"head_ip": addresses[0], "worker_ips": addresses[1:]}
    config["auth"] |= {"ssh_user": "root", "ssh_private_key": str(WORK / "key")}
    install = config["setup_commands"].index("~/raysynth/setup.sh")
    # The longer wait for Ray's start, and its workers' rank, are for two cores that other work shares.
    line = f"export PATH={BIN}:$PATH PYTHONPATH=~/raysynth RAY_raylet_start_wait_time_s=300 RAY_worker_niceness=0"
    config["setup_commands"][install] = f"grep -qs PYTHONPATH ~/.bashrc || echo {shlex.quote(line)} >> ~/.bashrc"
    for commands in ("head_start_ray_commands", "worker_start_ray_commands"):
        started = [command.replace("ray start", "ray start --num-cpus=1") for command in config[commands]]
        assert started != config[commands]
        config[commands] = started
    return config


def session(transcript: Transcript, config_file: Path, head: str) -> None:
    """Up, a sweep over both hosts, down."""
    transcript.run(f"raysynth data phantom --out {SHARED}/phantom --size 16 --images 80")
    try:
        transcript.run(f"ray up -y {config_file}")
        transcript.run(f"ray exec {config_file} {shlex.quote(f'python -c {shlex.quote(WAIT_FOR_HOSTS)}')}")
    except subprocess.SubprocessError:
        transcript.run(f"ray exec {config_file} 'tail -n 60 /tmp/ray/session_latest/logs/monitor.*'", check=False)
        raise
    with transcript.tunnel(config_file):
        check_closed(head)
        transcript.run(
            f"raysynth tune {SPACE} --address {DASHBOARD} --data {SHARED}/phantom --out {SHARED}/sweeps --epochs 1"
            " --set width=4 --set batch_size=16 --set generator=upsample --set critic=dropout"
        )
    check_sweep()
    assert num_raylets() == NUM_HOSTS
    transcript.run(f"ray down -y {config_file}")
    begin = time.monotonic()
    while num_raylets() and time.monotonic() < begin + 180:
        time.sleep(1)
    assert not num_raylets()
    print(f"no Ray on any host {time.monotonic() - begin:.0f} s after `ray down` returned")


def check_closed(head: str) -> None:
    """The dashboard is reached through the tunnel alone, and runs nothing for who has no token."""
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection((head, 8265), timeout=5)
    with pytest.raises(urllib.error.HTTPError, match=r"401|403"):
        urllib.request.urlopen(f"{DASHBOARD}/api/jobs/", timeout=30)
    print("the dashboard: closed to the network, and to the tunnel without a token")


def check_sweep() -> None:
    """Both trials ended well, one on each host."""
    (sweep,) = (SHARED / "sweeps").glob(f"{SPACE}-*")
    table = (sweep / "table.csv").read_text()
    hosts = [file.name.rsplit(".", 1)[-1] for file in sweep.rglob("events.out.tfevents.*")]
    print(f"{table}\ntrained on: {', '.join(sorted(hosts))}")
    assert table.count("finished") == len(hosts) == NUM_HOSTS
    assert set(hosts) == {f"host{number}" for number in range(1, NUM_HOSTS + 1)}


def num_raylets() -> int:
    """Hosts on which Ray runs: their processes are seen from the launcher, within which they lie."""
    return len(subprocess.run(["pgrep", "-x", "raylet"], capture_output=True, text=True).stdout.split())


if __name__ == "__main__":
    sys.exit(main())
