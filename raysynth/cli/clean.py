"""`raysynth clean`."""

from __future__ import annotations

import sys

import typer

from raysynth.cli.console import print_json, say, say_to_stderr
from raysynth.cli.storage import Storage, existing
from raysynth.cli.training import JSON_HELP


def clean_verb(
    folder: str | None = typer.Argument(
        None,
        help="Folder to look in, with all below it, or a bucket. Default: the storage, or the current folder.",
    ),
    storage: Storage = None,
    days: float = typer.Option(30.0, help="Days since a run has ended, before which it is let alone."),
    yes: bool = typer.Option(False, "--yes", help="Remove what is listed without asking."),
    json_: bool = typer.Option(False, "--json", help=JSON_HELP),
) -> None:
    """List checkpoints of ended runs that nothing needs any more, and remove them after asking."""
    from raysynth.training.clean import clean

    place = existing(folder, storage, "FOLDER") or storage or "."
    progress = say_to_stderr if json_ else say
    num_bytes = clean(place, days=days, yes=yes, say=progress)
    removed = yes
    if not yes and num_bytes and sys.stdin.isatty():
        removed = typer.confirm("Remove them?", err=json_)
        if removed:
            num_bytes = clean(place, days=days, yes=True, say=say_to_stderr)
    elif not yes and num_bytes:
        progress("nothing was removed; add --yes to remove them")
    if json_:
        print_json({"folder": str(place), "num_bytes": num_bytes, "removed": removed})
