"""What a training will need of the disk, as told before it begins, is what it then takes."""

from __future__ import annotations

from collections import namedtuple
from pathlib import Path

import pytest

from raysynth.errors import UserError
from raysynth.models.context import Context
from raysynth.models.registry import get_family
from raysynth.study.study import study
from raysynth.training import disk_need
from raysynth.training.checkpoints import checkpoint_paths, save_checkpoint
from raysynth.training.disk_need import format_bytes, refuse_full, run_bytes
from raysynth.training.run_folder import RunFolder
from raysynth.training.train import train
from raysynth.training.worker import build_family
from raysynth.tuning.plan import plan_sweep
from raysynth.tuning.tune import tune


def test_it_is_about_what_a_checkpoint_takes(tiny_run):
    (newest, *_) = reversed(checkpoint_paths(tiny_run / "checkpoints"))
    estimated = run_bytes(build_family(RunFolder(tiny_run).settings(), Context())) - disk_need.REST_BYTES
    # Names and places are on top, and weigh much beside networks as narrow as these.
    assert newest.stat().st_size / 3 < estimated < 6 * newest.stat().st_size


@pytest.mark.parametrize("name", ["r3gan", "cvae"])
def test_it_knows_the_moments_of_the_optimisers(name, tmp_path):
    family = get_family(name)
    model = family(family.Config(), shape=(1, 32, 32), num_classes=2, context=Context())
    fresh = save_checkpoint(tmp_path, 1, {"model": model.state_dict()}).stat().st_size
    one = (run_bytes(model) - disk_need.REST_BYTES) / 3
    assert 1.3 * fresh < one < 3.2 * fresh


def test_a_disk_without_room_is_refused(stripes, tmp_path, monkeypatch):
    usage = namedtuple("usage", "free")
    monkeypatch.setattr(disk_need.shutil, "disk_usage", lambda path: usage(1_000_000))
    with pytest.raises(UserError, match=r"--out .*/runs: the run may need .* MB, 1\.0 MB are free there; make room"):
        train("wcgan_gp", data=stripes.path, overrides={"batch_size": 8}, out=tmp_path / "runs", say=lambda line: None)
    with pytest.raises(UserError, match=r"8 trials may need"):
        tune("wcgan_gp", data=stripes.path, overrides={"batch_size": 8}, out=tmp_path / "s", say=lambda line: None)
    assert not list(tmp_path.iterdir())
    refuse_full(tmp_path, 1_000_000, "it")


def test_a_study_needs_room_for_all_its_sweeps(stripes, tmp_path, monkeypatch):
    spaces = [str(tmp_path / f"{name}.yaml") for name in ("one", "two")]
    for space in spaces:
        Path(space).write_text(
            "family: wcgan_gp\nepochs: 1\nfixed: {batch_size: 8, width: 4}\nspace: {latent_dim: {grid: [4, 6]}}\n"
        )
    out = tmp_path / "study"
    needed = plan_sweep(spaces[0], data=stripes.path, out=out, say=lambda line: None).num_bytes
    usage = namedtuple("usage", "free")
    monkeypatch.setattr(disk_need.shutil, "disk_usage", lambda path: usage(2 * needed - 1))
    with pytest.raises(UserError, match=r"--out .*/study: the sweeps of 2 spaces may need"):
        study(spaces, data=stripes.path, out=out, say=lambda line: None)
    assert not out.exists()
    monkeypatch.setattr(disk_need.shutil, "disk_usage", lambda path: usage(2 * needed))
    study(spaces, data=stripes.path, out=out, dry_run=True, say=lambda line: None)


def test_bytes_are_told_in_three_digits():
    assert [format_bytes(n) for n in (1200, 3_456_789, 12e9)] == ["1 kB", "3.5 MB", "12.0 GB"]
