"""Train the classifiers of an evaluation, each in one Ray task."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import torch

from raysynth.data.dataset import Dataset, load_dataset
from raysynth.data.locations import Location, locate
from raysynth.errors import TrainingStopped, UserError
from raysynth.evaluation.classes import label_mapping
from raysynth.evaluation.classifier_cache import ClassifierRecorder, classifier_file, find_results
from raysynth.evaluation.plan import Training
from raysynth.models.context import Context, hash_seed
from raysynth.training.follow import format_duration

THREADS = 1  # a task has one CPU; threads that share it only get in each other's way
SAY_EVERY_S = 30.0
TIMED_STEPS = 3
GPUS_PER_TASK = 0.25  # where there are any: a small network leaves most of one idle


def training_job(
    training: Training,
    *,
    real: Dataset,
    synthetic: Dataset | None,
    classifier: str,
    options: Mapping[str, Any],
    folder: Location,
    teacher: str = "",
) -> dict[str, Any]:
    """What a task needs, in plain values: it may run on another machine that sees the same files.

    The classifier's `file` is in `folder`, by what it is trained on (see `classifier_cache`). `teacher` is the file of
    the classifier that gives soft labels, where the training is distilled.
    """
    parts = [
        (real, training.real_images),
        (synthetic, training.num_images - training.real_images),
    ]
    job: dict[str, Any] = {
        "sets": [_describe(dataset) | {"num_images": count} for dataset, count in parts if dataset and count],
        "validation": _describe(real),
        "classes": list(real.classes),
        "classifier": classifier,
        "config": {
            **options,
            "seed": training.seed,
            "batch_size": training.batch_size,
            "num_steps": training.steps,
        },
        "device": "cpu",
    }
    if teacher:
        job["teacher"] = {"file": teacher, "name": locate(teacher).name}
    return {**job, "file": str(classifier_file(folder, job))}


def _describe(dataset: Dataset) -> dict[str, Any]:
    return {"path": str(dataset.path.resolve()), "fingerprint": dataset.fingerprint}


def train_one(job: dict[str, Any]) -> dict[str, Any]:
    """Train what `training_job` describes, write its file, and return `seconds` and `validation_accuracy`.

    A training that was stopped goes on from its newest checkpoint.
    """
    from raysynth.evaluation.fit import (
        CLASSIFIERS,
        fit_classifier,
        limited_threads,
        load_network,
        predict_probabilities,
        save_classifier,
    )

    classes, file = job["classes"], locate(job["file"])
    parts = [training_pixels(each["path"], classes, "train", each["num_images"]) for each in job["sets"]]
    images, labels = (np.concatenate(arrays) for arrays in zip(*parts, strict=True))
    recorder = ClassifierRecorder(file)
    with limited_threads(THREADS):
        if teacher := job.get("teacher"):
            labels = predict_probabilities(load_network(locate(teacher["file"]), job["device"]), images)
        fitted = fit_classifier(
            images,
            labels,
            config=CLASSIFIERS[job["classifier"]].Config(**job["config"]),
            num_classes=len(classes),
            validation=training_pixels(job["validation"]["path"], classes, "validation"),
            device=job["device"],
            recorder=recorder,
        )
    results = {"seconds": fitted.seconds, "validation_accuracy": fitted.validation_accuracy}
    save_classifier(file, fitted.model, classes, results)
    recorder.discard()
    return results


def training_pixels(
    path: str, classes: Sequence[str], split: str, num_images: int | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """Images and labels of one split, its classes matched to `classes` by name; `num_images` of them (default: all).

    Fewer are a part of more, with the same share of each class, and images of one group are taken together as far as
    the number allows.
    """
    dataset = load_dataset(path)
    images, labels = dataset.pixels(split)
    labels = label_mapping(dataset.classes, classes)[labels]
    if num_images is None or num_images == len(labels):
        return images, labels
    chosen = choose_part(labels, dataset.read(["group"], split)["group"].to_pylist(), num_images)
    return images[chosen], labels[chosen]


def choose_part(labels: np.ndarray, groups: Sequence[str], num_images: int) -> np.ndarray:
    """Places of `num_images` of the images (N,), ascending; see `training_pixels`."""
    order = np.array([hash_seed("part", str(group)) for group in groups])
    rank = np.empty(len(labels))
    for label in np.unique(labels):
        members = np.flatnonzero(labels == label)
        # The place within its class as a share of the class: the smallest of all are alike in every class.
        rank[members[np.argsort(order[members], kind="stable")]] = (np.arange(len(members)) + 0.5) / len(members)
    return np.sort(np.argsort(rank, kind="stable")[:num_images])


def train_all(
    trainings: Sequence[Training],
    jobs: Sequence[dict[str, Any]],
    *,
    with_ray: bool,
    say: Callable[[str], None],
) -> list[dict[str, Any]]:
    """Run `train_one` for every job whose classifier is not there yet, in parallel with Ray; results in the same order.

    Each has `seconds`, `validation_accuracy`, and `known`: whether an earlier evaluation had trained it.
    """
    results: dict[int, dict[str, Any]] = {}
    for index, job in enumerate(jobs):
        if (found := find_results(locate(job["file"]))) is not None:
            results[index] = {**found, "known": True}
    # The longest first, so that none is left alone at the end; one classifier may be wanted by two names.
    to_do = {jobs[index]["file"]: index for index in range(len(jobs)) if index not in results}
    order = sorted(to_do.values(), key=lambda index: -trainings[index].steps)
    if results:
        say(f"{len(results)} of {len(jobs)} classifiers are known from an earlier evaluation")
    if order:
        num_steps = sum(trainings[index].steps for index in order)
        num_tasks = _num_tasks_at_once(len(order), with_ray=with_ray)
        about = format_duration(seconds_per_step(jobs[order[0]]) * num_steps / num_tasks)
        say(f"training {len(order)} classifiers, {num_steps} steps in all: about {about}")
    progress = _Progress([trainings[index] for index in order], say)
    # Teachers before those whom they give labels.
    for with_teacher in (False, True):
        part = [index for index in order if bool(jobs[index].get("teacher")) == with_teacher]
        trained: Iterable[tuple[int, dict[str, Any]]] = ((index, train_one(jobs[index])) for index in part)
        if with_ray and part:
            trained = _train_with_ray(part, jobs, progress)
        for index, result in trained:
            results[index] = {**result, "known": False}
            progress.finished(trainings[index], result)
    of_file = {job["file"]: results[index] for index, job in enumerate(jobs) if index in results}
    return [of_file[job["file"]] for job in jobs]


def _train_with_ray(
    order: Sequence[int], jobs: Sequence[dict[str, Any]], progress: _Progress
) -> Iterator[tuple[int, dict[str, Any]]]:
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
        try:
            yield pending.pop(done), ray.get(done)
        except ray.exceptions.RayTaskError as error:
            # Without the task's traceback, where there is something that the user can do.
            raise error.cause if isinstance(error.cause, (TrainingStopped, UserError)) else error from None


def _num_tasks_at_once(num_tasks: int, *, with_ray: bool) -> int:
    if not with_ray:
        return 1
    import ray

    return max(1, min(num_tasks, int(ray.cluster_resources().get("CPU", 1))))


def seconds_per_step(job: dict[str, Any]) -> float:
    """How long an optimiser step of a job takes on a CPU of this machine: the mean of a few, none of which is kept."""
    from raysynth.evaluation.fit import CLASSIFIERS, limited_threads

    dataset = load_dataset(job["validation"]["path"])
    config = CLASSIFIERS[job["classifier"]].Config(**{**job["config"], "num_steps": 2 * TIMED_STEPS})
    context = Context(seed=config.seed, num_epochs=2, steps_per_epoch=TIMED_STEPS)
    images = torch.rand(config.batch_size, *dataset.shape) * 2 - 1
    labels = torch.arange(config.batch_size) % len(job["classes"])
    with limited_threads(THREADS):
        model = CLASSIFIERS[job["classifier"]](
            config,  # type: ignore[arg-type]
            shape=dataset.shape,
            num_classes=len(job["classes"]),
            context=context,
        )
        phases = model.phases(2)
        model.start_phase(phases[-1])  # a first phase, of a head alone, costs next to nothing
        for step in range(TIMED_STEPS + 1):
            if step == 1:  # the first one is slower
                started = time.perf_counter()
            context.at(2, step % TIMED_STEPS)
            model.train_step(images, labels)
    return phases[-1].num_epochs / 2 * (time.perf_counter() - started) / TIMED_STEPS


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
