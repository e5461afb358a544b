import numpy as np
import pytest

from raysynth.errors import UserError
from raysynth.evaluation import kept_classifier
from raysynth.evaluation.scoring_network import FrechetScorer, ensure_scoring_network, load_scoring_network


@pytest.fixture
def dataset(make_dataset):
    return make_dataset("set", classes=("a", "b", "c", "d"), num_train=128, num_validation=64)


def test_a_generator_that_ignores_the_label_scores_badly(dataset, make_dataset):
    network = load_scoring_network(ensure_scoring_network(dataset))
    scorer = FrechetScorer(dataset, network)
    assert len(scorer.labels) == 256
    assert np.bincount(scorer.labels).tolist() == [64] * 4
    again = make_dataset("again", classes=dataset.classes, num_train=256, seed=1)
    images, labels = again.pixels()
    good = scorer.score(images, labels)
    permuted = np.random.default_rng(0).permutation(labels)
    assert scorer.score(images, permuted) > 5 * good
    noise = np.random.default_rng(1).integers(0, 256, images.shape, dtype=np.uint8)
    assert scorer.score(noise, labels) > 5 * good
    features = network.features(images)
    assert features.shape == (256, 24)
    assert features.dtype == np.float64


def test_the_network_is_trained_once_and_kept_beside_the_data(dataset):
    said: list[str] = []
    path = ensure_scoring_network(dataset, say=said.append)
    assert path.parent == dataset.path / "scoring"
    assert path.name.startswith(dataset.fingerprint)
    assert ensure_scoring_network(dataset, say=said.append) == path
    assert len(said) == 1


def test_other_code_trains_its_own_network(dataset, monkeypatch):
    path = ensure_scoring_network(dataset)
    monkeypatch.setattr(kept_classifier, "_code", lambda: ["another version"])
    other = ensure_scoring_network(dataset)
    assert other != path
    assert path.exists()
    assert other.exists()


def test_a_broken_file_is_replaced(dataset):
    path = ensure_scoring_network(dataset)
    path.write_bytes(b"cut short")
    said: list[str] = []
    assert ensure_scoring_network(dataset, say=said.append) == path
    assert "cannot be read" in said[0]
    load_scoring_network(path)


def test_a_folder_that_cannot_be_written_to_falls_back(dataset, tmp_path):
    (dataset.path / "scoring").write_text("in the way")
    fallback = tmp_path / "fallback"
    path = ensure_scoring_network(dataset, fallback_folder=fallback)
    assert path.parent == fallback
    assert ensure_scoring_network(dataset, fallback_folder=fallback) == path
    with pytest.raises(UserError, match="cannot be written there"):
        ensure_scoring_network(dataset)


def test_no_validation_images_is_the_users_mistake(make_dataset, dataset):
    bare = make_dataset("bare", classes=dataset.classes)
    with pytest.raises(UserError, match=r"--data .*bare.*--validation"):
        FrechetScorer(bare, load_scoring_network(ensure_scoring_network(dataset)))
