"""Whether a node's facts are those of one that is fit to work on: judgement alone, nothing is asked."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from raysynth.cluster.check import Check, State
from raysynth.cluster.node_facts import PACKAGES

GIB = 2**30
LOW_DISK_BYTES = 10 * GIB
NO_DISK_BYTES = 1 * GIB
LOW_MEMORY_BYTES = 2 * GIB
LOW_SHARED_MEMORY_BYTES = 1 * GIB
MAX_SKEW_S = 5.0


def check_versions(nodes: Sequence[dict[str, Any]]) -> list[Check]:
    """One check a node: all that it has, and what differs from the first one."""
    first = nodes[0]
    checks = []
    for facts in nodes:
        versions = {"python": facts["python"], **facts["packages"]}
        found = ", ".join(f"{name} {number or 'missing'}" for name, number in versions.items())
        missing = [name for name in PACKAGES if facts["packages"][name] is None]
        differs = [name for name in PACKAGES if facts["packages"][name] != first["packages"][name]]
        if facts["python"].split(".")[:2] != first["python"].split(".")[:2]:
            differs.insert(0, "python")
        state: State = "wrong" if missing or differs else "ok"
        remedy = f"install {', '.join(missing)}" if missing else ""
        if differs and not missing:
            remedy = f"install the same {', '.join(differs)} as on {first['host']} (constraints.txt pins them)"
        checks.append(Check("versions", facts["host"], state, found, remedy))
    return checks


def check_node(facts: dict[str, Any]) -> list[Check]:
    host = facts["host"]
    checks = []

    gpus = ", ".join(f"{gpu['name']} ({gpu['free_mib']} of {gpu['memory_mib']} MiB free)" for gpu in facts["gpus"])
    given = facts.get("resources", {}).get("GPU", len(facts["gpus"]))
    state, remedy = "ok", ""
    if facts["gpus"] and facts["torch_cuda"] is None:
        state, remedy = "wrong", "this torch is built without CUDA; install the one of constraints.txt"
    elif given < len(facts["gpus"]):
        state, remedy = "warning", f"Ray was given {given:g} of them; start it with --num-gpus {len(facts['gpus'])}"
    checks.append(Check("GPUs", host, state, gpus or "none", remedy))  # type: ignore[arg-type]

    for subject, free, low, none, remedy in (
        ("memory", facts["free_memory_bytes"], LOW_MEMORY_BYTES, 0, "end what uses it, or use a larger machine"),
        ("disk", facts["free_disk_bytes"], LOW_DISK_BYTES, NO_DISK_BYTES, f"make room on the disk of {facts['disk']}"),
        (
            "shared memory",
            facts["shared_memory_bytes"],
            LOW_SHARED_MEMORY_BYTES,
            0,
            "give the container more (docker run --shm-size=8g): Ray keeps its objects there",
        ),
    ):
        if free is None:
            continue
        state = "wrong" if free < none else "warning" if free < low else "ok"
        found = f"{free / GIB:.1f} GiB" + (" free" if subject != "shared memory" else "")
        checks.append(Check(subject, host, state, found, remedy if state != "ok" else ""))  # type: ignore[arg-type]
    return checks


def check_clock(node: str, offset_s: float, *, uncertainty_s: float) -> Check:
    skew_s = max(0.0, abs(offset_s) - uncertainty_s)
    found = f"{skew_s:.1f} s from here"
    if skew_s <= MAX_SKEW_S:
        return Check("clock", node, "ok", found)
    return Check("clock", node, "wrong", found, "set the clock (chrony, ntpd); buckets refuse what is signed too early")
