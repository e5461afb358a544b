"""A run that starts from another one, by a family with the config key `pretrained`: what it inherits and may not."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from raysynth.data.contact import find_contact
from raysynth.data.dataset import Dataset
from raysynth.data.dataset_writer import write_dataset
from raysynth.errors import UserError
from raysynth.models import registry
from raysynth.training.generate import generate
from raysynth.training.pretrained import check_pretrained
from raysynth.training.run_folder import RunFolder
from raysynth.training.train import train
from raysynth.tuning.tune import tune

NARROW = {"batch_size": 8, "width": 4, "latent_dim": 4, "n_critic": 1}


def quiet(line: str) -> None:
    pass


@pytest.fixture
def with_pretrained(monkeypatch: pytest.MonkeyPatch) -> None:
    """WCGAN-GP takes `pretrained`, and does nothing with it."""
    wcgan_gp = registry.get_family("wcgan_gp")

    class Starting(wcgan_gp):  # type: ignore[valid-type, misc]
        class Config(wcgan_gp.Config):  # type: ignore[name-defined, misc]
            pretrained: str | None = None

    monkeypatch.setitem(registry._FAMILIES, "wcgan_gp", Starting)


def made_of(path: Path, dataset: Dataset, split: str) -> Dataset:
    """A public data set whose train split holds the images of a split of `dataset`."""
    images, labels = dataset.pixels(split)
    images, labels = np.concatenate([images] * 2), np.concatenate([labels] * 2)
    splits = ["train"] * (len(labels) // 2) + ["validation"] * (len(labels) // 2)
    images[len(labels) // 2 :] //= 2
    columns = {"id": [f"{i:03d}" for i in range(len(labels))], "label": labels, "split": splits}
    return write_dataset(
        path, name=path.name, kind="real", classes=dataset.classes, images=images, columns=columns, source={}
    )


def train_on(data: Dataset, out: Path, **options: Any) -> Path:
    pretrained = options.pop("pretrained", None)
    overrides = NARROW | ({"pretrained": str(pretrained)} if pretrained else {})
    return train("wcgan_gp", data=data.path, epochs=1, overrides=overrides, workers=0, out=out, say=quiet, **options)


def test_a_run_inherits_what_its_start_was_trained_on(with_pretrained, stripes, tiny_run, tmp_path):
    public = made_of(tmp_path / "public", stripes, "train")
    # All stripes are alike, so that the audit takes those of one set for copies of the other.
    run = RunFolder(train_on(public, tmp_path / "runs", pretrained=tiny_run, allow_leakage=True))
    seen = run.provenance()
    assert [(entry["role"], entry["name"]) for entry in seen.entries] == [
        ("training", "public"),
        ("pre-training", "stripes"),
    ]
    assert seen.hashes.keys() == {public.fingerprint, stripes.fingerprint}
    made = generate(run.path, out=tmp_path / "made", per_class=2, say=quiet)
    contact = find_contact(made, stripes, find_copies=lambda *a, **b: pd.DataFrame({"id_b": []}))
    assert contact.status == "clean"
    assert [entry["role"] for entry in contact.entries] == ["own", "training", "pre-training"]


def test_a_start_that_knows_test_images_is_refused_or_marked_to_the_end(with_pretrained, stripes, tmp_path):
    public = made_of(tmp_path / "public", stripes, "test")
    first = train_on(public, tmp_path / "first")
    num_test = stripes.num_images("test")
    found = f"{num_test} of {num_test} test images have a copy among its pre-training images (public)"
    with pytest.raises(UserError, match=r"--set pretrained=.* --allow-leakage") as error:
        train_on(stripes, tmp_path / "second", pretrained=first)
    assert found in str(error.value)
    assert "\n" not in str(error.value)
    assert not (tmp_path / "second").exists()

    run = RunFolder(train_on(stripes, tmp_path / "second", pretrained=first, allow_leakage=True))
    settings = run.settings()
    assert settings["data"]["leakage"] == "clean"
    assert settings["contact"]["status"] == "touches"
    assert settings["contact"]["num_test_images"] == num_test
    assert set(pd.read_csv(run.path / "metrics.csv")["leakage"]) == {"touches"}
    made = generate(run.path, out=tmp_path / "made", per_class=2, say=quiet)
    assert made.provenance is not None
    assert made.provenance["training_leakage"] == "touches"
    contact = find_contact(made, stripes)
    assert (contact.status, contact.detail) == ("touches", found)


def test_validation_images_count_when_a_run_is_trained(stripes, tmp_path):
    run = train_on(made_of(tmp_path / "public", stripes, "validation"), tmp_path / "runs")
    with pytest.raises(UserError, match="validation images have a copy among its pre-training images"):
        check_pretrained({"pretrained": str(run)}, stripes, say=quiet)
    said: list[str] = []
    contact = check_pretrained({"pretrained": str(run)}, stripes, allow_leakage=True, say=said.append)
    assert contact is not None
    assert contact.num_test_images == 0
    assert said == [f"warning: {run} knows validation or test images: {contact.detail}"]
    assert check_pretrained({"pretrained": None}, stripes) is None
    with pytest.raises(UserError, match="--set pretrained nowhere: not a run"):
        check_pretrained({"pretrained": "nowhere"}, stripes)


def test_a_search_is_refused_like_a_training(with_pretrained, stripes, tmp_path):
    run = train_on(made_of(tmp_path / "public", stripes, "test"), tmp_path / "runs")
    options: dict[str, Any] = {"data": stripes.path, "overrides": NARROW | {"pretrained": str(run)}, "say": quiet}
    with pytest.raises(UserError, match="test images have a copy"):
        tune("wcgan_gp", out=tmp_path / "sweeps", **options)
    assert not (tmp_path / "sweeps").exists()
    tune("wcgan_gp", out=tmp_path / "sweeps", dry_run=True, allow_leakage=True, **options)
