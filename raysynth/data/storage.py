"""One place for all that is made: names of data sets, runs, sweeps and evaluations that are no paths are below it.

A folder that every machine of a cluster sees, such as one on NFS, or a bucket.
"""

from __future__ import annotations

import re
from fnmatch import fnmatchcase

from raysynth.data.buckets import BucketPath
from raysynth.data.locations import Location, locate, naming
from raysynth.errors import UserError

_WILDCARD = re.compile(r"[*?\[]")


def in_storage(place: Location | str, storage: Location | str | None) -> Location:
    """`place` below `storage`; as it is where there is none, and where it is a whole path, begins with `./` or `../`,
    or is in a bucket by itself.

    Raises UserError for a storage that is no folder and no bucket.
    """
    location = locate(place)
    if storage is None or isinstance(location, BucketPath) or location.is_absolute():
        return location
    if re.match(r"\.\.?(/|$)", str(place)):
        return location
    with naming("--storage"):
        root = locate(storage)
    return root / str(location) if isinstance(root, BucketPath) else root.absolute() / location


def find_in_storage(place: Location | str, storage: Location | str | None, option: str) -> Location:
    """`in_storage` of something that exists, whose name may have a `*` in its last part: no shell looks into a bucket.

    Raises UserError, naming `option`, when that is the name of nothing, or of several.
    """
    location = in_storage(place, storage)
    if storage is None or not _WILDCARD.search(location.name):
        return location
    with naming(option):
        parent = location.parent
        inside: list[Location] = list(parent.iterdir()) if parent.is_dir() else []
    found = sorted(path for path in inside if fnmatchcase(path.name, location.name) and not path.name.startswith("."))
    if len(found) != 1:
        known = ", ".join(path.name for path in found[:5]) or "nothing"
        raise UserError(f"{option} {place}: {known} of that name in {parent}; name one")
    return found[0]
