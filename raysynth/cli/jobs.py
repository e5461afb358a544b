"""`raysynth jobs`: what was sent to a cluster."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import typer

from raysynth.cli.console import print_json, say, say_table, say_to_stderr
from raysynth.cluster.address import needed_address
from raysynth.errors import UserError

if TYPE_CHECKING:
    from raysynth.cluster.jobs import Cluster

app = typer.Typer(no_args_is_help=True, help="List, follow, stop and wait for jobs on a cluster.")

ADDRESS = typer.Option(
    None, metavar="URL", help="The cluster, http://HEAD:8265. Default: RAYSYNTH_ADDRESS, then RAY_API_SERVER_ADDRESS."
)
JOB = typer.Argument(metavar="JOB", help="The job, as `jobs list` shows it.", show_default=False)
AS_JSON = typer.Option(False, "--json", help="Print the result as JSON on standard output.")


@app.command("list")
def list_(address: str | None = ADDRESS, json_: bool = AS_JSON) -> None:
    """List the jobs of a cluster, the newest first."""
    jobs = _cluster(address).jobs()
    if json_:
        print_json(jobs)
        return
    rows = [("job", "status", "started", "ended", "command")]
    rows += [(job["job"], job["status"], _time(job["started"]), _time(job["ended"]), job["command"]) for job in jobs]
    say_table(rows)


@app.command()
def status(job: str = JOB, address: str | None = ADDRESS, json_: bool = AS_JSON) -> None:
    """Show how a job stands."""
    _show(_cluster(address).job(job), json_)


@app.command()
def logs(
    job: str = JOB,
    follow: bool = typer.Option(False, "--follow", "-f", help="Go on until the job has ended; then exit as it did."),
    address: str | None = ADDRESS,
) -> int:
    """Print what a job has printed."""
    from raysynth.cluster.jobs import exit_status

    cluster = _cluster(address)
    cluster.job(job)
    if follow:
        return exit_status(cluster.follow(job, say))
    cluster.log(job, say)
    return 0


@app.command()
def stop(job: str = JOB, address: str | None = ADDRESS, json_: bool = AS_JSON) -> None:
    """Stop a job as Ctrl-C would: its log says how to go on."""
    _show(_cluster(address).stop(job, say_to_stderr), json_)


@app.command()
def wait(
    job: str = JOB,
    timeout: float | None = typer.Option(None, metavar="SECONDS", help="Give up after. Default: never."),
    address: str | None = ADDRESS,
    json_: bool = AS_JSON,
) -> int:
    """Wait until a job has ended, and exit as it did; 124 when the time is up."""
    from raysynth.cluster.jobs import ENDED, exit_status

    if timeout is not None and timeout <= 0:
        raise UserError(f"--timeout {timeout:g}: want a number of seconds above 0")
    known = _cluster(address).wait(job, timeout)
    _show(known, json_)
    return exit_status(known) if known["status"] in ENDED else 124


def _cluster(address: str | None) -> Cluster:
    where = needed_address(address)
    from raysynth.cluster.jobs import Cluster

    return Cluster(where)


def _show(job: dict[str, Any], as_json: bool) -> None:
    if as_json:
        print_json(job)
        return
    for key, value in job.items():
        if value not in (None, ""):
            say(f"{key.replace('_', ' '):<12} {value}")


def _time(text: str | None) -> str:
    return text[:19].replace("T", " ") if text else "-"
