"""One process at a time in a bucket's folder; one that is not heard of any more does not keep others out."""

from __future__ import annotations

import json
import os
import random
import signal
import socket
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from raysynth.data.buckets import BucketPath, upload_folder
from raysynth.data.dataset import Dataset
from raysynth.data.locations import locate
from raysynth.errors import UserError
from raysynth.locking import bucket as bucket_module
from raysynth.locking.holder import describe_self
from raysynth.locking.lock import is_in_use, locked
from raysynth.training.train import train


@pytest.fixture
def folder(bucket: str, monkeypatch: pytest.MonkeyPatch) -> BucketPath:
    monkeypatch.setattr(bucket_module, "PAUSE_S", 0.1)
    place = locate(bucket) / "run"
    assert isinstance(place, BucketPath)
    return place


def write_foreign(folder: BucketPath, **changes: object) -> None:
    """A lock of a process on another machine, whose number is nobody's on this one."""
    holder = json.loads(describe_self()) | {"host": "elsewhere", "among": "another boot/1", "process": 2**22 - 1}
    (folder / ".lock" / "hold-foreign.json").write_text(json.dumps(holder | changes))


def test_a_second_one_is_told_who_holds_it(folder: BucketPath):
    with locked(folder, "--resume"):
        with pytest.raises(UserError) as error, locked(folder, "--resume"):
            pass
        assert f"--resume {folder}: in use by process {os.getpid()} of " in str(error.value)
        assert "forgotten after 120 s" in str(error.value)
    assert folder.is_empty()
    with locked(str(folder), "--resume"):
        pass


def test_a_killed_process_of_this_machine_does_not_keep_others_out(folder: BucketPath, hold_elsewhere):
    process = hold_elsewhere(folder)
    with pytest.raises(UserError, match=f"process {process.pid} of"), locked(folder, "--resume"):
        pass
    process.send_signal(signal.SIGKILL)
    process.wait()
    with locked(folder, "--resume"):
        assert len(list((folder / ".lock").iterdir())) == 1  # the dead one's is gone
    assert folder.is_empty()


def test_one_elsewhere_counts_as_long_as_it_is_heard_of(folder: BucketPath, monkeypatch: pytest.MonkeyPatch):
    write_foreign(folder)
    with pytest.raises(UserError, match=rf"process {2**22 - 1} of .* on elsewhere"), locked(folder, "--resume"):
        pass
    monkeypatch.setattr(bucket_module, "LEASE_S", -1.0)
    with locked(folder, "--resume"):
        pass
    assert folder.is_empty()


def test_a_dead_number_among_a_containers_own_processes_tells_nothing(folder: BucketPath):
    """Nor one of another machine that has this one's name."""
    for among in ("another boot/1", None):
        write_foreign(folder, host=socket.gethostname(), among=among)
        with pytest.raises(UserError, match=f"process {2**22 - 1}"), locked(folder, "--resume"):
            pass
        assert is_in_use(folder)
    write_foreign(folder, among=json.loads(describe_self())["among"])
    assert not is_in_use(folder)
    with locked(folder, "--resume"):
        assert is_in_use(folder)


def test_of_two_at_once_never_both_hold_it(folder: BucketPath):
    inside, most, entries = 0, 0, 0
    counting = threading.Lock()

    def enter(_: int) -> None:
        nonlocal inside, most, entries
        while True:
            try:
                with locked(folder, "X"):
                    with counting:
                        inside += 1
                        most = max(most, inside)
                        entries += 1
                    time.sleep(0.05)
                    with counting:
                        inside -= 1
                return
            except UserError:
                time.sleep(random.uniform(0.0, 0.2))

    with ThreadPoolExecutor(2) as pool:
        list(pool.map(enter, range(8)))
    assert (most, entries) == (1, 8)
    assert folder.is_empty()


def test_a_claim_that_becomes_a_lock_while_it_is_looked_at_is_seen(folder: BucketPath, monkeypatch: pytest.MonkeyPatch):
    """The other one is alone, and goes on, between our list of files and our reading of its claim."""
    claim, hold = folder / ".lock" / "claim-other.json", folder / ".lock" / "hold-other.json"
    claim.write_text("{}")
    read = BucketPath.read_bytes

    def read_too_late(self: BucketPath) -> bytes:
        if self.name == claim.name:
            hold.write_text("{}")
            claim.unlink()
        return read(self)

    monkeypatch.setattr(BucketPath, "read_bytes", read_too_late)
    with pytest.raises(UserError, match="in use by another process"), locked(folder, "X"):
        pass
    assert [path.name for path in (folder / ".lock").iterdir()] == [hold.name]


@pytest.mark.parametrize("lost_by", ["its file gone", "another holder"])
def test_the_holder_is_heard_of_and_says_when_it_was_forgotten(
    folder: BucketPath, lost_by: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    monkeypatch.setattr(bucket_module, "BEAT_S", 0.05)
    written: list[str] = []
    gone = threading.Event()
    write, list_versions = BucketPath.write_text, BucketPath.versions

    def write_and_note(self: BucketPath, text: str) -> None:
        written.append(self.name)
        write(self, text)

    def versions(self: BucketPath) -> dict[str, tuple[int, int]]:
        return {} if gone.is_set() else list_versions(self)

    monkeypatch.setattr(BucketPath, "write_text", write_and_note)
    monkeypatch.setattr(BucketPath, "versions", versions)
    with locked(folder, "X"):
        deadline = time.monotonic() + 20
        while written.count(written[-1]) < 3 and time.monotonic() < deadline:
            time.sleep(0.02)
        assert written[-1].startswith("hold-")
        if lost_by == "its file gone":
            gone.set()
        else:
            write_foreign(folder)
        while not (said := capsys.readouterr().err) and time.monotonic() < deadline:
            time.sleep(0.02)
        assert f"warning: another process uses {folder} too" in said
        num_written = len(written)
        if lost_by == "another holder":  # which it is not for us to make room for
            while len(written) < num_written + 2 and time.monotonic() < deadline:
                time.sleep(0.02)
            assert len(written) >= num_written + 2
    assert capsys.readouterr().err == ""


def test_a_run_in_a_bucket_that_is_in_use_is_not_resumed(bucket: str, stripes: Dataset, folder: BucketPath):
    upload_folder(Path(str(stripes.path)), locate(bucket) / "stripes", last="dataset.json")
    overrides = {"batch_size": 8, "width": 4, "latent_dim": 4, "n_critic": 2, "score_every": 5}
    lines: list[str] = []

    place = train(
        "wcgan_gp", data=f"{bucket}/stripes", epochs=1, overrides=overrides, workers=0, out=bucket, say=lines.append
    )
    status = place / "status.json"
    status.write_text(status.read_text().replace("finished", "running"))
    write_foreign(place)
    with pytest.raises(UserError, match=f"--resume {place}: in use by process {2**22 - 1}"):
        train(resume=place, workers=0, say=lines.append)
