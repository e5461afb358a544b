from __future__ import annotations

import json
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from raysynth.cli.main import run
from raysynth.data.contact import find_contact
from raysynth.data.data_card import data_card
from raysynth.data.dataset import Dataset, load_dataset
from raysynth.data.dataset_writer import write_dataset
from raysynth.data.join import join
from raysynth.data.provenance import training_provenance, write_hashes
from raysynth.errors import UserError

CLASSES = ("left", "right")


def write(folder: Path, seed: int, *, split: str = "train", size: int = 16, classes=CLASSES, **more: Any) -> Dataset:
    """Twelve images of noise, all in one split."""
    images = np.random.default_rng(seed).integers(0, 256, (12, 1, size, size), dtype=np.uint8)
    columns = {"id": [f"{i:02d}" for i in range(12)], "label": [i % 2 for i in range(12)], "split": [split] * 12}
    settings = {"name": folder.name, "kind": "real", "source": {"made_by": "tests"}, **more}
    return write_dataset(folder, classes=classes, images=images, columns=columns, **settings)


@pytest.fixture
def real(tmp_path) -> Dataset:
    return write(tmp_path / "real", 0)


@pytest.fixture
def make_set(tmp_path, real):
    """A synthetic set whose model was trained on the real train images, or on those of `trained_on`."""

    def make(name: str, seed: int, *, family: str = "cvae", trained_on: Dataset = real, **more: Any) -> Dataset:
        seen = training_provenance(trained_on)
        known = {
            "family": family,
            "run": f"/runs/{name}",
            "training_leakage": "clean",
            "trained_on": list(seen.entries),
        }
        known |= more.pop("choice", {})
        settings = {"provenance": known, "extra_files": partial(write_hashes, seen.hashes), **more}
        return write(tmp_path / name, seed, kind="synthetic", **settings)

    return make


def test_images_labels_and_ids_are_those_of_all(make_set, tmp_path):
    one, other = make_set("one", 1), make_set("other", 2, classes=CLASSES[::-1])
    joined = join([one.path, other.path], out=tmp_path / "joined")
    images, labels = joined.pixels("train")
    (a, a_labels), (b, b_labels) = one.pixels("train"), other.pixels("train")
    np.testing.assert_array_equal(images, np.concatenate([a, b]))
    np.testing.assert_array_equal(labels, np.concatenate([a_labels, 1 - b_labels]))  # by name, not by number
    assert joined.num_images() == joined.num_images("train") == one.num_images("train") + other.num_images("train")
    ids = joined.read(["id"])["id"].to_pylist()
    assert len(set(ids)) == len(ids)
    assert ids[0].startswith("one/")
    assert ids[-1].startswith("other/")


def test_all_that_either_model_has_seen_is_known(make_set, real, tmp_path):
    elsewhere = write(tmp_path / "elsewhere", 9)
    one, other = make_set("one", 1), make_set("other", 2, family="r3gan", trained_on=elsewhere)
    joined = join([one.path, other.path], out=tmp_path / "joined")
    assert {entry["fingerprint"] for entry in joined.provenance["trained_on"]} == {
        real.fingerprint,
        elsewhere.fingerprint,
    }
    assert joined.provenance["family"] == "cvae and r3gan"
    assert find_contact(joined, write(tmp_path / "unseen", 8, split="test")).status == "clean"
    seen = write(tmp_path / "seen", 9, split="test")  # the images that one of the models was trained on
    assert [find_contact(dataset, seen).status for dataset in (one, other, joined)] == ["clean", "touches", "touches"]
    assert "| other | 12 | r3gan |" in data_card(load_dataset(joined.path))


def test_chosen_sets_stay_chosen(make_set, tmp_path):
    agreeing = {"keep": "agreeing", "confidence": 0.5}
    sets = [make_set(name, seed, choice=agreeing).path for seed, name in enumerate(("one", "other"))]
    joined = join(sets, out=tmp_path / "joined")
    assert joined.provenance["keep"] == "agreeing"
    assert "distillation" in data_card(joined)
    with pytest.raises(UserError, match=r"all images were kept, but .* --keep agreeing"):
        join([*sets, make_set("third", 7).path], out=tmp_path / "again")
    assert not (tmp_path / "again").exists()


def test_sets_that_do_not_fit_are_refused_in_one_line(make_set, real, tmp_path):
    one = make_set("one", 1)
    pair = join([make_set(name, ord(name)).path for name in "ab"], out=tmp_path / "pair")
    cases = {
        "name two or more": [one.path],
        "is real": [one.path, real.path],
        "holds the images of": [one.path, one.path],
        "what made it is unknown": [one.path, make_set("unknown", 3, provenance={}, extra_files=None).path],
        "images of shape": [one.path, make_set("large", 4, size=32).path],
        "classes up, down": [one.path, make_set("other", 5, classes=("up", "down")).path],
        "no dataset.json": [one.path, tmp_path / "nowhere"],
        "is joined itself": [one.path, pair.path],
    }
    for message, sets in cases.items():
        with pytest.raises(UserError, match=message) as refused:
            join(sets, out=tmp_path / "joined")
        assert "\n" not in str(refused.value)
    assert not (tmp_path / "joined").exists()


def test_by_the_command(make_set, tmp_path: Path, capsys):
    sets = [str(make_set(name, seed).path) for seed, name in enumerate(("one", "other"))]
    assert run(["data", "join", *sets, "--out", str(tmp_path / "joined"), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["name"] == "joined"
