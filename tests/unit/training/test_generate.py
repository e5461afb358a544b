from __future__ import annotations

import shutil

import numpy as np
import pytest
import yaml

from raysynth.data.contact import find_contact
from raysynth.data.provenance import HASHES_FILE, dataset_provenance, training_provenance
from raysynth.errors import UserError
from raysynth.models.registry import get_family
from raysynth.training.generate import generate, sample_run
from raysynth.training.train import train


def quiet(line: str) -> None:
    pass


def test_a_synthetic_set_has_the_form_and_counts_of_its_training_data(tiny_run, stripes, tmp_path):
    made = generate(tiny_run, out=tmp_path / "made", say=quiet)
    assert made.kind == "synthetic"
    assert made.shape == stripes.shape
    assert made.classes == stripes.classes
    assert made.counts["train"] == stripes.counts["train"]
    assert made.num_images() == made.num_images("train")
    assert made.provenance is not None
    assert made.provenance["run"] == str(tiny_run.resolve())
    assert made.provenance["training_fingerprint"] == stripes.fingerprint
    assert made.provenance["epoch"] == 2
    assert made.provenance["training_leakage"] == "clean"
    assert dataset_provenance(made) == training_provenance(stripes)  # entries and hashes, as the run kept them


def test_a_run_of_an_older_version_is_generated_from_as_ever(tiny_run, stripes, tmp_path):
    run = tmp_path / "run"
    shutil.copytree(tiny_run, run)
    (run / HASHES_FILE).unlink()
    settings = yaml.safe_load((run / "config.yaml").read_text())
    del settings["trained_on"], settings["contact"]
    (run / "config.yaml").write_text(yaml.safe_dump(settings))
    made = generate(run, out=tmp_path / "made", per_class=2, say=quiet)
    assert not (made.path / HASHES_FILE).exists()
    assert find_contact(made, stripes).status == "clean"  # by the fingerprint


def test_an_image_is_a_function_of_its_seed(tiny_run, tmp_path):
    """Five a class and ninety a class begin with the same five, although they fill other chunks."""
    few = generate(tiny_run, out=tmp_path / "few", per_class=5, say=quiet)
    many = generate(tiny_run, out=tmp_path / "many", per_class=90, say=quiet)
    other = generate(tiny_run, out=tmp_path / "other", per_class=5, seed=1, say=quiet)
    (few_images, few_labels), (many_images, many_labels) = few.pixels(), many.pixels()
    for label in range(2):
        assert np.array_equal(few_images[few_labels == label], many_images[many_labels == label][:5])
    assert not np.array_equal(few_images, other.pixels()[0])
    table = many.read(["id", "seed"])
    assert len(set(table["seed"].to_pylist())) == len(set(table["id"].to_pylist())) == 180


def test_sampling_gives_the_same_bytes_again(tiny_run):
    labels, seeds = np.array([0, 1, 1]), np.array([5, 6, 7])
    first = sample_run(str(tiny_run), labels, seeds)
    assert first.dtype == np.uint8
    assert np.array_equal(first, sample_run(str(tiny_run), labels, seeds))


def test_like_takes_the_counts_of_another_set(tiny_run, tmp_path):
    like = generate(tiny_run, out=tmp_path / "like", per_class=3, say=quiet)
    assert generate(tiny_run, out=tmp_path / "made", like=like.path, say=quiet).counts["train"] == {
        "left": 3,
        "right": 3,
    }


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"per_class": 0}, "--per-class 0"),
        ({"per_class": 1, "like": "x"}, "--per-class, --like"),
        ({"like": "nowhere"}, "--like nowhere"),
        ({"workers": -1}, "--workers -1"),
    ],
)
def test_mistakes_are_answered(tiny_run, tmp_path, arguments, message):
    with pytest.raises(UserError, match=message):
        generate(tiny_run, out=tmp_path / "made", say=quiet, **arguments)
    assert not (tmp_path / "made").exists()


def test_a_folder_that_is_no_run_is_refused(tmp_path):
    with pytest.raises(UserError, match="neither a run nor a sweep"):
        generate(tmp_path, out=tmp_path / "made", say=quiet)


def test_how_samples_are_drawn_may_be_changed_after_the_training(stripes, tmp_path):
    overrides = {"width": 8, "num_blocks": 1, "batch_size": 8, "num_steps": 2, "guidance": 1.0}
    run = train("pixel_diffusion", data=stripes.path, epochs=1, overrides=overrides, out=tmp_path / "runs", say=quiet)
    plain = generate(run, out=tmp_path / "plain", per_class=3, say=quiet)
    same = generate(run, out=tmp_path / "same", per_class=3, overrides={"guidance": 1.0}, say=quiet)
    guided = generate(run, out=tmp_path / "guided", per_class=3, overrides={"guidance": 8.0}, say=quiet)
    assert np.array_equal(plain.pixels()[0], same.pixels()[0])
    assert not np.array_equal(plain.pixels()[0], guided.pixels()[0])
    assert guided.provenance is not None
    assert guided.provenance["config"]["guidance"] == 8.0
    assert guided.provenance["config"]["width"] == 8
    with pytest.raises(UserError, match="--set width: not an option of how this pixel_diffusion is sampled"):
        generate(run, out=tmp_path / "no", per_class=3, overrides={"width": 4}, say=quiet)
    with pytest.raises(UserError, match="--set guidance"):
        generate(run, out=tmp_path / "no", per_class=3, overrides={"guidance": -1}, say=quiet)
    assert not (tmp_path / "no").exists()


def test_a_family_without_such_options_says_so(tiny_run, tmp_path):
    with pytest.raises(UserError, match="nothing can be changed after its training"):
        generate(tiny_run, out=tmp_path / "no", overrides={"latent_dim": 2}, say=quiet)


def test_a_run_that_was_always_told_the_label_has_no_guidance(stripes, tmp_path):
    overrides = {"width": 8, "num_blocks": 1, "batch_size": 8, "num_steps": 2, "guidance": 1.0, "label_drop": 0.0}
    run = train("pixel_diffusion", data=stripes.path, epochs=1, overrides=overrides, out=tmp_path / "runs", say=quiet)
    with pytest.raises(UserError, match=r"--set guidance: not an option .*; want one of num_steps"):
        generate(run, out=tmp_path / "no", overrides={"guidance": 2.0}, say=quiet)


def test_a_mixture_has_nothing_to_be_changed():
    family = get_family("latent_flow")
    assert family.sampling_options(family.Config(prior="mixture").model_dump()) == ()
    assert family.sampling_options(family.Config().model_dump()) == ("guidance", "num_steps")
