"""A place in a bucket (s3:// or gs://), by pyarrow's file systems.

Credentials and endpoints come from where every AWS and Google tool takes them: AWS_ACCESS_KEY_ID and
AWS_SECRET_ACCESS_KEY, AWS_PROFILE, AWS_REGION, AWS_ENDPOINT_URL, GOOGLE_APPLICATION_CREDENTIALS. A URI may say more, as
Arrow's own do: `s3://bucket/key?endpoint_override=localhost:9000&scheme=http`.
"""

from __future__ import annotations

import io
import os
import re
import shutil
import socket
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from datetime import timedelta
from functools import cache
from pathlib import Path, PurePosixPath
from typing import Any, BinaryIO, cast
from urllib.parse import parse_qsl

import pyarrow as pa
from pyarrow import fs

from raysynth.errors import UserError
from raysynth.files import replacing

TIMEOUT_S = 10.0  # of a request without an answer; three attempts end within a minute
MAX_ATTEMPTS = 3
BUFFER_BYTES = 2**18  # what a small read fetches: each is a request
NUM_UPLOADS = 8  # at a time
OPTIONS = {
    "s3": ("endpoint_override", "scheme", "region", "anonymous"),
    "gs": ("endpoint_override", "scheme", "anonymous"),
}
_NAMES = {
    "s3": {
        "credentials": "AWS_PROFILE, or AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY",
        "endpoint": ", and AWS_ENDPOINT_URL where it is not Amazon's",
    },
    "gs": {"credentials": "GOOGLE_APPLICATION_CREDENTIALS", "endpoint": ""},
}
_REASONS = (  # (in Arrow's message, what it means)
    (r"NO_SUCH_BUCKET|[Bb]ucket.*(not found|does not exist)", "no such bucket; check the name, or create it first"),
    (
        r"ACCESS_DENIED|INVALID_ACCESS_KEY|SIGNATURE|TOKEN_ID|UNRECOGNIZED_CLIENT|EXPIRED|status 40[13]|"
        r"PERMISSION_DENIED|UNAUTHENTICATED|access token",
        "no permission, or no credentials; set {credentials}",
    ),
    (r"status 30[1-8]|REDIRECT|AuthorizationHeaderMalformed", "the bucket is in another region; set AWS_REGION"),
    (
        r"NETWORK_CONNECTION|UNAVAILABLE|CURL error|DEADLINE",
        "the server cannot be reached; check the network{endpoint}",
    ),
)


class BucketError(UserError):
    """A bucket that cannot be used; the line begins with the location, `naming` puts the option before it."""


@dataclass(frozen=True, order=True)
class BucketPath:
    """A place in a bucket, with the part of pathlib's interface that data sets need; `options` are the URI's.

    A bucket has no folders, only keys that begin alike, so none is ever made. All methods raise BucketError when the
    bucket is missing, forbidden or out of reach, within a minute.
    """

    protocol: str
    bucket: str
    key: str = ""
    options: str = ""

    def __str__(self) -> str:
        return "/".join(filter(None, (f"{self.protocol}://{self.bucket}", self.key))) + (
            f"?{self.options}" if self.options else ""
        )

    def __truediv__(self, below: str) -> BucketPath:
        return replace(self, key="/".join(part for part in (*self.key.split("/"), *below.split("/")) if part))

    @property
    def name(self) -> str:
        """The last part of the key, or the bucket's name."""
        return self.key.rpartition("/")[2] or self.bucket

    @property
    def suffix(self) -> str:
        return PurePosixPath(self.name).suffix

    @property
    def parent(self) -> BucketPath:
        return replace(self, key=self.key.rpartition("/")[0])

    def as_posix(self) -> str:
        return str(self)

    def resolve(self) -> BucketPath:
        return self

    def filesystem(self) -> tuple[fs.FileSystem, str]:
        """Arrow's file system, one a process and bucket, and the path in it: `bucket/key`."""
        endpoint = os.environ.get("AWS_ENDPOINT_URL_S3") or os.environ.get("AWS_ENDPOINT_URL")
        with explaining(self):
            system = _connect(self.protocol, self.bucket, self.options, endpoint)
        return system, f"{self.bucket}/{self.key}".rstrip("/")

    def exists(self) -> bool:
        return self._type() != fs.FileType.NotFound

    def is_file(self) -> bool:
        return self._type() == fs.FileType.File

    def is_dir(self) -> bool:
        """Whether there are keys that begin with this one and a slash."""
        return self._type() == fs.FileType.Directory

    def is_empty(self) -> bool:
        """Whether there is no file here or below; folders without files, which some tools leave, are nothing."""
        return not any(self.files()) and not self.is_file()

    def iterdir(self) -> Iterator[BucketPath]:
        """What lies in this folder, by name; nothing where there is no such folder."""
        return (self / name for name in dict.fromkeys(path.split("/")[0] for path, _ in self.files()))

    def files(self) -> Iterator[tuple[str, int]]:
        """All files below this folder by name, as path relative to it and number of bytes."""
        return ((name, num_bytes) for name, (num_bytes, _) in self.versions().items())

    def versions(self) -> dict[str, tuple[int, int]]:
        """All files below this folder by name: path relative to it -> (number of bytes, nanosecond of its writing)."""
        system, path = self.filesystem()
        with explaining(self):
            # Not every file system tells a missing bucket from an empty one, or finds folders without `recursive`.
            infos = system.get_file_info(fs.FileSelector(path, recursive=True, allow_not_found=True))
            if not infos and self._bucket_is_missing():
                raise OSError("NO_SUCH_BUCKET")
        return dict(
            sorted((info.path[len(path) + 1 :], (info.size, info.mtime_ns or 0)) for info in infos if info.is_file)
        )

    def open(self) -> BinaryIO:
        """A file to read from and seek in. Raises FileNotFoundError when there is none."""
        system, path = self.filesystem()
        with explaining(self):
            return cast(BinaryIO, io.BufferedReader(_Reader(self, system.open_input_file(path)), BUFFER_BYTES))

    def read_bytes(self) -> bytes:
        """The file's content. Raises FileNotFoundError when there is none."""
        system, path = self.filesystem()
        with explaining(self), system.open_input_file(path) as file:
            return bytes(file.read())

    def read_text(self, encoding: str = "utf-8") -> str:
        return self.read_bytes().decode(encoding)

    def write_bytes(self, content: bytes) -> None:
        """Write a file, which appears whole; an older one is replaced."""
        system, path = self.filesystem()
        with explaining(self), system.open_output_stream(path) as file:
            file.write(content)

    def write_text(self, content: str, encoding: str = "utf-8") -> None:
        self.write_bytes(content.encode(encoding))

    def download(self, file: Path) -> None:
        """Write this file's content to a local file, which appears complete or not at all.

        Raises FileNotFoundError when there is none here.
        """
        system, path = self.filesystem()
        with explaining(self), system.open_input_stream(path) as source, replacing(file) as target:
            shutil.copyfileobj(source, target, 2**23)

    def upload(self, file: Path) -> None:
        """Write a local file here."""
        system, path = self.filesystem()
        with explaining(self), file.open("rb") as source, system.open_output_stream(path) as target:
            shutil.copyfileobj(source, target, 2**23)

    def unlink(self) -> None:
        system, path = self.filesystem()
        with explaining(self):
            system.delete_file(path)

    def _type(self) -> fs.FileType:
        system, path = self.filesystem()
        with explaining(self):
            found = system.get_file_info(path).type
            if found == fs.FileType.NotFound and self._bucket_is_missing():
                raise OSError("NO_SUCH_BUCKET")
        return found

    def _bucket_is_missing(self) -> bool:
        system, _ = self.filesystem()
        with suppress(OSError):  # it may be forbidden to ask
            return bool(system.get_file_info(self.bucket).type == fs.FileType.NotFound)
        return False


@contextmanager
def explaining(location: Path | BucketPath) -> Iterator[None]:
    """Raise BucketError, a line with the remedy, for what goes wrong in a bucket; a missing file and local paths pass.

    Wrap in it what Arrow reads by itself.
    """
    try:
        yield
    except (OSError, pa.ArrowException) as error:
        if isinstance(location, Path):
            raise
        if isinstance(error, FileNotFoundError):
            if not location._bucket_is_missing():
                raise
            error = OSError("NO_SUCH_BUCKET")
        message = " ".join(str(error).split())
        known = next((reason for pattern, reason in _REASONS if re.search(pattern, message)), None)
        reason = known.format_map(_NAMES[location.protocol]) if known else message[:300]
        raise BucketError(f"{location}: {reason}") from error


def upload_folder(folder: Path, to: BucketPath, *, last: str) -> None:
    """Copy a local folder to a bucket, files called `last` after all others; all of it or, if possible, nothing.

    A bucket renames nothing: who finds `last` finds the rest. Raises BucketError when `to` is not empty.
    """
    if not to.is_empty():
        raise BucketError(f"{to}: exists and is not empty; choose another folder or remove it first")
    files = sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())
    lasts = [file for file in files if file.rpartition("/")[2] == last]
    others = [file for file in files if file not in lasts]
    try:
        with ThreadPoolExecutor(NUM_UPLOADS) as pool:
            list(
                pool.map(lambda file: (to / file).upload(folder / file), (file for file in files if file not in lasts))
            )
        for file in lasts:
            (to / file).upload(folder / file)
    except BaseException:
        for file in [*lasts, *others]:
            with suppress(OSError, UserError):  # what stopped the upload may stop this
                (to / file).unlink()
        raise


@cache
def _connect(protocol: str, bucket: str, query: str, endpoint: str | None) -> fs.FileSystem:
    """The file system of a bucket, which gives up in time (Arrow's own `from_uri` waits for minutes)."""
    options: dict[str, Any] = dict(parse_qsl(query))
    unknown = sorted(set(options) - set(OPTIONS[protocol]))
    if unknown:
        raise OSError(f"option {unknown[0]!r} is none of {', '.join(OPTIONS[protocol])}")
    options["anonymous"] = options.get("anonymous", "").lower() in ("1", "true", "yes")
    if protocol == "gs":
        return fs.GcsFileSystem(retry_time_limit=timedelta(seconds=TIMEOUT_S), **options)
    if endpoint:
        options.setdefault("endpoint_override", endpoint)
    if not ({"endpoint_override", "region"} & set(options) or {"AWS_REGION", "AWS_DEFAULT_REGION"} & set(os.environ)):
        options["region"] = _find_region(bucket)
    return fs.S3FileSystem(
        connect_timeout=TIMEOUT_S,
        request_timeout=TIMEOUT_S,
        retry_strategy=fs.AwsStandardS3RetryStrategy(max_attempts=MAX_ATTEMPTS),
        **options,
    )


def _find_region(bucket: str) -> str:
    """The region of a bucket of Amazon's."""
    try:  # Arrow would try for minutes where a firewall swallows what is sent; the host has several addresses
        socket.create_connection(("s3.amazonaws.com", 443), timeout=TIMEOUT_S / 5).close()
    except OSError as error:
        raise OSError(f"NETWORK_CONNECTION: {error}") from error
    return fs.resolve_s3_region(bucket)


class _Reader(io.RawIOBase):
    """Arrow's file, whose errors are explained."""

    def __init__(self, path: BucketPath, file: pa.NativeFile) -> None:
        self.path = path
        self.file = file

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        with explaining(self.path):
            return int(self.file.readinto(buffer))

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        return int(self.file.seek(offset, whence))

    def tell(self) -> int:
        return int(self.file.tell())

    def close(self) -> None:
        self.file.close()
        super().close()
