"""Every variant of `cluster.yaml`: Ray's own check, and the services' descriptions of what they take.

Ray's check misses typing errors within `provider` and `node_config`, which are handed on as they are.
"""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
from cluster_variants import AWS, CLUSTER_YAML, GCP, OWN_MACHINES, cluster_config

from raysynth.cluster.leave import CLOUDS

VARIANTS = [AWS, GCP, OWN_MACHINES]


def prepared(config: dict[str, Any]) -> dict[str, Any]:
    """What `ray up` makes of a config before it asks a provider; raises where Ray refuses it."""
    from ray.autoscaler._private.util import prepare_config, validate_config

    complete = prepare_config(config)
    validate_config(complete)
    return complete


def unknown_provider_keys(config: dict[str, Any]) -> set[str]:
    import ray.autoscaler

    schema = json.loads((Path(ray.autoscaler.__file__).parent / "ray-schema.json").read_text())
    return set(config["provider"]) - set(schema["properties"]["provider"]["properties"])


def aws_mistakes(node_config: dict[str, Any]) -> str:
    """What AWS's description of RunInstances says against a node; empty when it would be taken."""
    import botocore.session
    from botocore.validate import ParamValidator

    service = botocore.session.get_session().get_service_model("ec2")
    request = {"MinCount": 1, "MaxCount": 1, **node_config}
    return str(
        ParamValidator().validate(request, service.operation_model("RunInstances").input_shape).generate_report()
    )


def gcp_mistakes(value: Any, type_name: str, where: str = "node_config") -> list[str]:
    """What Google's description of a Compute Engine resource says against `value`: unknown keys and wrong types."""
    import googleapiclient

    folder = Path(googleapiclient.__file__).parent / "discovery_cache" / "documents"
    schemas = json.loads((folder / "compute.v1.json").read_text())["schemas"]
    types = {"string": str, "integer": int, "boolean": bool, "object": dict, "array": list}

    def compare(value: Any, schema: dict[str, Any], where: str) -> list[str]:
        schema = schemas[schema["$ref"]] if "$ref" in schema else schema
        # 64-bit integers are strings in JSON, and either is taken.
        if not isinstance(value, types[schema["type"]]) and schema.get("format") != "int64":
            return [f"{where}: want {schema['type']}"]
        if "enum" in schema and value not in schema["enum"]:
            return [f"{where}: want one of {schema['enum']}"]
        if schema["type"] == "array":
            return [fault for item in value for fault in compare(item, schema["items"], where)]
        if schema["type"] != "object" or "properties" not in schema:
            return []
        faults = [f"{where}.{key}: unknown" for key in value if key not in schema["properties"]]
        known = [key for key in value if key in schema["properties"]]
        return faults + [f for key in known for f in compare(value[key], schema["properties"][key], f"{where}.{key}")]

    return compare(value, schemas[type_name], where)


def node_configs(config: dict[str, Any]) -> dict[str, dict[str, Any]]:
    return {name: node_type["node_config"] for name, node_type in config["available_node_types"].items()}


@pytest.mark.parametrize("variant", VARIANTS)
def test_ray_takes_it(variant):
    config = cluster_config(variant)
    complete = prepared(config)
    assert not unknown_provider_keys(config)
    workers = [kind for name, kind in complete["available_node_types"].items() if name != config.get("head_node_type")]
    assert sum(kind["max_workers"] for kind in workers) <= complete["max_workers"]
    assert all(kind["min_workers"] >= 1 for kind in workers)


@pytest.mark.parametrize("variant", VARIANTS)
def test_nobody_gets_in_without_the_token_and_nothing_but_the_package_is_sent(variant):
    config = cluster_config(variant)
    starts = [line for key in ("head", "worker") for line in config[f"{key}_start_ray_commands"] if "ray start" in line]
    assert len(starts) == 2
    assert all("RAY_AUTH_MODE=token" in line for line in starts)
    assert "--dashboard-host=127.0.0.1" in starts[0]
    assert config["file_mounts"].pop("~/.ray/auth_token") == "~/.ray/auth_token"
    for remote, local in config["file_mounts"].items():
        assert remote == f"~/raysynth/{local}"
        assert (CLUSTER_YAML.parent / local).exists()
    assert not {"runs", "sweeps", ".git", ".venv", "."} & set(config["file_mounts"].values())


def test_aws_takes_each_node():
    for node_config in node_configs(cluster_config(AWS)).values():
        assert aws_mistakes(node_config) == ""
    assert "Unknown parameter" in aws_mistakes(
        {"BlockDeviceMappings": [{"Ebs": {"VolumeSize": 200, "VolumeTyp": "gp3"}}]}
    )
    assert "Unknown parameter" in aws_mistakes({"InstanceMarketOption": {"MarketType": "spot"}})


def test_gcp_takes_each_node():
    for node_config in node_configs(cluster_config(GCP)).values():
        assert gcp_mistakes(node_config, "Instance") == []
    assert gcp_mistakes({"scheduling": {"provisioningModel": "SPOTS", "onMaintenance": "x"}}, "Instance") == [
        "node_config.scheduling.onMaintenance: unknown",
        "node_config.scheduling.provisioningModel: want one of "
        + str(["FLEX_START", "RESERVATION_BOUND", "SPOT", "STANDARD"]),
    ]
    assert gcp_mistakes({"disks": [{"boot": "yes"}]}, "Instance") == ["node_config.disks.boot: want boolean"]


@pytest.mark.parametrize("variant", [AWS, GCP])
def test_workers_are_on_spot_and_the_head_is_not(variant):
    nodes = node_configs(cluster_config(variant))
    assert "SPOT" not in str(nodes["head"]).upper()
    assert "SPOT" in str(nodes["gpu_worker"]).upper()


@pytest.mark.parametrize("variant", [AWS, GCP])
def test_spot_workers_hear_of_it_when_they_are_taken_back(variant):
    (command,) = cluster_config(variant)["worker_setup_commands"]
    (words,) = re.findall(r"raysynth (cluster leave .*?) >", command)
    assert words == f"cluster leave --when-told {variant.lower()}"
    assert variant.lower() in CLOUDS


def test_own_machines_need_two_changes():
    config = cluster_config(OWN_MACHINES)
    addresses = [config["provider"]["head_ip"], *config["provider"]["worker_ips"]]
    assert prepared(config)["max_workers"] == len(addresses) - 1


def test_the_checks_can_fail():
    config = cluster_config(AWS)
    config["provider"]["regoin"] = "us-west-2"
    assert unknown_provider_keys(config) == {"regoin"}
    config["available_node_typos"] = {}
    with pytest.raises(Exception, match="available_node_typos"):
        prepared(config)
