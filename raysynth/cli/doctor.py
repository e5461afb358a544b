"""`raysynth doctor`."""

from __future__ import annotations

import typer

from raysynth.cli.console import print_json, say, say_table


def doctor_verb(
    space: str | None = typer.Option(
        None, help="Search space, a shipped name or a YAML file, to compare with what is free. Default: none."
    ),
    storage: str | None = typer.Option(
        None,
        metavar="DIR",
        envvar="RAYSYNTH_STORAGE",
        help="Folder or bucket that all nodes are to see: a file is written to it. Default: none.",
    ),
    json_: bool = typer.Option(False, "--json", help="Print the result as JSON on standard output."),
) -> int:
    """Look at this machine, or at every node of a cluster, and say what to do; status 1 when something is wrong."""
    from dataclasses import asdict

    from raysynth.cluster.doctor import doctor

    found = doctor(space=space, storage=storage)
    if json_:
        checks = [asdict(check) for check in found.checks]
        print_json({"is_fit": found.is_fit, "checks": checks, "nodes": found.nodes})
        return 0 if found.is_fit else 1
    say_table([("check", "node", "state", "found"), *((c.subject, c.node, c.state, c.found) for c in found.checks)])
    to_do = [check for check in found.checks if check.state != "ok"]
    say("\nwhat to do:" if to_do else "\nnothing to do")
    for check in to_do:
        say(f"  {check.subject} ({check.node}): {check.remedy}")
    return 0 if found.is_fit else 1
