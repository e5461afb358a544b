"""Names below the storage, and names that say for themselves where they are."""

from __future__ import annotations

from pathlib import Path

import pytest

from raysynth.data.locations import locate
from raysynth.data.storage import find_in_storage, in_storage
from raysynth.errors import UserError


@pytest.mark.parametrize(
    ("place", "storage", "expected"),
    [
        ("runs", "s3://lab/brain", "s3://lab/brain/runs"),
        ("runs/a", "/mnt/lab", "/mnt/lab/runs/a"),
        ("s3://other/runs", "s3://lab/brain", "s3://other/runs"),
        ("/data/brain", "s3://lab/brain", "/data/brain"),
        ("./runs", "s3://lab/brain", "runs"),
        ("../runs", "/mnt/lab", "../runs"),
        ("runs", None, "runs"),
    ],
)
def test_only_names_are_below_the_storage(place, storage, expected):
    assert str(in_storage(place, storage)) == expected


def test_a_relative_storage_is_that_of_the_current_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert in_storage("runs", "lab") == tmp_path / "lab" / "runs"


def test_a_star_finds_one_folder(tmp_path: Path, bucket: str):
    for name in ("wcgan_gp-1", "cvae-1", "cvae-2"):
        (tmp_path / "runs" / name).mkdir(parents=True)
        (locate(bucket) / f"runs/{name}/config.yaml").write_text("")
    for storage in (tmp_path, bucket):
        assert find_in_storage("runs/wcgan*", storage, "RUN") == locate(storage) / "runs/wcgan_gp-1"
        with pytest.raises(UserError, match=r"^RUN runs/cvae-\*: cvae-1, cvae-2 of that name in .*/runs; name one"):
            find_in_storage("runs/cvae-*", storage, "RUN")
        with pytest.raises(UserError, match=r"^RUN sweeps/\*: nothing of that name"):
            find_in_storage("sweeps/*", storage, "RUN")
    assert find_in_storage("runs/cvae-*", None, "RUN") == Path("runs/cvae-*")  # the shell's business


def test_a_storage_that_is_none_is_named():
    with pytest.raises(UserError, match=r"^--storage ftp://lab: want a local path, s3://"):
        in_storage("runs", "ftp://lab")
