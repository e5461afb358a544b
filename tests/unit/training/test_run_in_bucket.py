"""A run in a bucket: trained there as on disk, gone on with from another machine, through times without the bucket."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
import yaml

from raysynth.data import mirror
from raysynth.data.buckets import BucketError, BucketPath
from raysynth.data.dataset import Dataset
from raysynth.data.locations import locate
from raysynth.errors import NotUploaded, UserError
from raysynth.evaluation import scoring_network
from raysynth.training.run_folder import RunFolder
from raysynth.training.train import train

NARROW = {"batch_size": 8, "width": 4, "latent_dim": 4, "n_critic": 2}


@pytest.fixture(autouse=True)
def short_scoring(monkeypatch: pytest.MonkeyPatch) -> None:
    """A scoring network of a few steps: what it scores is not looked at here."""
    monkeypatch.setitem(scoring_network.RECIPE, "num_steps", 5)


def quiet(line: str) -> None:
    pass


class Outage:
    """While `begun` nothing can be uploaded."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.begun = False
        upload = BucketPath.upload

        def try_upload(place: BucketPath, file: Path) -> None:
            if self.begun:
                raise BucketError(f"{place.parent}: the server cannot be reached")
            upload(place, file)

        monkeypatch.setattr(BucketPath, "upload", try_upload)
        monkeypatch.setattr(mirror, "PAUSES_S", (0.0,))


def test_a_run_is_stopped_here_and_ends_there_as_if_it_had_never_stopped(
    stripes: Dataset, bucket: str, tmp_path: Path, monkeypatch, capsys
):
    """Also while the bucket is out of reach for an epoch."""
    options = {"data": stripes.path, "overrides": NARROW, "workers": 0}
    whole = train("wcgan_gp", epochs=4, out=tmp_path, say=quiet, **options)
    place = train("wcgan_gp", epochs=2, out=f"{bucket}/runs", say=quiet, **options)
    assert isinstance(place, BucketPath)
    settings = yaml.safe_load((place / "config.yaml").read_text())
    (place / "config.yaml").write_text(yaml.safe_dump(settings | {"epochs": 4}))
    (place / "status.json").write_text('{"state": "running", "epoch": 2, "message": ""}')
    lines: list[str] = []
    outage = Outage(monkeypatch)
    write_status = RunFolder.write_status

    def begin_or_end(run: RunFolder, state: str, epoch: int, message: str = "") -> None:
        outage.begun = epoch == 3
        write_status(run, state, epoch, message)

    monkeypatch.setattr(RunFolder, "write_status", begin_or_end)
    assert train(resume=str(place), workers=0, say=lines.append) == place
    assert lines[1] == "going on after epoch 2"
    assert capsys.readouterr().err.startswith(f"warning: not uploaded: {place}")

    states = [RunFolder.open(run).newest_checkpoint() for run in (whole, place)]
    for part in ("generator", "critic"):
        for name, value in states[0]["model"][part].items():
            assert torch.equal(value, states[1]["model"][part][name]), name
    run = RunFolder.open(place)
    assert run.status()["state"] == "finished"
    assert [row["epoch"] for row in run.history()] == [1, 2, 3, 4]
    on_disk, there = (
        sorted(name for name in names if not name.startswith("events."))
        for names in ((path.relative_to(whole).as_posix() for path in whole.rglob("*.*")), place.versions())
    )
    assert [name for name in there if not name.startswith(("samples/", "scoring.pt"))] == [
        name for name in on_disk if not name.startswith("samples/")
    ]


def test_what_cannot_be_uploaded_at_the_end_is_kept_here_and_named(stripes, bucket, monkeypatch):
    outage = Outage(monkeypatch)
    write_status = RunFolder.write_status

    def begin(run: RunFolder, state: str, epoch: int, message: str = "") -> None:
        outage.begun = True
        write_status(run, state, epoch, message)

    monkeypatch.setattr(RunFolder, "write_status", begin)
    with pytest.raises(NotUploaded, match="the server cannot be reached; what is not there is kept in ") as error:
        train("wcgan_gp", data=stripes.path, epochs=1, overrides=NARROW, workers=0, out=bucket, say=quiet)
    kept = RunFolder.open(str(error.value).split(" is kept in ")[1].split(" on ")[0])
    assert kept.status()["state"] == "finished"
    assert kept.newest_checkpoint() is not None


def test_mistakes_with_buckets_are_answered_in_one_line(stripes, bucket):
    options = {"data": stripes.path, "overrides": NARROW, "workers": 0, "say": quiet}
    with pytest.raises(UserError, match=r"^--out s3://no-such-bucket-here/runs: no such bucket"):
        train("wcgan_gp", out="s3://no-such-bucket-here/runs", **options)
    with pytest.raises(UserError, match=r"^--resume .*: not a run \(no config.yaml in it\)"):
        train(resume=f"{bucket}/nothing", workers=0, say=quiet)


def test_nothing_is_left_of_a_run_that_could_not_be_planned(stripes, bucket, monkeypatch):
    monkeypatch.setattr(
        "raysynth.training.train.create_run", lambda run, *_, **__: (run.location / "a").write_text("") or 1 / 0
    )
    with pytest.raises(ZeroDivisionError):
        train("wcgan_gp", data=stripes.path, overrides=NARROW, workers=0, out=bucket, say=quiet)
    assert not locate(bucket).versions()
