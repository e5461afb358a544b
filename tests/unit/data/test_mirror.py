"""A working folder and its bucket: what has changed goes there and comes from there, whole and in order."""

from __future__ import annotations

from pathlib import Path

import pytest

from raysynth.data import mirror as mirror_module
from raysynth.data.buckets import BucketError, BucketPath
from raysynth.data.locations import locate
from raysynth.data.mirror import Mirror, fetched
from raysynth.errors import NotUploaded


@pytest.fixture
def place(bucket: str) -> BucketPath:
    found = locate(f"{bucket}/runs/a")
    assert isinstance(found, BucketPath)
    return found


def write(mirror: Mirror, name: str, text: str) -> Path:
    file = mirror.path / name
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text)
    return file


def test_only_what_changed_is_uploaded_and_removed_files_go(place, monkeypatch):
    mirror = Mirror(place)
    for name in ("checkpoints/1.pt", "status.json", "a.txt"):
        write(mirror, name, name)
    write(mirror, ".a.txt.partial-1", "half")
    order: list[str] = []
    upload = BucketPath.upload
    monkeypatch.setattr(BucketPath, "upload", lambda self, file: (order.append(self.name), upload(self, file)))
    mirror.push()
    assert sorted(order) == ["1.pt", "a.txt", "status.json"]
    assert order[-1] == "status.json"
    order.clear()
    mirror.push()
    assert order == []

    write(mirror, "checkpoints/2.pt", "2")
    (mirror.path / "checkpoints" / "1.pt").unlink()
    write(mirror, "status.json", "new")
    mirror.push()
    assert order == ["2.pt", "status.json"]
    assert sorted(place.versions()) == ["a.txt", "checkpoints/2.pt", "status.json"]
    assert (place / "status.json").read_text() == "new"


def test_another_machine_fetches_what_it_asks_for(place):
    writer, reader = Mirror(place), Mirror(place)
    for name in ("runs/x/status.json", "runs/y/status.json", "runs/y/deep/status.json", "table.csv"):
        write(writer, name, "1")
    writer.push()
    reader.fetch("runs/*/status.json", "nothing.csv")
    assert sorted(path.relative_to(reader.path).as_posix() for path in reader.path.rglob("*.*")) == [
        "runs/x/status.json",
        "runs/y/status.json",
    ]
    write(writer, "runs/x/status.json", "2")  # within the same second, of the same length
    (writer.path / "runs/y/status.json").unlink()
    writer.push()
    reader.fetch("runs/*/status.json")
    assert (reader.path / "runs/x/status.json").read_text() == "2"
    assert not (reader.path / "runs/y/status.json").exists()
    reader.fetch("runs/x/status.json", "table.csv")
    assert (reader.path / "table.csv").read_text() == "1"
    reader.push()
    assert (place / "runs/x/status.json").read_text() == "2"


def test_what_was_written_here_is_not_overwritten(place):
    first, second = Mirror(place), Mirror(place)
    write(first, "status.json", "there")
    first.push()
    write(second, "status.json", "mine")
    second.fetch("*.json")
    assert (second.path / "status.json").read_text() == "mine"


def test_large_files_are_fetched_once(place, monkeypatch):
    writer, reader = Mirror(place), Mirror(place)
    write(writer, "large.pt", "x" * mirror_module.MIN_TRUSTED_BYTES)
    writer.push()
    reader.fetch("*.pt")
    monkeypatch.setattr(BucketPath, "download", lambda self, file: pytest.fail("fetched again"))
    reader.fetch("*.pt")


def test_a_part_and_the_whole_know_the_same(place, monkeypatch):
    whole = Mirror(place)
    part = whole.below("runs/x")
    write(part, "status.json", "1")
    whole.push()
    assert (place / "runs/x/status.json").read_text() == "1"
    monkeypatch.setattr(BucketPath, "upload", lambda self, file: pytest.fail("uploaded again"))
    part.push()


def test_an_upload_goes_on_when_the_bucket_is_back(place, monkeypatch, tmp_path):
    mirror = Mirror(place)
    write(mirror, "a.txt", "a")
    reachable = [False]
    upload = BucketPath.upload

    def try_upload(self: BucketPath, file: Path) -> None:
        if not reachable[0]:
            raise BucketError(f"{self}: the server cannot be reached")
        upload(self, file)

    monkeypatch.setattr(BucketPath, "upload", try_upload)
    with pytest.raises(BucketError):
        mirror.push()
    reachable[0] = True
    mirror.push()
    assert (place / "a.txt").read_text() == "a"

    reachable[0] = False
    write(mirror, "b.txt", "b")
    monkeypatch.setattr(mirror_module, "PAUSES_S", (0.0,))
    path = mirror.path
    with pytest.raises(NotUploaded, match=f"cannot be reached; what is not there is kept in {path}"):
        mirror.push_at_last()
    del mirror
    assert (path / "b.txt").read_text() == "b"


def test_the_working_folder_goes_with_its_mirror(place):
    mirror = Mirror(place)
    part, path = mirror.below("x"), mirror.path
    del mirror
    assert path.is_dir()
    del part
    assert not path.exists()


def test_a_folder_is_fetched_as_it_is(place, tmp_path):
    with fetched(tmp_path, "*.csv") as folder:
        assert folder == tmp_path
    (place / "a.csv").write_text("1")
    with fetched(place, "*.csv") as folder:
        assert [path.name for path in folder.iterdir()] == ["a.csv"]
