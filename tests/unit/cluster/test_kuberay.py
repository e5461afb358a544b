"""The manifest of a RayJob: its form, its resources, and its command, which the verb itself checks.

No description of KubeRay's resources can be had offline, so what is known of them is written down here: the fields of
ray.io/v1 that the manifest uses, with their types, as in KubeRay's API reference; Kubernetes' own of a pod likewise.
"""

from __future__ import annotations

import shlex
from typing import Any

import jsonschema
import pytest
import yaml

from raysynth.cli.main import run
from raysynth.cluster.kuberay import kuberay
from raysynth.errors import UserError
from raysynth.tuning.space import space_names


def fields(required: dict[str, Any], **optional: Any) -> dict[str, Any]:
    """A mapping with these keys and no others."""
    return {
        "type": "object",
        "properties": required | optional,
        "required": list(required),
        "additionalProperties": False,
    }


def items(schema: dict[str, Any]) -> dict[str, Any]:
    return {"type": "array", "items": schema, "minItems": 1}


TEXT, FLAG, COUNT = {"type": "string"}, {"type": "boolean"}, {"type": "integer", "minimum": 0}
NAME = {"type": "string", "pattern": "^[a-z0-9]([-a-z0-9]*[a-z0-9])?$"}
TEXTS = {"type": "object", "additionalProperties": TEXT}  # quantities and parameters are strings
VOLUME = fields({"name": NAME}, persistentVolumeClaim=fields({"claimName": NAME}), configMap=fields({"name": NAME}))
CONTAINER = fields(
    {"name": NAME, "image": TEXT},
    resources=fields({"requests": TEXTS, "limits": TEXTS}),
    lifecycle=fields({"preStop": fields({"exec": fields({"command": items(TEXT)})})}),
    volumeMounts=items(fields({"name": NAME, "mountPath": {"type": "string", "pattern": "^/"}})),
)
POD = fields(
    {
        "spec": fields(
            {"containers": items(CONTAINER)},
            volumes=items(VOLUME),
            serviceAccountName=NAME,
            terminationGracePeriodSeconds=COUNT,
            tolerations=items(fields({}, key=TEXT, operator={"enum": ["Exists", "Equal"]}, effect=TEXT)),
        )
    }
)
GROUP = {"rayStartParams": TEXTS, "template": POD}
CLUSTER = fields(
    {"headGroupSpec": fields(GROUP)},
    workerGroupSpecs=items(
        fields(GROUP | {"groupName": NAME, "minReplicas": COUNT, "maxReplicas": COUNT}, replicas=COUNT)
    ),
    rayVersion=TEXT,
    enableInTreeAutoscaling=FLAG,
    autoscalerOptions=fields({}, idleTimeoutSeconds=COUNT),
    authOptions=fields({"mode": {"enum": ["token", "disabled"]}}, secretName=NAME),
)
RAY_JOB = fields(
    {
        "apiVersion": {"const": "ray.io/v1"},
        "kind": {"const": "RayJob"},
        "metadata": fields({"name": NAME}),
        "spec": fields(
            {"entrypoint": TEXT, "rayClusterSpec": CLUSTER},
            shutdownAfterJobFinishes=FLAG,
            ttlSecondsAfterFinished=COUNT,
        ),
    }
)
BUCKET = {"image": "registry.example/raysynth:0.1", "data": "s3://lab/brain", "out": "s3://lab/sweeps"}
VOLUME_ARGUMENTS = {"image": "raysynth", "data": "/storage/brain", "volume_claim": "lab"}


def manifest(space: str, **arguments: Any) -> dict[str, Any]:
    """The RayJob, which has the form of one."""
    *_, job = yaml.safe_load_all(kuberay(space, **arguments))
    jsonschema.validate(job, RAY_JOB)
    return job["spec"]


def worker_of(spec: dict[str, Any]) -> dict[str, Any]:
    return spec["rayClusterSpec"]["workerGroupSpecs"][0]


def resources_of(spec: dict[str, Any]) -> dict[str, str]:
    return worker_of(spec)["template"]["spec"]["containers"][0]["resources"]["limits"]


@pytest.mark.parametrize("space", space_names())
def test_every_shipped_space_makes_a_job_with_a_token(space):
    spec = manifest(space, **BUCKET)
    assert spec["rayClusterSpec"]["authOptions"] == {"mode": "token"}
    assert spec["shutdownAfterJobFinishes"]
    assert resources_of(spec)["nvidia.com/gpu"] == "1"


def test_the_schema_can_fail():
    *_, job = yaml.safe_load_all(kuberay("wcgan_gp", **BUCKET))
    job["spec"]["rayClusterSpec"]["workerGroupSpecs"][0]["maxReplica"] = 3
    with pytest.raises(jsonschema.ValidationError, match="maxReplica"):
        jsonschema.validate(job, RAY_JOB)


def test_the_entrypoint_passes_the_verbs_own_check(stripes, tmp_path, capsys):
    overrides = {"critic": "dropout", "width": 4, "batch_size": 16}
    words = shlex.split(manifest("wcgan_gp", **BUCKET, epochs=2, overrides=overrides)["entrypoint"])
    assert words[:3] == ["raysynth", "tune", "wcgan_gp"]
    here = {"s3://lab/brain": str(stripes.path), "s3://lab/sweeps": str(tmp_path), "auto": "local"}
    assert run([*[here.get(word, word) for word in words[1:]], "--dry-run"]) == 0, capsys.readouterr().err
    assert "4 trials" in capsys.readouterr().out


def test_workers_are_as_many_as_hold_all_trials(tmp_path):
    space = tmp_path / "mine.yaml"
    text = "family: wcgan_gp\nspace: {latent_dim: {grid: [4, 8, 16, 32, 64, 128]}}\n"
    space.write_text(text + "resources: {cpu: 2, gpu: 0.5}\n")
    spec = manifest(str(space), **BUCKET)
    assert resources_of(spec) == {"cpu": "4", "memory": "16Gi", "nvidia.com/gpu": "1"}
    assert worker_of(spec)["maxReplicas"] == 3  # two trials share a GPU
    assert worker_of(manifest(str(space), **BUCKET, gpus=2, cpus=8))["maxReplicas"] == 2
    assert worker_of(manifest(str(space), **BUCKET, min_workers=5))["maxReplicas"] == 5
    space.write_text(text + "resources: {cpu: 3, gpu: 0}\n")
    spec = manifest(str(space), **BUCKET)
    assert "nvidia.com/gpu" not in resources_of(spec)
    assert "tolerations" not in worker_of(spec)["template"]["spec"]
    assert worker_of(spec)["maxReplicas"] == 4


def test_a_worker_tells_ray_before_it_is_ended(monkeypatch):
    pod = worker_of(manifest("wcgan_gp", **BUCKET))["template"]["spec"]
    shell, option, line = pod["containers"][0]["lifecycle"]["preStop"]["exec"]["command"]
    leave, wait = (shlex.split(command) for command in line.split("&&"))
    told = []
    monkeypatch.setattr("raysynth.cluster.leave.leave", lambda grace_s: told.append(grace_s) or "node")
    assert (shell, option) == ("/bin/sh", "-c")
    assert leave[0] == "raysynth"
    assert run(leave[1:]) == 0
    assert wait == ["sleep", str(told[0])]
    assert told[0] < pod["terminationGracePeriodSeconds"]
    head = manifest("wcgan_gp", **BUCKET)["rayClusterSpec"]["headGroupSpec"]["template"]["spec"]
    assert "lifecycle" not in head["containers"][0]


def test_a_space_of_ones_own_goes_with_the_job(tmp_path):
    space = tmp_path / "mine.yaml"
    space.write_text("# mine\nfamily: wcgan_gp\n")
    config_map, job = yaml.safe_load_all(kuberay(str(space), **VOLUME_ARGUMENTS))
    assert config_map["data"] == {"mine.yaml": space.read_text()}
    head = job["spec"]["rayClusterSpec"]["headGroupSpec"]["template"]["spec"]
    assert {"name": "space", "configMap": {"name": config_map["metadata"]["name"]}} in head["volumes"]
    assert job["spec"]["entrypoint"].startswith("raysynth tune /etc/raysynth/mine.yaml ")


def test_a_volume_is_in_every_pod(tmp_path):
    spec = manifest("wcgan_gp", **VOLUME_ARGUMENTS, token_secret="ours", service_account="lab")
    cluster = spec["rayClusterSpec"]
    for group in (cluster["headGroupSpec"], *cluster["workerGroupSpecs"]):
        pod = group["template"]["spec"]
        assert {"name": "storage", "persistentVolumeClaim": {"claimName": "lab"}} in pod["volumes"]
        assert {"name": "storage", "mountPath": "/storage"} in pod["containers"][0]["volumeMounts"]
        assert pod["serviceAccountName"] == "lab"
    assert cluster["authOptions"]["secretName"] == "ours"
    assert "--out /storage/sweeps" in spec["entrypoint"]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"data": "brain"}, "--data brain: pods do not see it"),
        ({"out": None}, "--out: not given"),
        ({"volume_claim": "lab", "out": "/mnt/sweeps"}, "--out /mnt/sweeps: not on the volume"),
        ({"name": "My job"}, "--name My job: want at most 47"),
        ({"image": "a b"}, "--image 'a b'"),
        ({"min_workers": 3, "max_workers": 2}, "--max-workers 2: less than"),
        ({"gpus": 0}, "--gpus 0: a trial of this space needs 1"),
        ({"cpus": 0}, "--cpus 0: want 1 or more"),
    ],
)
def test_mistakes_name_the_option(change, message):
    with pytest.raises(UserError, match=message):
        kuberay("wcgan_gp", **(BUCKET | change))


def test_the_verb_prints_the_manifest_and_nothing_else(capsys):
    arguments = ["--space", "wcgan_gp", "--image", BUCKET["image"], "--data", BUCKET["data"], "--out", BUCKET["out"]]
    assert run(["cluster", "kuberay", *arguments]) == 0
    printed = capsys.readouterr()
    assert yaml.safe_load(printed.out)["kind"] == "RayJob"
    assert printed.err == ""
