"""Train the classifiers of an evaluation, each in one Ray task."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from raysynth.data.dataset import load_dataset
from raysynth.data.locations import Location
from raysynth.errors import TrainingStopped, UserError
from raysynth.evaluation.classes import label_mapping
from raysynth.evaluation.plan import Training
from raysynth.training.follow import format_duration

THREADS = 1  # a task has one CPU; threads that share it only get in each other's way
SAY_EVERY_S = 30.0
GPUS_PER_TASK = 0.25  # where there are any: a small network leaves most of one idle


def training_job(
    training: Training, *, real: Location, synthetic: Location | None, classes: Sequence[str], folder: Path
) -> dict[str, Any]:
    """What a task needs, in plain values: it may run on another machine that sees the same files."""
    parts = [None if training.kind == "synthetic" else real, synthetic]
    return {
        "sets": [str(path) for path in parts if path],
        "validation": str(real),
        "classes": list(classes),
        "config": {
            "seed": training.seed,
            "batch_size": training.batch_size,
            "num_steps": training.steps,
        },
        "weights": str(folder / training.weights),
        "device": "cpu",
    }


def train_one(job: dict[str, Any]) -> dict[str, Any]:
    """Train what `training_job` describes, write its weights, and return `seconds` and `validation_accuracy`."""
    from raysynth.evaluation.fit import fit_classifier, limited_threads, save_classifier
    from raysynth.models.classifier import Classifier

    classes = job["classes"]
    parts = [training_pixels(path, classes, "train") for path in job["sets"]]
    images, labels = (np.concatenate(arrays) for arrays in zip(*parts, strict=True))
    with limited_threads(THREADS):
        fitted = fit_classifier(
            images,
            labels,
            config=Classifier.Config(**job["config"]),
            num_classes=len(classes),
            validation=training_pixels(job["validation"], classes, "validation"),
            device=job["device"],
        )
    save_classifier(Path(job["weights"]), fitted.model, classes)
    return {"seconds": fitted.seconds, "validation_accuracy": fitted.validation_accuracy}


def training_pixels(path: str, classes: Sequence[str], split: str) -> tuple[np.ndarray, np.ndarray]:
    """Images and labels of one split, its classes matched to `classes` by name."""
    dataset = load_dataset(path)
    images, labels = dataset.pixels(split)
    return images, label_mapping(dataset.classes, classes)[labels]


def train_all(
    trainings: Sequence[Training],
    jobs: Sequence[dict[str, Any]],
    *,
    with_ray: bool,
    say: Callable[[str], None],
) -> list[dict[str, Any]]:
    """Run `train_one` for every job, in parallel with Ray, and return the results in the same order."""
    # The longest first, so that none is left alone at the end.
    order = sorted(range(len(jobs)), key=lambda index: -trainings[index].steps)
    progress = _Progress(trainings, say)
    results: dict[int, dict[str, Any]] = {}
    if not with_ray:
        for index in order:
            results[index] = train_one(jobs[index])
            progress.finished(trainings[index], results[index])
    else:
        import ray

        num_gpus = GPUS_PER_TASK if ray.cluster_resources().get("GPU", 0) else 0
        device = "cuda" if num_gpus else "cpu"
        task = ray.remote(num_cpus=1, num_gpus=num_gpus, max_retries=2)(train_one)
        pending = {task.remote({**jobs[index], "device": device}): index for index in order}
        while pending:
            finished, _ = ray.wait(list(pending), num_returns=1, timeout=SAY_EVERY_S)
            if not finished:
                progress.still_training()
                continue
            (done,) = finished
            index = pending.pop(done)
            try:
                results[index] = ray.get(done)
            except ray.exceptions.RayTaskError as error:
                # Without the task's traceback, where there is something that the user can do.
                raise error.cause if isinstance(error.cause, (TrainingStopped, UserError)) else error from None
            progress.finished(trainings[index], results[index])
    return [results[index] for index in range(len(jobs))]


class _Progress:
    """A line for every finished training, with the time that the others will take at the pace so far."""

    def __init__(self, trainings: Sequence[Training], say: Callable[[str], None]) -> None:
        self.num_trainings = len(trainings)
        self.total_steps = sum(training.steps for training in trainings)
        self.finished_steps = self.num_finished = 0
        self.started = time.perf_counter()
        self.say = say

    def still_training(self) -> None:
        elapsed = format_duration(time.perf_counter() - self.started)
        self.say(f"{self.num_finished} of {self.num_trainings} classifiers trained after {elapsed}")

    def finished(self, training: Training, result: dict[str, Any]) -> None:
        self.num_finished += 1
        self.finished_steps += training.steps
        # Trainings under way count as not begun: the estimate errs on the long side, less and less.
        pace_s = (time.perf_counter() - self.started) / self.finished_steps
        left_s = pace_s * (self.total_steps - self.finished_steps)
        left = f", about {format_duration(left_s)} left" if self.num_finished < self.num_trainings else ""
        accuracy = result["validation_accuracy"]
        steps = "step" if training.steps == 1 else "steps"
        judged = "" if accuracy is None else f", validation accuracy {accuracy:.3f}"
        self.say(
            f"classifier {self.num_finished} of {self.num_trainings} trained on {training.trained_on!r}, "
            f"seed {training.seed}: {training.steps} {steps} in {format_duration(result['seconds'])}{judged}{left}"
        )
