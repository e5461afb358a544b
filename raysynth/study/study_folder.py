"""The folder of a study: what it was asked for, how far each stage is, and where each stage's result lies."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

import yaml

from raysynth.config import Config, build_config, load_yaml
from raysynth.data.buckets import BucketPath
from raysynth.data.locations import Location, naming
from raysynth.data.mirror import KeptFolder
from raysynth.errors import UserError
from raysynth.files import write_text
from raysynth.tuning.space import SearchSpace

State = Literal["waiting", "running", "finished", "failed"]


class StudySettings(Config):
    """`study.yaml`: all that the results of a study depend on. None is the default of the verb that it is for."""

    data: str
    fingerprint: str
    spaces: list[str]
    workers_per_trial: int = 1
    per_class: int | None = None
    seed: int = 0
    refuse_copies: bool = False
    seeds: int | None = None
    classifier: str = "cnn"
    classifier_epochs: int | None = None
    allow_leakage: bool = False


@dataclass(frozen=True)
class Stage:
    """One stage. `result` is a path in the study's folder, `inputs` the results that it was made of."""

    name: str
    state: State = "waiting"
    result: str = ""
    inputs: list[str] = field(default_factory=list)
    seconds: float = 0.0
    message: str = ""


class StudyFolder(KeptFolder):
    """Reading and writing a study: `study.yaml`, `spaces/*.yaml`, `stages.json`, the report, and what the stages leave.

    `location` and `path` are as in `RunFolder`: of a study in a bucket, `path` is a working folder here that holds its
    own files, while sweeps, synthetic sets and evaluations are written to the bucket by their verbs.
    """

    @classmethod
    def open(cls, place: Location | str, option: str) -> StudyFolder:
        """An existing study.

        Raises UserError, naming `option`, when the folder is none.
        """
        with naming(option):
            folder = cls(place)
            folder.refresh()
        if not folder.exists():
            raise UserError(f"{option} {place}: not a study (no study.yaml in it); `raysynth study` makes one")
        return folder

    def refresh(self) -> None:
        """Bring here what an earlier call has written."""
        if self.mirror is not None:
            self.mirror.fetch("*.yaml", "*.json", "spaces/*.yaml")

    def keep(self) -> None:
        """Take what was written here to the bucket. Raises NotUploaded when it cannot be done."""
        if self.mirror is not None:
            self.mirror.push_at_last()

    def exists(self) -> bool:
        return (self.path / "study.yaml").is_file()

    def create(self, settings: StudySettings, spaces: Mapping[str, SearchSpace]) -> None:
        """Write what was asked for; `study.yaml` last, so that a folder with it is whole."""
        for name, space in spaces.items():
            text = yaml.safe_dump(space.model_dump(exclude_none=True), sort_keys=False, allow_unicode=True)
            write_text(self.space_file(name), text)
        text = yaml.safe_dump(settings.model_dump(), sort_keys=False, allow_unicode=True)
        write_text(self.path / "study.yaml", text)
        self.keep()

    def settings(self) -> StudySettings:
        """`study.yaml`."""
        content = load_yaml(self.path / "study.yaml", "STUDY")
        if not isinstance(content, dict):
            raise UserError(f"STUDY {self.location}: study.yaml is no mapping; begin a new study")
        return build_config(StudySettings, content, origin=f"{self.path / 'study.yaml'}:")

    def space_file(self, name: str) -> Path:
        return self.path / "spaces" / f"{name}.yaml"

    def refuse_other(self, settings: StudySettings, spaces: Mapping[str, SearchSpace], option: str) -> None:
        """Raise UserError, naming `option`, when the study was asked for something else than this."""
        here = self.settings().model_dump()
        for key, value in settings.model_dump().items():
            if here[key] != value:
                self._refuse(option, f"{key} {here[key]}, not {value}")
        for name, space in spaces.items():
            kept = load_yaml(self.space_file(name), "STUDY")
            asked = json.loads(json.dumps(space.model_dump(exclude_none=True)))  # tuples as lists, as YAML has them
            for key in {*kept, *asked}:
                if kept.get(key) != asked.get(key):
                    self._refuse(option, f"{key} {kept.get(key)} in the space {name}, not {asked.get(key)}")

    def _refuse(self, option: str, difference: str) -> None:
        raise UserError(
            f"{option} {self.location}: a study with other settings ({difference}); go on with it by `raysynth study "
            f"--resume {self.location}`, or choose another folder"
        )

    def stages(self) -> dict[str, Stage]:
        """`stages.json` by name, in the order in which they began; nothing before the first one did."""
        file = self.path / "stages.json"
        if not file.is_file():
            return {}
        try:
            return {stage["name"]: Stage(**stage) for stage in json.loads(file.read_text(encoding="utf-8"))}
        except (ValueError, TypeError, KeyError) as error:
            raise UserError(
                f"STUDY {self.location}: stages.json cannot be read ({error}); remove it: what is finished is "
                "found again"
            ) from error

    def write_stage(self, stage: Stage, **changes: Any) -> Stage:
        """Put a stage with `changes` into `stages.json`, and return it."""
        stage = replace(stage, **changes)
        stages = {**self.stages(), stage.name: stage}
        write_text(self.path / "stages.json", json.dumps([asdict(each) for each in stages.values()], indent=2) + "\n")
        self.keep()
        return stage

    def finished(self, name: str, inputs: Sequence[str]) -> Stage | None:
        """A finished stage whose result is there and was made of these inputs; else None."""
        stage = self.stages().get(name)
        if stage is None or stage.state != "finished" or stage.inputs != list(inputs):
            return None
        return stage if (self.location / stage.result).exists() else None

    def inside(self, result: Location) -> str:
        """The path in the study's folder of what lies there."""
        if isinstance(self.location, BucketPath) and isinstance(result, BucketPath):
            return result.key.removeprefix(self.location.key).strip("/")
        return str(Path(str(result)).resolve().relative_to(Path(str(self.location)).resolve()))

    def describe(self) -> dict[str, Any]:
        """For programs: the stages, and of what is there the report and the verdict."""
        stages = self.stages()
        found: dict[str, Any] = {"study": str(self.location), "stages": [asdict(stage) for stage in stages.values()]}
        if evaluation := stages.get("evaluation", Stage("")).result:
            file = self.location / evaluation / "evaluation.json"
            content = json.loads(file.read_text(encoding="utf-8"))
            found["verdict"] = content["verdict"]
        if report := stages.get("report", Stage("")).result:
            found["report"] = str(self.location / report)
        return found
