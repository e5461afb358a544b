"""Keeping the images whose label a classifier of the real ones confirms."""

from __future__ import annotations

import numpy as np
import pytest

from raysynth.data.dataset import Dataset
from raysynth.data.dataset_writer import write_dataset
from raysynth.errors import UserError
from raysynth.evaluation.fit import load_network, predict_probabilities
from raysynth.evaluation.inputs import load_inputs
from raysynth.training import agreement
from raysynth.training.agreement import agreement_judge, ensure_agreement_classifier
from raysynth.training.generate import generate
from raysynth.training.run_folder import describe_dataset
from raysynth.training.selection import draw_chosen


@pytest.fixture(autouse=True)
def short(monkeypatch):
    monkeypatch.setitem(agreement.RECIPE, "num_steps", 60)
    monkeypatch.setitem(agreement.RECIPE, "batch_size", 16)
    monkeypatch.setitem(agreement.RECIPE, "widths", [8, 16, 24])


@pytest.fixture
def shades(tmp_path) -> Dataset:
    """Dark images and bright ones, which a classifier that mirrors what it learns from can tell apart."""
    labels = np.arange(64) % 2
    noise = np.random.default_rng(0).integers(0, 60, (64, 1, 16, 16))
    return write_dataset(
        tmp_path / "shades",
        name="shades",
        kind="real",
        classes=["dark", "bright"],
        images=(labels[:, None, None, None] * 150 + noise).astype(np.uint8),
        columns={"id": [str(i) for i in range(64)], "label": labels, "split": ["train"] * 64},
        source={},
    )


@pytest.fixture
def classifier(shades):
    return ensure_agreement_classifier({"data": describe_dataset(shades)}, lambda line: None)


def drawing_from(shades):
    """Real images, of which every second has the other class's label."""
    images, labels = shades.pixels()

    def draw(wanted, seeds):
        turned = np.where(seeds % 2 == 0, wanted, 1 - wanted)
        return np.stack([images[labels == label][seed % 7] for label, seed in zip(turned, seeds, strict=True)])

    return draw


def test_the_first_that_agree_are_kept_and_counted(shades, classifier):
    judges = [agreement_judge(classifier, 0.5)]
    found = draw_chosen(drawing_from(shades), lambda label, number: number, [6, 4], shades.classes, judges)
    images, labels = found.images, found.labels
    assert labels.tolist() == [0] * 6 + [1] * 4
    assert found.numbers.tolist() == [0, 2, 4, 6, 8, 10, 0, 2, 4, 6]
    probabilities = predict_probabilities(load_network(classifier), images)
    assert (probabilities[np.arange(10), labels] > 0.5).all()
    assert found.num_drawn.tolist() == [11, 7]  # up to the last one taken
    assert found.num_refused.tolist() == [[5, 3]]


def test_a_class_that_hardly_agrees_is_given_up(shades, classifier):
    images, labels = shades.pixels()

    def draw(wanted, seeds):
        return images[labels == 0][np.zeros(len(seeds), int)]

    with pytest.raises(UserError, match=r"--keep agreeing: of 640 images of bright only 0 .*--confidence"):
        draw_chosen(draw, lambda label, number: number, [3, 3], shades.classes, [agreement_judge(classifier, 0.5)])


def test_a_set_that_was_chosen_says_so_wherever_it_stands(tiny_run, stripes, tmp_path):
    said: list[str] = []
    made = generate(
        tiny_run, out=tmp_path / "made", per_class=3, keep="agreeing", confidence=0.01, say=said.append
    )  # fmt: skip
    assert made.provenance["keep"] == "agreeing"
    assert made.provenance["confidence"] == 0.01
    assert set(made.provenance["kept_shares"]) == {"left", "right"}
    assert any(line.startswith("kept: ") for line in said)
    assert made.counts["train"] == {"left": 3, "right": 3}
    plain = generate(tiny_run, out=tmp_path / "plain", per_class=3, say=said.append)
    assert "keep" not in plain.provenance
    _, sets = load_inputs(stripes, [made.path, plain.path], said.append)
    assert [item.name for item in sets] == ["made (agreeing only)", "plain"]


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        ({"keep": "best"}, "--keep best: want agreeing"),
        ({"keep": "agreeing", "confidence": 1.0}, r"--confidence 1\.0: want"),
        ({"confidence": 0.3}, "for --keep agreeing"),
    ],
)
def test_other_wishes_are_refused(tiny_run, tmp_path, options, problem):
    with pytest.raises(UserError, match=problem):
        generate(tiny_run, out=tmp_path / "made", say=lambda line: None, **options)
