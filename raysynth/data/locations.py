"""Where a data set, a run or a source is: a local path, or a place in a bucket."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from pyarrow import fs

from raysynth.data.buckets import OPTIONS, BucketError, BucketPath
from raysynth.errors import UserError

# A key may hold a question mark: options begin at one that is followed by the name of an option. One slash is enough,
# for a Path swallows the other.
_URI = re.compile(rf"(s3|gs):/(?:/|(?=[^/]))([^/?]*)(.*?)(?:\?((?:{'|'.join(OPTIONS['s3'])})=.*))?", re.DOTALL)
_OTHER_URI = re.compile(r"[A-Za-z][A-Za-z0-9+.-]+://.*", re.DOTALL)

Location = Path | BucketPath


def locate(place: str | Path | BucketPath) -> Location:
    """A local path, or a BucketPath where `place` begins with s3:// or gs://.

    Raises BucketError for a URI that is neither, or names no bucket.
    """
    if isinstance(place, BucketPath):
        return place
    text = str(place)
    if match := _URI.fullmatch(text):
        protocol, bucket, key, options = match.groups(default="")
        if not re.fullmatch(r"[\w.-]+", bucket):  # perhaps KEY:SECRET@BUCKET, which is not to be shown
            raise BucketError(f"{protocol}://: want {protocol}://BUCKET/FOLDER, and credentials in the environment")
        return BucketPath(protocol, bucket, options=options) / key
    if _OTHER_URI.fullmatch(text):
        raise BucketError(f"{text}: want a local path, s3://BUCKET/FOLDER or gs://BUCKET/FOLDER")
    return Path(place)


@contextmanager
def naming(option: str) -> Iterator[None]:
    """Put the option that named a bucket before what was wrong with it."""
    try:
        yield
    except BucketError as error:
        raise UserError(f"{option} {error}") from error


def arrow_path(location: Location) -> tuple[str, fs.FileSystem | None]:
    """What Arrow's functions take as the path and as `filesystem`."""
    if isinstance(location, Path):
        return str(location), None
    system, path = location.filesystem()
    return path, system


def refuse_bucket(place: Location | str, option: str) -> None:
    """Raise UserError for a bucket, where something for this machine is meant: a page to open, a folder of drawings."""
    if not isinstance(locate(place), Path):
        raise UserError(f"{option} {locate(place)}: cannot be in a bucket; name a local folder")
