"""`cluster.yaml` as it stands, taken up, enlarged and ended on an imitation of AWS: what Ray really asks for."""

from __future__ import annotations

import boto3
import pytest
from cluster_variants import AWS, cluster_config
from moto import mock_aws

HOME_ADDRESS = "198.51.100.7/32"


@pytest.fixture
def aws(monkeypatch, tmp_path):
    """An account with the role that Ray gives to a head, and a home folder for the ssh key that Ray makes."""
    from ray.autoscaler._private.aws import config as aws_config
    from ray.autoscaler._private.aws import node_provider
    from ray.autoscaler._private.aws import utils as aws_utils

    monkeypatch.setenv("HOME", str(tmp_path))
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"):
        monkeypatch.setenv(name, "testing")
    monkeypatch.delenv("AWS_ENDPOINT_URL", raising=False)  # of the S3 server of other tests
    # Ray lists all kinds of instances, which takes the imitation many seconds.
    monkeypatch.setattr(node_provider, "list_ec2_instances", lambda region, credentials: describe_used_types(region))
    with mock_aws():
        iam = boto3.client("iam")
        iam.create_instance_profile(InstanceProfileName=aws_config.DEFAULT_RAY_INSTANCE_PROFILE)
        iam.create_role(RoleName=aws_config.DEFAULT_RAY_IAM_ROLE, AssumeRolePolicyDocument="{}")
        iam.add_role_to_instance_profile(
            InstanceProfileName=aws_config.DEFAULT_RAY_INSTANCE_PROFILE, RoleName=aws_config.DEFAULT_RAY_IAM_ROLE
        )
        yield
    for cached in (aws_utils.resource_cache, aws_utils.client_cache, aws_config._get_subnets_or_die):
        cached.cache_clear()


def describe_used_types(region: str) -> list[dict]:
    used = [
        node_type["node_config"]["InstanceType"] for node_type in cluster_config(AWS)["available_node_types"].values()
    ]
    types: list[dict] = boto3.client("ec2", region).describe_instance_types(InstanceTypes=used)["InstanceTypes"]
    return types


def filled_in() -> dict:
    """The config with the two ids put in; the group is made by the commands that the file gives."""
    config = cluster_config(AWS)
    ec2 = boto3.client("ec2", config["provider"]["region"])
    group = ec2.create_security_group(GroupName="raysynth", Description="raysynth")["GroupId"]
    own = {"IpProtocol": "-1", "UserIdGroupPairs": [{"GroupId": group}]}
    ssh = {"IpProtocol": "tcp", "FromPort": 22, "ToPort": 22, "IpRanges": [{"CidrIp": HOME_ADDRESS}]}
    ec2.authorize_security_group_ingress(GroupId=group, IpPermissions=[own, ssh])
    image = ec2.register_image(Name="image")["ImageId"]
    for node_type in config["available_node_types"].values():
        node_type["node_config"] |= {"ImageId": image, "SecurityGroupIds": [group]}
    return config


def test_nodes_are_rented_behind_a_closed_group_and_given_back(aws):
    from ray.autoscaler._private.aws.config import bootstrap_aws
    from ray.autoscaler._private.aws.node_provider import AWSNodeProvider
    from ray.autoscaler._private.util import prepare_config

    config = bootstrap_aws(prepare_config(filled_in()))
    config = AWSNodeProvider.fillout_available_node_types_resources(config)
    node_types = config["available_node_types"]
    assert node_types["gpu_worker"]["resources"]["GPU"] == 1
    assert "GPU" not in node_types["head"]["resources"]

    provider = AWSNodeProvider(config["provider"], config["cluster_name"])
    for name, kind in (("head", "head"), ("gpu_worker", "worker")):
        provider.create_node(node_types[name]["node_config"], {"ray-node-kind": kind, "ray-node-status": "new"}, 1)
    ec2 = boto3.client("ec2", config["provider"]["region"])
    instances = [i for r in ec2.describe_instances()["Reservations"] for i in r["Instances"]]
    assert {i["InstanceType"]: i.get("InstanceLifecycle") for i in instances} == {
        "m5.xlarge": None,
        "g5.xlarge": "spot",
    }
    used = {group["GroupId"] for i in instances for group in i["SecurityGroups"]}
    rules = [r for g in ec2.describe_security_groups(GroupIds=[*used])["SecurityGroups"] for r in g["IpPermissions"]]
    assert {address["CidrIp"] for rule in rules for address in rule["IpRanges"]} == {HOME_ADDRESS}

    provider.terminate_nodes(provider.non_terminated_nodes({}))
    states = {i["State"]["Name"] for r in ec2.describe_instances()["Reservations"] for i in r["Instances"]}
    assert states == {"terminated"}
