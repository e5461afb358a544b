"""`raysynth models`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import typer

from raysynth.cli.console import print_json, say

if TYPE_CHECKING:
    from raysynth.models.listing import Listing


def models_verb(
    family: str | None = typer.Argument(None, help="Family whose options to list, e.g. wcgan_gp."),
    json_: bool = typer.Option(False, "--json", help="Print the result as JSON on standard output."),
) -> None:
    """List the families that can be trained, or the options of one."""
    from dataclasses import asdict

    from raysynth.models.listing import models

    listings = models(family)
    if json_:
        print_json(asdict(listings[0]) if family else [asdict(listing) for listing in listings])
    elif family:
        _say_options(listings[0])
    else:
        width = max(len(listing.family) for listing in listings)
        for listing in listings:
            say(f"{listing.family:<{width}}  {listing.summary}")
        say("\noptions of one: raysynth models FAMILY")


def _say_options(listing: Listing) -> None:
    say(f"{listing.family}: {listing.summary}\n\noptions (--set KEY=VALUE):")
    rows = [(option.key, _in_yaml(option.default), option.type, option.description) for option in listing.options]
    head = ("key", "default", "value", "what it is")
    widths = [max(len(row[column]) for row in (head, *rows)) for column in range(3)]
    for row in (head, *rows):
        say("  " + "  ".join(f"{cell:<{width}}" for cell, width in zip(row, widths, strict=False)) + f"  {row[3]}")
    say(f"\na search may rank by: {', '.join(listing.metrics)}")


def _in_yaml(value: Any) -> str:
    """A default as it would be typed after `--set key=`."""
    if value is None:
        return "none"
    if isinstance(value, bool):
        return str(value).lower()
    return f"[{', '.join(map(_in_yaml, value))}]" if isinstance(value, (list, tuple)) else str(value)
