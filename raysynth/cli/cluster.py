"""The verbs about clusters: `raysynth cluster ...`."""

from __future__ import annotations

import typer

from raysynth.cli.console import say

app = typer.Typer(help="Bring up clusters, and leave them.", no_args_is_help=True)


@app.callback()
def cluster_verbs() -> None:
    """Bring up clusters, and leave them."""


@app.command("leave")
def leave_verb(
    grace_s: int = typer.Option(120, help="Seconds until the machine is gone."),
    when_told: str | None = typer.Option(
        None, metavar="aws|gcp", help="Wait until this cloud announces it, or for SIGTERM. Default: now."
    ),
) -> None:
    """Tell the cluster that this node will be taken away: trainings keep a checkpoint, and nothing new begins on it."""
    from raysynth.cluster.leave import leave, leave_when_told

    node = leave(grace_s) if when_told is None else leave_when_told(when_told, say)
    say(f"node {node[:8]}: the cluster knows")


@app.command("kuberay")
def kuberay_verb(
    space: str = typer.Option(..., help="Search space: a shipped name, e.g. wcgan_gp, or a YAML file. Required."),
    image: str = typer.Option(..., help="Container image with raysynth (docs/cluster.md says how). Required."),
    data: str = typer.Option(
        ..., metavar="DIR", help="Data set in a bucket (s3://, gs://), or below /storage with --volume-claim. Required."
    ),
    out: str | None = typer.Option(
        None, metavar="DIR", help="Parent folder of the sweep, as --data. Default: /storage/sweeps with --volume-claim."
    ),
    epochs: int | None = typer.Option(None, help="Epochs of a full trial. Default: the search space's."),
    set_: list[str] = typer.Option(
        [], "--set", metavar="KEY=VALUE", help="Fix a key, e.g. latent_dim=128; repeat for more."
    ),
    volume_claim: str | None = typer.Option(
        None, metavar="NAME", help="Claim of a volume that many pods may write, mounted at /storage. Default: none."
    ),
    service_account: str | None = typer.Option(
        None, metavar="NAME", help="Account of the pods, e.g. one that may use the bucket. Default: the namespace's."
    ),
    token_secret: str | None = typer.Option(
        None, metavar="NAME", help="Secret whose auth_token is Ray's token. Default: one that KubeRay makes."
    ),
    min_workers: int = typer.Option(1, help="Workers from the beginning."),
    max_workers: int | None = typer.Option(None, help="Workers at most. Default: enough for all trials, 4 at most."),
    cpus: int = typer.Option(4, help="CPU cores of a worker."),
    memory: int = typer.Option(16, help="Memory of a worker, in GiB."),
    gpus: int | None = typer.Option(None, help="GPUs of a worker. Default: what one trial of the space needs."),
    name: str | None = typer.Option(None, help="Name of the job. Default: raysynth- and the family."),
) -> None:
    """Print the manifest of a KubeRay RayJob that runs a search space: pipe it to `kubectl apply -f -`."""
    from raysynth.cluster.kuberay import kuberay
    from raysynth.config import parse_overrides

    manifest = kuberay(
        space,
        image=image,
        data=data,
        out=out,
        epochs=epochs,
        overrides=parse_overrides(set_),
        volume_claim=volume_claim,
        service_account=service_account,
        token_secret=token_secret,
        min_workers=min_workers,
        max_workers=max_workers,
        cpus=cpus,
        memory_gib=memory,
        gpus=gpus,
        name=name,
    )
    say(manifest.rstrip())
