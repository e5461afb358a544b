"""A node that will be taken away soon: telling Ray, so that trainings on it keep a checkpoint and move.

Clouds announce that they take a spot machine back a while before they do (AWS: two minutes, GCP: 30 s), by a page that
only the machine itself can read. Ray does not look there unless its autoscaler is told to; so each spot worker of
`cluster.yaml` watches for itself.
"""

from __future__ import annotations

import signal
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import FrameType

from raysynth.errors import UserError

TIMEOUT_S = 3.0
POLL_S = 5.0
Ask = Callable[[str, str, Mapping[str, str]], str | None]


@dataclass(frozen=True)
class Cloud:
    """How a cloud announces that it takes a spot machine back, and how many seconds before it does."""

    announced: Callable[[Ask], bool]
    grace_s: int


def ask_metadata(method: str, url: str, headers: Mapping[str, str]) -> str | None:
    """A page of the machine's metadata; None where there is none, or nobody answers."""
    request = urllib.request.Request(url, method=method, headers=dict(headers))
    try:
        with urllib.request.urlopen(request, timeout=TIMEOUT_S) as answer:
            text: str = answer.read().decode()
            return text
    except OSError:  # HTTPError, which a 404 is, is one
        return None


def _announced_by_aws(ask: Ask) -> bool:
    """https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/spot-instance-termination-notices.html"""
    host = "http://169.254.169.254/latest"
    token = ask("PUT", f"{host}/api/token", {"X-aws-ec2-metadata-token-ttl-seconds": "60"})
    headers = {"X-aws-ec2-metadata-token": token} if token else {}
    return ask("GET", f"{host}/meta-data/spot/instance-action", headers) is not None


def _announced_by_gcp(ask: Ask) -> bool:
    """https://cloud.google.com/compute/docs/instances/preemptible"""
    page = "http://metadata.google.internal/computeMetadata/v1/instance/preempted"
    return ask("GET", page, {"Metadata-Flavor": "Google"}) == "TRUE"


CLOUDS = {"aws": Cloud(_announced_by_aws, 110), "gcp": Cloud(_announced_by_gcp, 25)}


def leave(grace_s: int) -> str:
    """Tell Ray that this machine's node will be gone in `grace_s` seconds; the node's id.

    Raises UserError when no node of a cluster runs here, and what `announce` does.
    """
    from raysynth.cluster.session import cluster_session

    if grace_s < 0:
        raise UserError(f"--grace-s {grace_s}: want 0 or more seconds")
    with cluster_session():
        import ray

        node: str = ray.get_runtime_context().get_node_id()
        announce(node, grace_s)
    return node


def announce(node: str, grace_s: int) -> None:
    """Tell the Ray of this session that a node will be gone in `grace_s` seconds.

    Trainings on it keep what they have done and nothing new begins on it; it is not stopped. Raises UserError when Ray
    refuses.
    """
    import ray
    from ray._raylet import GcsClient  # type: ignore[attr-defined]
    from ray.core.generated import autoscaler_pb2

    accepted, reason = GcsClient(address=ray.get_runtime_context().gcs_address).drain_node(
        node,
        autoscaler_pb2.DrainNodeReason.Value("DRAIN_NODE_REASON_PREEMPTION"),
        f"the machine will be gone in {grace_s} s",
        int((time.time() + grace_s) * 1000),
    )
    if not accepted:
        raise UserError(f"cluster leave: Ray keeps node {node[:8]} ({reason})")


def leave_when_told(cloud: str, say: Callable[[str], None], *, ask: Ask = ask_metadata) -> str:
    """Wait until the cloud announces that it takes this machine back, or until SIGTERM, then `leave`.

    Raises UserError for a cloud that is not known, and what `leave` does.
    """
    if cloud not in CLOUDS:
        raise UserError(f"--when-told {cloud}: want {' or '.join(CLOUDS)}")
    watched, told = CLOUDS[cloud], threading.Event()

    def note(number: int, frame: FrameType | None) -> None:
        told.set()

    before = signal.signal(signal.SIGTERM, note)
    try:
        while not told.is_set() and not watched.announced(ask):
            told.wait(POLL_S)
    finally:
        signal.signal(signal.SIGTERM, before)
    say(f"this machine will be taken away in about {watched.grace_s} s")
    return leave(watched.grace_s)
