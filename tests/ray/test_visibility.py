"""Which nodes see a folder: asked of real tasks, one a node."""

from __future__ import annotations

from pathlib import Path

import pytest

from raysynth.cluster import visibility
from raysynth.cluster.visibility import find_blind_nodes, refuse_invisible
from raysynth.data.dataset import Dataset
from raysynth.errors import UserError

pytestmark = pytest.mark.usefixtures("ray_cluster")
# What it is depends on the process that asks, as a local folder does on the machine.
OWN = Path("/proc/self/cwd")


def test_a_shared_folder_is_seen_and_nothing_is_left_in_it(stripes: Dataset, tmp_path: Path):
    assert find_blind_nodes({"--data": stripes.path}, {"--out": tmp_path / "runs" / "deep"}) == []
    assert list(tmp_path.iterdir()) == []


def test_what_only_this_process_has_is_not_seen(tmp_path: Path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "data").mkdir()
    read, write = find_blind_nodes({"--data": OWN / "data"}, {"--out": OWN / "runs"})
    assert (read.option, read.place, read.reason) == ("--data", "/proc/self/cwd/data", "does not see it")
    assert (write.option, write.place, write.reason) == ("--out", "/proc/self/cwd/runs", "does not see it")
    assert [path.name for path in tmp_path.iterdir()] == ["data"]


def test_it_is_refused_where_there_are_other_nodes(tmp_path: Path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    refuse_invisible({}, {"--out": OWN / "runs"})  # one node: nobody else has to see it
    (node,) = visibility.alive_nodes()
    nodes = iter([{node: "10.0.0.1", "other": "10.0.0.2"}])
    monkeypatch.setattr(visibility, "alive_nodes", lambda: next(nodes, {node: "10.0.0.1"}))
    with pytest.raises(
        UserError, match=r"^--out /proc/self/cwd/runs: node 10\.0\.0\.1 does not see it; .*--storage s3:"
    ):
        refuse_invisible({}, {"--out": OWN / "runs"})


def test_a_bucket_is_asked_for_too(bucket: str, s3_options: str):
    assert find_blind_nodes({}, {"--storage": f"{bucket}/lab{s3_options}"}) == []
    (blind,) = find_blind_nodes({"--data": f"{bucket}/nothing{s3_options}"}, {})
    assert blind.reason == "does not see it"
