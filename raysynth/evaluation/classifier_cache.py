"""Classifiers of evaluations, kept beside them by what they were trained on, and how.

An evaluation with one more synthetic set trains only what is new, and one that was stopped goes on: finished
classifiers are found again, unfinished ones have checkpoints.
"""

from __future__ import annotations

import functools
import hashlib
import inspect
import pickle
import shutil
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from raysynth.config import hash_content
from raysynth.data.buckets import BucketError, BucketPath
from raysynth.data.locations import Location
from raysynth.data.mirror import Mirror
from raysynth.errors import UserError
from raysynth.models import augment, backbone, blocks, classifier, transfer_classifier
from raysynth.models.family import Metrics, Model
from raysynth.training.checkpoints import load_newest_checkpoint, save_checkpoint
from raysynth.training.loop import Row

CHECKPOINT_EVERY_S = 30.0
PATHS = ("path", "file", "device")  # where a job's things lie and run makes no other classifier


def classifier_file(folder: Location, job: Mapping[str, Any]) -> Location:
    """The file in `folder` of the classifier that a job trains: `<classifier>-<hash>.pt`.

    The hash is of everything that the weights depend on: images by fingerprint, classes, config, pre-trained weights by
    content, and the code of the classifiers.
    """
    weights = job["config"].get("weights")
    content = [_without_paths(job), _hash_file(weights) if weights else "", _code(job["classifier"])]
    return folder / f"{job['classifier']}-{hash_content(content)}.pt"


def _without_paths(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _without_paths(item) for key, item in value.items() if key not in PATHS and key != "weights"}
    return [_without_paths(item) for item in value] if isinstance(value, (list, tuple)) else value


@functools.cache
def _hash_file(path: str) -> str:
    try:
        return hashlib.blake2b(Path(path).read_bytes(), digest_size=16).hexdigest()
    except OSError as error:
        raise UserError(f"--weights {path}: cannot be read ({error.strerror}); want a state dict by torch") from error


@functools.cache
def _code(name: str) -> list[str]:
    own = {"cnn": (classifier, blocks), "transfer": (transfer_classifier, backbone)}[name]
    return [inspect.getsource(module) for module in (*own, augment)]


def find_results(file: Location) -> dict[str, Any] | None:
    """The results of the training that a file is of; None where there is none that can be read."""
    from raysynth.evaluation.fit import read_classifier

    try:
        results: dict[str, Any] = read_classifier(file)["results"]
        return results
    except (OSError, EOFError, RuntimeError, ValueError, KeyError, pickle.UnpicklingError):
        return None  # cut short or of another version: it is trained again


class ClassifierRecorder:
    """The loop's recorder of one classifier: a checkpoint after an epoch, where half a minute has passed since the
    last. They are in a folder beside the classifier's file, named like it; it may be in a bucket.
    """

    def __init__(self, file: Location) -> None:
        folder = file.parent / file.name.removesuffix(".pt")
        self.mirror: Mirror | None = None
        if isinstance(folder, BucketPath):
            self.mirror = Mirror(folder)
            folder = self.mirror.path
        self.folder: Path = folder
        self.saved_at = time.monotonic()

    def restore(self, model: Model) -> tuple[list[Row], list[Metrics]]:
        if self.mirror is not None:
            self.mirror.fetch("*.pt")
        try:
            state = load_newest_checkpoint(self.folder)
        except UserError:  # none of them can be read: the training begins again
            state = None
        if state is None:
            return [], []
        model.load_state_dict(state["model"])
        return state["history"], []

    def record(self, model: Model, history: list[Row], steps: Sequence[Metrics] = ()) -> None:
        if time.monotonic() - self.saved_at >= CHECKPOINT_EVERY_S:
            state = {"model": model.state_dict(), "history": history}
            save_checkpoint(self.folder, int(history[-1]["epoch"]), state)
            self._push()
            self.saved_at = time.monotonic()

    def discard(self) -> None:
        """Remove the checkpoints of a training that has its file."""
        shutil.rmtree(self.folder, ignore_errors=True)
        self._push()

    def _push(self) -> None:
        if self.mirror is not None:
            with suppress(BucketError):  # without it a stopped training loses some time, no more
                self.mirror.push()
