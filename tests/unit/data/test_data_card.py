"""The card beside a data set tells what dataset.json and the images tell, and no more."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from raysynth.data import dataset_writer as module
from raysynth.data.data_card import data_card
from raysynth.data.dataset import load_dataset
from raysynth.data.importer import import_images
from raysynth.data.leakage import Leakage
from raysynth.data.phantom import phantom
from tests.conftest import make_dataset

CLASSES = ("<img src=x onerror=alert(1)>", "# x | y")


def read_card(dataset) -> str:
    return (dataset.path / "data_card.md").read_text(encoding="utf-8")


def test_it_stands_beside_dataset_json_and_follows_from_the_folder(tmp_path):
    dataset = make_dataset(tmp_path / "set", classes=CLASSES, leakage=Leakage("leaky", "3 test images", 3, 0, {}))
    shown = read_card(dataset)
    assert shown == data_card(load_dataset(tmp_path / "set"))
    assert "48 real grey images of 16 x 16 pixels in 2 classes" in shown
    assert dataset.fingerprint in shown
    assert "| &#60;img src&#61;x onerror&#61;alert(1)&#62; | 15 | 5 | 4 | 24 |" in shown
    assert "| &#35; x &#124; y | 15 | 5 | 4 | 24 |" in shown
    assert "<" not in shown
    assert "LEAKY, so scores on this split flatter: 3 test images." in shown
    assert str(tmp_path) not in shown


def test_equal_data_sets_have_equal_cards_and_it_is_not_in_the_fingerprint(tmp_path, monkeypatch):
    first = phantom(tmp_path / "1" / "set", num_images=40, size=32)
    second = phantom(tmp_path / "2" / "set", num_images=40, size=32)
    assert read_card(first) == read_card(second)
    assert "40 drawn grey images of 32 x 32 pixels" in read_card(first)
    monkeypatch.setattr(module, "data_card", lambda dataset: "another text")
    third = phantom(tmp_path / "3" / "set", num_images=40, size=32)
    assert read_card(third) == "another text"
    assert third.fingerprint == first.fingerprint


def test_a_card_that_fails_does_not_lose_the_data_set(tmp_path, monkeypatch):
    def fail(dataset):
        raise RuntimeError("no words")

    monkeypatch.setattr(module, "data_card", fail)
    with pytest.warns(UserWarning, match=r"data_card\.md could not be written: RuntimeError: no words"):
        dataset = make_dataset(tmp_path / "set")
    assert load_dataset(tmp_path / "set") == dataset
    assert not (tmp_path / "set" / "data_card.md").exists()


@pytest.fixture(scope="module")
def pictures(tmp_path_factory):
    folder = tmp_path_factory.mktemp("source") / "hospital"
    rng = np.random.default_rng(0)
    for label, name in enumerate(("a", "b")):
        (folder / name).mkdir(parents=True)
        for index in range(12):
            pixels = rng.integers(0, 120, (20, 20), dtype=np.uint8) + np.uint8(label * 100)
            Image.fromarray(pixels).save(folder / name / f"{index}.png")
    (folder / "a" / "notes.png").write_text("no picture")
    return folder


def test_an_import_tells_its_options_what_was_found_and_that_patients_are_unknown(pictures, tmp_path):
    imported = import_images(pictures, tmp_path / "set", size=16, test=0.2, validation=0.2, say=lambda line: None)
    shown = read_card(imported)
    assert "imported from hospital." in shown
    assert str(pictures.parent) not in shown
    assert "1 files were rejected" in shown
    assert "| size | 16 |" in shown
    assert "| majority class | " in shown
    assert "The files name no patients" in shown
    assert "separates copies, not patients" in shown


def test_groups_that_are_given_are_told(pictures, tmp_path):
    rows = [f"{file.parent.name}/{file.name},patient-{int(file.stem) // 2}" for file in pictures.glob("*/[0-9]*.png")]
    (tmp_path / "groups.csv").write_text("\n".join(["path,group", *rows]))
    options = {"size": 16, "test": 0.2, "validation": 0.2, "say": lambda line: None}
    imported = import_images(pictures, tmp_path / "set", groups=tmp_path / "groups.csv", **options)
    assert "Of 24 of 24 images it is known which belong together (6 patients" in read_card(imported)
    assert "A grouped split keeps these on one side" in read_card(imported)


ORIGIN = {
    "run": "/secret/run",
    "sweep": None,
    "family": "cvae",
    "config": {"beta": 0.00123456, "pretrained": "/secret/vae-1"},
    "epoch": 3,
    "training_data": "/secret/brain",
    "training_name": "brain",
    "training_leakage": "touches",
    "trained_on": [
        {
            "role": "training",
            "name": "brain",
            "path": "/secret/brain",
            "fingerprint": "f0",
            "num_images": 9,
            "splits": ["train"],
        }
    ],
    "keep": "agreeing",
    "confidence": 0.5,
    "kept_shares": {"left": 0.25, "right": 1.0},
}


def test_a_synthetic_set_tells_what_made_it_and_no_path(tmp_path):
    dataset = replace(make_dataset(tmp_path / "set"), kind="synthetic", provenance=ORIGIN)
    shown = data_card(dataset)
    assert "made by a model of the family cvae trained on brain" in shown
    assert "| training | brain | f0 | 9 | train |" in shown
    assert "| beta | 0.00123456 |" in shown
    assert "| pretrained | vae-1 |" in shown
    assert "HAS SEEN test or validation images" in shown
    assert "distillation" in shown
    assert "| left | 0.25 |" in shown
    assert "secret" not in shown


@pytest.mark.parametrize("origin", [None, {}, {"family": "cvae"}])
def test_what_is_not_known_of_a_synthetic_set_is_said_to_be_unknown(tmp_path, origin):
    shown = data_card(replace(make_dataset(tmp_path / "set"), kind="synthetic", provenance=origin))
    assert "What the model was trained on is unknown." in shown
    assert "whether its model has seen test images is unknown" in shown
