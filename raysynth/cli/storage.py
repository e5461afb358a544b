"""The option `--storage`, and names as the verbs take them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, overload

import typer

if TYPE_CHECKING:
    from raysynth.data.locations import Location

Storage = Annotated[
    str | None,
    typer.Option(
        envvar="RAYSYNTH_STORAGE",
        metavar="PLACE",
        help="Bucket (s3://, gs://) or shared folder in which names of data sets, runs, sweeps and evaluations are; "
        "./NAME is of the current folder. Default: the current folder.",
    ),
]


def named(name: str, storage: str | None) -> Location | str:
    """The place of something new."""
    if storage is None:
        return name
    from raysynth.data.storage import in_storage

    return in_storage(name, storage)


@overload
def existing(name: str, storage: str | None, option: str) -> Location | str: ...
@overload
def existing(name: None, storage: str | None, option: str) -> None: ...
def existing(name: str | None, storage: str | None, option: str) -> Location | str | None:
    """The place of something that is there, of which `name` may be a pattern; None where none is named."""
    if name is None or storage is None:
        return name
    from raysynth.data.storage import find_in_storage

    return find_in_storage(name, storage, option)
