"""How the command line prints: plain lines, flushed at once, and results as JSON where asked."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import typer


def say(line: str) -> None:
    """Print one line of progress or of a result."""
    typer.echo(line)


def say_to_stderr(line: str) -> None:
    """Progress of a verb whose standard output is JSON."""
    typer.echo(line, err=True)


def print_json(content: Any) -> None:
    """Print a result as JSON on standard output."""
    typer.echo(json.dumps(content, indent=2, default=str, ensure_ascii=False))


def say_table(rows: Sequence[Sequence[str]]) -> None:
    """Print rows of cells in columns as wide as they need; the first row is the head."""
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]) - 1)]
    for row in rows:
        say("  ".join(f"{cell:<{width}}" for cell, width in zip(row, [*widths, 0], strict=True)))
