import json
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import torch

from raysynth.errors import UserError
from raysynth.evaluation import classifier_cache, classifiers
from raysynth.evaluation.classifier_cache import classifier_file, find_results
from raysynth.evaluation.classifiers import choose_part, train_all, train_one, training_job
from raysynth.evaluation.fit import read_classifier
from raysynth.evaluation.plan import plan_trainings

OPTIONS = {"widths": [4, 8]}


@pytest.fixture
def make_job(make_dataset, tmp_path):
    real = make_dataset("hospital", num_train=40, num_validation=10, num_test=10)
    made = make_dataset("made", num_train=20, kind="synthetic", seed=1)

    def make(index=0, *, real=real, made=made, classifier="cnn", options=OPTIONS, folder=tmp_path / "classifiers"):
        """Of a plan of six: real and real at the mix's steps, generated, mixed; 0 is real, 3 the mix."""
        plan = plan_trainings(40, {"made": 20}, seeds=[0], epochs=4, batch_size=8)
        job = training_job(
            plan[index], real=real, synthetic=made if plan[index].synthetic else None,
            classifier=classifier, options=options, folder=folder,
        )  # fmt: skip
        return plan[index], job

    return make


def test_a_file_is_named_by_all_that_its_weights_depend_on(make_job, make_dataset, tmp_path):
    jobs = [make_job(index)[1] for index in range(4)]
    other = make_dataset("other", num_train=40, num_validation=10, num_test=10, seed=5)
    weights = tmp_path / "weights"
    weights.write_bytes(b"a")
    transfer = {"classifier": "transfer", "options": {"weights": str(weights)}}
    jobs += [make_job(real=other)[1], make_job(options={"widths": [4, 4]})[1], make_job(**transfer)[1]]
    assert len({job["file"] for job in jobs}) == len(jobs)

    classifier_cache._hash_file.cache_clear()
    weights.write_bytes(b"b")
    assert make_job(**transfer)[1]["file"] != jobs[-1]["file"]
    # Where data and weights lie does not matter, nor what runs it.
    moved = json.loads(json.dumps(jobs[3]).replace(str(tmp_path), "/elsewhere")) | {"device": "cuda"}
    assert classifier_file(tmp_path / "classifiers", moved) == tmp_path / "classifiers" / jobs[3]["file"].split("/")[-1]


def test_what_is_known_is_not_trained_again(make_job, monkeypatch):
    pairs = [make_job(index) for index in range(4)]
    trainings, jobs = zip(*pairs, strict=True)
    said: list[str] = []
    first = train_all(trainings[:3], jobs[:3], with_ray=False, say=said.append)
    assert [result["known"] for result in first] == [False] * 3
    assert said[0].startswith("training 3 classifiers, ")
    said.clear()
    second = train_all(trainings, jobs, with_ray=False, say=said.append)
    assert [result["known"] for result in second] == [True, True, True, False]
    assert said[0] == "3 of 4 classifiers are known from an earlier evaluation"
    assert said[1].startswith(f"training 1 classifiers, {trainings[3].steps} steps in all: about ")
    for before, after in zip(first, second, strict=False):
        assert before["validation_accuracy"] == after["validation_accuracy"]

    monkeypatch.setattr(classifiers, "train_one", lambda job: pytest.fail("trained again"))
    assert all(result["known"] for result in train_all(trainings, jobs, with_ray=False, say=said.append))


def test_a_broken_file_is_trained_again(make_job):
    training, job = make_job()
    train_all([training], [job], with_ray=False, say=print)
    wanted = read_classifier(job["file"])["network"]
    path = Path(job["file"])
    path.write_bytes(path.read_bytes()[:100])
    assert find_results(path) is None
    (result,) = train_all([training], [job], with_ray=False, say=print)
    assert not result["known"]
    found = read_classifier(path)["network"]
    assert all(torch.equal(found[name], wanted[name]) for name in wanted)


def test_a_stopped_training_goes_on_to_the_same_weights(make_job, tmp_path, monkeypatch):
    monkeypatch.setattr(classifier_cache, "CHECKPOINT_EVERY_S", 0.0)
    _, whole = make_job(3, folder=tmp_path / "whole")
    train_one(whole)
    wanted = read_classifier(whole["file"])["network"]

    _, job = make_job(3, folder=tmp_path / "stopped")
    epochs: list[int] = []
    record = classifier_cache.ClassifierRecorder.record

    def stop_at_two(self, model, history):
        record(self, model, history)
        epochs.append(len(history))
        if epochs == [1, 2]:
            raise KeyboardInterrupt

    monkeypatch.setattr(classifier_cache.ClassifierRecorder, "record", stop_at_two)
    with pytest.raises(KeyboardInterrupt):
        train_one(job)
    assert [file.name for file in (tmp_path / "stopped").glob("*/*.pt")] != []
    train_one(job)
    assert epochs == [1, 2, 3, 4]
    found = read_classifier(job["file"])["network"]
    assert all(torch.equal(found[name], wanted[name]) for name in wanted)
    assert [file.suffix for file in (tmp_path / "stopped").iterdir()] == [".pt"]


def test_a_part_is_nested_has_every_class_and_holds_groups_together():
    labels = np.repeat([0, 1, 2], [60, 30, 10])
    groups = [f"g{index // 2}" for index in range(100)]
    parts = [set(choose_part(labels, groups, count)) for count in (10, 25, 50, 100)]
    assert [len(part) for part in parts] == [10, 25, 50, 100]
    assert all(small < large for small, large in pairwise(parts))
    for part in parts:
        shares = np.bincount(labels[sorted(part)], minlength=3) / len(part)
        assert shares == pytest.approx([0.6, 0.3, 0.1], abs=0.1)
        torn = sum((2 * pair in part) != (2 * pair + 1 in part) for pair in range(50))
        assert torn <= 3  # one in each class


def test_weights_that_cannot_be_read_are_named(make_job):
    with pytest.raises(UserError, match=r"--weights /nowhere\.pt: cannot be read"):
        make_job(classifier="transfer", options={"weights": "/nowhere.pt"})
