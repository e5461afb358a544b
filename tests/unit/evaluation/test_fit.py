import numpy as np
import pytest
import torch

from raysynth.evaluation.fit import (
    SCORING_BATCH_SIZE,
    FixedSteps,
    SoftLabels,
    fit_classifier,
    limited_threads,
    load_network,
    predict_probabilities,
    save_classifier,
    scoring_batch_size,
)
from raysynth.models.classifier import Classifier
from raysynth.models.context import Context

CONFIG = Classifier.Config(widths=(4, 8), num_steps=5, batch_size=8, seed=3)


def test_steps_are_exact_even_within_an_epoch():
    images, labels = np.zeros((20, 1, 8, 8), np.uint8), np.zeros(20, np.int64)
    batches = FixedSteps(images, labels, total_steps=5, batch_size=8, context=Context())
    assert batches.num_epochs == 3
    assert [len(list(batches.epoch(epoch))) for epoch in (1, 2, 3)] == [2, 2, 1]


def test_weights_survive_the_file(make_dataset, tmp_path):
    images, labels = make_dataset("set").pixels()
    with limited_threads(1):
        fitted = fit_classifier(images, labels, config=CONFIG, num_classes=2, validation=(images, labels))
        assert 0 <= fitted.validation_accuracy <= 1
        assert fitted.model.schedule.last_epoch == 5
        path = tmp_path / "deep" / "weights.pt"
        save_classifier(path, fitted.model, ["a", "b"])
        network = load_network(path)
        fitted.model.network.eval()
        wanted = predict_probabilities(fitted.model.network, images)
    assert np.array_equal(predict_probabilities(network, images), wanted)
    assert wanted.shape == (24, 2)
    assert wanted.sum(axis=1) == pytest.approx(1, abs=1e-5)
    assert [file.name for file in path.parent.iterdir()] == ["weights.pt"]
    torch.load(path, weights_only=True)


def test_volumes_are_judged_by_a_network_of_three_dimensions(tmp_path):
    rng = np.random.default_rng(0)
    labels = np.arange(24) % 2
    volumes = rng.integers(0, 100, (24, 1, 8, 8, 8), dtype=np.uint8)
    volumes[labels == 1, :, 4:] += 120
    config = Classifier.Config(widths=(4, 8), num_steps=40, batch_size=8, seed=3, learning_rate=1e-2)
    with limited_threads(1):
        fitted = fit_classifier(volumes, labels, config=config, num_classes=2, validation=(volumes, labels))
        save_classifier(tmp_path / "weights.pt", fitted.model, ["a", "b"])
        probabilities = predict_probabilities(load_network(tmp_path / "weights.pt"), volumes)
    assert fitted.validation_accuracy == 1.0
    assert probabilities.argmax(axis=1).tolist() == labels.tolist()


def test_fewer_large_volumes_are_scored_at_a_time():
    assert scoring_batch_size((1, 256, 256)) == scoring_batch_size((1, 16, 16, 16)) == SCORING_BATCH_SIZE
    sizes = [scoring_batch_size((1, side, side, side)) for side in (32, 64, 128)]
    assert sizes == sorted(sizes, reverse=True)
    assert sizes[-1] >= 1


def test_the_same_seed_gives_the_same_classifier(make_dataset):
    images, labels = make_dataset("set").pixels()
    with limited_threads(1):
        a, b = (fit_classifier(images, labels, config=CONFIG, num_classes=2).model.network for _ in range(2))
    assert all(torch.equal(x, y) for x, y in zip(a.state_dict().values(), b.state_dict().values(), strict=True))


def test_another_format_is_refused(tmp_path):
    torch.save({"format": 99}, tmp_path / "weights.pt")
    with pytest.raises(ValueError, match="format 99"):
        load_network(tmp_path / "weights.pt")


def test_soft_labels_are_drawn_anew_by_their_probabilities():
    probabilities = np.tile([[0.75, 0.25, 0.0]], (400, 1)).astype(np.float32)
    images = np.zeros((400, 1, 4, 4), np.uint8)

    def draw() -> list[torch.Tensor]:
        batches = SoftLabels(images, probabilities, total_steps=20, batch_size=100, context=Context(seed=1))
        return [torch.cat([labels for _, labels in batches.epoch(epoch)]) for epoch in (1, 2, 3, 4, 5)]

    epochs = draw()
    shares = torch.cat(epochs).bincount(minlength=3) / 2000
    assert shares.tolist() == pytest.approx([0.75, 0.25, 0], abs=0.04)
    assert not torch.equal(epochs[0], epochs[1])
    assert all(torch.equal(a, b) for a, b in zip(epochs, draw(), strict=True))


def test_soft_labels_teach_what_hard_ones_do(make_dataset):
    images, labels = make_dataset("set").pixels()
    certain = np.eye(2, dtype=np.float32)[labels]
    with limited_threads(1):
        hard, soft = (
            fit_classifier(images, given, config=CONFIG, num_classes=2).model.network for given in (labels, certain)
        )
    assert all(torch.equal(x, y) for x, y in zip(hard.state_dict().values(), soft.state_dict().values(), strict=True))
