from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from raysynth.cluster.check import Check
from raysynth.cluster.doctor import doctor
from raysynth.cluster.node_checks import GIB, check_clock, check_node, check_versions
from raysynth.cluster.node_facts import PACKAGES, node_facts
from raysynth.cluster.safety import judge_dashboard

FACTS: dict[str, Any] = {
    "host": "a",
    "python": "3.11.7",
    "packages": dict.fromkeys(PACKAGES, "1.0"),
    "cores": 4,
    "gpus": [],
    "torch_cuda": "13.0",
    "memory_bytes": 16 * GIB,
    "free_memory_bytes": 8 * GIB,
    "disk": "/tmp",
    "free_disk_bytes": 50 * GIB,
    "shared_memory_bytes": 8 * GIB,
}
GPU = {"name": "H100", "memory_mib": 80000, "free_mib": 79000}


def test_a_fit_node_has_nothing_to_do():
    assert {check.state for check in [*check_node(FACTS), *check_versions([FACTS])]} == {"ok"}


def test_this_machine_says_all_that_is_judged():
    assert set(node_facts()) == set(FACTS)


@pytest.mark.parametrize(
    ("change", "subject", "state", "remedy"),
    [
        ({"free_disk_bytes": 5 * GIB}, "disk", "warning", "make room on the disk of /tmp"),
        ({"free_disk_bytes": 0}, "disk", "wrong", "make room"),
        ({"free_memory_bytes": GIB}, "memory", "warning", "end what uses it"),
        ({"shared_memory_bytes": GIB // 16}, "shared memory", "warning", "--shm-size"),
        ({"gpus": [GPU], "torch_cuda": None}, "GPUs", "wrong", "built without CUDA"),
        ({"gpus": [GPU, GPU], "resources": {"GPU": 1.0}}, "GPUs", "warning", "--num-gpus 2"),
    ],
)
def test_what_is_short_comes_with_what_to_do(change, subject, state, remedy):
    (found,) = [check for check in check_node({**FACTS, **change}) if check.state != "ok"]
    assert (found.subject, found.state) == (subject, state)
    assert remedy in found.remedy


def test_nodes_must_have_the_same_versions():
    other = {**FACTS, "host": "b", "packages": {**FACTS["packages"], "torch": "2.0"}}
    older = {**FACTS, "host": "c", "python": "3.12.1", "packages": {**FACTS["packages"], "ray": None}}
    first, second, third = check_versions([FACTS, other, older])
    assert first.state == "ok"
    assert second.remedy.startswith("install the same torch as on a")
    assert third.state == "wrong"
    assert third.remedy == "install ray"


def test_clocks_may_differ_by_what_a_question_takes():
    assert check_clock("a", 7.0, uncertainty_s=3.0).state == "ok"
    assert check_clock("a", -7.0, uncertainty_s=0.1).state == "wrong"


def test_this_machines_storage_is_looked_at_without_ray(tmp_path):
    def storage(place: Path | str) -> Check:
        (check,) = (check for check in doctor(storage=str(place)).checks if check.subject == "storage")
        return check

    assert storage(tmp_path).state == "ok"
    assert not list(tmp_path.iterdir())
    (tmp_path / "file").touch()
    assert storage("/proc/nowhere").state == "wrong"


def test_a_space_that_asks_for_too_much_is_wrong(tmp_path):
    space = tmp_path / "large.yaml"
    space.write_text("family: cgan\nspace: {latent_dim: {grid: [4, 8]}}\nresources: {cpu: 5000}\n")
    found = doctor(space=str(space))
    assert not found.is_fit
    (room,) = (check for check in found.checks if check.subject == "room")
    assert "2 trials of 5000 cores and " in room.found
    assert "room for 0 now, 0 at most" in room.found


@pytest.mark.parametrize(
    ("dashboard", "is_open", "state"),
    [
        ("127.0.0.1:8265", False, "ok"),
        ("127.0.0.1:8265", True, "warning"),
        ("10.0.0.4:8265", False, "warning"),
        ("10.0.0.4:8265", True, "wrong"),
    ],
)
def test_a_dashboard_without_a_token_is_wrong_where_others_reach_it(dashboard, is_open, state):
    assert judge_dashboard(dashboard, is_ray=True, is_open=is_open).state == state
