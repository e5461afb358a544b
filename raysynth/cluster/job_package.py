"""What travels to a cluster with a job: this very package, and the small files that its command names."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from importlib.metadata import distribution
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from raysynth.cluster.session import QUIET_ENVIRONMENT
from raysynth.errors import UserError

# Ray keeps packages in the memory of the cluster's head, and its dashboard takes none of more than 100 MiB.
LIMIT_BYTES = 90 * 2**20
PACKAGE = Path(__file__).parents[1]
FILES_FOLDER = "files"
# A job that is stopped ends as by Ctrl-C: its verb says how to go on, and has time to.
STOP = {"RAY_JOB_STOP_SIGNAL": "SIGINT", "RAY_JOB_STOP_WAIT_TIME_S": "30"}


@contextmanager
def packed(files: Mapping[str, Path]) -> Iterator[tuple[dict[str, Any], int]]:
    """Ray's runtime environment with the package and `files` (path in it -> file here), and its size in bytes.

    The working directory that it names is gone when the block ends. Raises UserError when it is too large to be sent.
    """
    with TemporaryDirectory(prefix="raysynth-job-") as folder:
        root = Path(folder)
        _copy_package(root)
        for name, file in files.items():
            (root / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(file, root / name)
        num_bytes = sum(path.stat().st_size for path in root.rglob("*") if path.is_file())
        if num_bytes > LIMIT_BYTES:
            largest = max(files.values(), key=lambda file: file.stat().st_size)
            raise UserError(
                f"{largest}: {format_size(largest.stat().st_size)} are too much to be sent with a job (at most "
                f"{format_size(LIMIT_BYTES)} in all); put it where all nodes see it and give its absolute path there"
            )
        yield {"working_dir": folder, "env_vars": _variables()}, num_bytes


def format_size(num_bytes: int) -> str:
    """Bytes as `1.4 MiB`."""
    return f"{num_bytes / 2**20:.1f} MiB"


def _copy_package(root: Path) -> None:
    """The package's own files, search spaces and metadata, and nothing that lies beside them."""
    ignore = shutil.ignore_patterns("__pycache__", "*.pyc")
    shutil.copytree(PACKAGE, root / PACKAGE.name, ignore=ignore)
    if not (PACKAGE / "search_spaces").is_dir():  # a checkout, in which they stand beside it
        shutil.copytree(PACKAGE.parent / "search_spaces", root / PACKAGE.name / "search_spaces", ignore=ignore)
    own = distribution(PACKAGE.name)
    metadata = root / f"{PACKAGE.name}-{own.version}.dist-info" / "METADATA"  # where its version is read from
    metadata.parent.mkdir()
    metadata.write_text(f"Metadata-Version: 2.1\nName: {PACKAGE.name}\nVersion: {own.version}\n", encoding="utf-8")


def _variables() -> dict[str, str]:
    """What Ray's processes of this job read when they begin; this user's own values win, here as elsewhere."""
    quiet = {name: os.environ.get(name, value) for name, value in QUIET_ENVIRONMENT.items()}
    return {**quiet, "PYTHONWARNINGS": "ignore", **STOP}
