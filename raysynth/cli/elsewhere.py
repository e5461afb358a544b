"""`--address`: the same verb on a cluster, as a Ray Job that is followed, or from one of its nodes."""

from __future__ import annotations

import inspect
import io
from collections.abc import Callable, Mapping
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import typer

from raysynth.cli.console import print_json, say, say_to_stderr
from raysynth.cluster.address import JOIN, find_address
from raysynth.errors import UserError

ADDRESS_HELP = (
    "Cluster to run on: http://HEAD:8265 as a job, auto from one of its nodes, local for this machine. "
    "Default: RAYSYNTH_ADDRESS, then RAY_API_SERVER_ADDRESS, else this machine."
)
ADDRESS = typer.Option(None, metavar="URL", help=ADDRESS_HELP)
DETACH = typer.Option(False, "--detach", help="As a job: send it and return at once.")


Verb = Callable[..., int | None]


def elsewhere(verb: Verb) -> Callable[..., int]:
    """The verb with --address and --detach. What its parameters are called says what must travel with a job."""

    def with_address(context: typer.Context, address: str | None, detach: bool, **values: Any) -> int:
        where = find_address(address)
        if where not in (None, JOIN):
            return _send(verb, context, values, where, detach)
        if detach:
            raise UserError("--detach: is for jobs; add --address http://HEAD:8265, or leave it out")
        if where is None:
            return verb(**values) or 0
        from raysynth.cluster.join import joined

        with joined(values):
            return verb(**values) or 0

    own = inspect.signature(verb, eval_str=True)
    added = [
        inspect.Parameter("context", inspect.Parameter.KEYWORD_ONLY, annotation=typer.Context),
        inspect.Parameter("address", inspect.Parameter.KEYWORD_ONLY, annotation=str | None, default=ADDRESS),
        inspect.Parameter("detach", inspect.Parameter.KEYWORD_ONLY, annotation=bool, default=DETACH),
    ]
    parameters = [each.replace(kind=inspect.Parameter.KEYWORD_ONLY) for each in own.parameters.values()]
    with_address.__signature__ = own.replace(parameters=[*parameters, *added])  # type: ignore[attr-defined]
    with_address.__doc__ = verb.__doc__
    with_address.__name__ = verb.__name__
    return with_address


def _send(verb: Verb, context: typer.Context, values: Mapping[str, Any], address: str, detach: bool) -> int:
    """Check here what can be checked, send the job, and follow it; its exit status."""
    from raysynth.cluster.check_here import check_here
    from raysynth.cluster.job_command import for_cluster
    from raysynth.cluster.jobs import Cluster, exit_status

    as_json, dry_run = bool(values.get("json_")), bool(values.get("dry_run"))
    progress = say_to_stderr if as_json else say
    given = {name for name in values if _is_given(context, name)}
    settings, not_checked = check_here(values)
    command = for_cluster(values, given, settings)
    cluster = Cluster(address)
    if "dry_run" in values and not not_checked:
        planned = _plan(verb, values)
        if dry_run:
            progress(planned)
    for line in not_checked:
        progress(line)
    cluster.warn(progress)
    if dry_run:
        return 0
    job = cluster.submit(context.info_name or "", _words(context, command.values), command.files, progress)
    if detach:
        if as_json:
            print_json({"job": job, "address": address})
        progress(cluster.how_to_follow(job))
        return 0
    result = ResultLines(progress) if as_json else None
    ended = cluster.follow(job, result or progress)
    if result is not None and result.lines:
        say("\n".join(result.lines))
    status = exit_status(ended)
    progress(f"job {job}: {ended['status'].lower()}" + (f", exit status {status}" if status else ""))
    if status and ended["exit_status"] is None:
        progress(ended["message"])
    return status


class ResultLines:
    """Says lines but for the JSON that ends them, the verb's result, which it keeps in `lines`."""

    def __init__(self, progress: Callable[[str], None]) -> None:
        self.progress = progress
        self.lines: list[str] = []
        self.within = False

    def __call__(self, line: str) -> None:
        if line == "{":
            self.within, self.lines = True, []
        if not self.within:
            self.progress(line)
            return
        self.lines.append(line)
        self.within = line != "}"


def _plan(verb: Verb, values: Mapping[str, Any]) -> str:
    """What the verb's own dry run says, which checks everything but the cluster's room and its folders."""
    from raysynth.cluster.resources import resources_elsewhere

    said = io.StringIO()
    with TemporaryDirectory() as stand_in:
        here = {"dry_run": True, "json_": False, "out": Path(stand_in)}
        with resources_elsewhere(), redirect_stdout(said), redirect_stderr(said):
            verb(**{**values, **here})
        return said.getvalue().rstrip().replace(stand_in, str(values["out"]))


def _is_given(context: typer.Context, name: str) -> bool:
    source = context.get_parameter_source(name)
    return source is not None and source.name in ("COMMANDLINE", "ENVIRONMENT")


def _words(context: typer.Context, values: Mapping[str, Any]) -> list[str]:
    """The command line that gives a verb's parameters these values; arguments come last."""
    options: list[str] = []
    arguments: list[str] = []
    for parameter in context.command.params:
        if parameter.name not in values:
            continue
        value = values[parameter.name]
        each = value if isinstance(value, (list, tuple)) else [value]
        if parameter.param_type_name == "argument":
            arguments += map(str, each)
        elif value is True:
            options.append(parameter.opts[0])
        elif value is not False:
            options += [word for one in each for word in (parameter.opts[0], str(one))]
    return [*options, *(["--", *arguments] if any(word.startswith("-") for word in arguments) else arguments)]
