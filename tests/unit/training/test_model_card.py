"""The card in a run's folder tells what its files tell, whatever became of the training."""

from __future__ import annotations

import shutil

import pytest
import yaml

from raysynth.errors import Interrupted
from raysynth.training import run_folder as module
from raysynth.training import train as train_module
from raysynth.training.health import Finding
from raysynth.training.model_card import model_card
from raysynth.training.run_folder import RunFolder
from raysynth.training.train import train


@pytest.fixture
def run(tiny_run, tmp_path) -> RunFolder:
    """A copy of the tiny run, to change."""
    return RunFolder(shutil.copytree(tiny_run, tmp_path / "run"))


def card_of(run: RunFolder) -> str:
    return (run.path / "model_card.md").read_text(encoding="utf-8")


def change(run: RunFolder, **values: object) -> None:
    content = run.settings() | values
    (run.path / "config.yaml").write_text(yaml.safe_dump(content, allow_unicode=True), encoding="utf-8")


def test_a_training_leaves_one(tiny_run, stripes):
    run = RunFolder(tiny_run)
    shown = card_of(run)
    assert shown == model_card(run)
    assert shown.startswith("# Model card: wcgan_gp on stripes\n")
    assert stripes.fingerprint in shown
    assert "2 of 2 epochs, in" in shown
    assert "Not finished" not in shown
    for name, count in stripes.counts["train"].items():
        assert f"| {name} | {count} |" in shown
    for key, value in run.settings()["config"].items():
        assert f"| {key} | {value} |" in shown
    last = run.history()[-1]
    assert f"| frechet | {last['frechet']:.4g} | 2 |" in shown
    assert "Clean: as far as copies can be found" in shown
    assert "Nothing was found to be wrong." in shown
    assert "raysynth generate RUN" in shown
    assert str(stripes.path.parent) not in shown


def test_names_stay_text(run):
    classes = ["<img src=x onerror=alert(1)>", "# x | y"]
    data = run.settings()["data"] | {"name": "`b` | <i>", "train_counts": dict.fromkeys(classes, 3)}
    change(run, data=data)
    shown = model_card(run)
    assert "<" not in shown
    assert "| &#60;img src&#61;x onerror&#61;alert(1)&#62; | 3 |" in shown
    assert "| &#35; x &#124; y | 3 |" in shown
    assert "wcgan_gp on &#96;b&#96; &#124; &#60;i&#62;" in shown


def test_leakage_findings_and_what_ended_it_are_told(run):
    entry = {"role": "pre-training", "name": "other", "status": "touches", "path": "/secret"}
    entries = [entry | {"num_validation_images": 2, "num_test_images": 7}]
    change(run, contact={"status": "touches", "detail": "at /secret", "entries": entries})
    run.write_findings([Finding("collapse", 1, 2, "images of class left differ by only 3 %")])
    run.write_status("stopped", 2, "ended early by ASHA")
    shown = card_of(run)
    assert "TOUCHES: what it was trained on holds copies of validation or test images" in shown
    assert "| pre-training | other | touches | 2 | 7 |" in shown
    assert "| collapse | 1-2 | images of class left differ by only 3 &#37; |" in shown
    assert "Not finished: stopped when this was written (ended early by ASHA)." in shown
    assert "secret" not in shown


def test_a_run_that_ended_before_its_first_epoch_has_one(run):
    for name in ("metrics.csv", "environment.json"):
        (run.path / name).unlink()
    run.write_status("failed", 0, "no space")
    assert "0 of 2 epochs. Not finished: failed when this was written (no space)." in card_of(run)


def test_it_is_written_anew_when_the_training_ends_again(run, monkeypatch):
    run.write_status("failed", 1, "the worker died")
    assert "the worker died" in card_of(run)
    (run.path / "checkpoints" / "epoch_00002.pt").unlink()
    train(resume=run.path, workers=0, say=lambda line: None)
    assert card_of(run) == model_card(run)
    assert "Not finished" not in card_of(run)


def test_ctrl_c_leaves_one(stripes, tmp_path, monkeypatch):
    def interrupt(run, workers, min_workers, say):
        raise KeyboardInterrupt

    monkeypatch.setattr(train_module, "_fit", interrupt)
    options = {"batch_size": 8, "width": 4, "latent_dim": 4}
    with pytest.raises(Interrupted):
        train(
            "wcgan_gp", data=stripes.path, epochs=3, overrides=options, workers=0, out=tmp_path, say=lambda line: None
        )
    (folder,) = tmp_path.iterdir()
    assert "0 of 3 epochs" in card_of(RunFolder(folder))


def test_a_card_that_fails_does_not_lose_the_run(run, monkeypatch):
    def fail(run):
        raise RuntimeError("no words")

    monkeypatch.setattr(module, "model_card", fail)
    before = card_of(run)
    with pytest.warns(UserWarning, match=r"model_card\.md could not be written: RuntimeError: no words"):
        run.write_status("finished", 2)
    assert run.status()["state"] == "finished"
    assert card_of(run) == before
