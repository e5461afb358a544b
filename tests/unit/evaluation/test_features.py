"""Features of both networks, of rows in order, of images and volumes of any number of channels."""

import numpy as np
import pytest
import torch

from raysynth.data.dataset import Dataset
from raysynth.data.dataset_writer import write_dataset
from raysynth.evaluation import features
from raysynth.evaluation.features import BACKBONE, SCORING, FeatureExtractor, extract_features
from raysynth.evaluation.scoring_network import ensure_scoring_network, load_scoring_network
from raysynth.models.backbone import load_backbone


def test_features_are_those_of_the_networks_for_the_chosen_rows(make_dataset, monkeypatch):
    monkeypatch.setattr(features, "_ROWS", 5)
    real = make_dataset("real", num_train=24, num_validation=8, num_test=8)
    made = make_dataset("made", classes=("b", "a"), num_train=12, kind="synthetic", seed=1)
    file = ensure_scoring_network(real)
    train, validation, generated = extract_features(
        [(real, "train"), (real, "validation"), (made, "train")], real.classes, file, with_ray=False
    )
    images, labels = real.pixels("train")
    assert np.array_equal(train.labels, labels)
    assert train.features[SCORING] == pytest.approx(load_scoring_network(file).features(images), abs=1e-4)
    with torch.inference_mode():
        wanted = load_backbone().eval()(torch.from_numpy(images.astype(np.float32)) / 127.5 - 1).numpy()
    assert train.features[BACKBONE] == pytest.approx(wanted, abs=1e-3)
    assert train.features[BACKBONE].shape == (24, 1280)
    assert len(validation.labels) == len(validation.features[SCORING]) == 8
    assert np.array_equal(generated.labels, 1 - made.pixels("train")[1])
    assert len(set(generated.groups)) == 12


def test_the_test_split_is_not_looked_at(make_dataset, monkeypatch):
    real = make_dataset("real", num_train=24, num_validation=8, num_test=8)
    taken: list[int] = []
    take = Dataset.take
    monkeypatch.setattr(Dataset, "take", lambda self, columns, rows: (taken.extend(rows), take(self, columns, rows))[1])
    file = ensure_scoring_network(real)
    extract_features([(real, "train"), (real, "validation")], real.classes, file, with_ray=False)
    assert sorted(taken) == list(range(32))


def test_of_a_large_set_some_are_drawn(make_dataset, monkeypatch):
    monkeypatch.setattr(features, "MAX_IMAGES", 10)
    real = make_dataset("real", num_train=40)
    file = ensure_scoring_network(real)
    train, none = extract_features([(real, "train"), (real, "validation")], real.classes, file, with_ray=False)
    assert len(train.labels) == len(train.features[BACKBONE]) == 10
    assert train.groups.tolist() != real.read(["group"])["group"].to_pylist()[:10]
    assert len(none.labels) == len(none.features[BACKBONE]) == 0


@pytest.fixture
def extractor(make_dataset):
    return FeatureExtractor([], str(ensure_scoring_network(make_dataset("real"))))


def test_any_number_of_channels(extractor):
    grey = np.random.default_rng(0).integers(0, 256, (2, 1, 16, 16), dtype=np.uint8)
    wanted = extractor.backbone_features(grey)
    for channels in (2, 3, 4):
        found = extractor.backbone_features(np.repeat(grey, channels, axis=1))
        assert found == pytest.approx(wanted, abs=1e-3)


def test_a_volume_is_seen_by_three_slices(extractor):
    volumes = np.random.default_rng(0).integers(0, 256, (2, 1, 12, 14, 16), dtype=np.uint8)
    found = extractor.backbone_features(volumes)
    assert found.shape == (2, 3 * 1280)
    assert found[:, :1280] == pytest.approx(extractor.backbone_features(volumes[:, :, 6]), abs=1e-3)


def test_volumes_go_the_whole_way(stacked_stripes, tmp_path):
    images, labels = stacked_stripes.pixels("train")
    made = write_dataset(
        tmp_path / "made",
        name="made",
        kind="synthetic",
        classes=stacked_stripes.classes,
        images=images[:4],
        columns={"id": list("abcd"), "label": labels[:4], "split": ["train"] * 4},
        source={},
    )
    file = ensure_scoring_network(stacked_stripes, fallback_folder=tmp_path / "scoring")
    (found,) = extract_features([(made, "train")], made.classes, file, with_ray=False)
    assert found.features[BACKBONE].shape == (4, 3840)
