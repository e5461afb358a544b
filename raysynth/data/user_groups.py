"""Groups that come with the images: patients, by a table of the user's (`path`, `group`) or by the files' headers."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

from raysynth.data.locations import Location
from raysynth.data.sources import Source
from raysynth.data.table_files import read_columns
from raysynth.errors import UserError


def with_groups(source: Source, file: Location, *, say: Callable[[str], None]) -> Source:
    """The source with the file's groups instead of others; a path is that below the source or a member's id.

    Raises UserError when the file cannot be read, contradicts itself or names no file of the source.
    """
    columns = read_columns(file, {"path": "path", "group": "group"}, "--groups")
    group_of: dict[str, str] = {}
    for path, group in zip(columns["path"], columns["group"], strict=True):
        path = path.replace("\\", "/").removeprefix("./")
        if group and group_of.setdefault(path, group) != group:
            raise UserError(f"--groups {file}: {path} stands in the groups {group_of[path]} and {group}; keep one")
    known = {name for member in source.members for name in (member.path, member.id)}
    unknown = sorted(group_of.keys() - known)
    if len(unknown) == len(group_of):
        example = f"{source.members[0].path}" if source.members else "none was taken"
        raise UserError(
            f"--groups {file}: not one of its paths is a file of {source.path}, where they look like {example}"
        )
    if unknown:
        say(f"notice: {len(unknown)} paths of {file.name} are no files of the source, e.g. {unknown[0]}")
    members = tuple(
        replace(member, group=group_of.get(member.path) or group_of.get(member.id) or member.group)
        for member in source.members
    )
    if without := sum(1 for member in members if member.group is None):
        say(f"notice: {without} files are not in {file.name}; they keep what groups their own headers give them")
    return replace(source, members=members)


def merge_groups(names: Sequence[str], *others: Sequence[str | None]) -> list[str]:
    """One group for all images that are connected by any of the groupings (N,); None belongs to no group.

    A group is called by the smallest of its `names`.
    """
    above: dict[tuple[int, str], tuple[int, str]] = {}

    def top(node: tuple[int, str]) -> tuple[int, str]:
        while (parent := above.setdefault(node, node)) != node:
            above[node] = node = above[parent]
        return node

    for row in zip(names, *others, strict=True):
        for number, group in enumerate(row):
            if group is not None:
                above[top((number, group))] = top((0, row[0]))
    tops = [top((0, name)) for name in names]
    smallest: dict[tuple[int, str], str] = {}
    for node, name in zip(tops, names, strict=True):
        smallest[node] = min(name, smallest.get(node, name))
    return [smallest[node] for node in tops]
