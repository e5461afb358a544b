"""A sweep on Kubernetes: the manifest of a KubeRay RayJob, which brings nodes up, runs it and gives them back."""

from __future__ import annotations

import math
import re
import shlex
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import yaml

from raysynth.data.locations import locate
from raysynth.errors import UserError
from raysynth.tuning.space import SearchSpace, load_space

VOLUME = "/storage"  # where the claim is mounted in every pod
SPACE_FOLDER = "/etc/raysynth"  # where a search space that is a file lies in the head's pod
MOST_WORKERS = 4  # unless told otherwise
LONGEST_NAME = 47  # KubeRay makes longer ones of it
HEAD = {"cpu": "2", "memory": "8Gi"}
GPU = "nvidia.com/gpu"
# Of a worker's pod that is taken away: what its trainings are given for a checkpoint, and until it is killed.
LEAVE_S, TERMINATION_S = 20, 60
LEAVE = f"raysynth cluster leave --grace-s {LEAVE_S} && sleep {LEAVE_S}"
IDLE_TIMEOUT_S = 600  # of a worker without work, and of all nodes once the job has ended

Volumes = dict[str, tuple[str, dict[str, Any]]]  # by name: where it is mounted, and what it is


class _Manifest(yaml.SafeDumper):
    """Writes a manifest as a person would: no anchors, texts of several lines as they are."""

    def ignore_aliases(self, data: Any) -> bool:
        return True


def _write_text(dumper: yaml.SafeDumper, text: str) -> yaml.ScalarNode:
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style="|" if "\n" in text else None)


_Manifest.add_representer(str, _write_text)


@dataclass(frozen=True)
class WorkerPod:
    """What one worker's pod has, and so how many trials of a space it holds at a time."""

    cpus: int
    memory_gib: int
    gpus: int

    def num_trials(self, space: SearchSpace) -> int:
        """Raises UserError when not even one fits."""
        cpu, gpu = space.resources.cpu or 1.0, _gpu_per_trial(space)
        if cpu > self.cpus:
            raise UserError(f"--cpus {self.cpus}: a trial of this space needs {cpu:g}; give a worker more")
        if gpu > self.gpus:
            raise UserError(f"--gpus {self.gpus}: a trial of this space needs {gpu:g}; give a worker more")
        fitting = self.cpus / cpu
        return math.floor(min(fitting, self.gpus / gpu) if gpu else fitting)

    def resources(self) -> dict[str, str]:
        """As Kubernetes writes it."""
        gpus = {GPU: str(self.gpus)} if self.gpus else {}
        return {"cpu": str(self.cpus), "memory": f"{self.memory_gib}Gi"} | gpus


def kuberay(
    space: str,
    *,
    image: str,
    data: str,
    out: str | None = None,
    epochs: int | None = None,
    overrides: Mapping[str, Any] | None = None,
    volume_claim: str | None = None,
    service_account: str | None = None,
    token_secret: str | None = None,
    min_workers: int = 1,
    max_workers: int | None = None,
    cpus: int = 4,
    memory_gib: int = 16,
    gpus: int | None = None,
    name: str | None = None,
) -> str:
    """The YAML text of a RayJob (ray.io/v1, KubeRay 1.5.1 or newer) that runs `raysynth tune` on a search space.

    `data` and `out` lie in a bucket or on the volume of `volume_claim`, which is mounted at `/storage` (there `out` is
    by default `/storage/sweeps`). Workers have `cpus`, `memory_gib` and `gpus` each; without `gpus` as many as one
    trial needs, and without `max_workers` as many workers as hold all trials, 4 at most. Every port wants a token:
    KubeRay makes one, or takes key `auth_token` of `token_secret`. Raises UserError; no cluster is asked.
    """
    search = load_space(space, overrides or {})
    for option, number, least in (
        ("--cpus", cpus, 1),
        ("--memory", memory_gib, 1),
        ("--gpus", 0 if gpus is None else gpus, 0),
        ("--min-workers", min_workers, 1),
    ):
        if number < least:
            raise UserError(f"{option} {number}: want {least} or more")
    pod = WorkerPod(cpus, memory_gib, math.ceil(_gpu_per_trial(search)) if gpus is None else gpus)
    enough = math.ceil(len(search.trials()) / pod.num_trials(search))
    most = max(min_workers, min(MOST_WORKERS, enough)) if max_workers is None else max_workers
    if most < min_workers:
        raise UserError(f"--max-workers {most}: less than --min-workers {min_workers}; give more")
    if out is None and volume_claim is None:
        raise UserError("--out: not given; give a bucket (s3://, gs://), or a --volume-claim")
    out = f"{VOLUME}/sweeps" if out is None else out
    for option, place in (("--data", data), ("--out", out)):
        _check_reachable(option, place, volume_claim)
    name = name or f"raysynth-{search.family.replace('_', '-')}"
    for option, given in (
        ("--name", name),
        ("--volume-claim", volume_claim),
        ("--service-account", service_account),
        ("--token-secret", token_secret),
    ):
        _check_name(option, given)
    if not image or re.search(r"\s", image):
        raise UserError(f"--image {image!r}: want the name of an image with raysynth and Ray {version('ray')}")

    file = Path(space) if Path(space).suffix in (".yaml", ".yml") else None
    command = ["raysynth", "tune", space if file is None else f"{SPACE_FOLDER}/{file.name}"]
    command += ["--address", "auto", "--data", data, "--out", out]
    command += [] if epochs is None else ["--epochs", str(epochs)]
    for key, value in (overrides or {}).items():
        command += ["--set", f"{key}={yaml.safe_dump(value, default_flow_style=True).split(chr(10))[0]}"]
    volumes: Volumes = {}
    if volume_claim is not None:
        volumes["storage"] = (VOLUME, {"persistentVolumeClaim": {"claimName": volume_claim}})
    documents: list[dict[str, Any]] = []
    head_volumes = dict(volumes)
    if file is not None:
        head_volumes["space"] = (SPACE_FOLDER, {"configMap": {"name": f"{name}-space"}})
        content = {file.name: file.read_text(encoding="utf-8")}
        metadata = {"name": f"{name}-space"}
        documents.append({"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": content})
    cluster = {
        "rayVersion": version("ray"),
        "authOptions": {"mode": "token"} | ({} if token_secret is None else {"secretName": token_secret}),
        "enableInTreeAutoscaling": True,
        "autoscalerOptions": {"idleTimeoutSeconds": IDLE_TIMEOUT_S},
        "headGroupSpec": {
            "rayStartParams": {"num-cpus": "0"},  # trials go to the workers
            "template": _pod("ray-head", image, HEAD, head_volumes, service_account),
        },
        "workerGroupSpecs": [
            {
                "groupName": "workers",
                "replicas": min_workers,
                "minReplicas": min_workers,
                "maxReplicas": most,
                "rayStartParams": {},
                "template": _leaving(_pod("ray-worker", image, pod.resources(), volumes, service_account)),
            }
        ],
    }
    documents.append(_ray_job(name, shlex.join(command), cluster))
    return yaml.dump_all(documents, Dumper=_Manifest, sort_keys=False, width=10_000)


def _ray_job(name: str, entrypoint: str, cluster: dict[str, Any]) -> dict[str, Any]:
    spec = {
        "entrypoint": entrypoint,
        "shutdownAfterJobFinishes": True,
        "ttlSecondsAfterFinished": IDLE_TIMEOUT_S,
        "rayClusterSpec": cluster,
    }
    return {"apiVersion": "ray.io/v1", "kind": "RayJob", "metadata": {"name": name}, "spec": spec}


def _gpu_per_trial(space: SearchSpace) -> float:
    """One unless the space says otherwise: workers without GPUs are asked for by `resources: {gpu: 0}`."""
    return 1.0 if space.resources.gpu is None else space.resources.gpu


def _check_reachable(option: str, place: str, volume_claim: str | None) -> None:
    """Refuse what pods cannot see."""
    if not isinstance(locate(place), Path):
        return
    on_volume = place == VOLUME or place.startswith(f"{VOLUME}/")
    if volume_claim is None:
        raise UserError(f"{option} {place}: pods do not see it; give a bucket (s3://, gs://), or a --volume-claim")
    if not on_volume:
        raise UserError(f"{option} {place}: not on the volume, which is mounted at {VOLUME}; want {VOLUME}/...")


def _check_name(option: str, name: str | None) -> None:
    if name is not None and (not re.fullmatch(r"[a-z]([a-z0-9-]*[a-z0-9])?", name) or len(name) > LONGEST_NAME):
        raise UserError(f"{option} {name}: want at most {LONGEST_NAME} of a-z, 0-9 and -, the first a letter")


def _pod(
    container: str, image: str, resources: Mapping[str, str], volumes: Volumes, service_account: str | None
) -> dict[str, Any]:
    """The template of a pod with one container."""
    content: dict[str, Any] = {"name": container, "image": image}
    content["resources"] = {"requests": dict(resources), "limits": dict(resources)}
    spec: dict[str, Any] = {"containers": [content]}
    if volumes:
        content["volumeMounts"] = [{"name": name, "mountPath": path} for name, (path, _) in volumes.items()]
        spec["volumes"] = [{"name": name} | source for name, (_, source) in volumes.items()]
    if GPU in resources:
        spec["tolerations"] = [{"key": GPU, "operator": "Exists", "effect": "NoSchedule"}]
    if service_account is not None:
        spec["serviceAccountName"] = service_account
    return {"spec": spec}


def _leaving(pod: dict[str, Any]) -> dict[str, Any]:
    """The same pod, that tells Ray before it is ended: so its trainings keep a checkpoint."""
    spec = pod["spec"]
    spec["terminationGracePeriodSeconds"] = TERMINATION_S
    spec["containers"][0]["lifecycle"] = {"preStop": {"exec": {"command": ["/bin/sh", "-c", LEAVE]}}}
    return pod
