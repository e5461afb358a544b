"""How the command line prints: plain lines, flushed at once, and results as JSON where asked."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Sequence
from typing import Any

import typer


def say(line: str) -> None:
    """Print one line of progress or of a result."""
    _print(line)


def say_to_stderr(line: str) -> None:
    """Progress of a verb whose standard output is JSON."""
    _print(line, err=True)


def print_json(content: Any) -> None:
    """Print a result as JSON on standard output."""
    _print(json.dumps(content, indent=2, default=str, ensure_ascii=False))


def say_table(rows: Sequence[Sequence[str]]) -> None:
    """Print rows of cells in columns as wide as they need; the first row is the head."""
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]) - 1)]
    for row in rows:
        say("  ".join(f"{cell:<{width}}" for cell, width in zip(row, [*widths, 0], strict=True)))


def _print(text: str, *, err: bool = False) -> None:
    """Print, until whoever reads it has ended (`raysynth train ... | head`): what is made goes on without a reader."""
    try:
        typer.echo(text, err=err)
    except BrokenPipeError:
        gone = os.fstat((sys.stderr if err else sys.stdout).fileno())
        nowhere = os.open(os.devnull, os.O_WRONLY)
        for number in (1, 2):
            if os.path.samestat(os.fstat(number), gone):  # both, after `2>&1`
                os.dup2(nowhere, number)
        os.close(nowhere)
