from __future__ import annotations

import pickle

import pytest
import torch

from raysynth.errors import TrainingStopped, UserError
from raysynth.training.checkpoints import (
    NUM_KEPT,
    check_finite,
    checkpoint_paths,
    load_newest_checkpoint,
    save_checkpoint,
)


def state(value: float = 1.0) -> dict:
    return {"model": {"weight": torch.full((3,), value), "steps": 4}}


def test_the_newest_is_loaded_and_few_are_kept(tmp_path):
    for epoch in range(1, 6):
        save_checkpoint(tmp_path, epoch, state(epoch))
    newest = load_newest_checkpoint(tmp_path)
    assert newest is not None
    assert newest["epoch"] == 5
    assert newest["model"]["weight"].tolist() == [5, 5, 5]
    assert len(checkpoint_paths(tmp_path)) == NUM_KEPT
    assert len(list(tmp_path.iterdir())) == NUM_KEPT  # no partial file is left


def test_none_where_there_is_none(tmp_path):
    assert load_newest_checkpoint(tmp_path / "nothing") is None


def test_a_broken_newest_is_passed_over(tmp_path):
    save_checkpoint(tmp_path, 1, state(1))
    path = save_checkpoint(tmp_path, 2, state(2))
    path.write_bytes(path.read_bytes()[:200])
    newest = load_newest_checkpoint(tmp_path)
    assert newest is not None
    assert newest["epoch"] == 1


def test_only_broken_ones_are_an_error(tmp_path):
    save_checkpoint(tmp_path, 1, state()).write_bytes(b"")
    with pytest.raises(UserError, match="none of its 1 checkpoints"):
        load_newest_checkpoint(tmp_path)


class Malicious:
    def __reduce__(self):
        return (print, ("this must not run",))


def test_a_pickle_does_not_run(tmp_path, capsys):
    (tmp_path / "epoch_00001.pt").write_bytes(pickle.dumps({"epoch": 1, "model": Malicious()}))
    with pytest.raises(UserError):
        load_newest_checkpoint(tmp_path)
    assert capsys.readouterr().out == ""


def test_weights_that_are_not_finite_are_named():
    check_finite(state(1.0))
    with pytest.raises(TrainingStopped, match=r"model\.weight is not finite"):
        check_finite(state(float("inf")))
    for hidden in (float("nan"), float("inf"), float("-inf")):
        broken = state()
        broken["optimizer"] = {"moments": [torch.zeros(0), torch.tensor([1.0, hidden, float("inf"), 2.0])]}
        with pytest.raises(TrainingStopped, match=r"optimizer\.moments\[1\] is not finite"):
            check_finite(broken)


def test_weights_whose_sum_overflows_are_finite():
    check_finite(state(3e38))
    check_finite({"model": {"weight": torch.full((3,), 3e38), "large": torch.full((2,), 1e300, dtype=torch.float64)}})
