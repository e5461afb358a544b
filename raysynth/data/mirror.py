"""A working folder on this machine's disk whose files are kept in a bucket: so runs, sweeps and evaluations live there.

They are written to little by little and renamed into place, which a bucket cannot do. Whoever writes does it in the
working folder and pushes what has changed; whoever reads fetches what has changed. Each has a folder of its own, so
nobody reads what another has half written, and what is in the bucket is all that another machine needs to go on.
"""

from __future__ import annotations

import platform
import shutil
import tempfile
import time
import weakref
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from fnmatch import fnmatchcase
from pathlib import Path
from typing import TypeVar

from raysynth.data.buckets import BucketError, BucketPath
from raysynth.data.locations import Location, locate
from raysynth.errors import NotUploaded

NUM_TRANSFERS = 8  # at a time
PAUSES_S = (10.0, 30.0)  # before a last upload is tried again
# Smaller files are fetched again whenever they are asked for: a bucket's clock ticks once a second, and a file may be
# written twice within one and keep its length.
MIN_TRUSTED_BYTES = 2**18
# What says how far things are: pushed when all that it speaks of is there.
LAST = ("metrics.csv", "status.json", "sweep.json", "evaluation.json", "study.yaml", "stages.json")
Stat = tuple[int, int, int]  # what changes when a file is written
Result = TypeVar("Result")


class Mirror:
    """The working folder `path` of the folder `location` in a bucket.

    The working folder goes when the last Mirror of it does, unless `retain` was called. All methods raise BucketError
    when the bucket cannot be used; they may then be called again, and do what is left to do.
    """

    def __init__(self, location: BucketPath) -> None:
        self.location = location
        self.path = Path(tempfile.mkdtemp(prefix="raysynth-"))
        self._pushed: dict[Path, Stat] = {}  # files that are in the bucket as they are here
        self._fetched: dict[Path, tuple[int, int]] = {}  # and their versions there
        self._removal = weakref.finalize(self, shutil.rmtree, self.path, ignore_errors=True)

    def below(self, folder: str) -> Mirror:
        """The mirror of a folder in this one; what one of the two knows the other knows."""
        part = object.__new__(Mirror)
        part.__dict__.update(self.__dict__ | {"location": self.location / folder, "path": self.path / folder})
        part.__dict__["_whole"] = self  # which keeps the working folder
        return part

    def retain(self) -> Path:
        """Keep the working folder when this process ends; its path."""
        self._removal.detach()
        return self.path

    def fetch(self, *patterns: str) -> None:
        """Bring the files here whose paths match a pattern, such as `runs/*/metrics.csv` (a `*` matches no slash), and
        remove those that have gone from the bucket. A file that was written here and not pushed yet stays as it is."""
        if any("*" in pattern for pattern in patterns):
            versions = {
                name: version
                for name, version in self.location.versions().items()
                if any(_matches(name, pattern) for pattern in patterns)
            }
            here = {path.relative_to(self.path).as_posix() for path in self._files()}
            gone = {name for name in here - set(versions) if any(_matches(name, pattern) for pattern in patterns)}
        else:
            versions, gone = dict.fromkeys(patterns, (0, 0)), set()
        wanted = [name for name in versions if not self._is_own(name) and not self._is_known(name, versions[name])]
        for name, found in zip(wanted, _each(self._download, wanted), strict=True):
            if found:
                self._fetched[self.path / name] = versions[name]
            else:
                gone.add(name)
        for name in gone:
            file = self.path / name
            if not self._is_own(name) and self._pushed.pop(file, None) is not None:
                file.unlink(missing_ok=True)

    def push_at_last(self) -> None:
        """Push, and try again for some time. Raises NotUploaded, naming the working folder, which then stays."""
        for pause_s in (*PAUSES_S, None):
            try:
                self.push()
                return
            except BucketError as error:
                if pause_s is None:
                    kept = f"{self.retain()} on {platform.node()}"
                    raise NotUploaded(f"{error}; what is not there is kept in {kept}") from error
                time.sleep(pause_s)

    def push(self) -> None:
        """Bring all that was written here since the last time to the bucket, then remove there what was removed here.

        Files appear whole, those in `LAST` after all others, so whoever reads the bucket, now or after a crash, finds
        what they speak of.
        """
        changed = {file.relative_to(self.path).as_posix(): _stat(file) for file in self._files() if self._is_new(file)}
        for names in (
            [name for name in changed if Path(name).name not in LAST],
            [name for name in changed if Path(name).name in LAST],
        ):
            _each(lambda name: (self.location / name).upload(self.path / name), names)
            for name in names:
                self._pushed[self.path / name] = changed[name]
        removed = [file for file in self._pushed if file.is_relative_to(self.path) and not file.exists()]
        for file in removed:
            with suppress(FileNotFoundError):
                (self.location / file.relative_to(self.path).as_posix()).unlink()
            del self._pushed[file]

    def _download(self, name: str) -> bool:
        """Whether there is such a file."""
        file = self.path / name
        try:
            (self.location / name).download(file)
        except FileNotFoundError:
            return False
        self._pushed[file] = _stat(file)
        return True

    def _files(self) -> list[Path]:
        """All files here but those that are being written, whose names begin with a dot."""
        return sorted(file for file in self.path.rglob("*") if file.is_file() and not file.name.startswith("."))

    def _is_new(self, file: Path) -> bool:
        return self._pushed.get(file) != _stat(file)

    def _is_own(self, name: str) -> bool:
        """Whether a file was written here and is not in the bucket yet."""
        file = self.path / name
        return file.is_file() and self._is_new(file)

    def _is_known(self, name: str, version: tuple[int, int]) -> bool:
        num_bytes, _ = version
        return num_bytes >= MIN_TRUSTED_BYTES and self._fetched.get(self.path / name) == version


@contextmanager
def fetched(location: Location, *patterns: str) -> Iterator[Path]:
    """A folder as it is; of one in a bucket a copy of what matches (see `Mirror.fetch`), while the block runs."""
    if isinstance(location, BucketPath):
        mirror = Mirror(location)
        mirror.fetch(*patterns)
        yield mirror.path
    else:
        yield location


def remove_folder(location: Location) -> None:
    """Remove a folder, or all files of one in a bucket, and what is in it; nothing where there is none."""
    if isinstance(location, BucketPath):
        for name in location.versions():
            (location / name).unlink()
    else:
        shutil.rmtree(location, ignore_errors=True)


def _each(transfer: Callable[[str], Result], names: Iterable[str]) -> list[Result]:
    with ThreadPoolExecutor(NUM_TRANSFERS) as pool:
        return list(pool.map(transfer, names))


def _stat(file: Path) -> Stat:
    stat = file.stat()
    return stat.st_ino, stat.st_mtime_ns, stat.st_size


def _matches(name: str, pattern: str) -> bool:
    parts, patterns = name.split("/"), pattern.split("/")
    return len(parts) == len(patterns) and all(map(fnmatchcase, parts, patterns))


class KeptFolder:
    """A folder that is written to little by little: `location` is where it is kept, a folder or a place in a bucket.

    `path` is the folder here: the same one, or the bucket's working folder, that of `mirror` (None for a folder).
    """

    def __init__(self, place: Location | str, mirror: Mirror | None = None) -> None:
        """`mirror` is that of `place` where it is a part of another one's, as a run is of its sweep's."""
        self.location = locate(place)
        if isinstance(self.location, BucketPath):
            self.mirror: Mirror | None = mirror or Mirror(self.location)
            self.path = self.mirror.path
        else:
            self.mirror, self.path = None, self.location
