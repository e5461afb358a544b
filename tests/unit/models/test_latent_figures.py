"""What the report shows of a variational autoencoder."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest

from raysynth.data.dataset import Dataset, load_dataset
from raysynth.models.latent_figures import NUM_IMAGES, PLANE_SIDE, draw_latents
from raysynth.models.registry import get_family
from raysynth.training.train import train


def trained(dataset: Dataset, out: Path, latent_dim: int) -> Path:
    overrides = {"batch_size": 8, "width": 2, "latent_dim": latent_dim, "encoder": "conv3", "decoder": "deconv3"}
    return train("cvae", data=dataset.path, epochs=2, overrides=overrides, workers=0, out=out, say=lambda line: None)


@pytest.fixture(scope="module")
def run_of_two(stripes: Dataset, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return trained(stripes, tmp_path_factory.mktemp("two"), 2)


def test_a_run_shows_its_curves_its_reconstructions_and_its_plane(run_of_two, stripes):
    figures = {figure.name: figure for figure in get_family("cvae").figures(run_of_two)}
    assert list(figures) == ["reconstruction", "kl", "reconstructions", "latent_plane"]
    pairs = figures["reconstructions"].figure.axes
    assert len(pairs) == 2 * NUM_IMAGES * len(stripes.classes)
    images, labels = stripes.pixels("validation")
    for label in range(len(stripes.classes)):
        shown = np.asarray(pairs[2 * NUM_IMAGES * label].images[0].get_array())
        assert shown == pytest.approx(images[labels == label][0, 0] / 255, abs=1e-6)
    points, sheet = figures["latent_plane"].figure.axes
    assert sum(len(line.get_xdata()) for line in points.lines) == len(labels)
    assert sheet.images[0].get_array().shape == (16 * PLANE_SIDE, 16 * PLANE_SIDE)


def test_more_latent_numbers_have_no_plane(stripes, tmp_path):
    assert [figure.name for figure in draw_latents(trained(stripes, tmp_path, 3))] == ["reconstructions"]


def test_without_its_data_set_a_run_shows_its_curves(stripes, tmp_path):
    copy = shutil.copytree(stripes.path, tmp_path / "copy")
    run = trained(load_dataset(copy), tmp_path / "runs", 2)
    shutil.rmtree(copy)
    assert [figure.name for figure in get_family("cvae").figures(run)] == ["reconstruction", "kl"]
