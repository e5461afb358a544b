"""What trainings have room on: this machine or, in a session that joined a cluster, all of its nodes."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass

from raysynth.cluster.session import joined_cluster, num_cores


@dataclass(frozen=True)
class Resources:
    """CPU cores and GPUs in all; nodes that have cores, and how many the smallest of them has.

    `default_workers` share a training that asks for no number: one a GPU; without GPUs none here, which is in-process,
    and on a cluster one, for the process that waits for it may be on a small head.
    """

    cores: int
    gpus: int
    num_nodes: int
    cores_per_node: int
    default_workers: int
    place: str = "this machine"  # in messages

    def cores_each(self, num_processes: int) -> int:
        """Cores for each of so many processes at a time, so that they find room on the nodes."""
        return max(1, self.cores_per_node // -(-max(1, num_processes) // self.num_nodes))


UNLIMITED = 10**6  # more than anyone asks for
_assumed: ContextVar[Resources | None] = ContextVar("assumed", default=None)


def available_resources() -> Resources:
    """What there is, or of a cluster that grows by itself, what there can be."""
    if assumed := _assumed.get():
        return assumed
    if not joined_cluster():
        import torch

        cores, gpus = num_cores(), torch.cuda.device_count()
        return Resources(cores, gpus, num_nodes=1, cores_per_node=cores, default_workers=gpus)
    import ray

    nodes = [node["Resources"] for node in ray.nodes() if node["Alive"]]
    total = {kind: sum(int(node.get(kind, 0)) for node in nodes) for kind in ("CPU", "GPU")}
    with_cores = [int(node["CPU"]) for node in nodes if node.get("CPU", 0) >= 1] or [1]
    # Ray waits for what its autoscaler can still start; without one this is None.
    most = ray._private.state.state.get_max_resources_from_cluster_config() or {}
    cores = max(total["CPU"], min(int(most.get("CPU", 0)), UNLIMITED))
    gpus = max(total["GPU"], min(int(most.get("GPU", 0)), UNLIMITED))
    return Resources(
        cores,
        gpus,
        num_nodes=len(with_cores),
        cores_per_node=min(with_cores),
        default_workers=max(1, gpus),
        place="the cluster",
    )


@contextmanager
def resources_elsewhere() -> Iterator[None]:
    """While the block runs, check nothing against this machine's resources: it is meant for another one."""
    enough = Resources(UNLIMITED, UNLIMITED, UNLIMITED, cores_per_node=1, default_workers=1, place="the cluster")
    token = _assumed.set(enough)
    try:
        yield
    finally:
        _assumed.reset(token)
