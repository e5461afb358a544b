"""Images that are copies of train images are left out of what is generated, and the next ones drawn."""

from __future__ import annotations

import numpy as np
import pytest

from raysynth.data.dataset import load_dataset
from raysynth.data.phantom import phantom
from raysynth.errors import UserError
from raysynth.training import generate as generating
from raysynth.training.generate import generate
from raysynth.training.refuse_copies import copy_judge
from raysynth.training.run_folder import describe_dataset
from raysynth.training.selection import MIN_DRAWS, Judge, draw_chosen


@pytest.fixture(scope="module")
def heads(tmp_path_factory):
    return phantom(tmp_path_factory.mktemp("data") / "heads", num_images=160, size=32)


@pytest.fixture(scope="module")
def judge(heads):
    return copy_judge({"data": describe_dataset(heads)})[0]


def copying(heads):
    """Every third image is a mirrored train image, the others are noise."""
    images = heads.pixels("train")[0]

    def draw(labels, seeds):
        noise = [np.random.default_rng(int(seed)).integers(0, 256, heads.shape) for seed in seeds]
        drawn = [
            images[seed // 3, ..., ::-1] if seed % 3 == 0 else other for seed, other in zip(seeds, noise, strict=True)
        ]
        return np.array(drawn, np.uint8)

    return draw


def test_copies_are_left_out_counted_and_replaced(heads, judge):
    found = draw_chosen(copying(heads), lambda label, number: number, [4, 0, 3, 0], heads.classes, [judge])
    assert found.labels.tolist() == [0] * 4 + [2] * 3
    assert found.numbers.tolist() == [1, 2, 4, 5, 1, 2, 4]
    assert found.num_drawn.tolist() == [6, 0, 5, 0]
    assert found.num_refused.tolist() == [[2, 0, 2, 0]]


def test_each_judge_counts_what_those_before_it_let_pass(heads, judge):
    even = Judge(lambda images, label: np.arange(len(images)) % 2 == 0, "{drawn} {name} {kept}")
    found = draw_chosen(copying(heads), lambda label, number: number, [2, 0, 0, 0], heads.classes, [even, judge])
    assert found.numbers.tolist() == [2, 4]
    assert found.num_refused[:, 0].tolist() == [2, 1]


def test_a_model_that_only_copies_is_given_up(heads, judge):
    images = heads.pixels("train")[0]

    def draw(labels, seeds):
        return images[: len(labels)]

    problem = f"--refuse-copies: of {MIN_DRAWS} images of glioma only 0 are no copies"
    with pytest.raises(UserError, match=problem):
        draw_chosen(draw, lambda label, number: number, [2, 0, 0, 0], heads.classes, [judge])


def test_the_set_says_what_was_left_out(tiny_run, tmp_path, monkeypatch):
    said: list[str] = []
    plain = generate(tiny_run, out=tmp_path / "plain", per_class=3, say=said.append)
    made = generate(tiny_run, out=tmp_path / "made", per_class=3, refuse_copies=True, say=said.append)
    assert "refuse_copies" not in plain.provenance
    recorded = load_dataset(made.path).provenance
    assert recorded["refuse_copies"] is True
    assert recorded["copy_threshold"] > 0
    left_out = recorded["num_copies_left_out"]
    assert {name: recorded["num_drawn"][name] - left_out[name] for name in left_out} == {"left": 3, "right": 3}
    num = sum(left_out.values())
    assert f"left out {num} copies of training images, of {6 + num} drawn" in said

    real = load_dataset(recorded["training_data"]).pixels("train")[0]
    sample = generating.sample_run

    def first_is_a_copy(run, labels, seeds, config=None):
        images = sample(run, labels, seeds, config)
        images[0] = real[0]
        return images

    monkeypatch.setattr(generating, "sample_run", first_is_a_copy)
    without = generate(tiny_run, out=tmp_path / "without", per_class=3, refuse_copies=True, say=said.append)
    assert all(num >= 1 for num in without.provenance["num_copies_left_out"].values())
    assert not any(np.array_equal(image, real[0]) for image in without.pixels()[0])
    assert "left-000000" not in without.read(["id"])["id"].to_pylist()


def test_a_data_set_that_cannot_set_a_threshold_is_refused(tmp_path):
    from tests.conftest import make_dataset

    few = make_dataset(tmp_path / "few", num_per_class=2)  # one of the two classes in validation: none
    with pytest.raises(UserError, match=r"--refuse-copies: .* too few validation images .*--validation"):
        copy_judge({"data": describe_dataset(few)})
