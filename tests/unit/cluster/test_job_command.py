from __future__ import annotations

from pathlib import Path

import pytest

from raysynth.cluster.job_command import for_cluster, places_of
from raysynth.errors import UserError


def test_files_of_this_machine_travel_and_places_of_the_cluster_stay(tmp_path):
    space, weights = tmp_path / "own.yaml", tmp_path / "net.pt"
    space.touch()
    weights.touch()
    values = {"space": str(space), "weights": str(weights), "data": "s3://b/brain", "out": Path("/shared/x"), "seed": 0}
    command = for_cluster(values, {"space", "weights", "data", "out"}, [])
    assert command.values == {
        "space": "files/0/own.yaml",
        "weights": "files/1/net.pt",
        "data": "s3://b/brain",
        "out": Path("/shared/x"),
    }
    assert command.files == {"files/0/own.yaml": space, "files/1/net.pt": weights}


def test_names_stay_names():
    command = for_cluster({"spaces": ["wcgan_gp", "/on/the/cluster.yaml"], "out": "/o"}, {"spaces", "out"}, [])
    assert command.values["spaces"] == ["wcgan_gp", "/on/the/cluster.yaml"]
    assert not command.files


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"data": "brain", "out": "/o"}, "--data brain: a path of this machine"),
        ({"synthetic": ["/shared/a", "b"], "out": "/o"}, "--synthetic b: a path of this machine"),
        ({"run": Path("runs/a"), "out": "/o"}, "RUN runs/a: a path of this machine"),
        ({"out": Path("runs")}, "--out runs: a path of this machine"),
        ({"space": "gone/own.yaml", "out": "/o"}, "SPACE gone/own.yaml: no such file"),
    ],
)
def test_what_only_this_machine_sees_is_refused_with_a_remedy(values, message):
    with pytest.raises(UserError, match=f"^{message}.*(all of the cluster's nodes share|of the cluster)$"):
        for_cluster(values, set(values), [])


def test_a_default_folder_is_no_place_of_the_cluster():
    with pytest.raises(UserError, match=r"^--out: not given"):
        for_cluster({"out": Path("runs"), "resume": None}, set(), [])
    assert for_cluster({"out": Path("runs"), "resume": "/shared/runs/a"}, {"resume"}, []).values == {
        "resume": "/shared/runs/a"
    }
    assert for_cluster({"out": Path("runs"), "storage": "s3://b"}, {"storage"}, []).values == {"storage": "s3://b"}
    assert not for_cluster({"storage": None, "space": None}, set(), []).values  # a verb that writes nothing


def test_a_name_in_a_storage_is_a_place_of_the_cluster():
    values = {"data": "brain", "synthetic": ["s3://other/made"], "out": Path("runs"), "storage": "s3://b/lab"}
    assert {name: str(place) for name, place in places_of(values)} == {
        "data": "s3://b/lab/brain",
        "synthetic": "s3://other/made",
        "out": "s3://b/lab/runs",
        "storage": "s3://b/lab",
    }
    assert for_cluster(values, set(values), []).values["data"] == "brain"
    with pytest.raises(UserError, match="--data brain: a path of this machine"):
        for_cluster({**values, "data": "./brain"}, set(values), [])


def test_a_config_value_that_names_a_folder_here_is_refused(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "pre").mkdir()
    with pytest.raises(UserError, match=r"^--set pretrained pre: a path of this machine"):
        for_cluster({"out": "/o"}, {"out"}, [("--set seed", 3), ("--set pretrained", "pre")])
    for_cluster({"out": "/o"}, {"out"}, [("--set pretrained", str(tmp_path / "pre")), ("--set critic", "dropout")])
