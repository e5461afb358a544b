"""`raysynth doctor`: is this machine, or the cluster that this process has joined, fit to work on?"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

from raysynth.cluster.check import Check
from raysynth.cluster.node_checks import check_clock, check_node, check_versions
from raysynth.cluster.node_facts import NodeProbe, node_facts
from raysynth.cluster.resources import available_resources
from raysynth.cluster.safety import check_dashboard, check_token
from raysynth.cluster.session import joined_cluster
from raysynth.cluster.visibility import REMEDY as VISIBLE
from raysynth.cluster.visibility import BlindNode, find_blind_nodes, look_here
from raysynth.errors import UserError


@dataclass(frozen=True)
class Diagnosis:
    """All checks, and the facts about each node that they rest on."""

    checks: list[Check]
    nodes: list[dict[str, Any]]

    @property
    def is_fit(self) -> bool:
        """Whether nothing is wrong; a warning is not."""
        return not any(check.state == "wrong" for check in self.checks)


def doctor(*, space: str | None = None, storage: str | None = None) -> Diagnosis:
    """Look at this machine or, in a session that joined a cluster, at each of its nodes.

    `storage` is a folder or bucket that all nodes are to see; `space` is a search space, whose needs are compared with
    what is free. Raises UserError for a space that there is not.
    """
    from raysynth.tuning.space import load_space

    search = load_space(space) if space is not None else None
    if joined_cluster():
        checks, nodes = _look_at_cluster(storage)
    else:
        nodes = [node_facts()]
        checks = _check_storage(storage, {"here": nodes[0]["host"]}, look_here) if storage is not None else []
    checks = [
        *check_versions(nodes),
        *(check for facts in nodes for check in check_node(facts)),
        *checks,
        check_dashboard(),
        check_token(),
    ]
    if search is not None:
        checks.append(_check_room(search, str(space)))
    return Diagnosis(checks, nodes)


def _look_at_cluster(storage: str | None) -> tuple[list[Check], list[dict[str, Any]]]:
    """Facts of every node, and what it sees of the others."""
    import ray
    from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

    alive = [node for node in ray.nodes() if node["Alive"]]
    actor = ray.remote(num_cpus=0)(NodeProbe)
    probes = [
        actor.options(scheduling_strategy=NodeAffinitySchedulingStrategy(node["NodeID"], soft=False)).remote()
        for node in alive
    ]
    nodes = [
        {**facts, "address": node["NodeManagerAddress"], "resources": _whole(node["Resources"])}
        for facts, node in zip(ray.get([probe.facts.remote() for probe in probes]), alive, strict=True)
    ]
    names = [facts["host"] for facts in nodes]
    checks = []
    if storage is not None:
        by_address = {facts["address"]: facts["host"] for facts in nodes}
        checks += _check_storage(storage, by_address, partial(find_blind_nodes, {}))
    for name, probe in zip(names, probes, strict=True):
        sent = time.time()
        theirs = ray.get(probe.now.remote())
        received = time.time()
        checks.append(check_clock(name, theirs - (sent + received) / 2, uncertainty_s=(received - sent) / 2))
    if len(probes) > 1:
        ports = ray.get([probe.listen.remote() for probe in probes])
        for index, (name, probe) in enumerate(zip(names, probes, strict=True)):
            to = (index + 1) % len(probes)
            problem = ray.get(probe.connect_problem.remote(alive[to]["NodeManagerAddress"], ports[to]))
            remedy = "let the nodes reach each other on all ports (security group, firewall)"
            found = f"{names[to]} is reached" if not problem else f"{names[to]}, port {ports[to]}: {problem}"
            checks.append(Check("ports", name, "wrong" if problem else "ok", found, remedy if problem else ""))
    return checks, nodes


def _whole(resources: dict[str, float]) -> dict[str, float]:
    """Cores and GPUs that Ray was given; its other resources are names and bytes."""
    return {kind: resources.get(kind, 0.0) for kind in ("CPU", "GPU")}


def _check_storage(storage: str, names: Mapping[str, str], look: Callable[..., list[BlindNode]]) -> list[Check]:
    """One check for each node of `names` (what `look` calls it -> its host's name)."""
    try:
        blind = {found.node: found.reason for found in look({"--storage": storage})}
    except UserError as error:
        return [Check("storage", "here", "wrong", str(error), "name a folder or bucket that can be written to")]
    return [
        Check("storage", host, "wrong", f"{storage}: {blind[node]}", VISIBLE)
        if node in blind
        else Check("storage", host, "ok", f"{storage}: seen")
        for node, host in names.items()
    ]


def _check_room(search: Any, name: str) -> Check:
    """What is free against what one trial asks for."""
    from raysynth.tuning.plan import cpu_per_worker, gpu_per_worker

    there = available_resources()
    free = {"CPU": float(there.cores), "GPU": float(there.gpus)}
    if joined_cluster():
        import ray

        free = {kind: ray.available_resources().get(kind, 0.0) for kind in free}
    needs = {"CPU": cpu_per_worker(search), "GPU": gpu_per_worker(search)}
    now, ever = (
        min(int(has[kind] / need) for kind, need in needs.items() if need > 0)
        for has in (free, {"CPU": there.cores, "GPU": there.gpus})
    )
    asks = f"{len(search.trials())} trials of {needs['CPU']:g} cores and {needs['GPU']:g} GPUs each"
    found = f"{name}: {asks}; room for {now} now, {ever} at most"
    if ever < 1:
        return Check("room", there.place, "wrong", found, "use more or larger nodes, or other `resources` in the space")
    if now < 1:
        return Check("room", there.place, "warning", found, "wait until other jobs have ended, or add nodes")
    return Check("room", there.place, "ok", found)
