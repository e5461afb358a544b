"""`cluster.yaml` passes Ray's own check, which knows every key of the schema."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

CLUSTER_YAML = Path(__file__).parents[3] / "cluster.yaml"


def validate(content: dict) -> None:
    from ray.autoscaler._private.util import prepare_config, validate_config

    validate_config(prepare_config(content))


def test_cluster_yaml_is_valid():
    content = yaml.safe_load(CLUSTER_YAML.read_text())
    validate(content)
    assert content["available_node_types"][content["head_node_type"]]
    assert content["available_node_types"]["gpu_worker"]["max_workers"] <= content["max_workers"]


def test_the_check_can_fail():
    content = yaml.safe_load(CLUSTER_YAML.read_text())
    content["available_node_typos"] = {}
    with pytest.raises(Exception, match="available_node_typos"):
        validate(content)
