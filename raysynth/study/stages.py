"""The stages of a study, each by the verb that is there for it, and the account of them."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterable, Sequence
from contextlib import ExitStack
from functools import partial

from raysynth.data.locations import Location
from raysynth.data.mirror import remove_folder
from raysynth.errors import TrainingStopped, UserError
from raysynth.study.study_folder import Stage, StudyFolder, StudySettings
from raysynth.training.follow import format_duration
from raysynth.tuning.tune import tune
from raysynth.tuning.workers import ray_for_trials

Say = Callable[[str], None]
EVALUATION, REPORT = "evaluation", "report"


def stage_names(settings: StudySettings) -> list[str]:
    """The names of all stages in their order."""
    sweeps = [f"sweep {name}" for name in settings.spaces]
    return [*sweeps, *(f"synthetic {name}" for name in settings.spaces), EVALUATION, REPORT]


def run_stages(folder: StudyFolder, settings: StudySettings, *, max_concurrent: int | None, say: Say) -> None:
    """Do whatever stage is not finished yet. Ray is started once, by the first that needs it.

    A space that comes to nothing is left out of what follows. Raises TrainingStopped when all do.
    """
    with ExitStack() as session:
        stages = _Stages(folder, settings, max_concurrent, say, session)
        drawn = []
        swept = [(name, stages.do(f"sweep {name}", [], partial(stages.sweep, name))) for name in settings.spaces]
        for name, sweep in swept:
            if sweep is not None:
                drawn.append(stages.do(f"synthetic {name}", [sweep], partial(stages.draw, name, sweep)))
        synthetic = [path for path in drawn if path is not None]
        if not synthetic:
            raise TrainingStopped(f"{folder.location}: no search space has given images; stages.json says why")
        evaluation = stages.do(EVALUATION, synthetic, partial(stages.evaluate, synthetic))
    if evaluation is None or stages.do(REPORT, [evaluation], partial(stages.report, evaluation)) is None:
        raise TrainingStopped(f"{folder.location}: {stages.problem}")
    stages.conclude(evaluation)


class _Stages:
    """Does each stage at most once, and writes down how far it is."""

    def __init__(
        self, folder: StudyFolder, settings: StudySettings, max_concurrent: int | None, say: Say, session: ExitStack
    ) -> None:
        self.folder = folder
        self.settings = settings
        self.max_concurrent = max_concurrent
        self.say = say
        self.session = session
        self.names = stage_names(settings)
        self.started = time.monotonic()
        self.problem = ""  # of the last stage that failed

    def do(self, name: str, inputs: Sequence[str], work: Callable[[], Location]) -> str | None:
        """The result of a stage, by `work` where it is not there yet; None, and a line, where it fails."""
        if done := self.folder.finished(name, inputs):
            return done.result
        begun = time.monotonic()
        number = f"{self.names.index(name) + 1}/{len(self.names)}"
        self.say(f"[{number}, {format_duration(begun - self.started)}] {name}")
        before = self.folder.stages().get(name, Stage(name)).seconds
        stage = self.folder.write_stage(Stage(name, "running", inputs=list(inputs), seconds=before))
        try:
            result = self.folder.inside(work())
        except (TrainingStopped, UserError) as error:
            self.problem = str(error)
            self.say(f"{name} failed: {error}")
            self.folder.write_stage(stage, state="failed", message=str(error))
            return None
        seconds = round(before + time.monotonic() - begun, 1)
        self.folder.write_stage(stage, state="finished", result=result, seconds=seconds)
        return result

    def sweep(self, name: str) -> Location:
        parent = self.folder.location / f"sweeps/{name}"
        self._start_ray()
        inside: Iterable[Location] = parent.iterdir() if parent.is_dir() else ()
        if begun := sorted((each for each in inside if (each / "sweep.json").is_file()), key=str):
            return tune(resume=begun[-1], max_concurrent=self.max_concurrent, say=self.say)
        return tune(
            str(self.folder.space_file(name)),
            data=self.settings.data,
            max_concurrent=self.max_concurrent,
            workers_per_trial=self.settings.workers_per_trial,
            out=parent,
            allow_leakage=self.settings.allow_leakage,
            say=self.say,
        )

    def draw(self, name: str, sweep: str) -> Location:
        from raysynth.training.generate import generate  # here and below: the first metric waits for no later stage

        out = self.folder.location / f"synthetic/{name}"
        remove_folder(out)  # of another sweep, or not known to be whole
        generate(
            self.folder.location / sweep,
            out=out,
            per_class=self.settings.per_class,
            seed=self.settings.seed,
            refuse_copies=self.settings.refuse_copies,
            say=self.say,
        )
        return out

    def evaluate(self, synthetic: Sequence[str]) -> Location:
        from raysynth.evaluation.evaluate import evaluate

        self._start_ray()
        return evaluate(
            self.settings.data,
            [str(self.folder.location / path) for path in synthetic],
            seeds=self.settings.seeds,
            classifier=self.settings.classifier,
            epochs=self.settings.classifier_epochs,
            out=self.folder.location / "evaluations",
            allow_leakage=self.settings.allow_leakage,
            say=self.say,
        )

    def report(self, evaluation: str) -> Location:
        from raysynth.report.report import report

        out = self.folder.path / f"{REPORT}.html"
        report(self.folder.location / evaluation, out, allow_leakage=self.settings.allow_leakage, say=self.say)
        return self.folder.location / out.name

    def conclude(self, evaluation: str) -> None:
        file = self.folder.location / evaluation / "evaluation.json"
        content = json.loads(file.read_text(encoding="utf-8"))
        stages = self.folder.stages().values()
        for stage in stages:
            if stage.state == "failed":
                self.say(f"{stage.name} failed: {stage.message}")
        self.say(f"done in {format_duration(sum(stage.seconds for stage in stages))}: {content['verdict']['sentence']}")
        self.say(f"open {self.folder.location.resolve() / f'{REPORT}.html'}")

    def _start_ray(self) -> None:
        self.session.enter_context(ray_for_trials(self.settings.workers_per_trial))
