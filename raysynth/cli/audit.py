"""`raysynth data audit`, and the thresholds that `raysynth data import` shares with it."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from raysynth.cli.console import say
from raysynth.cli.storage import Storage, existing
from raysynth.data.audit.thresholds import Thresholds
from raysynth.errors import UserError

DEFAULT = Thresholds()

Score = Annotated[
    float,
    typer.Option(
        help="A copy: least correlation of local contrast, after alignment, from 0 to 1. Neighbouring slices of one "
        "patient have about 0.8 to 0.9, two patients under 0.8."
    ),
]
InvertedScore = Annotated[float, typer.Option(help="The same for copies with black and white exchanged.")]
Similarity = Annotated[
    float, typer.Option(help="A pair to be looked at: least similarity of the embeddings, from 0 to 1.")
]
Neighbours = Annotated[int, typer.Option(help="Neighbours that each image asks for, in each orientation.")]
GroupDensity = Annotated[
    float,
    typer.Option(help="A chain, which is cut: a group of over 20 images of whose pairs a smaller share are copies."),
]


def audit_verb(
    data: Annotated[str, typer.Argument(metavar="DIR", help="Folder of a data set.", show_default=False)],
    storage: Storage = None,
    against: Annotated[
        list[str] | None,
        typer.Option(
            metavar="DIR2",
            help="Another data set to look for copies in, e.g. for pre-training; repeatable. Default: none.",
        ),
    ] = None,
    rename: Annotated[
        list[str] | None,
        typer.Option(help="theirs=ours: a class of --against by the name that it has here; repeatable. Default: none."),
    ] = None,
    score: Score = DEFAULT.score,
    inverted_score: InvertedScore = DEFAULT.inverted_score,
    similarity: Similarity = DEFAULT.similarity,
    neighbours: Neighbours = DEFAULT.num_neighbours,
    group_density: GroupDensity = DEFAULT.group_density,
    workers: Annotated[
        int | None,
        typer.Option(help="CPUs of a local Ray; 0: none, in this process. Default: Ray from 20 000 images on."),
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(
            help="Folder for audit.json, pairs.parquet, audit.png; must not exist or be empty. Default: none."
        ),
    ] = None,
    json_file: Annotated[
        Path | None, typer.Option("--json", metavar="FILE", help="File for audit.json alone. Default: none.")
    ] = None,
) -> None:
    """Find copies, leaks, label conflicts and shortcuts: is a score on this data set worth anything?"""
    from raysynth.data.audit.audit import audit
    from raysynth.data.audit.summary import long_lines

    found = audit(
        existing(data, storage, "DIR"),
        against=[existing(each, storage, "--against") for each in against or []],
        rename=parse_rename(rename or [], "theirs=ours"),
        thresholds=Thresholds(score, inverted_score, similarity, neighbours, group_density),
        workers=workers,
        out=out,
        json_file=json_file,
        say=say,
    )
    for line in long_lines(found.content):
        say(line)
    if out is not None:
        say(f"written: {out}/audit.json, pairs.parquet, audit.png")


def parse_rename(pairs: list[str], form: str = "old=new") -> dict[str, str]:
    """--rename, given once or more. Raises UserError for what is not two names."""
    rename = {}
    for pair in pairs:
        old, equals, new = pair.partition("=")
        if not (old and equals and new):
            raise UserError(f"--rename {pair}: give {form}, the name of a class and its new name")
        if old in rename:
            raise UserError(f"--rename {pair}: {old!r} is renamed twice; give one new name")
        rename[old] = new
    return rename
