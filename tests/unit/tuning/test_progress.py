"""The live table and the lines of a sweep, told of trials as Ray Tune tells them."""

from __future__ import annotations

import pickle
from types import SimpleNamespace

import pytest
from rich.console import Console

from raysynth.training.health import Finding
from raysynth.tuning.progress import SweepProgress
from raysynth.tuning.space import Domain, SearchSpace
from raysynth.tuning.sweep_folder import SweepFolder, name_trials
from raysynth.tuning.trial import WORST

# The runs here are no more than a status: nothing that a card could be made of.
pytestmark = pytest.mark.filterwarnings("ignore:.*model_card.md could not be written")


@pytest.fixture
def space() -> SearchSpace:
    return SearchSpace(family="wcgan_gp", epochs=10, space={"latent_dim": Domain(grid=[4, 8])})


def ray_trial(name: str, replay: bool = False, error: str = "") -> SimpleNamespace:
    return SimpleNamespace(
        config={"job": {"trial": name, "replay": replay}}, error_file=error or None, get_error=lambda: error or None
    )


def test_a_sweep_is_told_in_lines_and_in_a_table(tmp_path, space):
    lines: list[str] = []
    sweep = SweepFolder(tmp_path)
    first, second = name_trials(space)
    for trial in (first, second):
        sweep.run(trial).path.mkdir(parents=True)
        sweep.run(trial).write_status("running", 4)
    progress = SweepProgress(sweep, space, lines.append)
    row = {"epoch": 4, "frechet": 12.3456, "images_per_s": 250.0, "seconds": 10.0}
    progress.on_trial_start(0, [], ray_trial(first.name))
    progress.on_trial_result(0, [], ray_trial(first.name), row)
    progress.on_trial_complete(0, [], ray_trial(first.name))
    progress.on_trial_start(0, [], ray_trial(second.name))
    progress.on_trial_result(0, [], ray_trial(second.name), row | {"frechet": float("nan")})
    assert progress.interrupted
    assert lines[0] == "trial 0-4  epoch 4/10  frechet 12.35  250 images/s  1 min 00 s left"
    assert lines[1] == "trial 0-4: stopped"
    assert "frechet -" in lines[2]
    console = Console(width=120, record=True, quiet=True)
    console.print(progress._table())
    progress.on_trial_error(0, [], ray_trial(second.name))
    assert not progress.interrupted
    assert sweep.run(first).status() == {"state": "stopped", "epoch": 4, "message": "ended early by ASHA"}
    assert sweep.run(second).status()["state"] == "failed"


def test_ray_can_pickle_it_while_its_table_is_shown(tmp_path, space, monkeypatch):
    monkeypatch.setattr("sys.stderr.isatty", lambda: True)
    with SweepProgress(SweepFolder(tmp_path), space, lambda line: None) as progress:
        assert progress.live is not None
        pickle.dumps(progress)


def test_trials_of_an_earlier_session_are_told_in_silence(tmp_path, space):
    lines: list[str] = []
    sweep = SweepFolder(tmp_path)
    (first, _) = name_trials(space)
    sweep.run(first).path.mkdir(parents=True)
    sweep.run(first).write_status("finished", 10)
    progress = SweepProgress(sweep, space, lines.append)
    trial = ray_trial(first.name, replay=True)
    progress.on_trial_start(0, [], trial)
    progress.on_trial_result(0, [], trial, {"epoch": 1, "frechet": 1.0, "images_per_s": 1.0, "seconds": 1.0})
    progress.on_trial_complete(0, [], trial)
    assert lines == []
    assert progress.status[first.name] == "finished"


def test_a_collapse_is_told_once_and_kept(tmp_path, space):
    lines: list[str] = []
    sweep = SweepFolder(tmp_path)
    (first, _) = name_trials(space)
    run = sweep.run(first)
    run.path.mkdir(parents=True)
    row = {"epoch": 4, "frechet": WORST, "images_per_s": 250.0, "seconds": 10.0}
    run.write_history([row])
    run.write_findings([Finding("collapse", 4, 4, "collapse: all alike")])
    run.write_status("running", 4, "collapse: all alike")
    progress = SweepProgress(sweep, space, lines.append)
    progress.on_trial_start(0, [], ray_trial(first.name))
    for _ in range(2):
        progress.on_trial_result(0, [], ray_trial(first.name), row)
    progress.on_trial_complete(0, [], ray_trial(first.name))
    assert "frechet hopeless" in lines[0]
    assert lines.count("trial 0-4: collapse: all alike") == 1
    message = "ended early by ASHA; collapse: all alike"
    assert run.status() == {"state": "stopped", "epoch": 4, "message": message}


def test_a_trial_that_is_tried_again_tells_its_epochs_once(tmp_path, space):
    lines: list[str] = []
    sweep = SweepFolder(tmp_path)
    (first, _) = name_trials(space)
    sweep.run(first).path.mkdir(parents=True)
    sweep.run(first).write_status("running", 2)
    progress = SweepProgress(sweep, space, lines.append)
    row = {"frechet": 1.0, "images_per_s": 1.0, "seconds": 1.0}
    for epoch in (1, 2):
        progress.on_trial_result(0, [], ray_trial(first.name), row | {"epoch": epoch})
    progress.on_trial_recover(0, [], ray_trial(first.name, error="Traceback\n\nActorDiedError: killed"))
    for epoch in (1, 2, 3):
        progress.on_trial_result(0, [], ray_trial(first.name), row | {"epoch": epoch})
    assert [line.split("frechet")[0].strip() for line in lines] == [
        "trial 0-4  epoch 1/10",
        "trial 0-4  epoch 2/10",
        "trial 0-4: ActorDiedError: killed; tried again from epoch 2",
        "trial 0-4  epoch 3/10",
    ]


def test_the_live_table_hides_no_error(tmp_path, space, monkeypatch, capsys):
    monkeypatch.setattr("sys.stderr.isatty", lambda: True)
    monkeypatch.setenv("FORCE_COLOR", "1")  # or no table is drawn below what is said
    sweep = SweepFolder(tmp_path)
    (first, second) = name_trials(space)
    sweep.run(first).path.mkdir(parents=True)
    with SweepProgress(sweep, space, lambda line: None) as progress:
        progress.on_trial_start(0, [], ray_trial(second.name))
        assert progress.live is not None
        progress.live.refresh()
        progress.on_trial_error(0, [], ray_trial(first.name, error="OutOfMemoryError: [raylet] 2 GB"))
    screen = capsys.readouterr().err
    assert "trial 0-4: failed: OutOfMemoryError: [raylet] 2 GB" in screen
    assert "[/]" not in screen  # the table below it is no markup
    assert "running" in screen
