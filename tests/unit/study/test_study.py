"""A study's account: what is done is not done again, what was begun is resumed, what fails is marked. The verbs that do
the work are stand-ins here; tests/end_to_end/test_readme.py runs the real ones."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import yaml

from raysynth.cli.main import run
from raysynth.data.locations import Location, locate
from raysynth.errors import Interrupted, TrainingStopped, UserError
from raysynth.locking.lock import locked
from raysynth.study import stages
from raysynth.study.study import study
from raysynth.study.study_folder import StudyFolder

SPACE = "family: wcgan_gp\nepochs: 2\nfixed: {batch_size: 8, width: 4}\nspace: {latent_dim: {grid: [4, 6]}}\n"


class Verbs:
    """Stand-ins that leave the files by which a study knows them; `fails` makes one raise, once a call."""

    def __init__(self) -> None:
        self.calls: list[str] = []
        self.fails: dict[str, BaseException] = {}

    def _call(self, call: str) -> None:
        self.calls.append(call)
        for part, error in self.fails.items():
            if part in call:
                raise error

    def tune(self, space: str | None = None, *, out: Location | None = None, resume: Location | None = None, **more):
        path = resume or locate(str(out)) / "wcgan_gp-1"
        if resume is None:
            leave(path / "sweep.json", "{}")
        self._call(f"{'resume' if resume else 'tune'} {path.parent.name}")
        return path

    def generate(self, run: Location, *, out: Location, **more) -> None:
        self._call(f"generate {out.name}")
        leave(out / "dataset.json", "{}")

    def evaluate(self, real: str, synthetic: list[str], *, out: Location, **more) -> Location:
        self._call(f"evaluate {' '.join(locate(path).name for path in synthetic)}")
        path = out / f"evaluation-{len(self.calls)}"
        leave(path / "evaluation.json", json.dumps({"verdict": {"sentence": "Cannot tell."}}))
        return path

    def report(self, evaluation: Location, out: Path, **more) -> Path:
        self._call("report")
        out.write_text("<html>")
        return out


def leave(file: Location, text: str) -> None:
    if isinstance(file, Path):
        file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text)


@contextmanager
def no_ray(workers_per_trial: int) -> Iterator[None]:
    yield


@pytest.fixture
def verbs(monkeypatch) -> Verbs:
    verbs = Verbs()
    monkeypatch.setattr(stages, "tune", verbs.tune)
    for name in ("training.generate", "evaluation.evaluate", "report.report"):
        verb = name.partition(".")[2]
        monkeypatch.setattr(f"raysynth.{name}.{verb}", getattr(verbs, verb))
    monkeypatch.setattr(stages, "ray_for_trials", no_ray)
    return verbs


@pytest.fixture
def asked(stripes, tmp_path) -> dict:
    for name in ("first", "second"):
        (tmp_path / f"{name}.yaml").write_text(SPACE)
    spaces = [str(tmp_path / f"{name}.yaml") for name in ("first", "second")]
    return {"spaces": spaces, "data": stripes.path, "out": tmp_path / "study", "say": lambda line: None}


@pytest.fixture(params=["folder", "bucket"])
def asked_anywhere(request, asked) -> dict:
    """The study in a folder, and in a bucket."""
    return asked if request.param == "folder" else asked | {"out": f"{request.getfixturevalue('bucket')}/study"}


ALL = ["tune first", "tune second", "generate first", "generate second", "evaluate first second", "report"]


def test_a_study_goes_from_search_spaces_to_a_report_once(asked_anywhere, verbs):
    place = study(**asked_anywhere)
    assert str(place) == str(asked_anywhere["out"])
    assert verbs.calls == ALL
    found = StudyFolder.open(place, "STUDY").describe()
    assert {stage["state"] for stage in found["stages"]} == {"finished"}
    assert found["stages"][0]["result"] == "sweeps/first/wcgan_gp-1"
    assert found["verdict"] == {"sentence": "Cannot tell."}
    assert found["report"] == f"{place}/report.html"
    assert locate(found["report"]).read_text() == "<html>"
    assert yaml.safe_load((place / "spaces/first.yaml").read_text())["space"]["latent_dim"] == {"grid": [4, 6]}
    study(**asked_anywhere)
    study(resume=place, say=lambda line: None)
    assert verbs.calls == ALL


def test_a_stopped_study_goes_on_where_it_was(asked_anywhere, verbs):
    out = asked_anywhere["out"]
    verbs.fails = {"tune second": Interrupted("stopped")}
    with pytest.raises(Interrupted, match=rf"go on with: raysynth study --resume {out}"):
        study(**asked_anywhere)
    stages = StudyFolder.open(out, "STUDY").stages()
    assert [stage.state for stage in stages.values()] == ["finished", "running"]
    verbs.fails = {"evaluate": KeyboardInterrupt()}
    with pytest.raises(Interrupted):
        study(**asked_anywhere)
    verbs.fails = {}
    study(resume=out, say=lambda line: None)
    assert verbs.calls == [*ALL[:2], "resume second", *ALL[2:4], ALL[4], *ALL[4:]]


def test_a_bucket_that_holds_something_else_is_refused(asked, verbs, bucket):
    (locate(bucket) / "study/notes.txt").write_text("mine")
    with pytest.raises(UserError, match=r"--out s3://.*/study: exists and is not empty"):
        study(**asked | {"out": f"{bucket}/study"})
    with pytest.raises(UserError, match=r"--resume s3://.*/nothing: not a study"):
        study(resume=f"{bucket}/nothing", say=lambda line: None)
    assert verbs.calls == []


def test_a_space_that_fails_is_marked_and_tried_again(asked, verbs):
    verbs.fails = {"second": TrainingStopped("no trial has a frechet")}
    lines: list[str] = []
    study(**asked | {"say": lines.append})
    assert verbs.calls == ["tune first", "tune second", "generate first", "evaluate first", "report"]
    assert "sweep second failed: no trial has a frechet" in lines
    verbs.calls, verbs.fails = [], {}
    study(**asked)
    assert verbs.calls == ["resume second", "generate second", "evaluate first second", "report"]


def test_a_study_of_nothing_but_failures_stops(asked, verbs):
    verbs.fails = {"first": TrainingStopped("nan"), "second": TrainingStopped("nan")}
    with pytest.raises(TrainingStopped, match="no search space has given images"):
        study(**asked)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"spaces": []}, "SPACE: missing"),
        ({"spaces": ["wcgan"]}, "SPACE wcgan: unknown search space"),
        ({"seeds": 0}, "--seeds 0: want 1 or more"),
        ({"data": "nowhere"}, "--data nowhere: no dataset.json"),
        ({"classifier": "best"}, "--classifier best"),
        ({"overrides": {"latent": 3}}, "--set latent: unknown key"),
        ({"max_concurrent": 0}, "--max-concurrent 0"),
        ({"resume": "nowhere"}, "SPACE: a resumed study keeps its own"),
        ({"resume": "nowhere", "spaces": [], "data": None}, "--resume nowhere: not a study"),
    ],
)
def test_mistakes_are_answered_before_anything_is_written(asked, verbs, changes, message):
    with pytest.raises(UserError) as error:
        study(**asked | changes)
    assert message in str(error.value)
    assert "\n" not in str(error.value)
    assert not asked["out"].exists()


def test_another_study_is_not_mixed_with_this_one(asked, verbs, tmp_path):
    study(**asked)
    for changes, message in (
        ({"seed": 1}, "seed 0, not 1"),
        ({"epochs": 3}, "epochs 2 in the space first, not 3"),
        ({"spaces": asked["spaces"][:1]}, "spaces"),
    ):
        with pytest.raises(UserError, match=message):
            study(**asked | changes)
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "notes.txt").touch()
    with pytest.raises(UserError, match="exists and is not empty"):
        study(**asked | {"out": tmp_path / "full"})
    with locked(asked["out"], "X"), pytest.raises(UserError, match="in use by process"):
        study(**asked)


def test_a_study_is_not_gone_on_with_on_other_images(asked, verbs):
    folder = study(**asked)
    file = folder / "study.yaml"
    file.write_text(file.read_text().replace("fingerprint: ", "fingerprint: 0"))
    with pytest.raises(UserError, match="changed since the study began"):
        study(resume=folder, say=lambda line: None)


def test_a_dry_run_says_the_stages_and_trials(asked, tmp_path, capsys):
    arguments = ["study", *asked["spaces"], "--data", str(asked["data"]), "--out", str(asked["out"]), "--dry-run"]
    assert run(arguments) == 0
    printed = capsys.readouterr().out
    assert "stages: sweep first, sweep second, synthetic first, synthetic second, evaluation, report" in printed
    assert printed.count("2 trials of wcgan_gp, 2 epochs each") == 2
    assert run([*arguments, "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["stages"] == []
    assert not asked["out"].exists()
