"""The whole way of a transfer: pre-train without what the target is judged by, go on in two phases, stop and resume."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import torch

from raysynth.data.dataset import Dataset, load_dataset
from raysynth.data.dataset_writer import write_dataset
from raysynth.errors import UserError
from raysynth.models.registry import get_family
from raysynth.training.checkpoints import load_newest_checkpoint
from raysynth.training.generate import generate
from raysynth.training.run_folder import RunFolder
from raysynth.training.train import train

SMALL = {"batch_size": 8, "width": 2, "latent_dim": 4, "depth": 4}


def mosaics(path, numbers: range, splits: list[str]) -> Dataset:
    """Image i is a mosaic of 8 x 8 greys that is like no other's."""
    images = []
    for number in numbers:
        greys = np.random.default_rng(number).integers(0, 255, (8, 8), dtype=np.uint8)
        images.append(np.kron(greys, np.ones((4, 4), np.uint8))[None])
    return write_dataset(
        path,
        name=path.name,
        kind="real",
        classes=["a", "b"],
        images=np.stack(images),
        columns={
            "id": [f"{path.name}-{number:03d}" for number in numbers],
            "label": np.array(numbers) % 2,
            "split": splits,
        },
        source={},
    )


@pytest.fixture(scope="module")
def target(tmp_path_factory) -> Dataset:
    splits = ["train"] * 24 + ["validation"] * 8 + ["test"] * 8
    return mosaics(tmp_path_factory.mktemp("data") / "target", range(40), splits)


@pytest.fixture(scope="module")
def public(tmp_path_factory) -> Dataset:
    """Thirty images, of which the first eight are the target's test images."""
    return mosaics(tmp_path_factory.mktemp("data") / "public", range(32, 62), ["train"] * 22 + ["validation"] * 8)


@pytest.fixture(scope="module")
def pretrained(target, public, tmp_path_factory):
    return train(
        "denoising_vae",
        data=public.path,
        exclude=target.path,
        epochs=1,
        overrides=SMALL,
        workers=0,
        out=tmp_path_factory.mktemp("pretrained"),
        say=lambda line: None,
    )


def test_pre_training_leaves_out_what_the_target_is_judged_by(pretrained, target, public):
    run = RunFolder(pretrained)
    seen = load_dataset(run.settings()["data"]["path"])
    assert seen.path == (pretrained / "data").resolve()
    kept = set(seen.read(["id"])["id"].to_pylist())
    assert kept == {f"public-{number:03d}" for number in range(40, 62)}
    assert seen.source["excluded"]["num_images"] == 8
    assert "without 8 images of target" in run.settings()["data"]["name"]
    train(resume=None, family="cvae", data=seen.path, epochs=1, overrides={"batch_size": 8, "width": 2}, dry_run=True,
          say=lambda line: None)  # fmt: skip


def test_the_plan_counts_what_is_left(target, public, tmp_path):
    lines: list[str] = []
    run = train("denoising_vae", data=public.path, exclude=target.path, epochs=1, overrides=SMALL, workers=0,
                out=tmp_path, dry_run=True, say=lines.append)  # fmt: skip
    assert lines[0].startswith("left out: 8 of 30 images")
    assert "on 14 train images" in lines[1]
    assert not run.exists()


def test_a_start_that_knows_test_images_is_refused(target, public, tmp_path):
    run = train(
        "denoising_vae", data=public.path, epochs=1, overrides=SMALL, workers=0, out=tmp_path, say=lambda line: None
    )
    with pytest.raises(UserError, match=r"8 of 8 test images .*--allow-leakage"):
        train(
            "transfer_cvae",
            data=target.path,
            epochs=2,
            overrides={"pretrained": str(run), "batch_size": 8},
            workers=0,
            out=tmp_path,
            say=lambda line: None,
        )


def test_both_phases_are_seen_and_a_resumed_one_goes_on_in_its_own(pretrained, target, tmp_path):
    said: list[str] = []
    options = {"data": target.path, "epochs": 4, "workers": 0, "say": said.append}
    overrides = {"pretrained": str(pretrained), "batch_size": 8}
    whole = RunFolder(train("transfer_cvae", overrides=overrides, out=tmp_path / "whole", **options))
    assert any(line.startswith(f"loaded from {pretrained}") for line in said)
    assert any(line.startswith("new: encoder.dense.weight") for line in said)
    assert any("phase 2" in line for line in said)
    table = pd.read_csv(whole.path / "metrics.csv")
    assert table["phase"].tolist() == [1, 1, 1, 2]
    state = load_newest_checkpoint(whole.checkpoints)
    assert state is not None
    assert state["model"]["phase"] == "unfrozen"

    # Stopped in the first phase, it ends where the one that was not stopped ends.
    stopped = RunFolder(train("transfer_cvae", overrides=overrides, out=tmp_path / "stopped", **options))
    for checkpoint in sorted(stopped.checkpoints.glob("epoch_*.pt"))[1:]:
        checkpoint.unlink()
    first = load_newest_checkpoint(stopped.checkpoints)
    assert first is not None
    assert first["model"]["phase"] == "frozen"
    stopped.write_history(stopped.history()[: first["epoch"]])
    stopped.write_status("stopped", first["epoch"])
    train(resume=stopped.path, workers=0, say=said.append)
    again = load_newest_checkpoint(stopped.checkpoints)
    assert again is not None
    for name, value in state["model"]["network"].items():
        assert torch.equal(value, again["model"]["network"][name]), name

    figures = {figure.name for figure in get_family("transfer_cvae").figures(whole.path)}
    assert {"reconstruction", "kl", "reconstructions"} <= figures
    made = generate(whole.path, out=tmp_path / "made", per_class=2, say=said.append)
    assert [entry["role"] for entry in made.provenance["trained_on"]] == ["training", "pre-training"]


def test_the_figures_of_a_denoising_run(pretrained):
    figures = {figure.name: figure for figure in get_family("denoising_vae").figures(pretrained)}
    assert list(figures)[-2:] == ["denoising", "denoising_measures"]
    assert len(figures["denoising"].figure.axes) == 2 * 3
    psnr, ssim = figures["denoising_measures"].figure.axes
    noised, denoised = psnr.lines[:2]
    assert (np.diff(noised.get_ydata()) < 0).all()  # more noise, less signal
    assert len(denoised.get_xdata()) == 9
    assert ssim.lines[0].get_ydata()[0] == pytest.approx(1, abs=1e-3)
